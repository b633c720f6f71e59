package shader

import "math"

// workgroup is the size of every kernel's workgroup here: the shapes of sums
// depend on it.
const workgroup = 128

// Offsets: X, Out and the like are offsets in the arena, in floats, if nothing
// else is said; weights and biases lie in the buffer Vectors, likewise in floats.

// NormKind says what a norm subtracts and divides by.
type NormKind uint8

const (
	NormRMS   NormKind = iota // x / sqrt(mean(x^2) + eps)
	NormLayer                 // (x - mean) / sqrt(variance + eps)
)

// Norm normalises rows of Cols floats, times Weight, plus Bias (each [Cols], or
// nil), plus the value Add of the shape of x, if set. Out may be X or Add.
type Norm struct {
	Kind   NormKind
	Cols   int
	Rows   Extent
	X, Out uint32
	Weight *uint32 // in Vectors
	Bias   *uint32 // in Vectors
	Eps    float32
	Add    *uint32 // in the arena
}

// Calls is one call: a workgroup for each row.
func (n Norm) Calls(Features) []Call {
	values := 2
	if n.Add != nil {
		values++
	}
	return []Call{{
		Kernel:    "norm",
		Constants: []uint32{workgroup, uint32(n.Kind), flag(n.Weight != nil), flag(n.Bias != nil), flag(n.Add != nil)},
		Buffers:   [4]Role{Arena, Run, Vectors},
		Params: []uint32{n.X, n.Out, uint32(n.Cols), n.Rows.times(), n.Rows.code(), math.Float32bits(n.Eps),
			offset(n.Weight), offset(n.Bias), offset(n.Add)},
		Grid:    perGroup(n.Rows, 1),
		Traffic: bytesOf(n.Rows, values*n.Cols),
	}}
}

// UnaryOp is a function of one float.
type UnaryOp uint8

const (
	UnaryScale   UnaryOp = iota // x * Factor
	UnarySoftCap                // Factor * tanh(x / Factor)
	UnarySilu
	UnaryGelu    // the tanh approximation
	UnaryGeluErf // exact
	UnaryRelu
	UnaryTanh
	UnarySigmoid
	UnaryExp
)

// Unary applies a function to Elems floats. Out may be X.
type Unary struct {
	Op     UnaryOp
	Factor float32
	Elems  Extent
	X, Out uint32
}

// elementsPerGroup is how many elements a workgroup of an elementwise kernel takes.
const elementsPerGroup = 4 * workgroup

// Calls is one call.
func (u Unary) Calls(Features) []Call {
	return []Call{{
		Kernel:    "unary",
		Constants: []uint32{workgroup, uint32(u.Op)},
		Buffers:   [4]Role{Arena, Run},
		Params:    []uint32{u.X, u.Out, u.Elems.times(), u.Elems.code(), math.Float32bits(u.Factor)},
		Grid:      perGroup(u.Elems, elementsPerGroup),
		Traffic:   bytesOf(u.Elems, 2),
	}}
}

// BinaryOp is a function of two floats.
type BinaryOp uint8

const (
	BinaryAdd BinaryOp = iota
	BinarySub
	BinaryMul
	BinaryDiv
)

// Binary combines Elems floats of a with b, whose Period floats repeat (b's shape
// is a suffix of a's). Out may be A, or B if that does not repeat.
type Binary struct {
	Op        BinaryOp
	A, B      uint32
	BIsVector bool // b lies in Vectors
	Period    Extent
	Elems     Extent
	Out       uint32
}

// Calls is one call.
func (b Binary) Calls(Features) []Call {
	return []Call{{
		Kernel:    "binary",
		Constants: []uint32{workgroup, uint32(b.Op), flag(b.BIsVector)},
		Buffers:   [4]Role{Arena, Run, Vectors},
		Params: []uint32{b.A, b.B, b.Out, b.Elems.times(), b.Elems.code(),
			b.Period.times(), b.Period.code()},
		Grid:    perGroup(b.Elems, elementsPerGroup),
		Traffic: bytesOf(b.Elems, 3),
	}}
}

// Softmax is over rows of Cols floats, which may be a size of the run. Out may be X.
type Softmax struct {
	Cols   Extent
	Rows   Extent
	X, Out uint32
}

// Calls is one call: a workgroup for each row.
func (m Softmax) Calls(Features) []Call {
	return []Call{{
		Kernel:    "softmax",
		Constants: []uint32{workgroup},
		Buffers:   [4]Role{Arena, Run},
		Params: []uint32{m.X, m.Out, m.Cols.times(), m.Cols.code(),
			m.Rows.times(), m.Rows.code()},
		Grid:    perGroup(m.Rows, 1),
		Traffic: func(s Sizes) int64 { return 8 * int64(m.Rows.Of(s)) * int64(m.Cols.Of(s)) },
	}}
}
