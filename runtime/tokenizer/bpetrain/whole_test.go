package bpetrain

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/runtime/tokenizer"
)

// TestWhole: texts that are always one token are found wherever they stand, the longest
// first, are text when decoded, and leave the merges those of the texts between them.
func TestWhole(t *testing.T) {
	var texts, parts strings.Builder
	for line := range strings.Lines(readText(t, "corpus.txt")) {
		line = strings.TrimSpace(strings.ReplaceAll(line, `","`, ""))
		fmt.Fprintf(&texts, "%s%s%s%s%s\n", whole[1], line, whole[2], line, whole[0])
		parts.WriteString(strings.Repeat(line+"\n", 2))
		parts.WriteString("\n")
	}
	// A word never reaches over a cut, so lines stand for parts; their ends are no words
	// with what is before them in this preset.
	c := Config{Size: 1200, Preset: "smollm", MinFrequency: 2, EOS: special[0]}
	want, err := Train(t.Context(), linesOf(parts.String()), c)
	if err != nil {
		t.Fatal(err)
	}
	c.Whole, c.Size = whole, c.Size+len(whole)
	got, err := Train(t.Context(), linesOf(texts.String()), c)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.Merges, want.Merges) || !slices.Equal(got.Tokens[1:1+len(whole)], whole) || !slices.Equal(got.Tokens[1+len(whole):], want.Tokens[1:]) {
		t.Errorf("other merges or tokens: %q", got.Tokens[:8])
	}
	tok := encoder(t, got)
	const text = `{"name":"ab","age":"","","名":"` + special0
	ids := tok.Encode(text, tokenizer.EncodeOptions{ParseSpecial: true})
	for _, w := range whole {
		if n := len(slices.DeleteFunc(slices.Clone(ids), func(id int32) bool { return got.Tokens[id] != w })); n != 1 {
			t.Errorf("%q is %d times in %v", w, n, ids)
		}
	}
	if plain := tok.Decode(ids, false); plain != strings.TrimSuffix(text, special0) {
		t.Errorf("decoded: %q", plain)
	}
	for want, wrong := range map[string][]string{"given twice": {special[0]}, "two characters": {"x"}, "not UTF-8": {"<\xff>"}} {
		c.Whole = wrong
		if _, err := Train(t.Context(), linesOf("abab"), c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", wrong, err, want)
		}
	}
}

const special0 = "<|endoftext|>"
