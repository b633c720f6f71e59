package main

import (
	"math"
	"math/rand/v2"

	"github.com/ledge-run/ledge/graph/dtype"
)

// poolSize blocks are encoded of a type; every block of a file is one of them. A
// power of two, and small enough for a processor's cache.
const (
	poolSize = 1 << poolBits
	poolBits = 12
)

// A pool is encoded blocks of normally distributed values.
type pool struct {
	blocks     []byte // poolSize blocks
	blockBytes int
}

// newPool encodes the blocks of a type; the values have the deviation 1/sqrt(cols),
// with which a product of a row of cols values keeps the scale of its input. They
// are the same each time.
func newPool(d dtype.DType, cols int) (*pool, error) {
	n := max(d.BlockLen(), 32) // a plain type has blocks of one value: take more at once
	bytes, err := d.RowBytes(n)
	if err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(uint64(d), uint64(cols)))
	x := make([]float32, poolSize*n)
	for i := range x {
		x[i] = float32(rng.NormFloat64() / math.Sqrt(float64(cols)))
	}
	p := &pool{blocks: make([]byte, poolSize*bytes), blockBytes: bytes}
	if err := dtype.Quantize(d, p.blocks, x); err != nil {
		return nil, err
	}
	return p, nil
}

// fill makes dst, of whole blocks, out of blocks drawn evenly.
func (p *pool) fill(dst []byte, rng *rand.PCG) {
	const perDraw = 64 / poolBits
	for len(dst) > 0 {
		bits := rng.Uint64()
		for range min(perDraw, len(dst)/p.blockBytes) {
			i := int(bits%poolSize) * p.blockBytes
			bits >>= poolBits
			dst = dst[copy(dst, p.blocks[i:i+p.blockBytes]):]
		}
	}
}
