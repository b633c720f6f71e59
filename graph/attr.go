package graph

import "github.com/ledge-run/ledge/graph/dtype"

// Attr holds an operation's constants: one of the structs below, by value.
// Text prints a field as name=value and leaves out zero values.
type Attr interface{ attr() }

// NormAttr belongs to rms_norm, layer_norm and norm_add.
type NormAttr struct {
	Eps float32 // added to the mean square (or variance)
}

// ScaleAttr belongs to scale.
type ScaleAttr struct{ Factor float32 }

// SoftCapAttr belongs to soft_cap.
type SoftCapAttr struct{ Cap float32 }

// ReshapeAttr belongs to reshape.
type ReshapeAttr struct{ Shape dtype.Shape }

// SliceAttr belongs to slice: elements [Start, Start+Len) of dimension Axis,
// which must be constant.
type SliceAttr struct{ Axis, Start, Len int }

// AxisAttr belongs to concat.
type AxisAttr struct{ Axis int }

// PermAttr belongs to transpose: dimension i of the result is dimension
// Perm[i] of the input.
type PermAttr struct{ Perm []int }

// StateAttr belongs to cache_write.
type StateAttr struct{ State string }

// RopeMode says which elements of a head rotate together.
type RopeMode string

const (
	// RopePairs rotates elements 2i and 2i+1 together (GPT-J, and llama as GGUF stores it).
	RopePairs RopeMode = "pairs"
	// RopeHalves rotates elements i and i+dims/2 together (GPT-NeoX).
	RopeHalves RopeMode = "halves"
)

// RopeScaling says how the angles are stretched for longer contexts.
type RopeScaling string

const (
	RopeNone   RopeScaling = ""
	RopeLinear RopeScaling = "linear" // positions divided by Factor
	RopeYarn   RopeScaling = "yarn"   // Peng et al., https://arxiv.org/abs/2309.00071
)

// RopeAttr belongs to rope. The angle of pair i at position p is
// p * Base^(-2i/Dims), divided by factors[i] when that input is given (llama3
// and longrope come as such factors), then scaled. The package's [RopeTable]
// computes it.
type RopeAttr struct {
	Mode     RopeMode
	Dims     int // leading elements of a head that rotate; even
	Base     float32
	Scaling  RopeScaling
	Factor   float32 // context stretch (linear, yarn); 0 means 1
	OrigCtx  int     // context the model was trained for (yarn)
	BetaFast float32 // yarn
	BetaSlow float32 // yarn
	Ext      float32 // yarn's mix of extrapolation, normally 1
	Mag      float32 // factor on cos and sin; 0 means 1
	Inverse  bool    // turn backwards: what the gradient of a rotation does
}

// MaskKind says which positions a row may see.
type MaskKind string

const (
	Causal        MaskKind = "causal"        // its own and earlier ones
	Bidirectional MaskKind = "bidirectional" // all of its sequence
)

// AttentionAttr belongs to attention. The number of key and value heads and
// their sizes are the state's.
type AttentionAttr struct {
	State   string
	Scale   float32 // on q·k
	SoftCap float32 // cap*tanh(score/cap) before the mask; 0 for none
	Window  int     // a row at p sees (p-Window, p]; 0 for all
	Mask    MaskKind
}

// FusedLinearAttr belongs to fused_linear. The inputs are, in this order:
//
//	x [X K]
//	norm weight [K]        if NormWeight
//	weights [N_i K]        Segments of them, rows laid one after the other
//	biases [N_i]           Segments of them, if Bias
//	residual [X N]         if Residual
//
// and the result, with y = norm(x), z = [y·w_0ᵀ+b_0 | y·w_1ᵀ+b_1 | ...]·Scale:
//
//	Gated:    N = half of all rows; out = act(first half of z) * second half
//	else:     out = act(z)
//	then soft-capped by SoftCap, then the residual is added.
type FusedLinearAttr struct {
	Segments   int
	Norm       bool // RMS norm of x first
	NormWeight bool
	Eps        float32
	Bias       bool
	Scale      float32 // 0 means 1
	Act        string  // "", "silu", "gelu", "gelu_erf", "relu"
	Gated      bool
	SoftCap    float32
	Residual   bool
}

// RopeCacheAttr belongs to rope_cache. The inputs are, in this order:
//
//	x [T W]: q, k and v of a token side by side, at columns QOff, KOff, VOff
//	pos i32 [T]
//	q norm weight [KeyDim]   if QNorm
//	k norm weight [KeyDim]   if KNorm
//	factors [Rope.Dims/2]    if Factors
//
// Heads of q (and of k) are RMS-normed with Eps if asked, rotated, k and v are
// written to State, and the result is q as [T Heads KeyDim].
type RopeCacheAttr struct {
	Rope             RopeAttr
	State            string
	Heads            int
	QOff, KOff, VOff int
	QNorm, KNorm     bool
	Eps              float32
	Factors          bool
}

func (NormAttr) attr()        {}
func (ScaleAttr) attr()       {}
func (SoftCapAttr) attr()     {}
func (ReshapeAttr) attr()     {}
func (SliceAttr) attr()       {}
func (AxisAttr) attr()        {}
func (PermAttr) attr()        {}
func (StateAttr) attr()       {}
func (RopeAttr) attr()        {}
func (AttentionAttr) attr()   {}
func (FusedLinearAttr) attr() {}
func (RopeCacheAttr) attr()   {}
