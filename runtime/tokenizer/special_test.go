package tokenizer

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// partitionPlainly is what partition must give, in llama.cpp's way: token by token,
// each looked for in all that is left. It takes time by the square of the tokens.
func partitionPlainly(s *specials, text string, ids []int32) []fragment {
	frags := []fragment{{0, len(text), -1}}
	for _, id := range ids {
		var next []fragment
		for _, f := range frags {
			for f.id < 0 {
				at := strings.Index(text[f.start:f.end], s.texts[id])
				if at < 0 {
					break
				}
				at += f.start
				left, right := at, at+len(s.texts[id])
				for s.lstrip[id] && left > f.start && isSpace(text[left-1]) {
					left--
				}
				for s.rstrip[id] && right < f.end && isSpace(text[right]) {
					right++
				}
				if left > f.start {
					next = append(next, fragment{f.start, left, -1})
				}
				next = append(next, fragment{at, at + len(s.texts[id]), id})
				f.start = right
			}
			if f.start < f.end {
				next = append(next, f)
			}
		}
		frags = next
	}
	return frags
}

// TestPartition: special tokens that overlap in every way, some of which swallow
// spaces, are taken out of texts as one after the other would be.
func TestPartition(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	word := func(letters string, most int) string {
		var b strings.Builder
		for range 1 + r.IntN(most) {
			b.WriteByte(letters[r.IntN(len(letters))])
		}
		return b.String()
	}
	for round := range 20000 {
		letters := []string{"a", "ab", "ab ", "abc  \n"}[r.IntN(4)]
		var c Config
		var types []int32
		for range r.IntN(9) {
			if w := word(letters, 6); !slices.Contains(c.Tokens, w) {
				c.Tokens = append(c.Tokens, w)
				types = append(types, []int32{TypeNormal, TypeControl, TypeUserDefined, TypeUserDefined}[r.IntN(4)])
			}
		}
		var s specials
		if err := s.build(c, types); err != nil {
			t.Fatal(err)
		}
		for id := range c.Tokens {
			s.lstrip[int32(id)], s.rstrip[int32(id)] = r.IntN(4) == 0, r.IntN(4) == 0
		}
		text, control := word(letters, 40), r.IntN(2) == 0
		var ids []int32
		for _, id := range s.ranked {
			if control || types[id] == TypeUserDefined {
				ids = append(ids, id)
			}
		}
		got, want := s.partition(text, types, control), partitionPlainly(&s, text, ids)
		if !slices.Equal(got, want) {
			t.Fatalf("round %d: tokens %q in %q: %v, want %v", round, c.Tokens, text, got, want)
		}
	}
}

// specialVocabulary has user-defined tokens besides those that every vocabulary has.
func specialVocabulary(t *testing.T, tokens []string) Config {
	c, err := DefaultConfig("llama", "")
	if err != nil {
		t.Fatal(err)
	}
	c.Tokens, c.Types = []string{"<unk>", "<s>", "</s>"}, []int32{TypeUnknown, TypeControl, TypeControl}
	for _, s := range tokens {
		c.Tokens, c.Types = append(c.Tokens, s), append(c.Types, TypeUserDefined)
	}
	return c
}

// TestManySpecials: as many tokens as a vocabulary has, all of them in a text, took
// minutes.
func TestManySpecials(t *testing.T) {
	var tokens []string
	for i := range 100000 {
		tokens = append(tokens, fmt.Sprintf("<|%d|>", i))
	}
	tok, err := New(specialVocabulary(t, tokens))
	if err != nil {
		t.Fatal(err)
	}
	got := tok.Encode(strings.Join(tokens, ""), EncodeOptions{})
	if len(got) != len(tokens) || got[0] != 3 || got[99999] != 3+99999 {
		t.Errorf("%d tokens: %v ...", len(got), got[:min(9, len(got))])
	}
}

// TestControlAt: a control token is found where the text begins, also behind a shorter one
// of another kind; one character is none.
func TestControlAt(t *testing.T) {
	c := specialVocabulary(t, []string{"<", "<own>"})
	for _, s := range []string{"#", "\u00e9", "<own>!", "\u00e9\u00e9"} {
		c.Tokens, c.Types = append(c.Tokens, s), append(c.Types, TypeControl)
	}
	tok, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		"": false, "<": false, "<s": false, "<s>": true, "<s>a": true, "a<s>": false, "<unk>": true, "</s></s>": true,
		"<own>": false, "<own>!": true, "##": false, "\u00e9": false, "\u00e9a": false, "\u00e9\u00e9": true, "\xc3": false,
	} {
		if got := tok.ControlAt(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// TestLongSpecials: a special token takes little more memory than its text has, and
// is refused if it is so long that looking for it takes long.
func TestLongSpecials(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var tokens []string
	total := 0
	for range 512 {
		b := []byte(strings.Repeat("a", maxSpecial))
		for i := r.IntN(len(b)); i < len(b); i++ {
			b[i] = byte('a' + r.IntN(26))
		}
		tokens = append(tokens, string(b))
		total += len(b)
	}
	c := specialVocabulary(t, tokens)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	tok, err := New(c)
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > uint64(total) {
		t.Errorf("%d bytes of special tokens took %d bytes", total, n)
	}
	if got := tok.Encode(tokens[7]+tokens[500]+tokens[7][1:], EncodeOptions{}); !slices.Equal(got[:2], []int32{3 + 7, 3 + 500}) {
		t.Errorf("%v", got)
	}
	if _, err := New(specialVocabulary(t, []string{strings.Repeat("a", maxSpecial) + "b"})); err == nil || !strings.Contains(err.Error(), "token 3 has 4097 bytes") {
		t.Errorf("a special token that is too long: %v", err)
	}
}
