package shader

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
// sums are added in order.
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
// uses beside the operands; 0 for most products of few rows.
func (p Product) ScratchFloats() int { panic("unfinished") }

// Calls are the calls that compute it: for runs of up to Few rows, or for runs of
// any number if many is set. All of them give the same bits. Calls whose grid is
// zero for a run's size are part of the list: one of two does the work.
func (p Product) Calls(f Features, many bool) ([]Call, error) { panic("unfinished") }

// Embed copies rows of a matrix, found by their ids, into the arena.
type Embed struct {
	K      int
	Pieces []Piece // in order of rows
	Rows   Rows
	IDs    uint32 // uint of the buffer Run where the ids begin
	Out    uint32 // float of the arena; rows are K apart
}

// Calls are the calls that compute it, one per bank. An id that is no row leaves
// its out row as it was.
func (e Embed) Calls(f Features) ([]Call, error) { panic("unfinished") }
