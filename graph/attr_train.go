package graph

import "github.com/ledge-run/ledge/graph/dtype"

// Attributes of the operations of training.

// ParamAttr belongs to param: the state's elements under a shape.
type ParamAttr struct {
	State string
	Shape dtype.Shape
}

// SelfAttentionAttr belongs to self_attention and its gradient. Rows see rows of
// their own segment; distances are counted in rows.
type SelfAttentionAttr struct {
	Scale   float32 // on q·k
	SoftCap float32 // cap*tanh(score/cap) before the mask; 0 for none
	Window  int     // row i sees (i-Window, i], bidirectional (i-Window, i+Window); 0 for all
	Mask    MaskKind
}

// ProductAttr belongs to linear, linear_t, outer and accumulate_outer, which mostly
// have none: nil means the same as its zero value.
type ProductAttr struct {
	Round string // type that both operands are rounded to: bf16, or empty for none. Sums stay f32.
}

// NormGradAttr belongs to norm_grad and norm_grad_w.
type NormGradAttr struct {
	Eps    float32
	Centre bool // of layer_norm, which subtracts the mean; else of rms_norm
}

// LinearLossAttr belongs to linear_loss: cross_entropy(soft_cap(linear(x, w)),
// labels) and, with the rows' losses counting dy, its gradients, without all logits
// being there at once. A row of the result is the gradient of x, then the row's loss;
// the gradient of w is added to the parameter, if there is one.
type LinearLossAttr struct {
	SoftCap float32 // 0 for none
}

// UnaryGradAttr belongs to unary_grad.
type UnaryGradAttr struct {
	Of  string  // the elementwise operation's name: silu, gelu, gelu_erf, relu, tanh, sigmoid, exp, soft_cap
	Cap float32 // of soft_cap
}

// KeepAttr belongs to sum_to: how many trailing dimensions stay.
type KeepAttr struct{ Keep int }

// PadAttr belongs to pad: x becomes elements [Start, Start+len) of dimension Axis,
// which has Size.
type PadAttr struct{ Axis, Start, Size int }

// DropoutAttr belongs to dropout. Element i stays if the hash of the key's two
// numbers, Site and i (kernels/ref.DropoutKeeps) says so, with probability
// 1-Rate, and is then divided by that. A site occurs once in a model, however
// often its node is repeated.
type DropoutAttr struct {
	Rate float32
	Site int
}

// QuantAttr belongs to fake_quant: the name of the element type.
type QuantAttr struct{ Type string }

// AdamWAttr belongs to adamw, which updates the states of its first four inputs:
// Loshchilov and Hutter, https://arxiv.org/abs/1711.05101. With g the gradient
// times min(1, Clip/norm), and rates = learning rate, 1-Beta1^t, 1-Beta2^t:
//
//	m = Beta1 m + (1-Beta1) g
//	v = Beta2 v + (1-Beta2) g²
//	p = p (1 - rate Decay) - rate m/(1-Beta1^t) / (sqrt(v/(1-Beta2^t)) + Eps)
//
// after which the gradient is cleared. If the norm is not finite, only that is done.
type AdamWAttr struct {
	Beta1, Beta2, Eps float32
	Decay             float32
	Clip              float32 // largest norm; 0 for no bound
}

func (ParamAttr) attr()         {}
func (ProductAttr) attr()       {}
func (SelfAttentionAttr) attr() {}
func (NormGradAttr) attr()      {}
func (LinearLossAttr) attr()    {}
func (UnaryGradAttr) attr()     {}
func (KeepAttr) attr()          {}
func (PadAttr) attr()           {}
func (DropoutAttr) attr()       {}
func (QuantAttr) attr()         {}
func (AdamWAttr) attr()         {}
