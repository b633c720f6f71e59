package suite_test

import (
	"strings"
	"testing"

	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/bench/suite"
)

// TestCheckSuite: what a suite asks for is within the bounds.
func TestCheckSuite(t *testing.T) {
	text := `models: m.gguf
cases:
- {name: a, threads: [0, 1024], prompt: 16, gen: [0, 16], depth: [0, 4096], parallel: 16, busy: 1, batch: 65536, cache: q8_0, greedy: {tokens: 4096}, repeat: 1000}
- {name: b, start: true}
- {name: c, quality: {text: t.txt, context: 8}}
- {name: d, prompt: 8, context: 8}
`
	text = strings.Replace(text, "gen: [0, 16]", "gen: 16", 1)
	s, err := suite.Parse([]byte(text), "s.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range s.Cases {
		if err := suite.Check(c.Settings); err != nil {
			t.Errorf("%s: %v", c.ID, err)
		}
	}
}

// TestCheck: what no suite can ask for is refused.
func TestCheck(t *testing.T) {
	for _, c := range []struct {
		set  record.Settings
		want string
	}{
		{record.Settings{Gen: 1, Threads: -3}, "threads is -3"},
		{record.Settings{Gen: 1, Threads: 1025}, "threads is 1025"},
		{record.Settings{Gen: 1, Depth: 1e9}, "depth is 1000000000"},
		{record.Settings{Gen: -1}, "gen is -1"},
		{record.Settings{Prompt: 1<<20 + 1}, "prompt is"},
		{record.Settings{Gen: 1, Parallel: 17}, "parallel is 17"},
		{record.Settings{Gen: 1, Context: 1 << 30}, "context is"},
		{record.Settings{Gen: 1, Repeat: 1001}, "repeat is"},
		{record.Settings{Gen: 1, Batch: 1 << 17}, "batch is"},
		{record.Settings{Gen: 1, Busy: 1 << 17}, "busy is"},
		{record.Settings{Gen: 1, Cache: "f64"}, "no type of cache"},
		{record.Settings{Gen: 1, Greedy: &record.Greedy{Tokens: 1 << 30}}, "greedy tokens"},
		{record.Settings{Gen: 1, Greedy: &record.Greedy{}}, "greedy tokens"},
		{record.Settings{Quality: &record.Quality{Context: 1 << 30}}, "quality context"},
		{record.Settings{Quality: &record.Quality{}}, "quality context"},
		{record.Settings{Quality: &record.Quality{Context: 512, Chunks: -1}}, "quality chunks"},
		{record.Settings{Quality: &record.Quality{Context: 512}, Gen: 4}, "apart"},
		{record.Settings{Start: "a", Gen: 4}, "apart"},
		{record.Settings{Start: strings.Repeat("a", 2<<20)}, "longer than"},
		{record.Settings{Gen: 1, Env: map[string]string{"A": "b\x00C=d"}}, "zero byte"},
		{record.Settings{}, "nothing is measured"},
		{record.Settings{Prompt: 4, Busy: 1}, "gen is 0"},
		{record.Settings{Gen: 8, Depth: 8, Context: 15}, "need a context of 16"},
	} {
		if err := suite.Check(c.set); err == nil || !strings.Contains(err.Error(), c.want) || len(err.Error()) > 300 {
			t.Errorf("%+.200v: %v, want %q", c.set, err, c.want)
		}
	}
}
