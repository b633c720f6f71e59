package nearest_test

import (
	"testing"

	"github.com/ledge-run/ledge/runtime/nearest"
)

func TestSuggest(t *testing.T) {
	for _, c := range []struct{ word, want string }{
		{"rnu", "run"}, {"perplexty", "perplexity"}, {"tokenise", "tokenize"}, {"perp", "perplexity"}, {"qqqqq", ""},
	} {
		got := nearest.Hint(c.word, []string{"run", "chat", "perplexity", "tokenize"})
		if c.want == "" && got != "" || c.want != "" && got != ", did you mean "+c.want+"?" {
			t.Errorf("%q suggests %q, want %q", c.word, got, c.want)
		}
	}
}
