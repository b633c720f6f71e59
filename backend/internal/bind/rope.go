package bind

import "github.com/ledge-run/ledge/graph"

// Angles keeps the cosines and sines of one rotary embedding, made in blocks of 64
// positions when first needed.
type Angles struct {
	Attr    graph.RopeAttr
	Factors []float32 // the angles' divisors; nil for none
	blocks  map[int32][]float32
}

const angleBlock = 64

// Prepare makes what the positions need.
func (a *Angles) Prepare(pos []int32) {
	half := a.Attr.Dims / 2
	for _, p := range pos {
		b := p / angleBlock
		if a.blocks[b] != nil {
			continue
		}
		if a.blocks == nil {
			a.blocks = map[int32][]float32{}
		}
		t := make([]float32, angleBlock*a.Attr.Dims)
		for i := range angleBlock {
			row := t[i*a.Attr.Dims:]
			a.Attr.RopeTable(row[:half], row[half:2*half], int(b)*angleBlock+i, a.Factors)
		}
		a.blocks[b] = t
	}
}

// At gives a prepared position's cosines and after them as many sines.
func (a *Angles) At(pos int32) []float32 {
	return a.blocks[pos/angleBlock][int(pos%angleBlock)*a.Attr.Dims:][:a.Attr.Dims]
}
