package generate

import (
	"errors"
	"math"
	"strings"
	"testing"
)

func TestWrongGrammars(t *testing.T) {
	for text, want := range map[string]string{
		"turn on {d}":                   "before the first section",
		"== on | colour=red\nturn on":   `no key "colour"`,
		"== on | w=much\nturn on":       "much",
		"== on\nturn [on|off":           "[ is not closed",
		"== on\nturn on]":               "outside of [ ]",
		"== on\nturn {d":                "a slot does not end",
		"== on\nturn on {q}":            "there is no slot {q}",
		"== on\n[{q}|it] on":            "there is no slot {q}",
		"== on":                         "on is empty",
		":: names\nx\n:: names\ny":      "a name of its own",
		"== on\nturn on {d}\n== off\n#": "off is empty",
	} {
		l := &language{lists: map[string]*list{}}
		err := l.read(text, false)
		if err == nil {
			err = l.finish()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, not %q", text, err, want)
		}
	}
}

func TestHeldAreTheRarer(t *testing.T) {
	l := &language{lists: map[string]*list{}}
	if err := l.read(":: x split\na *5\nb *5\n! c\nd\ne *4\nf *4", false); err != nil {
		t.Fatal(err)
	}
	if err := l.finish(); err != nil {
		t.Fatal(err)
	}
	for _, e := range l.lists["x"].entries {
		if e.test != (e.text == "d") {
			t.Errorf("%s for tests: %v", e.text, e.test)
		}
	}
}

func TestPhrasebook(t *testing.T) {
	l := &language{lists: map[string]*list{}}
	if err := l.read("== on | dev=light | w=3\na light\nb light\nlight c\nlight\nlight on", false); err != nil {
		t.Fatal(err)
	}
	if err := l.read("== x | intent=on | dev=light\nup\nbright *3\n== y | intent=off | dev=light\ngone", true); err != nil {
		t.Fatal(err)
	}
	if err := l.finish(); err != nil {
		t.Fatal(err)
	}
	// Half of the sentences, each phrase by its own weight: 3 is the grammar's.
	for i, want := range []float64{3, 3 * 4 / 5., 3 * 1 / 5.} {
		if got := l.sections[i].weight; math.Abs(got-want) > 1e-12 {
			t.Errorf("section %s weighs %v, not %v", l.sections[i].name, got, want)
		}
	}
	for _, s := range l.sections[1:] {
		for _, e := range s.entries {
			if e.test {
				t.Errorf("the phrase %q is for tests", e.text)
			}
		}
	}
	if err := l.read(":: names\nx", true); err == nil {
		t.Error("a list in a phrasebook")
	}
}

func TestPhrases(t *testing.T) {
	got, err := Phrases("== x | intent=set | dev=lamp | v=pct\nlamp {r} {v}\n- lamp {R} {R}\nlamp {q}", "en", 3)
	if err != nil || len(got) != 3 {
		t.Fatal(got, err)
	}
	for _, e := range got[0].Made {
		if e.Command.Intent != "set" || e.Command.Device != "lamp" || !strings.HasSuffix(e.Command.Value, "%") || !strings.Contains(e.String(), "set | lamp | ") {
			t.Error(e)
		}
	}
	if len(got[0].Made) != 3 || got[0].Err != nil || got[1].Err == nil || got[2].Err == nil {
		t.Error(got)
	}
	if _, err := Phrases("up\n== on | dev=\n[", "en", 1); err == nil || !strings.Contains(err.Error(), "line 1") || !strings.Contains(err.Error(), "line 3") {
		t.Error(err)
	}
	if _, err := Phrases("", "fr", 1); err == nil {
		t.Error("a language without a grammar")
	}
}

// TestPhrasebookWhole: each of its phrases makes a sentence that means what the language has.
func TestPhrasebookWhole(t *testing.T) {
	dir, err := files.ReadDir("grammar/phrases")
	if err != nil || len(dir) < 20 {
		t.Fatal(len(dir), err)
	}
	held := 0
	for _, f := range dir {
		text, err := files.ReadFile("grammar/phrases/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		_, lang, _ := strings.Cut(strings.TrimSuffix(f.Name(), ".txt"), ".")
		phrases, err := Phrases(string(text), lang, 1)
		if err != nil || len(phrases) < 500 {
			t.Errorf("%s: %d phrases, %v", f.Name(), len(phrases), err)
		}
		for _, p := range phrases {
			switch {
			case errors.Is(p.Err, errTests):
				held++
			case p.Err != nil:
				t.Errorf("%s: %s: %q: %v", f.Name(), p.Section, p.Text, p.Err)
			}
		}
	}
	if held > 50 {
		t.Errorf("%d phrases have numbers that tests hold", held)
	}
}
