package grammar

import "slices"

// tokenSet is a set of tokens: a list if it is small, else bits.
type tokenSet struct {
	ids  []int32
	bits []uint64
}

// makeSet makes a set of a list, which it does not keep.
func makeSet(ids []int32, size int) tokenSet {
	if len(ids)*4 <= size/8 {
		return tokenSet{ids: slices.Clone(ids)}
	}
	b := make([]uint64, (size+63)/64)
	setBits(b, ids)
	return tokenSet{bits: b}
}

func setBits(b []uint64, ids []int32) {
	for _, id := range ids {
		b[id/64] |= 1 << (id % 64)
	}
}

// addTo sets the bits of the set's tokens.
func (s *tokenSet) addTo(allowed []uint64) {
	if s.bits != nil {
		for i, w := range s.bits[:min(len(s.bits), len(allowed))] {
			allowed[i] |= w
		}
		return
	}
	setBits(allowed, s.ids)
}

// bytes is how much memory it takes.
func (s *tokenSet) bytes() int { return 4*len(s.ids) + 8*len(s.bits) + 48 }
