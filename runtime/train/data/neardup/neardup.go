// Package neardup finds texts that are nearly the same: MinHash signatures in bands
// (Broder 1997, "On the Resemblance and Containment of Documents"; Indyk and Motwani
// 1998; Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, chapter 3), and of
// what shares a band the exact Jaccard similarity.
//
// A text is its set of shingles: runs of n units (words, or single CJK characters), in
// lower case. Two texts with similarity s share at least one of b bands of r rows with
// probability 1-(1-s^r)^b. With 20 bands of 6 rows that is 0.998 at 0.8, 0.92 at 0.7 and
// 0.27 at 0.5; and since candidates are compared exactly, there are no false ones.
package neardup

import (
	"math/bits"
	"slices"
	"strings"

	"github.com/ledge-run/ledge/runtime/train/data/clean"
)

// The shape of signatures.
const (
	Bands = 20
	Rows  = 6
)

// mix is the finaliser of SplitMix64 (Steele, Lea and Flood 2014): a permutation of 64-bit words
// after which every bit depends on every bit.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31
}

// Hash is of a string, the same on every machine: FNV-1a, mixed.
func Hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return mix(h)
}

// Shingles returns the hashes of a text's shingles of n units, sorted, each once. A text of fewer units
// is one shingle, and one without any is its characters.
func Shingles(text string, n int) []uint64 {
	var units []uint64
	clean.Units(text, func(u string, cjk bool) {
		if !cjk {
			u = strings.ToLower(u)
		}
		units = append(units, Hash(u))
	})
	join := func(part []uint64) uint64 {
		var h uint64
		for _, u := range part {
			h = mix(bits.RotateLeft64(h, 23) ^ u)
		}
		return h
	}
	switch {
	case len(units) == 0:
		return []uint64{Hash(text)}
	case len(units) < n:
		return []uint64{join(units)}
	}
	all := make([]uint64, 0, len(units)-n+1)
	for i := range len(units) - n + 1 {
		all = append(all, join(units[i:i+n]))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Signature is one key for each band: texts that have one in common are candidates.
type Signature [Bands]uint64

// Sign makes the signature of shingles.
func Sign(shingles []uint64) Signature {
	var s Signature
	for b := range s {
		var key uint64
		for r := range Rows {
			seed := mix(uint64(b*Rows+r+1) * 0x9E3779B97F4A7C15)
			least := ^uint64(0)
			for _, x := range shingles {
				least = min(least, mix(x^seed))
			}
			key = mix(bits.RotateLeft64(key, 17) ^ least)
		}
		s[b] = key
	}
	return s
}

// Jaccard is the similarity of two sets of shingles: what they share of what they have.
func Jaccard(a, b []uint64) float64 {
	shared, i, j := 0, 0, 0
	for i < len(a) && j < len(b) {
		switch {
		case a[i] == b[j]:
			shared++
			i++
			j++
		case a[i] < b[j]:
			i++
		default:
			j++
		}
	}
	union := len(a) + len(b) - shared
	if union == 0 {
		return 1
	}
	return float64(shared) / float64(union)
}
