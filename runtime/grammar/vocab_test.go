package grammar_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ledge-run/ledge/runtime/grammar"
)

// words are what the tests' vocabulary has besides all bytes: pieces that begin, end
// and cross the parts of a JSON text, several characters, halves of them.
var words = []string{
	`{"`, `":`, `":"`, `","`, `",`, `"}`, `"]`, `],"`, `}}`, `}]`, `},{"`, `[]`, `{}`, `[[`, `[{"`, `[{`, `]]`, `null`, `true`, `false`, `tru`, `nul`,
	`":true`, `":null}`, `":[`, `,-`, `-1`, `10`, `100`, `1.5`, `0.`, `.0`, `e1`, `E-`, `12,`, `7}`, `0]`, `0,0`, ` "`, `: `, `, `, `, "`, ` `, `  `, "\n", "\t",
	`the`, ` the`, `a`, `ab`, `abc`, `aaaa`, `x"`, `x","y":"`, `\"`, `\\`, `\n`, `\u`, `\u00`, `\ud8`, `\ud83d\ude00`, `ude`, `"a`, `"name":`, `"id":`, `a":`,
	"é", "é\"", "日", "日本", "日\"", "\xe6\x97", "\xa5本", "😀", "\xf0\x9f", "\x98\x80\"", "😀😀", `""`, `""}`, `"",""`, `x\"y`, `-0`, `00`, `abcdefghij`, `klmnopqrstuvwxyz`,
}

const endToken = 3

// testVocabulary has a few control tokens, every byte, words, and made up ones.
func testVocabulary(r *rand.Rand, more int) (*grammar.Vocabulary, []string) {
	pieces := []string{"", "", "", ""}
	for b := range 256 {
		pieces = append(pieces, string([]byte{byte(b)}))
	}
	pieces = append(pieces, words...)
	pieces = append(pieces, "the", `":`) // twice
	for range more {
		p := ""
		for range 2 + r.IntN(4) {
			p += words[r.IntN(len(words))]
		}
		pieces = append(pieces, p)
	}
	return grammar.NewVocabulary(len(pieces), func(id int32) string { return pieces[id] }, []int32{endToken}), pieces
}

func maskOf(t testing.TB, m *grammar.Matcher) []uint64 {
	t.Helper()
	mask := make([]uint64, (m.Vocabulary().Size()+63)/64)
	if err := m.Mask(mask); err != nil {
		t.Fatal(err)
	}
	return mask
}

func has(mask []uint64, id int32) bool { return mask[id/64]>>(id%64)&1 == 1 }

func TestVocabulary(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	v, pieces := testVocabulary(r, 500)
	// A grammar of all texts allows every token with a text.
	n := grammar.NewNFA()
	s := n.State()
	n.Range(0, 0, 255, s)
	n.Range(s, 0, 255, s)
	n.Accept(s)
	g := grammar.New()
	id, err := g.Declare("all")
	if err == nil {
		err = g.Define(id, n)
	}
	if err == nil {
		err = g.Finish(id)
	}
	if err != nil {
		t.Fatal(err)
	}
	m := grammar.NewEngine(g, v).Matcher()
	mask := maskOf(t, m)
	for id, p := range pieces {
		if has(mask, int32(id)) != (p != "") {
			t.Errorf("token %d %q: %v", id, p, has(mask, int32(id)))
		}
	}
	if err := m.Accept(10); err != nil {
		t.Fatal(err)
	}
	if mask := maskOf(t, m); !has(mask, endToken) || !m.Complete() || m.Finished() {
		t.Error("the end is not allowed where the text may end")
	}
	if err := m.Accept(endToken); err != nil || !m.Finished() {
		t.Errorf("%v, %v", err, m.Finished())
	}
	if mask := maskOf(t, m); !has(mask, endToken) || has(mask, 10) {
		t.Error("after the end something else may come")
	}
}

func TestBadRules(t *testing.T) {
	word := func(text string) *grammar.NFA {
		n := grammar.NewNFA()
		n.Accept(n.Text(0, text))
		return n
	}
	calling := func(rules ...int32) *grammar.NFA {
		n := grammar.NewNFA()
		end := n.State()
		n.Accept(end)
		for _, r := range rules {
			n.Call(0, r, end)
		}
		return n
	}
	for name, c := range map[string]struct {
		rules []*grammar.NFA
		want  error
	}{
		"none":       {[]*grammar.NFA{grammar.NewNFA()}, grammar.ErrNoWord},
		"of a none":  {[]*grammar.NFA{calling(1), grammar.NewNFA()}, grammar.ErrNoWord},
		"itself":     {[]*grammar.NFA{calling(0)}, grammar.ErrNoWord},
		"no progess": {[]*grammar.NFA{calling(1), calling(0, 2), word("a")}, grammar.ErrNoProgress},
	} {
		g := grammar.New()
		var err error
		for i := range c.rules {
			if _, e := g.Declare(fmt.Sprint("rule ", i)); e != nil {
				t.Fatal(e)
			}
		}
		for i, n := range c.rules {
			if e := g.Define(int32(i), n); e != nil {
				t.Fatal(e)
			}
		}
		if err = g.Finish(0); err == nil || !slices.Contains([]error{c.want}, unwrap(err)) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	g := grammar.New()
	id, _ := g.Declare("empty")
	n := grammar.NewNFA()
	n.Accept(0)
	if err := g.Define(id, n); err == nil {
		t.Error("a rule with the empty word is taken")
	}
}

func unwrap(err error) error {
	if u, ok := err.(interface{ Unwrap() error }); ok {
		return u.Unwrap()
	}
	return err
}
