package generate

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/ledge-run/ledge/runtime/home"
)

// sentences draws with the templates they came from.
func sentences(t *testing.T, split Split, n int, each func(s *sentence)) {
	t.Helper()
	g, err := New(11, split)
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		lang := oneOf(g, "en", "zh")
		s, err := g.base(lang, func(*section) bool { return true })
		if err == nil {
			s.wrap()
			each(s)
		}
	}
}

func TestPartsShareNoTemplate(t *testing.T) {
	g, err := New(1, Train)
	if err != nil {
		t.Fatal(err)
	}
	// Lists too short to be divided are common to both.
	common := func(s *sentence, name string) bool {
		x := s.l.lists[name]
		return x != nil && x.shared()
	}
	used := map[string]bool{}
	sentences(t, Train, 30000, func(s *sentence) {
		for _, u := range s.used {
			used[s.lang+" "+u] = true
		}
	})
	held := map[string]bool{}
	sentences(t, Test, 20000, func(s *sentence) {
		if len(s.used) == 0 {
			t.Fatalf("%q comes from no template", s.text)
		}
		for _, u := range s.used {
			name, _, _ := strings.Cut(u, ": ")
			if used[s.lang+" "+u] && !common(s, name) {
				t.Errorf("both parts have the template %s", u)
			}
			held[s.lang+" "+u] = true
		}
	})
	if len(held) < 400 || len(used) < 5*len(held) {
		t.Errorf("%d templates in the training data, %d in the test", len(used), len(held))
	}
	texts := map[string]bool{}
	examples(t, 1, Train, 30000, func(e Example) { texts[letters(e.Text)] = true })
	shared := 0
	examples(t, 1, Test, 5000, func(e Example) {
		if texts[letters(e.Text)] {
			shared++
			t.Logf("in both: %q (%s)", e.Text, e.Section)
		}
	})
	if shared > 25 { // other templates can come to the same words
		t.Errorf("%d of 5000 test sentences are training sentences", shared)
	}
	for name, l := range g.langs {
		for _, s := range l.sections {
			if len(s.entries) < 4 && !s.phrases {
				t.Errorf("%s: section %s has %d templates, none of them for tests", name, s.name, len(s.entries))
			}
		}
	}
}

// numbers are those of a value that the parts divide among themselves: those above ten.
func numbers(v home.Value) []string {
	var out []string
	whole := v.Unit == home.Percent && (v.Number == 50 || v.Number == 100) // "half" and "full" are words
	if v.Unit != "" && v.Unit != home.Level && !whole && math.Abs(v.Number) >= 11 {
		n := v
		n.Day, n.Clock, n.Delay, n.For = "", "", 0, 0
		out = append(out, n.String())
	}
	if strings.Contains(v.Clock, ":") {
		out = append(out, v.Clock)
	}
	if d := max(v.Delay, v.For); d.Hours() >= 11 || d%time.Hour >= 11*time.Minute || d%time.Minute >= 11*time.Second {
		out = append(out, d.String())
	}
	return out
}

func TestPartsShareNoNumber(t *testing.T) {
	seen := map[string]Example{}
	examples(t, 2, Train, 30000, func(e Example) {
		v, _ := home.ParseValue(e.Command.Value)
		for _, n := range numbers(v) {
			seen[n] = e
		}
	})
	all := map[string]bool{}
	examples(t, 2, Test, 10000, func(e Example) {
		v, _ := home.ParseValue(e.Command.Value)
		for _, n := range numbers(v) {
			all[n] = true
			if o, is := seen[n]; is {
				t.Errorf("%s is in both parts: %q (%s) and %q (%s)", n, o.Text, o.Section, e.Text, e.Section)
			}
		}
	})
	if len(all) < 60 {
		t.Errorf("the test data has %d numbers", len(all))
	}
}
