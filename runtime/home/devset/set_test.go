package devset_test

import (
	"testing"

	"github.com/ledge-run/ledge/runtime/home"
	"github.com/ledge-run/ledge/runtime/home/devset"
	"github.com/ledge-run/ledge/runtime/home/evalset"
)

// sets are the sets and the least that they hold, in all and of none.
var sets = []struct {
	name        string
	read        func() ([]evalset.Item, error)
	least, none int
}{
	{"first", devset.Sentences, 400, 60},
	{"second", devset.Second, 400, 80},
	{"third", devset.Third, 800, 150},
}

// TestSentences: every label is a command of the language, written in its one way, and
// no sentence is nearly another of these sets or one that the model is judged by. Of the
// latter only ids are told.
func TestSentences(t *testing.T) {
	judged := evalset.NewIndex()
	for _, read := range []func() ([]evalset.Item, error){evalset.Handwritten, evalset.Routing} {
		others, err := read()
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range others {
			judged.Add(it.Text)
		}
	}
	own, ids, known := evalset.NewIndex(), []string{}, map[string]bool{}
	for _, set := range sets {
		items, err := set.read()
		if err != nil {
			t.Fatal(err)
		}
		none := 0
		for _, it := range items {
			line := it.Command.String()
			if back, err := home.Parse(line); err != nil || back != it.Command || back.Reply != "" {
				t.Errorf("%s: %s is read as %s (%v)", it.ID, line, back, err)
			}
			if v, err := home.ParseValue(it.Command.Value); err != nil || v.String() != it.Command.Value {
				t.Errorf("%s: value %q is read as %q (%v)", it.ID, it.Command.Value, v, err)
			}
			if known[it.ID] {
				t.Errorf("%s is there twice", it.ID)
			}
			known[it.ID] = true
			if !it.InTask() {
				none++
			}
			if i, s := own.Nearest(it.Text); s >= evalset.TooNear {
				t.Errorf("%s and %s are %.2f alike", it.ID, ids[i], s)
			}
			if _, s := judged.Nearest(it.Text); s >= evalset.TooNear {
				t.Errorf("%s is %.2f like a sentence of the evaluation set", it.ID, s)
			}
			own.Add(it.Text)
			ids = append(ids, it.ID)
		}
		if len(items) < set.least || none < set.none {
			t.Errorf("the %s set has %d sentences, %d of them none", set.name, len(items), none)
		}
	}
}

// TestSecondLanguages: neither language is much rarer than the other in the second set.
func TestSecondLanguages(t *testing.T) {
	items, err := devset.Second()
	if err != nil {
		t.Fatal(err)
	}
	n := map[string]int{}
	for _, it := range items {
		n[it.Lang]++
	}
	if n["zh"]+n["en"]+n["mixed"] != len(items) || n["zh"]*5 < len(items)*2 || n["en"]*5 < len(items)*2 {
		t.Errorf("sentences by language: %v", n)
	}
}
