package mask

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var marks = regexp.MustCompile(`\[\[([a-z]+):(.*?)\]\]`)

// line is a line of the set: its text and what is to be found.
type line struct {
	text string
	want []Span
}

func readSet(t testing.TB, name string) []line {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var set []line
	for s := range strings.Lines(string(b)) {
		s = strings.TrimSuffix(s, "\n")
		if s == "" || s[0] == '#' {
			continue
		}
		var l line
		at := 0
		for _, m := range marks.FindAllStringSubmatchIndex(s, -1) {
			l.text += s[at:m[0]]
			start := len(l.text)
			l.text += s[m[4]:m[5]]
			l.want = append(l.want, Span{start, len(l.text), Kind(s[m[2]:m[3]])})
			at = m[1]
		}
		l.text += s[at:]
		set = append(set, l)
	}
	return set
}

// tally counts spans: found and right, found, to be found.
type tally struct{ right, found, want int }

func (c tally) precision() float64 { return float64(c.right) / float64(max(c.found, 1)) }
func (c tally) recall() float64    { return float64(c.right) / float64(max(c.want, 1)) }

// covers says that a found span hides what is to be hidden: of the same kind, and leaving out
// nothing but punctuation at the ends.
func covers(found, want Span, text string) bool {
	if found.Kind != want.Kind || found.Start > want.End || want.Start > found.End {
		return false
	}
	missed := ""
	if found.Start > want.Start {
		missed += text[want.Start:found.Start]
	}
	if found.End < want.End {
		missed += text[found.End:want.End]
	}
	return strings.Trim(missed, " .,()（）+") == ""
}

// TestSet measures recall and precision by kind on the two hand-written sets and prints them;
// docs/data.md has them. A span counts as right if all of it is hidden and at most 18 more bytes of text are.
func TestSet(t *testing.T) {
	for _, set := range []struct {
		name  string
		lines int
		least float64
	}{{"set.txt", 300, 0.95}, {"heldout.txt", 70, 0.75}} {
		t.Run(set.name, func(t *testing.T) { measure(t, readSet(t, set.name), set.lines, set.least) })
	}
}

func measure(t *testing.T, set []line, lines int, least float64) {
	if len(set) < lines {
		t.Fatalf("the set has %d lines", len(set))
	}
	m := New(Kinds...)
	counts := map[Kind]*tally{}
	for _, k := range Kinds {
		counts[k] = &tally{}
	}
	for _, l := range set {
		found := m.Find(l.text)
		for _, w := range l.want {
			counts[w.Kind].want++
		}
		for _, f := range found {
			counts[f.Kind].found++
			i := slices.IndexFunc(l.want, func(w Span) bool { return covers(f, w, l.text) })
			if i >= 0 && (f.End-f.Start)-(l.want[i].End-l.want[i].Start) <= 18 {
				counts[f.Kind].right++
				continue
			}
			t.Logf("wrong %s %q in %q", f.Kind, l.text[f.Start:f.End], l.text)
		}
		for _, w := range l.want {
			if !slices.ContainsFunc(found, func(f Span) bool { return covers(f, w, l.text) }) {
				t.Logf("missed %s %q in %q", w.Kind, l.text[w.Start:w.End], l.text)
			}
		}
	}
	var all tally
	report := ""
	for _, k := range Kinds {
		c := *counts[k]
		all.right, all.found, all.want = all.right+c.right, all.found+c.found, all.want+c.want
		report += fmt.Sprintf("%-8s recall %.3f (%d of %d), precision %.3f (%d of %d)\n", k, c.recall(), c.right, c.want, c.precision(), c.right, c.found)
	}
	t.Logf("%d lines\n%s%-8s recall %.3f (%d of %d), precision %.3f (%d of %d)", len(set), report, "all", all.recall(), all.right, all.want, all.precision(), all.right, all.found)
	if all.recall() < least || all.precision() < least {
		t.Errorf("recall %.3f, precision %.3f", all.recall(), all.precision())
	}
}
