package graph_test

import (
	"math"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/graph/graphtest"
)

var (
	dimT = dtype.Sym(dtype.T)
	dimR = dtype.Sym(dtype.R)
)

func n(v int) dtype.Dim { return dtype.Const(v) }

// everything has each operation once.
func everything(t *testing.T) *graph.Graph {
	t.Helper()
	b := graph.NewBuilder("every \"thing\"", graph.Limits{T: 8, S: 2, R: 4, P: 3})
	ids, pos, rows := b.Input("ids", graph.I32(dimT)), b.Input("pos", graph.I32(dimT)), b.Input("rows", graph.I32(dimR))
	b.State(graph.StateDecl{Name: "kv.0", Kind: graph.Paged, KVHeads: 2, KeyDim: 4, ValueDim: 4, DType: dtype.F16})
	b.State(graph.StateDecl{Name: "kv.1", Kind: graph.Ring, KVHeads: 2, KeyDim: 4, ValueDim: 6, Window: 16, DType: dtype.F32})
	b.State(graph.StateDecl{Name: "conv", Kind: graph.Fixed, Bytes: 128})
	vec := func(name string, size int) *graph.Node { return b.Weight(name, dtype.F32, size) }
	x := b.Label("token_embd").Embed(b.Weight("embd", dtype.Q8_0, 32, 32), ids)
	b.SetLayer(0)
	x = b.RMSNorm(x, vec("n", 32), 1e-5)
	x = b.Add(graph.OpLayerNorm, graph.NormAttr{Eps: 1e-6}, x, vec("lw", 32), vec("lb", 32))
	q := b.Reshape(b.Linear(x, b.Weight("q", dtype.Q4_0, 16, 32)), dimT, n(4), n(4))
	k := b.Reshape(b.Slice(x, 1, 3, 8), dimT, n(2), n(4))
	rope := graph.RopeAttr{Mode: graph.RopePairs, Dims: 4, Base: 10000, Scaling: graph.RopeYarn, Factor: 4, OrigCtx: 64, BetaFast: 32, BetaSlow: 1, Ext: 1, Mag: 0.5}
	q = b.Rope(q, pos, vec("f", 2), rope)
	w := b.CacheWrite(k, k, "kv.0")
	a := b.Label("blk.0.attn").Attention(q, w, graph.AttentionAttr{State: "kv.0", Scale: 0.5, SoftCap: 50, Window: 7, Mask: graph.Causal})
	y := b.Reshape(a, dimT, n(16))
	for _, op := range []graph.Op{graph.OpSilu, graph.OpGelu, graph.OpGeluErf, graph.OpRelu, graph.OpTanh, graph.OpSigmoid, graph.OpExp} {
		y = b.Add(op, nil, y)
	}
	y = b.SoftCap(b.Scale(y, -0.125), 30)
	for _, op := range []graph.Op{graph.OpAdd, graph.OpSub, graph.OpMul, graph.OpDiv} {
		y = b.Add(op, nil, y, vec("v"+op.String(), 16))
	}
	y = b.Add(graph.OpConcat, graph.AxisAttr{Axis: 1}, y, y)
	z := b.Reshape(y, dimT, n(2), n(16))
	s := b.Add(graph.OpSoftmax, nil, b.Add(graph.OpMatMul, nil, z, b.Add(graph.OpTranspose, graph.PermAttr{Perm: []int{0, 2, 1}}, z)))
	b.Output("scores", s)
	b.SetLayer(1)
	f := b.Add(graph.OpFusedLinear, graph.FusedLinearAttr{Segments: 2, Norm: true, NormWeight: true, Eps: 1e-5, Bias: true, Scale: 2, Act: "silu", Gated: true, SoftCap: 9, Residual: true},
		y, vec("fn", 32), b.Weight("g", dtype.Q5_0, 32, 32), b.Weight("u", dtype.F16, 32, 32), vec("gb", 32), vec("ub", 32), y)
	c := b.Add(graph.OpRopeCache, graph.RopeCacheAttr{Rope: graph.RopeAttr{Mode: graph.RopeHalves, Dims: 2, Base: 500000}, State: "kv.1", Heads: 2, QOff: 0, KOff: 8, VOff: 16, QNorm: true, KNorm: true, Eps: 1e-6, Factors: true},
		f, pos, vec("qn", 4), vec("kn", 4), vec("ff", 1))
	d := b.Attention(c, c, graph.AttentionAttr{State: "kv.1", Scale: 1, Mask: graph.Bidirectional})
	e := b.Linear(b.Reshape(d, dimT, n(12)), b.Weight("o", dtype.BF16, 32, 12))
	e = b.Add(graph.OpNormAdd, graph.NormAttr{Eps: 1e-5}, e, vec("pn", 32), f)
	b.SetLayer(2)
	for _, name := range []string{"p", "g", "m", "v", "acc"} {
		b.State(graph.StateDecl{Name: name, Kind: graph.Tensor, DType: dtype.F32, Elems: 32})
	}
	param := func(name string) *graph.Node {
		return b.Label("%s", name).Add(graph.OpParam, graph.ParamAttr{State: name, Shape: dtype.Shape{n(32)}})
	}
	key, labels := b.Input("key", graph.I32(n(2))), b.Input("labels", graph.I32(dimT))
	weight := param("p")
	e = b.Add(graph.OpMul, nil, e, weight)
	e = b.Add(graph.OpFakeQuant, graph.QuantAttr{Type: "q8_0"}, b.Add(graph.OpDropout, graph.DropoutAttr{Rate: 0.25, Site: 3}, e, key))
	sa := graph.SelfAttentionAttr{Scale: 0.5, SoftCap: 30, Window: 3, Mask: graph.Causal}
	hq, hk := b.Reshape(e, dimT, n(4), n(8)), b.Reshape(b.Slice(e, 1, 0, 16), dimT, n(2), n(8))
	h := b.Add(graph.OpSelfAttention, sa, hq, hk, hk)
	hg := b.Add(graph.OpSelfAttentionGrad, sa, hq, hk, hk, h)
	e = b.Slice(hg, 1, 32, 32)
	loss := b.Add(graph.OpCrossEntropy, graph.CrossEntropyAttr{}, e, labels)
	e = b.Add(graph.OpCrossEntropyGrad, graph.CrossEntropyAttr{}, e, labels, loss)
	e = b.Add(graph.OpLinearT, nil, e, b.Weight("embd", dtype.Q8_0, 32, 32))
	ng := graph.NormGradAttr{Eps: 1e-5, Centre: true}
	e = b.Add(graph.OpNormGrad, ng, e, e, vec("fn", 32))
	e = b.Add(graph.OpUnaryGrad, graph.UnaryGradAttr{Of: "soft_cap", Cap: 3}, e, e)
	e = b.Add(graph.OpSoftmaxGrad, nil, e, e)
	e = b.Add(graph.OpAdd, nil, e, b.Add(graph.OpSumTo, graph.KeepAttr{Keep: 1}, b.Add(graph.OpOuter, graph.ProductAttr{Round: "bf16"}, e, e)))
	b.Add(graph.OpAccumulate, nil, param("acc"), b.Add(graph.OpNormGradW, ng, e, e))
	b.State(graph.StateDecl{Name: "acc2", Kind: graph.Tensor, DType: dtype.F32, Elems: 1024})
	acc2 := b.Add(graph.OpParam, graph.ParamAttr{State: "acc2", Shape: dtype.Shape{n(32), n(32)}})
	b.Add(graph.OpAccumulateOuter, nil, acc2, e, e)
	b.Add(graph.OpAccumulateRows, nil, acc2, e, labels)
	dy := b.Input("dy", graph.F32(dimT))
	table := b.Reshape(b.Slice(b.Weight("f33", dtype.F32, 33, 32), 0, 0, 32), n(32), n(32))
	e = b.Slice(b.Add(graph.OpLinearLoss, graph.LinearLossAttr{SoftCap: 3, Sums: 1}, e, table, labels, dy, acc2), 1, 0, 32)
	soft := graph.CrossEntropyAttr{Temperature: 2, Mix: 0.25}
	e = b.Add(graph.OpLinearLossW, graph.LinearLossAttr{Terms: 2, Bias: true, Soft: soft, Of: 1}, e, table, e, table, weight,
		labels, b.Input("targets", graph.I32(dimT, n(3))), b.Input("probs", graph.F32(dimT, n(3))), dy)
	e = b.Embed(e, labels)
	e = b.Add(graph.OpPad, graph.PadAttr{Axis: 1, Start: 4, Size: 32}, b.Slice(e, 1, 0, 16))
	e = b.Add(graph.OpScatterRows, graph.ReshapeAttr{Shape: dtype.Shape{dimT, n(32)}}, e, labels)
	b.Add(graph.OpAdamW, graph.AdamWAttr{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Decay: 0.1, Clip: 1},
		weight, param("g"), param("m"), param("v"), b.Add(graph.OpGlobalNorm, nil, e), b.Input("rates", graph.F32(n(3))))
	b.SetLayer(-1)
	b.Output("logits", b.Add(graph.OpReadout, nil, b.Add(graph.OpGatherRows, nil, e, rows)))
	g, err := b.Graph()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestVerifyGraph breaks a good graph, one thing at a time.
func TestVerifyGraph(t *testing.T) {
	find := func(g *graph.Graph, op graph.Op) *graph.Node {
		for _, n := range g.Nodes {
			if n.Op == op {
				return n
			}
		}
		t.Fatalf("no %s", op)
		return nil
	}
	for _, c := range []struct {
		name  string
		spoil func(g *graph.Graph)
		want  string
	}{
		{"wrong number", func(g *graph.Graph) { g.Nodes[4].ID = 5 }, "position 4"},
		{"order", func(g *graph.Graph) {
			i := find(g, graph.OpSilu).ID
			g.Nodes[i], g.Nodes[i+1] = g.Nodes[i+1], g.Nodes[i]
			g.Nodes[i].ID, g.Nodes[i+1].ID = i, i+1
		}, "does not come before it"},
		{"node of another graph", func(g *graph.Graph) { find(g, graph.OpSilu).In = []*graph.Node{{ID: 0, Op: graph.OpInput}} }, "does not come before it"},
		{"nil input", func(g *graph.Graph) { find(g, graph.OpSilu).In = []*graph.Node{nil} }, "does not come before it"},
		{"unknown operation", func(g *graph.Graph) { find(g, graph.OpSilu).Op = 250 }, "unknown operation"},
		{"no operation", func(g *graph.Graph) { find(g, graph.OpSilu).Op = graph.OpInvalid }, "unknown operation"},
		{"attributes missing", func(g *graph.Graph) { find(g, graph.OpScale).Attr = nil }, "attributes are <nil>"},
		{"attributes of another", func(g *graph.Graph) { find(g, graph.OpScale).Attr = graph.SoftCapAttr{Cap: 1} }, "want graph.ScaleAttr"},
		{"attributes not asked for", func(g *graph.Graph) { find(g, graph.OpSilu).Attr = graph.ScaleAttr{Factor: 1} }, "attributes are graph.ScaleAttr"},
		{"not a number", func(g *graph.Graph) { find(g, graph.OpScale).Attr = graph.ScaleAttr{Factor: float32(math.NaN())} }, "factor is NaN"},
		{"infinite", func(g *graph.Graph) { find(g, graph.OpRMSNorm).Attr = graph.NormAttr{Eps: float32(math.Inf(1))} }, "eps is +Inf"},
		{"wrong type", func(g *graph.Graph) { find(g, graph.OpSilu).Type = graph.F32(dimT, n(3)) }, "has type f32[T, 3] but"},
		{"same input twice", func(g *graph.Graph) { g.Inputs()[1].Name = "ids" }, "the name is taken"},
		{"same weight twice", func(g *graph.Graph) { g.Weights()[1].Name = g.Weights()[0].Name }, "the name is taken"},
		{"input without name", func(g *graph.Graph) { g.Inputs()[0].Name = "" }, "has no name"},
		{"input without type", func(g *graph.Graph) { g.Inputs()[0].Type = graph.Type{} }, "has no type"},
		{"symbolic weight", func(g *graph.Graph) { g.Weights()[0].Type.Shape = dtype.Shape{dimT, n(32)} }, "must be constant"},
		{"empty weight", func(g *graph.Graph) { g.Weights()[0].Type.Shape = dtype.Shape{n(0), n(32)} }, "dimension of 0"},
		{"rows of no whole blocks", func(g *graph.Graph) { g.Weights()[0].Type.Shape = dtype.Shape{n(32), n(33)} }, "whole number"},
		{"too large", func(g *graph.Graph) { g.Weights()[0].Type.Shape = dtype.Shape{n(math.MaxInt), n(32)} }, "overflows"},
		{"layer far away", func(g *graph.Graph) { g.Nodes[9].Layer = 1 << 30 }, "lies outside"},
		{"layer below", func(g *graph.Graph) { g.Nodes[9].Layer = -2 }, "lies outside"},
		{"state written twice", func(g *graph.Graph) {
			w := find(g, graph.OpCacheWrite)
			w2 := *w
			w2.ID = len(g.Nodes)
			g.Nodes = append(g.Nodes, &w2)
		}, "already written"},
		{"state not declared", func(g *graph.Graph) { g.States = g.States[1:] }, `"kv.0" is not declared`},
		{"state declared twice", func(g *graph.Graph) { g.States[1].Name = "kv.0" }, "empty or taken"},
		{"state without heads", func(g *graph.Graph) { g.States[0].KVHeads = 0 }, "must be positive"},
		{"window on pages", func(g *graph.Graph) { g.States[0].Window = 3 }, "a window belongs to"},
		{"ring without window", func(g *graph.Graph) { g.States[1].Window = 0 }, "a window belongs to"},
		{"state of odd type", func(g *graph.Graph) { g.States[0].DType = dtype.Q4_0 }, "want f16, f32 or q8_0"},
		{"fixed state of nothing", func(g *graph.Graph) { g.States[2].Bytes = 0 }, "fixed state of 0 bytes"},
		{"keys in a fixed state", func(g *graph.Graph) {
			g.States[0] = graph.StateDecl{Name: "kv.0", Kind: graph.Fixed, Bytes: 8}
		}, "need paged or ring"},
		{"output of nothing", func(g *graph.Graph) { g.Outputs[0].Node = nil }, "is not a node of this graph"},
		{"output of a write", func(g *graph.Graph) { g.Outputs[0].Node = find(g, graph.OpCacheWrite) }, "has no value"},
		{"output of an input", func(g *graph.Graph) { g.Outputs[0].Node = g.Inputs()[0] }, "is given, not computed"},
		{"output of a weight", func(g *graph.Graph) { g.Outputs[0].Node = g.Weights()[0] }, "is given, not computed"},
		{"outputs of one name", func(g *graph.Graph) { g.Outputs[0].Name = "logits" }, "empty or taken"},
		{"reading what has no value", func(g *graph.Graph) { find(g, graph.OpSilu).In[0] = find(g, graph.OpCacheWrite) }, "has no value"},
		{"attention before its write", func(g *graph.Graph) {
			a := find(g, graph.OpAttention)
			a.In[1] = a.In[0]
		}, "must be the node that writes"},
		{"attention to another state", func(g *graph.Graph) {
			a := find(g, graph.OpAttention)
			attr := a.Attr.(graph.AttentionAttr)
			attr.State = "kv.1"
			a.Attr = attr
		}, "must be the node that writes"},
		{"unknown mask", func(g *graph.Graph) {
			a := find(g, graph.OpAttention)
			attr := a.Attr.(graph.AttentionAttr)
			attr.Mask = ""
			a.Attr = attr
		}, "unknown mask"},
		{"unknown activation", func(g *graph.Graph) {
			f := find(g, graph.OpFusedLinear)
			attr := f.Attr.(graph.FusedLinearAttr)
			attr.Act = "mish"
			f.Attr = attr
		}, "unknown activation"},
		{"columns outside", func(g *graph.Graph) {
			f := find(g, graph.OpRopeCache)
			attr := f.Attr.(graph.RopeCacheAttr)
			attr.VOff = 21
			f.Attr = attr
		}, "lie outside x"},
		{"odd rope", func(g *graph.Graph) {
			f := find(g, graph.OpRope)
			attr := f.Attr.(graph.RopeAttr)
			attr.Dims = 3
			f.Attr = attr
		}, "must be even"},
		{"slice outside", func(g *graph.Graph) { find(g, graph.OpSlice).Attr = graph.SliceAttr{Axis: 1, Start: 30, Len: 8} }, "lie outside dimension"},
		{"slice of a symbol", func(g *graph.Graph) { find(g, graph.OpSlice).Attr = graph.SliceAttr{Axis: 0, Len: 1} }, "must exist and be constant"},
		{"no permutation", func(g *graph.Graph) { find(g, graph.OpTranspose).Attr = graph.PermAttr{Perm: []int{0, 1, 1}} }, "is no permutation"},
		{"tensor of nothing", func(g *graph.Graph) { g.States[3].Elems = 0 }, "a tensor of 0 elements"},
		{"tensor of another size", func(g *graph.Graph) { g.States[3].Elems = 33 }, "does not fit the 33 elements"},
		{"param of a cache", func(g *graph.Graph) {
			find(g, graph.OpParam).Attr = graph.ParamAttr{State: "kv.0", Shape: dtype.Shape{n(32)}}
		}, "want tensor"},
		{"state read by two", func(g *graph.Graph) {
			find(g, graph.OpParam).Attr = graph.ParamAttr{State: "m", Shape: dtype.Shape{n(32)}}
		}, "already read"},
		{"param read after its write", func(g *graph.Graph) {
			a := find(g, graph.OpAccumulate)
			late := &graph.Node{ID: len(g.Nodes), Op: graph.OpSilu, In: a.In[:1], Type: a.In[0].Type, Layer: -1}
			g.Nodes = append(g.Nodes, late)
		}, "has written its state"},
		{"output of a param", func(g *graph.Graph) { g.Outputs[0].Node = find(g, graph.OpParam) }, "is given, not computed"},
		{"moments written after gradients were added to them", func(g *graph.Graph) {
			a, w := find(g, graph.OpAccumulate), find(g, graph.OpAdamW)
			w.In[2] = a.In[0]
		}, "has written its state"},
		{"updates what is no param", func(g *graph.Graph) {
			a := find(g, graph.OpAccumulate)
			a.In = []*graph.Node{a.In[1], a.In[1]}
		}, "must be a param"},
		{"one state for both moments", func(g *graph.Graph) {
			a := find(g, graph.OpAdamW)
			a.In[3] = a.In[2]
		}, "must be different states"},
		{"reshape of other size", func(g *graph.Graph) {
			find(g, graph.OpReshape).Attr = graph.ReshapeAttr{Shape: dtype.Shape{dimT, n(5)}}
		}, "cannot reshape"},
	} {
		g := everything(t)
		if err := graph.Verify(g); err != nil {
			t.Fatal(err)
		}
		c.spoil(g)
		err := graph.Verify(g)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q in it", c.name, err, c.want)
		}
	}
}

// TestVerifyOps: what operations refuse.
func TestVerifyOps(t *testing.T) {
	for _, c := range []struct{ name, line, want string }{
		{"linear", "linear(%x, %v) : f32[T, 4]", "weight must be [N K]"},
		{"linear k", "linear(%x, %w) : f32[T, 5]", "last dimension of x"},
		{"rounding", "linear_t(%x, %w) round=f16 : f32[T, 4]", "cannot be rounded to \"f16\""},
		{"rounding a weight", "linear(%x, %w) round=bf16 : f32[T, 4]", "a loaded weight"},
		{"embed", "embed(%v, %i) : f32[T, 4]", "table must be"},
		{"embed floats", "embed(%w, %x) : f32[T, 4]", "ids must be"},
		{"matmul", "matmul(%x, %x) : f32[T, 4]", "cannot multiply"},
		{"add", "add(%x, %w) : f32[T, 4]", "is not a suffix"},
		{"add longer", "add(%v, %x) : f32[T, 4]", "is not a suffix"},
		{"add one", "add(%x) : f32[T, 4]", "takes 2 inputs, has 1"},
		{"silu of integers", "silu(%i) : f32[T]", "must be f32"},
		{"norm", "rms_norm(%x, %u) eps=1e-05 : f32[T, 4]", "must be f32[4]"},
		{"norm eps", "rms_norm(%x) : f32[T, 4]", "eps must be positive"},
		{"norm three", "rms_norm(%x, %v, %v) eps=1e-05 : f32[T, 4]", "takes 1 to 2 inputs"},
		{"cap", "soft_cap(%x) : f32[T, 4]", "cap must be positive"},
		{"rope of rows", "rope(%x, %i) mode=pairs dims=2 base=10000 : f32[T, 4]", "x must be [T H D]"},
		{"gather", "gather_rows(%x, %x) : f32[T, 4]", "want [X D] and i32[R]"},
		{"readout", "readout(%v) : f32[4]", "x must be [R V]"},
		{"concat", "concat(%x, %w) axis=1 : f32[T, 8]", "cannot join"},
		{"concat axis", "concat(%x) axis=7 : f32[T, 4]", "no dimension 7"},
		{"concat nothing", "concat() : f32[T, 4]", "inputs, has 0"},
		{"fused inputs", "fused_linear(%x) segments=1 : f32[T, 4]", "has 1 inputs where its attributes ask for 2"},
		{"fused no segments", "fused_linear(%x) : f32[T, 4]", "has 1 inputs"},
		{"fused norm weight alone", "fused_linear(%x, %v, %q) segments=1 norm_weight=true : f32[T, 6]", "a norm weight without norm"},
		{"fused odd gate", "fused_linear(%x, %o) segments=1 gated=true act=silu : f32[T, 2]", "cannot be halved"},
		{"fused bias", "fused_linear(%x, %q, %v) segments=1 bias=true : f32[T, 6]", "bias 0 is"},
		{"fused residual", "fused_linear(%x, %q, %x) segments=1 residual=true : f32[T, 6]", "residual is"},
		{"norm_add", "norm_add(%x, %v, %w) eps=1e-05 : f32[T, 4]", "x is f32[T, 4] but what is added"},
		{"cross_entropy labels", "cross_entropy(%x, %v) : f32[T]", "labels must be i32[T]"},
		{"linear_loss", "linear_loss(%x, %w, %i, %v) : f32[T, 5]", "and the weight"},
		{"linear_loss labels", "linear_loss(%x, %q, %v, %v) : f32[T, 5]", "labels must be"},
		{"linear_loss terms", "linear_loss(%x, %q, %i, %v) terms=2 : f32[T, 5]", "takes 5 to 6 inputs"},
		{"linear_loss bias", "linear_loss(%x, %q, %x, %i, %u) bias=true : f32[T, 5]", "the bias is"},
		{"linear_loss sums", "linear_loss(%x, %q, %i, %u, %q) sums=1 : f32[T, 5]", "must be a param"},
		{"linear_loss sum of no bias", "linear_loss(%x, %q, %i, %u, %q) sums=2 : f32[T, 5]", "a bias that is not there"},
		{"linear_loss sum of no term", "linear_loss(%x, %q, %i, %u, %q) sums=4 : f32[T, 5]", "there are at most"},
		{"linear_loss counts", "linear_loss(%x, %q, %i, %v) : f32[T, 5]", "must be f32[T]"},
		{"linear_loss_w", "linear_loss_w(%x, %q, %i) : f32[6, 4]", "takes 4 inputs"},
		{"linear_loss_w of", "linear_loss_w(%x, %q, %i, %u) of=1 : f32[6, 4]", "of 1"},
		{"targets", "cross_entropy(%x, %i, %i, %x) temperature=1 : f32[T]", "want i32[T, K] and f32[T, K]"},
		{"temperature", "cross_entropy(%x, %i, %i, %x) temperature=-1 : f32[T]", "want a positive temperature"},
		{"mix alone", "cross_entropy(%x, %i) mix=0.5 : f32[T]", "or neither"},
		{"mix", "cross_entropy(%x, %i, %i, %x) temperature=1 mix=1.5 : f32[T]", "mix from 0 to 1"},
		{"linear_t", "linear_t(%x, %o) : f32[T, 4]", "is not the weight's N"},
		{"outer", "outer(%x, %v) : f32[4, 4]", "transposed by"},
		{"norm_grad", "norm_grad(%x, %v) eps=1e-05 : f32[T, 4]", "must have one shape"},
		{"norm_grad_w", "norm_grad_w(%x, %x) : f32[4]", "eps must be positive"},
		{"unary_grad", "unary_grad(%x, %x) of=add : f32[T, 4]", "no elementwise function"},
		{"unary_grad cap", "unary_grad(%x, %x) of=silu cap=2 : f32[T, 4]", "has no cap"},
		{"softmax_grad", "softmax_grad(%x, %u) : f32[T, 4]", "must have one shape"},
		{"sum_to", "sum_to(%x) keep=3 : f32[T, 4]", "cannot keep 3"},
		{"pad", "pad(%x) axis=1 start=1 size=4 : f32[T, 4]", "does not fit a dimension of 4"},
		{"pad of a symbol", "pad(%x) axis=0 size=9 : f32[9, 4]", "must exist and be constant"},
		{"scatter_rows", "scatter_rows(%x, %i) shape=[9,5] : f32[9, 5]", "cannot scatter"},
		{"dropout", "dropout(%x, %i) rate=0.5 : f32[T, 4]", "key must be i32[2]"},
		{"dropout rate", "dropout(%x, %i) rate=1 : f32[T, 4]", "rate 1"},
		{"fake_quant", "fake_quant(%x) type=q8_0 : f32[T, 4]", "no whole blocks"},
		{"fake_quant of integers", "fake_quant(%x) type=i32 : f32[T, 4]", "cannot round to i32"},
		{"fake_quant without a codec", "fake_quant(%x) type=iq2_xxs : f32[T, 4]", "cannot round to iq2_xxs"},
		{"self_attention", "self_attention(%x, %x, %x) scale=1 mask=causal : f32[T, 1, 4]", "want [T H Dk]"},
		{"accumulate", "accumulate(%x, %x) : none", "must be a param"},
		{"rope_cache state", "rope_cache(%x, %i) rope.mode=pairs rope.dims=2 rope.base=10000 state=kv heads=1 : f32[T, 1, 4]", "is not declared"},
	} {
		names := map[string]string{"%x": "%0", "%i": "%1", "%v": "%2", "%u": "%3", "%w": "%4", "%q": "%5", "%o": "%6"}
		line := c.line
		for from, to := range names {
			line = strings.ReplaceAll(line, from, to)
		}
		_, err := graph.Parse(`graph "g" T=8
			%0 = input "x" : f32[T, 4]
			%1 = input "i" : i32[T]
			%2 = weight "v" : f32[4]
			%3 = weight "u" : f32[5]
			%4 = weight "w" : f32[4, 7]
			%5 = weight "q" : f32[6, 4]
			%6 = weight "o" : f32[5, 4]
			%7 = ` + line)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q in it", c.name, err, c.want)
		}
	}
}

// TestBuilder: the first mistake is kept, and what follows it does no harm.
func TestBuilder(t *testing.T) {
	b := graph.NewBuilder("g", graph.Limits{T: 4})
	x := b.Input("x", graph.F32(dimT, n(4)))
	if y := b.Input("x", graph.F32(dimT, n(4))); y != x {
		t.Error("the same input asked for twice is two nodes")
	}
	bad := b.Linear(x, b.Weight("w", dtype.F32, 3, 5))
	b.Output("y", b.RMSNorm(b.Add(graph.OpAdd, nil, bad, x), nil, 0))
	b.Fail("a later mistake")
	if _, err := b.Graph(); err == nil || !strings.Contains(err.Error(), "last dimension of x") || b.Err() == nil {
		t.Errorf("error %v, want the first mistake", err)
	}
	b = graph.NewBuilder("g", graph.Limits{T: 4})
	b.Input("x", graph.F32(dimT, n(4)))
	b.Input("x", graph.F32(dimT, n(5)))
	if b.Err() == nil {
		t.Error("an input asked for with two types is no error")
	}
	b = graph.NewBuilder("g", graph.Limits{T: 4})
	b.Input("x", graph.F32(dimT, n(4)))
	if _, err := b.Graph(); err == nil {
		t.Error("a graph without output is no error")
	}
	other := graph.NewBuilder("h", graph.Limits{T: 4}).Input("x", graph.F32(dimT, n(4)))
	b.Scale(other, 2)
	b.Scale(nil, 2)
	if b.Err() == nil {
		t.Error("a node of another graph is no error")
	}
}

// TestTokenBytes: what a token takes in a state.
func TestTokenBytes(t *testing.T) {
	for _, c := range []struct {
		s    graph.StateDecl
		want int
	}{
		{graph.StateDecl{Kind: graph.Paged, KVHeads: 3, KeyDim: 64, ValueDim: 32, DType: dtype.F16}, 3 * (64 + 32) * 2},
		{graph.StateDecl{Kind: graph.Ring, KVHeads: 2, KeyDim: 32, ValueDim: 32, Window: 5, DType: dtype.Q8_0}, 2 * 2 * 34},
		{graph.StateDecl{Kind: graph.Paged, KVHeads: 2, KeyDim: 40, ValueDim: 7, DType: dtype.Q8_0}, 2 * (40 + 4 + 7 + 2)},
		{graph.StateDecl{Kind: graph.Fixed, Bytes: 100}, 0},
	} {
		if got := c.s.TokenBytes(); got != c.want {
			t.Errorf("%+v: %d bytes, want %d", c.s, got, c.want)
		}
	}
}

// TestUses: readers and outputs.
func TestUses(t *testing.T) {
	g := graphtest.Parse(t, `
		graph "g" T=4
		%0 = input "x" : f32[T, 8]
		%1 = silu(%0) : f32[T, 8]
		%2 = add(%1, %1) : f32[T, 8]
		output "y" %2`)
	u := g.Uses()
	if len(u[0]) != 1 || len(u[1]) != 2 || len(u[2]) != 0 || !g.IsOutput(g.Nodes[2]) || g.IsOutput(g.Nodes[1]) {
		t.Errorf("uses %v", u)
	}
	if n, ok := g.Output("y"); !ok || n != g.Nodes[2] {
		t.Error("output y is not found")
	}
	if _, ok := g.Output("z"); ok {
		t.Error("output z is found")
	}
}
