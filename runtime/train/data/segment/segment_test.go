package segment

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func words(t testing.TB, text string) []string {
	t.Helper()
	var all []string
	if err := Words(text, func(w string) { all = append(all, w) }); err != nil {
		t.Fatal(err)
	}
	return all
}

func lines(t testing.TB, name string) []string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
}

// ends are the places where words end.
func ends(words []string) map[int]bool {
	at, m := 0, map[int]bool{}
	for _, w := range words {
		at += len(w)
		m[at] = true
	}
	return m
}

// TestAgainstJieba measures how often boundaries agree with jieba's on the committed sentences;
// docs/data.md has the figure.
func TestAgainstJieba(t *testing.T) {
	sample, golden := lines(t, "sample.txt"), lines(t, "golden.txt")
	if len(sample) != len(golden) || len(sample) < 60 {
		t.Fatalf("%d sentences, %d goldens", len(sample), len(golden))
	}
	var right, found, want, same int
	for i, s := range sample {
		got, theirs := words(t, s), strings.Fields(golden[i])
		if strings.Join(got, "") != strings.Join(theirs, "") {
			t.Fatalf("%q became %q", s, got)
		}
		if slices.Equal(got, theirs) {
			same++
		} else if testing.Verbose() {
			t.Logf("%s\n\t%s", strings.Join(got, " "), golden[i])
		}
		a, b := ends(got), ends(theirs)
		found, want = found+len(a), want+len(b)
		for e := range a {
			if b[e] {
				right++
			}
		}
	}
	p, r := float64(right)/float64(found), float64(right)/float64(want)
	f1 := 2 * p * r / (p + r)
	t.Logf("boundaries: F1 %.4f (precision %.4f, recall %.4f), %d of %d sentences alike", f1, p, r, same, len(sample))
	if f1 < 0.97 {
		t.Errorf("F1 %.4f", f1)
	}
}

func TestWords(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "",
		"It's 3.14, isn't it?":         "It's|3.14|,|isn't|it|?",
		"用Go写的v1.2版":                   "用|Go|写|的|v1.2|版",
		"  white \t space\n":           "white|space",
		"\xff坏\xfe":                    "\xff|坏|\xfe",
		"naïve café":                   "naïve|café",
		"state-of-the-art - and -more": "state-of-the-art|-|and|-|more",
	} {
		if got := strings.Join(words(t, text), "|"); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestIsStop(t *testing.T) {
	for word, want := range map[string]bool{"The": true, "don’t": true, "的": true, "我们": true, "。": true, "42": true, "kitchen": false, "厨房": false} {
		if IsStop(word) != want {
			t.Errorf("%q: %v", word, !want)
		}
	}
}

// FuzzWords: the words are the text without its white space.
func FuzzWords(f *testing.F) {
	f.Add("今天 weather 很好。\xff")
	f.Add(strings.Repeat("中", maxRun+10))
	f.Fuzz(func(t *testing.T, text string) {
		if got, want := strings.Join(words(t, text), ""), strings.Join(strings.Fields(text), ""); got != want {
			t.Errorf("%q became %q", want, got)
		}
	})
}
