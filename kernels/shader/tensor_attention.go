package shader

import "math"

// Attention on a device with tensor cores (Features.Tensor): kernels/cuda has the
// kernels, and the order of sums. Both ways of a kernel give the same bits.

// tensorTile is the rows of a tile: heads of tokens.
const tensorTile = 16

// tensorTiles is how many tiles that follow each other a workgroup takes of many rows.
const tensorTiles = workgroup / 32

// Tensor reports whether attention over the cache runs on tensor cores where a device
// has them: queries and weights are rounded to float16 then. Else it is in float32.
func (k KV) Tensor() bool {
	return k.Type == CacheF16 && k.KeyDim%16 == 0 && k.ValueDim%16 == 0 && k.KeyDim <= 256 && k.ValueDim <= 256
}

// tensorCalls is as Calls, with the kernels of package cuda.
func (a Attention) tensorCalls(many bool) []Call {
	attend := Call{Buffers: [4]Role{Arena, Run, Keys, Values}, Layer: a.Layer}
	group := a.Heads / a.KVHeads
	parts := (group + tensorTile - 1) / tensorTile
	heads := (group + parts - 1) / parts
	tokens := tensorTile / heads
	rows := tokens               // that a workgroup takes of a segment
	var read func(s Sizes) int64 // bytes of the cache
	if a.Tensor() {
		attend.Kernel = "attention_tensor"
		attend.Constants = []uint32{workgroup, uint32(a.KeyDim), uint32(a.ValueDim), uint32(heads), uint32(tokens), flag(many), flag(a.Causal)}
		if many {
			rows *= tensorTiles
		}
		read = func(s Sizes) int64 { return a.sharedBytes(s, rows) * int64(parts) }
	} else {
		attend.Kernel = "attention_plain"
		attend.Constants = []uint32{workgroup, uint32(a.KeyDim), uint32(a.ValueDim), uint32(a.Type), 0, flag(many), flag(a.Causal)}
		rows, parts = 1, group // a workgroup for a head
		read = func(s Sizes) int64 { return a.cacheBytes(s) * int64(group) }
	}
	attend.Streamed = read
	attend.Params = []uint32{a.Q, a.Out, a.Scratch, a.RowTable, uint32(a.Heads), uint32(a.KVHeads), uint32(parts), a.window(),
		math.Float32bits(a.Scale), math.Float32bits(a.SoftCap), uint32(a.reach()),
		uint32(group), uint32((1<<16 + heads - 1) / heads)}
	attend.Grid = func(s Sizes) [3]uint32 {
		if s.T == 0 {
			return [3]uint32{}
		}
		g := [3]uint32{uint32(tiles(s, rows)), uint32(a.KVHeads * parts), 1}
		if !many {
			g[2] = uint32(a.splitsOf(s.Longest, rows))
		}
		return g
	}
	attend.Traffic = func(s Sizes) int64 {
		n := read(s) + 4*int64(s.T)*int64(a.Heads)*int64(a.KeyDim+a.ValueDim)
		if splits := a.splits(s.Longest); splits > 1 {
			more := int64((splits-1)*(a.ValueDim+2) + 2) // than one result
			if many && a.Tensor() {
				more = int64(2 * (splits - 1) * a.ValueDim) // the result is added to
			} else if many {
				more = 0
			}
			n += 4 * int64(s.T) * int64(a.Heads) * more
		}
		return n
	}
	if many {
		return []Call{attend}
	}
	return []Call{attend, a.merge("attention_merge_tensor")}
}

// sharedBytes is what is read of the cache where up to so many rows of a segment have it
// read once: on the average what the middle one of them sees, and the slots up to the
// last one's.
func (a Attention) sharedBytes(s Sizes, rows int) int64 {
	if s.T == 0 {
		return 0
	}
	n := int64(tiles(s, rows))
	all := a.cacheBytes(s)
	perSlot := 4 * int64(a.KVHeads) * int64(a.words(a.KeyDim)+a.words(a.ValueDim))
	return min(all, (all+int64(s.T)-1)/int64(s.T)*n+(int64(s.T)-n)*perSlot)
}
