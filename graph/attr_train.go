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

// CrossEntropyAttr belongs to cross_entropy and its gradient. Without a Temperature
// labels are all there is. With one there are soft targets: of each row the ids that a
// teacher finds likeliest, and their probabilities q at that temperature; an id of -1
// is none. What they leave of 1 is q_rest, of all other ids together. With p the
// softmax of x/Temperature, p_rest the sum of all others, the loss is (Hinton, Vinyals
// and Dean, https://arxiv.org/abs/1503.02531, with the tail as one class)
//
//	Mix (log-sum-exp(x) - x[label]) + (1-Mix) Temperature² (sum of q log(q/p) + q_rest log(q_rest/p_rest))
//
// and 0, as without, where the label is -1. If no id is left out there is no rest.
type CrossEntropyAttr struct {
	Temperature float32
	Mix         float32 // from 0 (the teacher alone) to 1 (the labels alone)
}

// LinearLossAttr belongs to linear_loss and linear_loss_w: cross_entropy of
// soft_cap of a sum of products linear(x, w), and of a bias, without all logits being
// there at once. Inputs in order:
//
//	x, w         of each of Terms products
//	bias [V]     with Bias
//	labels       and with a temperature the targets i32 [R K] and their probabilities [R K]
//	dy           what each row's loss counts; without it only losses are computed
//	params       to which gradients are added, for each bit of Sums
//
// A row of linear_loss's result is the gradients of the x side by side, then the row's
// loss; without dy the losses are all, [R]. The result of linear_loss_w, which has no
// params, is the gradient of the w of term Of.
type LinearLossAttr struct {
	Terms   int // 0 for one
	Bias    bool
	SoftCap float32 // 0 for none
	Soft    CrossEntropyAttr
	Sums    int    // bit i: of w of term i; bit Terms: of the bias
	Of      int    // of linear_loss_w
	Round   string // of its products: see ProductAttr. Loaded weights give logits as they are.
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
func (CrossEntropyAttr) attr()  {}
func (LinearLossAttr) attr()    {}
func (UnaryGradAttr) attr()     {}
func (KeepAttr) attr()          {}
func (PadAttr) attr()           {}
func (DropoutAttr) attr()       {}
func (QuantAttr) attr()         {}
func (AdamWAttr) attr()         {}
