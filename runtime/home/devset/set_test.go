package devset_test

import (
	"testing"

	"github.com/ledge-run/ledge/runtime/home"
	"github.com/ledge-run/ledge/runtime/home/devset"
	"github.com/ledge-run/ledge/runtime/home/evalset"
)

// TestSentences: every label is a command of the language, written in its one way, and
// no sentence is nearly another of the set or one that the model is judged by. Of the
// latter only ids are told.
func TestSentences(t *testing.T) {
	items, err := devset.Sentences()
	if err != nil {
		t.Fatal(err)
	}
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
	own, none := evalset.NewIndex(), 0
	for _, it := range items {
		line := it.Command.String()
		if back, err := home.Parse(line); err != nil || back != it.Command || back.Reply != "" {
			t.Errorf("%s: %s is read as %s (%v)", it.ID, line, back, err)
		}
		if !it.InTask() {
			none++
		}
		if i, s := own.Nearest(it.Text); s >= evalset.TooNear {
			t.Errorf("%s and %s are %.2f alike", it.ID, items[i].ID, s)
		}
		if _, s := judged.Nearest(it.Text); s >= evalset.TooNear {
			t.Errorf("%s is %.2f like a sentence of the evaluation set", it.ID, s)
		}
		own.Add(it.Text)
	}
	if len(items) < 400 || none < 60 {
		t.Errorf("%d sentences, %d of them none", len(items), none)
	}
}
