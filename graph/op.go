package graph

import "fmt"

// Op names an operation. Its meaning, inputs and result are in the table below.
type Op uint8

// Operations of a built graph: what a model emits.
const (
	OpInvalid Op = iota

	OpInput  // a run-time argument, by name
	OpWeight // a tensor of the model's file, by name

	OpEmbed      // (w [V D], ids i32 [X]) -> [X D]: rows of w
	OpLinear     // (x [X.. K], w [N K]) -> [X.. N]: x times w transposed
	OpMatMul     // (a [B.. M K], b [B.. K N]) -> [B.. M N]
	OpRMSNorm    // (x [X.. D], w [D]?) -> [X.. D]: x / sqrt(mean(x^2)+eps) * w
	OpLayerNorm  // (x [X.. D], w [D]?, b [D]?) -> [X.. D]
	OpRope       // (x [T H D], pos i32 [T], factors [dims/2]?) -> [T H D]
	OpCacheWrite // (k [T H Dk], v [T H Dv]) -> none: appends to a state
	OpAttention  // (q [T H Dk], write) -> [T H Dv]: over a state, after that write
	OpAdd        // (a, b) -> a's shape; b's shape is a suffix of a's
	OpSub        // likewise
	OpMul        // likewise
	OpDiv        // likewise
	OpScale      // (x) -> x * factor
	OpSoftCap    // (x) -> cap * tanh(x / cap)
	OpSoftmax    // (x [X.. D]) -> [X.. D]: over the last dimension
	OpSilu       // (x) -> x / (1 + exp(-x))
	OpGelu       // (x) -> GELU, tanh approximation
	OpGeluErf    // (x) -> GELU, exact
	OpRelu       // (x) -> max(x, 0)
	OpTanh       // (x) -> tanh(x)
	OpSigmoid    // (x) -> 1 / (1 + exp(-x))
	OpExp        // (x) -> e^x
	OpReshape    // (x) -> the same elements under another shape
	OpSlice      // (x) -> a range of one dimension (a copy)
	OpConcat     // (x...) -> joined along one dimension
	OpTranspose  // (x) -> dimensions permuted
	OpGatherRows // (x [X D], rows i32 [R]) -> [R D]
	OpReadout    // (x [R V]) -> [R V]: what a run reads back: logits, the best few, or arg-max

	// Operations of training: see docs/training.md. Those that update states
	// give no value.
	OpParam             // () -> the value of a tensor state
	OpSelfAttention     // (q [T H Dk], k [T G Dk], v [T G Dv]) -> [T H Dv]: within each segment, without a state
	OpSelfAttentionGrad // (q, k, v, dy [T H Dv]) -> [T H*Dk+G*Dk+G*Dv]: gradients of q, k and v side by side
	OpCrossEntropy      // (x [R V], labels i32 [R], targets i32 [R K]?, probs [R K]?) -> [R]: see CrossEntropyAttr
	OpCrossEntropyGrad  // (x [R V], labels i32 [R], targets i32 [R K]?, probs [R K]?, dy [R]) -> [R V]
	OpLinearLoss        // (x [R D], w [V D].., labels i32 [R].., dy [R]?, param [V D]..) -> [R D+1] or [R]: see LinearLossAttr
	OpLinearLossW       // (x [R D], w [V D].., labels i32 [R].., dy [R]) -> [V D]: gradient of a w that is computed
	OpLinearT           // (x [X.. N], w [N K]) -> [X.. K]: x times w
	OpOuter             // (a [X.. N], b [X.. K]) -> [N K]: a transposed times b, over all rows
	OpNormGrad          // (x [X.. D], dy, w [D]?) -> [X.. D]: gradient of a norm's x
	OpNormGradW         // (x [X.. D], dy) -> [D]: gradient of a norm's w
	OpUnaryGrad         // (x, dy) -> dy * f'(x)
	OpSoftmaxGrad       // (y [X.. D], dy) -> [X.. D]: gradient of softmax's x, from its result
	OpSumTo             // (x [X.. S..]) -> [S..]: sums over leading dimensions
	OpPad               // (x) -> x as a range of a dimension that is zero elsewhere
	OpScatterRows       // (x [X D], rows i32 [X]) -> [Y D]: rows added up where they belong, zero elsewhere
	OpDropout           // (x, key i32 [2]) -> elements zeroed at random, the rest scaled up
	OpFakeQuant         // (x [X.. D]) -> x rounded to a block format and back
	OpGlobalNorm        // (x...) -> [1]: square root of the sum of all squares
	OpAccumulate        // (param, x) -> none: adds x to the parameter's state
	OpAccumulateOuter   // (param [N K], a [X.. N], b [X.. K]) -> none: adds outer(a, b)
	OpAccumulateRows    // (param [V D], x [X D], rows i32 [X]) -> none: adds rows where they belong
	OpAdamW             // (param, grad, m, v: params; norm [1]?, rates [3]) -> none: see AdamWAttr

	// Operations that only passes make.
	OpFusedLinear // norm, products that share an input, bias, activation, gate, residual in one
	OpRopeCache   // QK-norm, RoPE and cache write on the product of q, k and v
	OpNormAdd     // (x [X D], w [D], y [X D]) -> rms_norm(x)*w + y

	opCount
)

// Stage says where in the pipeline an operation may occur.
type Stage uint8

const (
	Built    Stage = iota // emitted by models
	Fused                 // made by the fuse passes
	Training              // emitted by models in training or made by package grad
)

type opInfo struct {
	name  string
	attr  Attr // zero value of the attribute's type; nil if there is none
	stage Stage
	bare  bool // nil stands for the zero value of the attribute
	infer func(n *Node, g *Graph) (Type, error)
}

// String is the operation's name in text.
func (o Op) String() string {
	if o < opCount && ops[o].name != "" {
		return ops[o].name
	}
	return fmt.Sprintf("op(%d)", uint8(o))
}

// Stage returns where the operation may occur.
func (o Op) Stage() Stage {
	if o < opCount {
		return ops[o].stage
	}
	return Built
}

// ParseOp is the inverse of String.
func ParseOp(s string) (Op, error) {
	for i := range ops {
		if ops[i].name == s && s != "" {
			return Op(i), nil
		}
	}
	return OpInvalid, fmt.Errorf("graph: unknown operation %q", s)
}

// Ops lists all operations.
func Ops() []Op {
	var out []Op
	for i := OpInput; i < opCount; i++ {
		out = append(out, i)
	}
	return out
}

// IsUnary reports whether o maps one tensor to another of the same shape,
// element by element.
func (o Op) IsUnary() bool {
	switch o {
	case OpScale, OpSoftCap, OpSilu, OpGelu, OpGeluErf, OpRelu, OpTanh, OpSigmoid, OpExp:
		return true
	}
	return false
}

// IsBinary reports whether o combines two tensors element by element.
func (o Op) IsBinary() bool { return o >= OpAdd && o <= OpDiv }

// WritesState reports whether o writes a state.
func (o Op) WritesState() bool {
	return o == OpCacheWrite || o == OpRopeCache || o == OpLinearLoss || o == OpAdamW || o.Accumulates()
}

// Accumulates reports whether o adds to the state of its first input. Several may
// add to one, in the order of their nodes.
func (o Op) Accumulates() bool {
	return o == OpAccumulate || o == OpAccumulateOuter || o == OpAccumulateRows
}

// IsGiven reports whether o's value is there before a run: an argument, a
// weight or a parameter.
func (o Op) IsGiven() bool { return o == OpInput || o == OpWeight || o == OpParam }

// ops is filled in by init, since the inference functions refer to it.
var ops [opCount]opInfo

func init() {
	unary := opInfo{infer: inferUnary}
	binary := opInfo{infer: inferBinary}
	ops = [opCount]opInfo{
		OpInput:      {name: "input", infer: inferGiven},
		OpWeight:     {name: "weight", infer: inferGiven},
		OpEmbed:      {name: "embed", infer: inferEmbed},
		OpLinear:     {name: "linear", attr: ProductAttr{}, bare: true, infer: inferLinear},
		OpMatMul:     {name: "matmul", infer: inferMatMul},
		OpRMSNorm:    {name: "rms_norm", attr: NormAttr{}, infer: inferNorm},
		OpLayerNorm:  {name: "layer_norm", attr: NormAttr{}, infer: inferNorm},
		OpRope:       {name: "rope", attr: RopeAttr{}, infer: inferRope},
		OpCacheWrite: {name: "cache_write", attr: StateAttr{}, infer: inferCacheWrite},
		OpAttention:  {name: "attention", attr: AttentionAttr{}, infer: inferAttention},
		OpAdd:        binary.named("add"),
		OpSub:        binary.named("sub"),
		OpMul:        binary.named("mul"),
		OpDiv:        binary.named("div"),
		OpScale:      {name: "scale", attr: ScaleAttr{}, infer: inferUnary},
		OpSoftCap:    {name: "soft_cap", attr: SoftCapAttr{}, infer: inferUnary},
		OpSoftmax:    {name: "softmax", infer: inferUnary},
		OpSilu:       unary.named("silu"),
		OpGelu:       unary.named("gelu"),
		OpGeluErf:    unary.named("gelu_erf"),
		OpRelu:       unary.named("relu"),
		OpTanh:       unary.named("tanh"),
		OpSigmoid:    unary.named("sigmoid"),
		OpExp:        unary.named("exp"),
		OpReshape:    {name: "reshape", attr: ReshapeAttr{}, infer: inferReshape},
		OpSlice:      {name: "slice", attr: SliceAttr{}, infer: inferSlice},
		OpConcat:     {name: "concat", attr: AxisAttr{}, infer: inferConcat},
		OpTranspose:  {name: "transpose", attr: PermAttr{}, infer: inferTranspose},
		OpGatherRows: {name: "gather_rows", infer: inferGatherRows},
		OpReadout:    {name: "readout", infer: inferReadout},

		OpParam:             {name: "param", attr: ParamAttr{}, stage: Training, infer: inferParam},
		OpSelfAttention:     {name: "self_attention", attr: SelfAttentionAttr{}, stage: Training, infer: inferSelfAttention},
		OpSelfAttentionGrad: {name: "self_attention_grad", attr: SelfAttentionAttr{}, stage: Training, infer: inferSelfAttentionGrad},
		OpCrossEntropy:      {name: "cross_entropy", stage: Training, attr: CrossEntropyAttr{}, infer: inferCrossEntropy},
		OpCrossEntropyGrad:  {name: "cross_entropy_grad", stage: Training, attr: CrossEntropyAttr{}, infer: inferCrossEntropy},
		OpLinearLoss:        {name: "linear_loss", stage: Training, attr: LinearLossAttr{}, infer: inferLinearLoss},
		OpLinearLossW:       {name: "linear_loss_w", stage: Training, attr: LinearLossAttr{}, infer: inferLinearLoss},
		OpLinearT:           {name: "linear_t", attr: ProductAttr{}, bare: true, stage: Training, infer: inferLinearT},
		OpOuter:             {name: "outer", attr: ProductAttr{}, bare: true, stage: Training, infer: inferOuter},
		OpNormGrad:          {name: "norm_grad", attr: NormGradAttr{}, stage: Training, infer: inferNormGrad},
		OpNormGradW:         {name: "norm_grad_w", attr: NormGradAttr{}, stage: Training, infer: inferNormGradW},
		OpUnaryGrad:         {name: "unary_grad", attr: UnaryGradAttr{}, stage: Training, infer: inferUnaryGrad},
		OpSoftmaxGrad:       {name: "softmax_grad", stage: Training, infer: inferSame},
		OpSumTo:             {name: "sum_to", attr: KeepAttr{}, stage: Training, infer: inferSumTo},
		OpPad:               {name: "pad", attr: PadAttr{}, stage: Training, infer: inferPad},
		OpScatterRows:       {name: "scatter_rows", attr: ReshapeAttr{}, stage: Training, infer: inferScatterRows},
		OpDropout:           {name: "dropout", attr: DropoutAttr{}, stage: Training, infer: inferDropout},
		OpFakeQuant:         {name: "fake_quant", attr: QuantAttr{}, stage: Training, infer: inferFakeQuant},
		OpGlobalNorm:        {name: "global_norm", stage: Training, infer: inferGlobalNorm},
		OpAccumulate:        {name: "accumulate", stage: Training, infer: inferAccumulate},
		OpAccumulateOuter:   {name: "accumulate_outer", attr: ProductAttr{}, bare: true, stage: Training, infer: inferAccumulateOuter},
		OpAccumulateRows:    {name: "accumulate_rows", stage: Training, infer: inferAccumulateRows},
		OpAdamW:             {name: "adamw", attr: AdamWAttr{}, stage: Training, infer: inferAdamW},

		OpFusedLinear: {name: "fused_linear", attr: FusedLinearAttr{}, stage: Fused, infer: inferFusedLinear},
		OpRopeCache:   {name: "rope_cache", attr: RopeCacheAttr{}, stage: Fused, infer: inferRopeCache},
		OpNormAdd:     {name: "norm_add", attr: NormAttr{}, stage: Fused, infer: inferNormAdd},
	}
}

func (i opInfo) named(name string) opInfo { i.name = name; return i }
