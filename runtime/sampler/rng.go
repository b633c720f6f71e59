package sampler

import "math/bits"

// philox is the counter-based generator Philox4x32-10 of Salmon, Moraes, Dror
// and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011): a
// bijection of the 128-bit counter under a 64-bit key.
func philox(counter [4]uint32, key [2]uint32) [4]uint32 {
	for range 10 {
		hi0, lo0 := bits.Mul32(0xD2511F53, counter[0])
		hi1, lo1 := bits.Mul32(0xCD9E8D57, counter[2])
		counter = [4]uint32{hi1 ^ counter[1] ^ key[0], lo1, hi0 ^ counter[3] ^ key[1], lo0}
		key[0] += 0x9E3779B9
		key[1] += 0xBB67AE85
	}
	return counter
}

// draws are the random numbers of one token: draw picks it, xtc (in [0, 1))
// decides whether XTC applies.
type draws struct {
	draw uint64
	xtc  float64
}

// drawsAt returns the numbers of token n under a seed: key = seed, counter = n.
func drawsAt(seed, n uint64) draws {
	b := philox([4]uint32{uint32(n), uint32(n >> 32)}, [2]uint32{uint32(seed), uint32(seed >> 32)})
	return draws{
		draw: uint64(b[1])<<32 | uint64(b[0]),
		xtc:  float64((uint64(b[3])<<32|uint64(b[2]))>>11) / (1 << 53),
	}
}
