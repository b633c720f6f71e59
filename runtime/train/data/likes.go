package data

import "github.com/ledge-run/ledge/runtime/train/data/neardup"

// maxKept bounds the documents of a set of near duplicates that others are compared with: a long chain would
// otherwise take time with the square of its length. What is like none of them stays.
const maxKept = 16

// keptLikes are the documents that stay of sets of near duplicates. Sets are transitive: what is in one may have little in
// common with its first document, so each is compared with those that stay before it is dropped.
type keptLikes struct {
	b       Build
	w       *work
	entries []indexEntry
	of      map[uint32][]uint32 // by the set's first document: the others that stay
}

// likeness is a document that stays in another's place.
type likeness struct {
	Record
	score float64
}

// like gives the first document that stays of a set that a document is a near duplicate of. If there is
// none the document stays, too.
func (k *keptLikes) like(first, i uint32, rec Record) (*likeness, error) {
	shingles := neardup.Shingles(rec.Text, k.b.Settings.Shingle)
	for n := range 1 + len(k.of[first]) {
		other := first
		if n > 0 {
			other = k.of[first][n-1]
		}
		_, o, err := k.w.record(k.entries[other])
		if err != nil {
			return nil, err
		}
		if s := neardup.Jaccard(shingles, neardup.Shingles(o.Text, k.b.Settings.Shingle)); s >= k.b.Settings.Threshold {
			return &likeness{o, s}, nil
		}
	}
	if len(k.of[first])+1 < maxKept {
		k.of[first] = append(k.of[first], i)
	}
	return nil, nil
}
