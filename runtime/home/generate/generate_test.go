package generate

import (
	"os"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/ledge-run/ledge/runtime/home"
)

// many is how many examples a test looks at: more in the long run.
func many() int {
	if os.Getenv("LEDGE_TEST_FULL") != "" {
		return 200000
	}
	return 20000
}

func examples(t *testing.T, seed uint64, split Split, n int, each func(Example)) {
	t.Helper()
	g, err := New(seed, split)
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		e, err := g.Next()
		if err != nil {
			t.Fatal(err)
		}
		each(e)
	}
}

func TestExamplesAreOfTheLanguage(t *testing.T) {
	for _, split := range []Split{Train, Test} {
		examples(t, 1, split, 5000, func(e Example) {
			line := e.Command.String()
			c, err := home.Parse(line)
			if err != nil {
				t.Fatalf("%q: %v", e.Text, err)
			}
			if c != e.Command || c.String() != line {
				t.Fatalf("%q: %s is read as %s", e.Text, line, c)
			}
			switch {
			case e.Text == "" || strings.TrimSpace(e.Text) != e.Text || strings.Contains(e.Text, "  "):
				t.Errorf("spaces of %q", e.Text)
			case strings.ContainsAny(e.Text, "{}[]|~_\x00\n/") && !strings.Contains(strings.ToLower(e.Text), "a/c"):
				t.Errorf("%q has signs of the grammar", e.Text)
			case !utf8.ValidString(e.Text) || strings.ContainsFunc(e.Text, unicode.IsControl):
				t.Errorf("%q is no clean text", e.Text)
			case c.Reply == "" || strings.Contains(c.Reply, "  ") || hasHan(c.Reply) != hasHan(e.Text):
				t.Errorf("%q is answered %q", e.Text, c.Reply)
			}
			if c.Intent == "none" && strings.Contains(c.Reply, "OK") {
				t.Errorf("a refusal that promises: %q", c.Reply)
			}
		})
	}
}

func TestSameSeedSameExamples(t *testing.T) {
	var first []Example
	examples(t, 7, Train, 2000, func(e Example) { first = append(first, e) })
	i := 0
	examples(t, 7, Train, 2000, func(e Example) {
		if e != first[i] {
			t.Fatalf("example %d: %+v, then %+v", i, first[i], e)
		}
		i++
	})
	different := 0
	i = 0
	examples(t, 8, Train, 2000, func(e Example) {
		if e != first[i] {
			different++
		}
		i++
	})
	if different < 1900 {
		t.Errorf("another seed gives %d of 2000 other examples", different)
	}
}

// letters is a sentence without what one does not hear.
func letters(s string) string {
	return strings.ToLower(strings.Map(func(r rune) rune {
		if r != '%' && (unicode.IsPunct(r) || unicode.IsSpace(r)) { // 5 is not 5%
			return -1
		}
		return r
	}, s))
}

func TestOneSentenceOneCommand(t *testing.T) {
	labels := map[string]home.Command{}
	for _, split := range []Split{Train, Test} {
		examples(t, 3, split, many(), func(e Example) {
			key := letters(e.Text)
			if before, is := labels[key]; is && !before.Same(e.Command) {
				t.Errorf("%q is %s and %s", e.Text, before, e.Command)
			}
			labels[key] = e.Command
		})
	}
}

func TestEverythingOccurs(t *testing.T) {
	seen := map[string]map[string]bool{}
	texts := map[string]bool{}
	note := func(lang, what string) {
		if seen[lang] == nil {
			seen[lang] = map[string]bool{}
		}
		seen[lang][what] = true
	}
	examples(t, 5, Train, 40000, func(e Example) {
		lang := e.Lang
		if lang == "mixed" {
			lang = "zh"
		}
		texts[e.Text] = true
		note(lang, "intent "+e.Command.Intent)
		note(lang, "device "+e.Command.Device)
		for _, r := range e.Command.Rooms() {
			note(lang, "room "+r)
		}
		if v, err := home.ParseValue(e.Command.Value); err == nil {
			note(lang, "word "+v.Word)
			note(lang, "unit "+string(v.Unit))
			note(lang, "day "+v.Day)
		}
	})
	if len(texts) < 28000 {
		t.Errorf("%d different sentences of 40000", len(texts))
	}
	for lang, have := range seen {
		for kind, names := range map[string][]string{"intent ": home.Intents, "device ": home.Devices, "room ": home.Places, "word ": home.Words,
			"unit ": {"%", "C", "F", "K", "#"}, "day ": home.Days} {
			for _, name := range names {
				if !have[kind+name] {
					t.Errorf("%s: no %s%s", lang, kind, name)
				}
			}
		}
	}
}

// TestEveryIntentIsAsked: the tests have each intent in both languages, and what everybody
// says is in the training.
func TestEveryIntentIsAsked(t *testing.T) {
	asked := map[string]int{}
	examples(t, 1, Test, 8000, func(e Example) {
		lang := "en"
		if hasHan(e.Text) {
			lang = "zh"
		}
		asked[lang+" "+e.Command.Intent]++
	})
	for _, intent := range home.Intents {
		for _, lang := range []string{"en", "zh"} {
			if n := asked[lang+" "+intent]; n < 5 {
				t.Errorf("%s %s is asked %d times in 8000", lang, intent, n)
			}
		}
	}
	langs, err := load()
	if err != nil {
		t.Fatal(err)
	}
	for lang, l := range langs {
		for _, s := range l.sections {
			for _, x := range s.entries {
				if x.test && x.weight >= common {
					t.Errorf("%s: %s: %q is for tests alone", lang, s.name, x.text)
				}
			}
		}
	}
}
