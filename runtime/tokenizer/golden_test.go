package tokenizer_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/runtime/tokenizer"
)

// golden is a small vocabulary with what the library it comes from makes of
// texts (testdata/make_goldens.py).
type golden struct {
	Name     string
	Metadata map[string]any
	Cases    []struct {
		Text string
		IDs  []int32
	}
}

func goldens(t testing.TB) []golden {
	t.Helper()
	b, err := os.ReadFile("testdata/goldens.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Vocabularies []golden }
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	return file.Vocabularies
}

// get returns metadata as a GGUF reader would give it.
func (g golden) get(key string) (any, bool) {
	v, ok := g.Metadata[key]
	switch v := v.(type) {
	case float64:
		return uint32(v), ok
	case []any:
		switch {
		case key == "tokenizer.ggml.scores":
			return list(v, func(x any) float32 { return float32(x.(float64)) }), ok
		case key == "tokenizer.ggml.token_type":
			return list(v, func(x any) int32 { return int32(x.(float64)) }), ok
		}
		return list(v, func(x any) string { return x.(string) }), ok
	}
	return v, ok
}

func list[T any](v []any, f func(any) T) []T {
	out := make([]T, len(v))
	for i, x := range v {
		out[i] = f(x)
	}
	return out
}

func (g golden) tokenizer(t testing.TB) *tokenizer.Tokenizer {
	t.Helper()
	c, err := tokenizer.FromMetadata(g.get)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func goldenNamed(t testing.TB, name string) *tokenizer.Tokenizer {
	t.Helper()
	for _, g := range goldens(t) {
		if g.Name == name {
			return g.tokenizer(t)
		}
	}
	t.Fatalf("no golden vocabulary %q", name)
	return nil
}

func TestGoldens(t *testing.T) {
	for _, g := range goldens(t) {
		t.Run(g.Name, func(t *testing.T) {
			tok := g.tokenizer(t)
			for _, c := range g.Cases {
				got := tok.Encode(c.Text, tokenizer.EncodeOptions{ParseSpecial: tok.Model() != "llama"})
				if !slices.Equal(got, c.IDs) {
					t.Errorf("Encode(%q)\n got %v %q\nwant %v %q", c.Text, got, pieces(tok, got), c.IDs, pieces(tok, c.IDs))
				}
				if tok.Model() == "bert" {
					continue
				}
				if back := tok.Decode(got, true); back != c.Text {
					t.Errorf("Decode(Encode(%q)) = %q", c.Text, back)
				}
				if back := stream(tok, got); back != strings.ToValidUTF8(tok.Decode(got, true), "\ufffd") && !strings.HasPrefix(back, " ") {
					t.Errorf("streaming %q gives %q", c.Text, back)
				}
			}
		})
	}
}

func pieces(tok *tokenizer.Tokenizer, ids []int32) (s []string) {
	for _, id := range ids {
		s = append(s, tok.TokenText(id))
	}
	return s
}

// stream decodes ids one by one.
func stream(tok *tokenizer.Tokenizer, ids []int32) string {
	var b strings.Builder
	d := tok.NewDecoder(true)
	for _, id := range ids {
		b.WriteString(d.Push(id))
	}
	b.WriteString(d.Flush())
	return b.String()
}
