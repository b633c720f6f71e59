package shader

import "fmt"

// Few is the most rows that the calls for few rows take; more take those for
// many.
const Few = 8

// Activation is the function of a fused product's epilogue.
type Activation uint8

const (
	NoActivation Activation = iota
	Silu
	Gelu    // the tanh approximation
	GeluErf // exact
	Relu
)

// Piece is consecutive rows of a matrix of one layout in a bank.
type Piece struct {
	Layout Layout
	Bank   int
	At     uint32 // uint of the bank where it begins
	Rows   int
}

// NormIn is an RMS norm of x before the product.
type NormIn struct {
	HasWeight bool
	Weight    uint32 // float of Vectors, K of them
	Eps       float32
}

// AddIn is what stands between a product's x and its norm: x' = rms_norm(x)·w + y
// is normed and multiplied, and stored at Out.
type AddIn struct {
	HasWeight bool
	Weight    uint32 // float of Vectors, K of them
	Eps       float32
	Y, Out    uint32 // floats of the arena, rows K apart; Out is no other operand's place
}

// Product is graph.FusedLinearAttr on rows of the arena: x rows are K apart, out
// rows N apart, where N is the rows of all pieces, halved if Gated. All offsets
// of the arena and of Vectors are in floats.
//
// K is added up in one order, whatever the number of rows: units of 32 columns
// are dealt to lanes in turn, a lane adds its columns in order, and the lanes'
// sums are added in order. With Features.IntDot, x is rounded to int8 for weights
// that are integers (Layout.Ints): the largest of 32 columns is 127. With
// Features.Half, the sums of 32 columns are in float16 for them instead.
type Product struct {
	K      int
	Pieces []Piece // in order of rows
	Rows   Rows
	X, Out uint32

	Norm *NormIn
	Add  *AddIn // with Norm only

	Bias     []uint32 // floats of Vectors, one offset per piece; nil for none
	Scale    float32  // 0 means 1
	Act      Activation
	Gated    bool
	SoftCap  float32 // 0 for none
	Residual *uint32 // rows as out's; may be Out

	// Scratch has room for ScratchFloats floats of the arena.
	Scratch uint32
}

// ScratchFloats is the floats of the arena, for up to Rows.Max rows, that Calls
// uses beside the operands: normed x, then x as int8, then rows before the epilogue.
func (p Product) ScratchFloats(f Features) int {
	if f.Tensor {
		return p.tensorFloats(f)
	}
	parts := p.parts(f)
	n := p.normFloats() + p.quantFloats(parts)
	if p.Gated && len(parts) > 1 {
		n += p.Rows.Max * p.matrixRows()
	}
	return n
}

// normFloats is the scratch that normed x takes before the calls for many rows.
func (p Product) normFloats() int {
	if p.Norm == nil || p.Rows.Max <= Few {
		return 0
	}
	return p.Rows.Max * p.K
}

func (p Product) matrixRows() int {
	n := 0
	for _, q := range p.Pieces {
		n += q.Rows
	}
	return n
}

// Calls are the calls that compute it: for runs of up to Few rows, or for runs of
// any number if many is set. All of them give the same bits. The list has a call
// for each range of rows, of which all but one have a grid of zero in a run.
//
// A call takes up to four pieces of two layouts in one bank, by the same
// arithmetic; more make several calls, and where the halves of a gated product are torn apart by that, its
// epilogue is a call of its own.
func (p Product) Calls(f Features, many bool) ([]Call, error) {
	if err := p.check(f, many); err != nil {
		return nil, err
	}
	if f.Tensor {
		return p.tensorCalls(f, many), nil
	}
	parts := p.parts(f)
	if !p.Gated || len(parts) == 1 {
		return p.calls(f, parts, many), nil
	}
	plain := p
	plain.Act, plain.Gated, plain.SoftCap, plain.Residual = NoActivation, false, 0, nil
	plain.Out = p.Scratch + uint32(p.normFloats()+p.quantFloats(parts))
	return append(plain.calls(f, plain.parts(f), many), p.epilogue(plain.Out)), nil
}

func (p Product) check(f Features, many bool) error {
	fail := func(format string, a ...any) error {
		return fmt.Errorf("shader: product of %d columns: "+format, append([]any{p.K}, a...)...)
	}
	switch {
	case p.K < 1 || len(p.Pieces) == 0:
		return fail("%d pieces", len(p.Pieces))
	case p.Bias != nil && len(p.Bias) != len(p.Pieces):
		return fail("%d pieces with %d biases", len(p.Pieces), len(p.Bias))
	case p.Add != nil && p.Norm == nil:
		return fail("something added before a norm that is not there")
	case p.Gated && p.matrixRows()%2 != 0:
		return fail("%d rows cannot be halved into gate and value", p.matrixRows())
	case p.Rows.Max < 1:
		return fail("the most rows of a run are not known")
	case !many && p.Rows.Count == SizeOne && p.Rows.Times > Few:
		return fail("%d rows are not few", p.Rows.Times)
	}
	for i, q := range p.Pieces {
		if q.Rows < 1 || q.Layout >= layouts || q.Layout.Tensor() != f.Tensor {
			return fail("piece %d has %d rows of %v", i, q.Rows, q.Layout)
		}
	}
	return nil
}

// Embed copies rows of a matrix, found by their ids, into the arena.
type Embed struct {
	K      int
	Pieces []Piece // in order of rows
	Rows   Rows
	IDs    uint32 // uint of the buffer Run where the ids begin
	Out    uint32 // float of the arena; rows are K apart
}

// Calls is one call per piece. An id that is no row leaves its out row as it was.
func (e Embed) Calls(Features) ([]Call, error) {
	if e.K < 1 || len(e.Pieces) == 0 {
		return nil, fmt.Errorf("shader: rows of %d columns from %d pieces", e.K, len(e.Pieces))
	}
	count, times := e.Rows.params()
	var calls []Call
	first := 0
	for i, q := range e.Pieces {
		share := i == 0 // accounts for the traffic: each row comes from one piece
		kernel, typ := "embed", uint32(q.Layout)
		if q.Layout.Tensor() {
			kernel, typ = "embed_tensor", uint32(q.Layout-TensorF32)
		}
		row := 4 * int64(q.Layout.TileUints(e.K)) / int64(q.Layout.TileRows())
		calls = append(calls, Call{
			Kernel:    kernel,
			Constants: []uint32{workgroup, typ},
			Buffers:   [4]Role{Weights, None, Arena, Run},
			Bank:      q.Bank,
			Params:    []uint32{uint32(e.K), q.At, uint32(first), uint32(q.Rows), e.IDs, e.Out, count, times},
			Grid: func(s Sizes) [3]uint32 {
				return byRow((8*units(e.K)+workgroup-1)/workgroup, e.Rows.Of(s))
			},
			Traffic: func(s Sizes) int64 {
				if !share {
					return 0
				}
				return int64(e.Rows.Of(s)) * (4*int64(1+e.K) + row)
			},
			Streamed: func(s Sizes) int64 {
				if !share {
					return 0
				}
				return int64(e.Rows.Of(s)) * row
			},
			Free: i > 0,
		})
		first += q.Rows
	}
	return calls, nil
}
