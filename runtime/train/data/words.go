package data

import (
	"maps"
	"slices"
	"strings"

	"github.com/ledge-run/ledge/runtime/train/data/segment"
)

// maxWords bounds the words that are counted at a time.
const maxWords = 1 << 20

// maxWordBytes bounds a word that is counted: what is longer is none.
const maxWordBytes = 256

// wordCounts count words. When there are more than max, the rarer half is forgotten, and the count of a word that comes
// again is too low by what was forgotten of it.
type wordCounts struct {
	counts map[string]int64
	max    int
	scans  int // of the whole map
}

func newWordCounts(max int) *wordCounts { return &wordCounts{counts: map[string]int64{}, max: max} }

func (c *wordCounts) add(text string) error {
	err := segment.Words(text, func(w string) {
		if len(w) > maxWordBytes || segment.IsStop(w) {
			return
		}
		if _, known := c.counts[w]; !known {
			w = strings.Clone(w) // or the map would hold the whole text
		}
		c.counts[w]++
	})
	if len(c.counts) > c.max {
		c.halve()
	}
	return err
}

// halve forgets all words that occurred no more often than the one in the middle: at least half of them, so that as
// many new ones must come before the next time.
func (c *wordCounts) halve() {
	c.scans++
	all := slices.Sorted(maps.Values(c.counts))
	least := all[len(all)/2]
	maps.DeleteFunc(c.counts, func(_ string, n int64) bool { return n <= least })
}
