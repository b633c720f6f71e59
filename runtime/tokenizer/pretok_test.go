package tokenizer

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestSplits compares each pre-tokenizer with Oniguruma's reading of the
// expressions it stands for (testdata/make_goldens.py).
func TestSplits(t *testing.T) {
	var golden struct {
		Texts  []string
		Splits map[string][][]int
	}
	b, err := os.ReadFile("testdata/goldens.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &golden); err != nil {
		t.Fatal(err)
	}
	for name, all := range golden.Splits {
		t.Run(name, func(t *testing.T) {
			p, err := findPretok(name)
			if err != nil {
				t.Fatal(err)
			}
			for i, text := range golden.Texts {
				var want []string
				rest := text
				for _, n := range all[i] {
					want, rest = append(want, rest[:n]), rest[n:]
				}
				if got := words(p, text); !slices.Equal(got, want) {
					t.Errorf("%q\n got %q\nwant %q", text, got, want)
				}
			}
		})
	}
}

func words(p *pretok, text string) (out []string) {
	split(classTable(), p.stages, text, func(s string) { out = append(out, s) })
	return out
}

// TestSplitIsLinear splits texts that would take quadratic time in a matcher
// that looks ahead again and again.
func TestSplitIsLinear(t *testing.T) {
	kinds := map[*pretok]string{}
	for _, name := range PreTokenizers() {
		p, _ := findPretok(name)
		kinds[p] = name
	}
	for _, unit := range []string{" ", "1", "A", "a", "e\u0301", "\u0301", "\n", "\r", "-", "中", "\u3000", " a", "\xff", "'", "/", "Aa"} {
		text := strings.Repeat(unit, 60_000/len(unit)) + "中"
		for p, name := range kinds {
			n := 0
			split(classTable(), p.stages, text, func(s string) { n += len(s) })
			if n != len(text) {
				t.Errorf("%s: %d of %d bytes of %q came out", name, n, len(text), unit)
			}
		}
	}
}
