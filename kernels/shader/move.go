package shader

import "fmt"

// MoveDim is one dimension of a Move: its size, and how far apart (in floats) its
// elements lie in the source and in the result.
type MoveDim struct{ Size, In, Out Extent }

// Move copies elements of up to four dimensions, outermost first, from X + Skip in
// From (Arena or Run) to Out + OutSkip in the arena: slices, concatenations (one
// Move for each part), transposes. The bits are not looked at.
type Move struct {
	From          Role // Arena or Run
	X, Out        uint32
	Skip, OutSkip Extent // more offset, which may depend on the run; zero for none
	Dims          []MoveDim
}

// maxMoveDims is how many dimensions fit the parameters.
const maxMoveDims = 4

// Calls is one call.
func (m Move) Calls(Features) ([]Call, error) {
	if len(m.Dims) > maxMoveDims {
		return nil, fmt.Errorf("shader: a move of %d dimensions: at most %d", len(m.Dims), maxMoveDims)
	}
	params := []uint32{m.X, m.Out, m.Skip.times(), m.Skip.code(), m.OutSkip.times(), m.OutSkip.code()}
	for i := range maxMoveDims {
		d := MoveDim{Size: Const(1)}
		if lead := maxMoveDims - len(m.Dims); i >= lead {
			d = m.Dims[i-lead]
		}
		for _, e := range []Extent{d.Size, d.In, d.Out} {
			params = append(params, e.times(), e.code())
		}
	}
	elements := func(s Sizes) int {
		n := 1
		for _, d := range m.Dims {
			n *= d.Size.Of(s)
		}
		return n
	}
	return []Call{{
		Kernel:    "move",
		Constants: []uint32{workgroup},
		Buffers:   [4]Role{m.From, Arena, Run},
		Params:    params,
		Grid:      func(s Sizes) [3]uint32 { return Groups((elements(s) + elementsPerGroup - 1) / elementsPerGroup) },
		Traffic:   func(s Sizes) int64 { return 8 * int64(elements(s)) },
	}}, nil
}

// Copy copies Elems uints as they lie from one buffer to another: an input from
// Run, an output to Out. X and To are offsets in uints.
type Copy struct {
	From, Into Role // of Arena, Run; of Arena, Out
	X, To      uint32
	Elems      Extent
}

// Calls is one call.
func (c Copy) Calls(Features) []Call {
	return []Call{{
		Kernel:    "copy",
		Constants: []uint32{workgroup},
		Buffers:   [4]Role{c.From, c.Into, Run},
		Params:    []uint32{c.X, c.To, c.Elems.times(), c.Elems.code()},
		Grid:      perGroup(c.Elems, elementsPerGroup),
		Traffic:   bytesOf(c.Elems, 2),
	}}
}

// GatherRows copies rows of Cols floats: row i of the result is row ids[i] of x,
// whose number of rows is From; ids beyond them are cut to the last one.
type GatherRows struct {
	Cols   int
	From   Extent
	Rows   Extent
	X, Out uint32
	IDs    uint32 // in the buffer Run, in uints
}

// Calls is one call: a workgroup for each row.
func (g GatherRows) Calls(Features) []Call {
	return []Call{{
		Kernel:    "gather_rows",
		Constants: []uint32{workgroup},
		Buffers:   [4]Role{Arena, Run},
		Params:    []uint32{g.X, g.Out, g.IDs, uint32(g.Cols), g.Rows.times(), g.Rows.code(), g.From.times(), g.From.code()},
		Grid:      perGroup(g.Rows, 1),
		Traffic:   bytesOf(g.Rows, 2*g.Cols+1),
	}}
}

// MatMul is out[b, m, n] = sum_k a[b, m, k] * b[b, k, n]; every size may be the run's.
type MatMul struct {
	Batch, M, N, K Extent
	A, B, Out      uint32
}

// matTile is the rows and columns of out that a workgroup of MatMul computes.
const matTile = 16

// Calls is one call: a workgroup for a tile of each matrix.
func (m MatMul) Calls(Features) []Call {
	tiles := func(e Extent, s Sizes) int { return (e.Of(s) + matTile - 1) / matTile }
	params := []uint32{m.A, m.B, m.Out}
	for _, e := range []Extent{m.Batch, m.M, m.N, m.K} {
		params = append(params, e.times(), e.code())
	}
	return []Call{{
		Kernel:    "matmul",
		Constants: []uint32{workgroup},
		Buffers:   [4]Role{Arena, Run},
		Params:    params,
		Grid:      func(s Sizes) [3]uint32 { return Groups(m.Batch.Of(s) * tiles(m.M, s) * tiles(m.N, s)) },
		Traffic: func(s Sizes) int64 {
			r, c, k := int64(m.M.Of(s)), int64(m.N.Of(s)), int64(m.K.Of(s))
			return 4 * int64(m.Batch.Of(s)) * (r*k + k*c + r*c)
		},
	}}
}
