package shader

import (
	"fmt"
	"math"
)

// Attention of queries Q [T, Heads, KeyDim] over a cache, to Out [T, Heads,
// ValueDim]. A row at slot p sees slots up to p (Causal) or up to the last of its
// segment, and with Window only those less than Window away. Out is not Q.
type Attention struct {
	KV
	Heads          int
	Scale, SoftCap float32
	Window         int // 0: none
	Causal         bool
	Q, Out         uint32
	Scratch        uint32 // room for ScratchFloats; used by few rows alone
	RowTable       uint32 // of the buffer Run, in uints
}

// SplitTokens is the positions that attention takes at once: splits begin at
// multiples of it, and are added up in order.
const SplitTokens = 256

// vectors is the most queries (heads of rows) that a workgroup takes: what fits
// its shared memory, and no more than eight.
func (a Attention) vectors() int {
	const floats = 16*1024/4 - workgroup - 4 // beside what each query needs
	return max(1, min(8, floats/(a.KeyDim+1+SplitTokens+5)))
}

// parts is in how many workgroups a group of heads is cut, and heads how many of
// them one takes.
func (a Attention) parts() (parts, heads int) {
	group := a.Heads / a.KVHeads
	parts = (group + a.vectors() - 1) / a.vectors()
	return parts, (group + parts - 1) / parts
}

// splits is the most splits that a row touches where the longest sequence has so
// many slots; attention.comp computes the same.
func (a Attention) splits(longest int) int {
	return a.splitsOf(longest, 1)
}

// splitsOf is the most splits that so many rows of a segment, which follow each other,
// touch together.
func (a Attention) splitsOf(longest, rows int) int {
	n := (longest + SplitTokens - 1) / SplitTokens
	if a.Window > 0 {
		n = min(n, (a.reach()+rows-1+SplitTokens-2)/SplitTokens+1)
	}
	return n
}

// tiles is the most workgroups that it takes to have all rows when one takes up to
// n of a segment: attention.comp finds out which are its own.
func tiles(s Sizes, n int) int {
	if n == 1 {
		return s.T
	}
	return min(s.T, s.T/n+s.Segments)
}

// reach is the most slots that a row sees with a window.
func (a Attention) reach() int {
	if a.Causal {
		return a.Window
	}
	return 2*a.Window - 1
}

// ScratchFloats is the floats of Scratch that the calls for few rows need.
func (a Attention) ScratchFloats(maxRows, maxContext int) int {
	n := a.splits(maxContext)
	if n <= 1 {
		return 0
	}
	return maxRows * a.Heads * n * (a.ValueDim + 2)
}

// Calls is one call for many rows, which walks the splits. For few rows the splits
// are workgroups of their own and a second call adds them up; it is skipped when
// there is only one. Both give the same bits for a row.
func (a Attention) Calls(f Features, many bool) ([]Call, error) {
	if err := a.Check(); err != nil {
		return nil, err
	}
	if a.Heads < 1 || a.Heads%a.KVHeads != 0 {
		return nil, fmt.Errorf("shader: %d heads of queries for %d of keys: not a multiple", a.Heads, a.KVHeads)
	}
	if f.Tensor {
		return a.tensorCalls(many), nil
	}
	parts, heads := a.parts()
	rows := 1
	if many {
		rows = max(1, a.vectors()/heads)
	}
	attend := Call{
		Kernel: "attention",
		Constants: []uint32{workgroup, uint32(a.KeyDim), uint32(a.ValueDim), uint32(a.Type), uint32(heads), uint32(rows),
			flag(many), flag(a.Causal), flag(a.SoftCap != 0)},
		Buffers: [4]Role{Arena, Run, Keys, Values},
		Layer:   a.Layer,
		Params: []uint32{a.Q, a.Out, a.Scratch, a.RowTable, uint32(a.Heads), uint32(a.KVHeads), uint32(parts), a.window(),
			math.Float32bits(a.Scale), math.Float32bits(a.SoftCap), uint32(a.reach())},
		Grid: func(s Sizes) [3]uint32 {
			if s.T == 0 {
				return [3]uint32{}
			}
			g := [3]uint32{uint32(tiles(s, rows)), uint32(a.KVHeads * parts), 1}
			if !many {
				g[2] = uint32(a.splits(s.Longest))
			}
			return g
		},
		Traffic: func(s Sizes) int64 {
			n := a.cacheBytes(s) + 4*int64(s.T)*int64(a.Heads)*int64(a.KeyDim+a.ValueDim)
			if splits := a.splits(s.Longest); !many && splits > 1 {
				n += 4 * int64(s.T) * int64(a.Heads) * int64((splits-1)*(a.ValueDim+2)+2)
			}
			return n
		},
		Streamed: a.cacheBytes,
	}
	if many {
		return []Call{attend}, nil
	}
	return []Call{attend, a.merge("attention_merge")}, nil
}

// merge is the call that adds up the splits of few rows.
func (a Attention) merge(kernel string) Call {
	return Call{
		Kernel:    kernel,
		Constants: []uint32{workgroup, uint32(a.ValueDim), flag(a.Causal)},
		Buffers:   [4]Role{Arena, Run},
		Params:    []uint32{a.Out, a.Scratch, a.RowTable, uint32(a.Heads), a.window(), uint32(a.reach())},
		Grid: func(s Sizes) [3]uint32 {
			if a.splits(s.Longest) <= 1 {
				return [3]uint32{}
			}
			return [3]uint32{uint32(s.T), uint32(a.Heads), 1}
		},
		Traffic: func(s Sizes) int64 {
			n := a.splits(s.Longest)
			if n <= 1 {
				return 0
			}
			return 4 * int64(s.T) * int64(a.Heads) * int64(n*(a.ValueDim+2)+a.ValueDim)
		},
	}
}

// window is the parameter: 0 for none, and for one that no sequence reaches.
func (a Attention) window() uint32 {
	if a.Window > 1<<30 {
		return 0
	}
	return uint32(a.Window)
}

// cacheBytes is what is read of the cache.
func (a Attention) cacheBytes(s Sizes) int64 {
	slots := int64(s.Cached)
	if a.Window > 0 {
		slots = min(slots, int64(s.T)*int64(a.reach()))
	}
	return 4 * slots * int64(a.KVHeads) * int64(a.words(a.KeyDim)+a.words(a.ValueDim))
}
