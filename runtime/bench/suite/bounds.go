package suite

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/strictyaml"
)

// Most of each number. They bound what a mistyped digit can cost, and what a
// stranger's receipt can ask for.
const (
	maxThreads  = 1024
	maxTokens   = 1 << 20
	maxParallel = 16 // engine.MaxStreams
	maxRepeat   = 1000
	maxBatch    = 1 << 16
	maxGreedy   = 4096
	minChunk    = 8
)

// cacheTypes are those of keys and values.
var cacheTypes = []string{"f16", "f32", "q8_0"}

// Check says what in settings that came from elsewhere no suite could have asked
// for: the bounds are those of a suite's file, and so are the combinations.
func Check(set record.Settings) error {
	for _, n := range []struct {
		name               string
		value, least, most int
	}{
		{"threads", set.Threads, 0, maxThreads}, {"prompt", set.Prompt, 0, maxTokens}, {"gen", set.Gen, 0, maxTokens}, {"depth", set.Depth, 0, maxTokens},
		{"parallel", set.Parallel, 0, maxParallel}, {"context", set.Context, 0, maxTokens}, {"repeat", set.Repeat, 0, maxRepeat},
		{"batch", set.Batch, 0, maxBatch}, {"busy", set.Busy, 0, maxThreads},
	} {
		if n.value < n.least || n.value > n.most {
			return outside(n.name, n.value, n.least, n.most)
		}
	}
	if set.Cache != "" && !slices.Contains(cacheTypes, set.Cache) {
		return fmt.Errorf("%.40q is no type of cache: it must be one of %s", set.Cache, strings.Join(cacheTypes, ", "))
	}
	texts := []string{set.Device, set.Start}
	if g := set.Greedy; g != nil {
		if g.Tokens < 1 || g.Tokens > maxGreedy {
			return outside("greedy tokens", g.Tokens, 1, maxGreedy)
		}
		texts = append(texts, g.Prompt)
	}
	for k, v := range set.Env {
		texts = append(texts, k, v)
	}
	for _, s := range texts {
		if len(s) > strictyaml.MaxBytes || strings.ContainsRune(s, 0) {
			return fmt.Errorf("a text in the settings is longer than %d bytes or has a zero byte: %.40q", strictyaml.MaxBytes, s)
		}
	}
	speed := set.Prompt > 0 || set.Gen > 0 || set.Depth > 0 || set.Parallel > 0 || set.Busy > 0 || set.Greedy != nil
	if q := set.Quality; q != nil {
		if q.Context < minChunk || q.Context > maxTokens {
			return outside("quality context", q.Context, minChunk, maxTokens)
		}
		if q.Chunks < 0 || q.Chunks > maxTokens {
			return outside("quality chunks", q.Chunks, 0, maxTokens)
		}
		if set.Start != "" || speed || set.Context > 0 {
			return errors.New("quality is measured apart from start, prompt, gen, depth, parallel, busy, greedy and context")
		}
		return nil
	}
	switch need := set.Depth + max(set.Prompt, set.Gen); {
	case set.Start != "" && speed:
		return errors.New("start is measured apart from prompt, gen, depth, parallel, busy and greedy")
	case set.Start != "":
		return nil
	case set.Prompt == 0 && set.Gen == 0:
		return errors.New("nothing is measured: prompt and gen are both 0")
	case set.Busy > 0 && set.Gen == 0:
		return errors.New("busy slows generation down, and gen is 0")
	case set.Context > 0 && need > set.Context:
		return fmt.Errorf("a depth of %d and %d tokens more need a context of %d, not %d", set.Depth, max(set.Prompt, set.Gen), need, set.Context)
	}
	return nil
}

func outside(name string, value, least, most int) error {
	return fmt.Errorf("%s is %d: it must be %d to %d", name, value, least, most)
}
