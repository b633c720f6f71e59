package generate

import (
	"testing"

	"github.com/ledge-run/ledge/runtime/home"
)

// TestFewDoubts: home.Answer doubts what hardly a sentence means.
func TestFewDoubts(t *testing.T) {
	for name, split := range map[string]Split{"training": Train, "test": Test} {
		deeds, doubts := 0, 0
		examples(t, 77, split, many(), func(e Example) {
			if e.Command.Intent == "none" || e.Command.Intent == "query" {
				return
			}
			deeds++
			if _, err := home.Answer(e.Text, e.Command.String()); err != nil {
				doubts++
				t.Logf("%q, %s: %v", e.Text, e.Command, err)
			}
		})
		t.Logf("%s: of %d sentences that ask for a deed %d are doubted", name, deeds, doubts)
		if deeds == 0 || float64(doubts) > .001*float64(deeds) {
			t.Errorf("%s: %d of %d are doubted", name, doubts, deeds)
		}
	}
}
