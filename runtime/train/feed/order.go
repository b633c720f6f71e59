package feed

import "math/bits"

// order is a permutation of n things that is computed, not stored: a Feistel network on
// the least even number of bits that holds them, walked until it falls among them
// (Black and Rogaway, Ciphers with Arbitrary Finite Domains, 2002).
type order struct {
	n    uint64
	half int // bits of each side
	key  uint64
}

const rounds = 6

func newOrder(n int, seed uint64, epoch int) order {
	half := (bits.Len64(uint64(max(n-1, 1))) + 1) / 2
	return order{n: uint64(n), half: half, key: mix(mix(seed) + uint64(epoch))}
}

// at is the thing in place i.
func (o order) at(i int) int {
	x := uint64(i)
	mask := uint64(1)<<o.half - 1
	for {
		l, r := x>>o.half, x&mask
		for k := range uint64(rounds) {
			l, r = r, l^mix(o.key+k*0x9e3779b97f4a7c15^r)&mask
		}
		if x = l<<o.half | r; x < o.n {
			return int(x)
		}
	}
}

// mix is the output function of SplitMix64 (Steele, Lea and Flood, 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
