package shader

import (
	"fmt"
	"math"
)

// RopeTable is a rotary embedding as the host has put it into the buffer Run: for
// each row at uint At + row*Dims, Dims/2 cosines and then Dims/2 sines of its position.
type RopeTable struct {
	Dims  int  // leading elements of a head that rotate; even
	Pairs bool // elements 2i and 2i+1 rotate together; else i and i+Dims/2
	At    uint32
}

// Rope rotates the first Table.Dims elements of each of Heads heads of HeadDim
// floats in the run's rows. Out may be X.
type Rope struct {
	Heads, HeadDim int
	Table          RopeTable
	X, Out         uint32
}

// Calls is one call.
func (r Rope) Calls(Features) []Call {
	// An invocation takes a pair, or an element that stays.
	each := Each(r.Heads*(r.HeadDim-r.Table.Dims/2), SizeT)
	return []Call{{
		Kernel:    "rope",
		Constants: []uint32{workgroup, flag(r.Table.Pairs)},
		Buffers:   [4]Role{Arena, Run},
		Params:    []uint32{r.X, r.Out, uint32(r.Heads), uint32(r.HeadDim), uint32(r.Table.Dims), r.Table.At},
		Grid:      perGroup(each, workgroup),
		Traffic:   bytesOf(Each(1, SizeT), 2*r.Heads*r.HeadDim+r.Table.Dims),
	}}
}

// CacheWrite stores the keys K [T, KVHeads, KeyDim] and values V [T, KVHeads,
// ValueDim] of the run's rows.
type CacheWrite struct {
	KV
	K, V     uint32
	RowTable uint32 // of the buffer Run, in uints
}

// Calls is one call.
func (c CacheWrite) Calls(Features) ([]Call, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	words := c.words(c.KeyDim) + c.words(c.ValueDim)
	return []Call{{
		Kernel:    "cache_write",
		Constants: []uint32{workgroup, uint32(c.Type)},
		Buffers:   [4]Role{Arena, Run, Keys, Values},
		Layer:     c.Layer,
		Params:    []uint32{c.K, c.V, uint32(c.KVHeads), uint32(c.KeyDim), uint32(c.ValueDim), c.RowTable},
		Grid:      perGroup(Each(c.KVHeads*words, SizeT), workgroup),
		Traffic:   bytesOf(Each(c.KVHeads, SizeT), c.KeyDim+c.ValueDim+words),
	}}, nil
}

// RopeCache takes the product of q, k and v of the run's rows, x [T, Width] with q
// at column QOff, k at KOff, v at VOff: heads of q and k are RMS-normed if asked,
// rotated (unless Table.Dims is 0), k and v are stored, q goes to Out
// [T, Heads, KeyDim]. Out is not X.
//
// QNorm and KNorm are offsets in the ARENA: the kernel's four buffers are the
// arena, Run, Keys and Values, so the device keeps a copy of these few weights
// [KeyDim] in a corner of the arena that no value uses.
type RopeCache struct {
	KV
	Heads            int
	Width            int
	QOff, KOff, VOff int
	QNorm, KNorm     *uint32 // in the arena; nil for none
	Eps              float32
	Table            RopeTable
	X, Out           uint32
	RowTable         uint32 // of the buffer Run, in uints
}

// Calls is one call: a workgroup for each row and head of q, k and v.
func (r RopeCache) Calls(Features) ([]Call, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	if r.Table.Dims > r.KeyDim || r.Table.Dims%2 != 0 {
		return nil, fmt.Errorf("shader: %d of %d elements of a head rotate: want an even number of them", r.Table.Dims, r.KeyDim)
	}
	heads := r.Heads + 2*r.KVHeads
	stored := r.KVHeads * (r.words(r.KeyDim) + r.words(r.ValueDim))
	read := r.Heads*r.KeyDim + r.KVHeads*(r.KeyDim+r.ValueDim) + r.Table.Dims
	return []Call{{
		Kernel: "rope_cache",
		Constants: []uint32{workgroup, uint32(r.KeyDim), uint32(r.Type), flag(r.QNorm != nil), flag(r.KNorm != nil),
			flag(r.Table.Pairs), uint32(r.Table.Dims)},
		Buffers: [4]Role{Arena, Run, Keys, Values},
		Layer:   r.Layer,
		Params: []uint32{r.X, r.Out, uint32(r.Width), uint32(r.QOff), uint32(r.KOff), uint32(r.VOff),
			offset(r.QNorm), offset(r.KNorm), math.Float32bits(r.Eps), r.Table.At, r.RowTable,
			uint32(r.Heads), uint32(r.KVHeads), uint32(r.ValueDim)},
		Grid:    perGroup(Each(heads, SizeT), 1),
		Traffic: bytesOf(Each(1, SizeT), read+r.Heads*r.KeyDim+stored),
	}}, nil
}
