package generate

import (
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
		err := l.read(text)
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
	if err := l.read(":: x split\na *5\nb *5\n! c\nd\ne *4\nf *4"); err != nil {
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
