package step_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/cpu"
	"github.com/ledge-run/ledge/backend/null"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/graph/grad"
	"github.com/ledge-run/ledge/runtime/model"
	_ "github.com/ledge-run/ledge/runtime/model/all"
	"github.com/ledge-run/ledge/runtime/train/step"
)

// llama is a source of a model that no file has: a Llama with tied embeddings.
type llama struct{ vocab, hidden, ffn, layers, heads, kvHeads int }

func (l llama) Value(key string) (any, bool) {
	v, ok := map[string]any{
		"general.architecture": "llama", "llama.block_count": uint32(l.layers), "llama.embedding_length": uint32(l.hidden),
		"llama.context_length": uint32(512), "llama.feed_forward_length": uint32(l.ffn), "llama.attention.head_count": uint32(l.heads),
		"llama.attention.head_count_kv": uint32(l.kvHeads), "llama.attention.layer_norm_rms_epsilon": float32(1e-6),
	}[key]
	return v, ok
}

func (l llama) TensorType(name string) (dtype.DType, []int, bool) {
	kv := l.hidden / l.heads * l.kvHeads
	name = strings.TrimPrefix(strings.TrimSuffix(name, ".weight"), "blk.")
	if _, rest, ok := strings.Cut(name, "."); ok {
		name = rest
	}
	shape, ok := map[string][]int{
		"token_embd": {l.vocab, l.hidden}, "output_norm": {l.hidden}, "attn_norm": {l.hidden}, "ffn_norm": {l.hidden},
		"attn_q": {l.hidden, l.hidden}, "attn_k": {kv, l.hidden}, "attn_v": {kv, l.hidden}, "attn_output": {l.hidden, l.hidden},
		"ffn_gate": {l.ffn, l.hidden}, "ffn_up": {l.ffn, l.hidden}, "ffn_down": {l.hidden, l.ffn},
	}[name]
	return dtype.F32, shape, ok
}

// graphOf emits the graph of training.
func graphOf(t testing.TB, s model.Source, max graph.Limits, dropout float32) *graph.Graph {
	t.Helper()
	m, err := model.New(s)
	if err != nil {
		t.Fatal(err)
	}
	g, err := m.Decoder(model.Options{Max: max, Context: 512, Train: &model.Train{Dropout: dropout}})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

var small = llama{vocab: 61, hidden: 24, ffn: 40, layers: 2, heads: 4, kvHeads: 2}

var limits = graph.Limits{T: 64, S: 4, R: 64}

// trainer makes one that is closed when the test ends.
func trainer(t testing.TB, threads int, g *graph.Graph, open step.Open, o step.Options) *step.Trainer {
	t.Helper()
	dev, err := cpu.Open(backend.Options{Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	if o.Rate == (step.Schedule{}) {
		o.Rate = step.Cosine(3e-3, 1e-4, 5, 100)
	}
	tr, err := step.New(t.Context(), dev, g, open, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(tr.Close(), dev.Close()); err != nil {
			t.Error(err)
		}
	})
	return tr
}

// part makes documents of the given lengths: counting in steps that differ from
// document to document, which is to be learnt. The first token's label is left out.
func part(rng *rand.Rand, vocab int, lengths ...int) step.Part {
	p := step.Part{Lengths: lengths}
	for _, n := range lengths {
		at, by := rng.IntN(vocab), 1+rng.IntN(3)
		for i := range n {
			p.Tokens = append(p.Tokens, int32(at))
			at = (at + by) % vocab
			if i == 0 {
				p.Labels = append(p.Labels, -1)
			} else {
				p.Labels = append(p.Labels, int32(at))
			}
		}
	}
	return p
}

// tensors are all that lives from step to step.
func tensors(t testing.TB, tr *step.Trainer) map[string][]float32 {
	t.Helper()
	all := map[string][]float32{}
	for _, s := range tr.Tensors() {
		x := make([]float32, s.Elems)
		if err := tr.Get(s.Name, x); err != nil {
			t.Fatal(err)
		}
		all[s.Name] = x
	}
	return all
}

// same asks for the same bits.
func same(t testing.TB, what string, a, b map[string][]float32) {
	t.Helper()
	if len(a) != len(b) || len(a) == 0 {
		t.Fatalf("%s: %d tensors and %d", what, len(a), len(b))
	}
	for name, x := range a {
		for i, v := range x {
			if math.Float32bits(v) != math.Float32bits(b[name][i]) {
				t.Fatalf("%s: %s[%d] is %g and %g", what, name, i, v, b[name][i])
			}
		}
	}
}

func steps(t testing.TB, tr *step.Trainer, from, to int) (last step.Result) {
	t.Helper()
	for i := from; i <= to; i++ {
		rng := rand.New(rand.NewPCG(9, uint64(i)))
		r, err := tr.Step(t.Context(), part(rng, small.vocab, 13, 30, 9), part(rng, small.vocab, 20))
		if err != nil {
			t.Fatal(err)
		}
		if r.Step != i || r.Labels != 13+30+9+20-4 {
			t.Fatalf("step %d: %+v", i, r)
		}
		last = r
	}
	return last
}

// TestLearns: counting is learnt from nothing.
func TestLearns(t *testing.T) {
	tr := trainer(t, 0, graphOf(t, small, limits, 0), step.Random(1, 0.05, small.layers), step.Options{
		AdamW: grad.AdamW{Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Decay: 0.01, Clip: 1}, Rate: step.Cosine(1e-2, 1e-3, 20, 600)})
	first := steps(t, tr, 1, 1)
	if math.Abs(first.Loss-math.Log(float64(small.vocab))) > 0.3 || first.Norm <= 0 {
		t.Errorf("at first the loss is %g, that of guessing %g; the norm %g", first.Loss, math.Log(float64(small.vocab)), first.Norm)
	}
	last := steps(t, tr, 2, 600)
	if last.Loss > 0.2 {
		t.Errorf("after 600 steps the loss is %g", last.Loss)
	}
	unseen := part(rand.New(rand.NewPCG(77, 7)), small.vocab, 25, 25)
	loss, err := tr.Loss(t.Context(), unseen)
	if err != nil || loss > 0.3 {
		t.Errorf("the loss of unseen documents is %g (%v)", loss, err)
	}
}

// TestSameBits: neither threads nor recomputing change a bit, with dropout.
func TestSameBits(t *testing.T) {
	var want map[string][]float32
	var loss float64
	memory := map[bool]int64{}
	for _, c := range []struct {
		threads   int
		recompute bool
	}{{1, false}, {2, false}, {3, false}, {1, true}, {2, true}} {
		tr := trainer(t, c.threads, graphOf(t, small, limits, 0.1), step.Random(1, 0.05, small.layers), step.Options{Seed: 5, Recompute: c.recompute})
		r := steps(t, tr, 1, 3)
		got := tensors(t, tr)
		if want == nil {
			want, loss = got, r.Loss
		}
		what := fmt.Sprintf("%d threads, recompute %v", c.threads, c.recompute)
		same(t, what, want, got)
		if r.Loss != loss {
			t.Errorf("%s: loss %g, want %g", what, r.Loss, loss)
		}
		memory[c.recompute] = tr.Memory().Step
	}
	if memory[true] >= memory[false] {
		t.Errorf("recomputing takes %d bytes, not recomputing %d", memory[true], memory[false])
	}
	plain := trainer(t, 1, graphOf(t, small, limits, 0), step.Random(1, 0.05, small.layers), step.Options{})
	dropping := trainer(t, 1, graphOf(t, small, limits, 0.5), step.Random(1, 0.05, small.layers), step.Options{})
	p := part(rand.New(rand.NewPCG(1, 1)), small.vocab, 20)
	a, err := plain.Loss(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := dropping.Loss(t.Context(), p); err != nil || a != b {
		t.Errorf("evaluation drops elements: loss %g, without %g (%v)", b, a, err)
	}
	other := trainer(t, 1, graphOf(t, small, limits, 0.1), step.Random(1, 0.05, small.layers), step.Options{Seed: 6})
	if r := steps(t, other, 1, 3); r.Loss == loss {
		t.Error("another seed drops the same elements")
	}
}

// TestResume: from what is read after a step, another trainer goes on as the first.
func TestResume(t *testing.T) {
	g, o := graphOf(t, small, limits, 0.1), step.Options{Seed: 5}
	a := trainer(t, 2, g, step.Random(1, 0.05, small.layers), o)
	steps(t, a, 1, 4)
	b := trainer(t, 1, g, step.Random(2, 0.05, small.layers), o)
	for name, x := range tensors(t, a) {
		if err := b.Set(name, x); err != nil {
			t.Fatal(err)
		}
	}
	b.SetTaken(a.Taken())
	steps(t, a, 5, 8)
	steps(t, b, 5, 8)
	same(t, "resumed", tensors(t, a), tensors(t, b))
}

// TestAccumulation: a batch in one part or in several, of unequal weights, is the
// same but for rounding.
func TestAccumulation(t *testing.T) {
	g := graphOf(t, small, limits, 0)
	rng := rand.New(rand.NewPCG(1, 1))
	x, y := part(rng, small.vocab, 9), part(rng, small.vocab, 31)
	x.Weights, y.Weights = make([]float32, 9), make([]float32, 31)
	for i := range x.Weights {
		x.Weights[i] = 1.5
	}
	for i := range y.Weights {
		y.Weights[i] = float32(i % 3)
	}
	both := step.Part{Tokens: append(append([]int32{}, x.Tokens...), y.Tokens...), Labels: append(append([]int32{}, x.Labels...), y.Labels...),
		Weights: append(append([]float32{}, x.Weights...), y.Weights...), Lengths: []int{9, 31}}
	a := trainer(t, 1, g, step.Random(1, 0.05, small.layers), step.Options{})
	b := trainer(t, 1, g, step.Random(1, 0.05, small.layers), step.Options{})
	ra, err := a.Step(t.Context(), x, y)
	if err != nil {
		t.Fatal(err)
	}
	rb, err := b.Step(t.Context(), both)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(ra.Loss-rb.Loss) > 1e-6 || math.Abs(ra.Norm-rb.Norm) > 1e-5 || ra.Labels != rb.Labels {
		t.Errorf("in parts %+v, at once %+v", ra, rb)
	}
	ga, gb := tensors(t, a), tensors(t, b)
	for name, m := range ga { // moments are the gradients times a constant
		if !strings.HasPrefix(name, "adamw.m/") {
			continue
		}
		for i, v := range m {
			if d := math.Abs(float64(v - gb[name][i])); d > 1e-6 {
				t.Fatalf("%s[%d] is %g in parts, %g at once", name, i, v, gb[name][i])
			}
		}
	}
}

// TestNotFinite: a step that gives no numbers leaves everything as it was, and the
// next is a good one again.
func TestNotFinite(t *testing.T) {
	g := graphOf(t, small, limits, 0)
	a := trainer(t, 1, g, step.Random(1, 0.05, small.layers), step.Options{})
	steps(t, a, 1, 2)
	good := tensors(t, a)
	name := "blk.1.ffn_up.weight"
	for _, v := range []float32{float32(math.NaN()), float32(math.Inf(1))} {
		bad := append([]float32(nil), good[name]...)
		bad[5] = v
		if err := a.Set(name, bad); err != nil {
			t.Fatal(err)
		}
		_, err := a.Step(t.Context(), part(rand.New(rand.NewPCG(1, 1)), small.vocab, 20))
		var failed *step.ErrNotFinite
		if !errors.As(err, &failed) || failed.Step != 3 || !strings.Contains(err.Error(), "step 3") {
			t.Fatalf("a weight of %g: error %v", v, err)
		}
		if err := a.Set(name, good[name]); err != nil {
			t.Fatal(err)
		}
		same(t, "after the bad step", good, tensors(t, a))
	}
	b := trainer(t, 1, g, step.Random(1, 0.05, small.layers), step.Options{})
	steps(t, b, 1, 3)
	steps(t, a, 3, 3)
	same(t, "after the next", tensors(t, b), tensors(t, a))
}

// TestFrozen: weights that are not trained may be quantised, and stay.
func TestFrozen(t *testing.T) {
	quantised := quantisedSource{small}
	g := graphOf(t, quantised, limits, 0)
	tr := trainer(t, 2, g, quantised.open(t), step.Options{Train: func(name string) bool { return strings.HasSuffix(name, "norm.weight") }, Rate: step.Constant(0.05)})
	if n := len(tr.Params()); n != 2*small.layers+1 {
		t.Fatalf("%d parameters", n)
	}
	first := steps(t, tr, 1, 1)
	if last := steps(t, tr, 2, 30); last.Loss > first.Loss-0.05 {
		t.Errorf("the loss went from %g to %g", first.Loss, last.Loss)
	}
}

// quantisedSource has the matrices of layers in Q8_0, the embedding in F16.
type quantisedSource struct{ llama }

func (q quantisedSource) TensorType(name string) (dtype.DType, []int, bool) {
	t, shape, ok := q.llama.TensorType(name)
	if len(shape) == 2 {
		t = dtype.F16
		if shape[1]%32 == 0 {
			t = dtype.Q8_0
		}
	}
	return t, shape, ok
}

func (q quantisedSource) open(t testing.TB) step.Open {
	random := step.Random(3, 0.3, 1)
	return func(w backend.WeightSpec) ([]byte, func(), error) {
		typ := w.DType
		w.DType = dtype.F32
		data, release, err := random(w)
		if err != nil || typ == dtype.F32 {
			return data, release, err
		}
		n, _ := dtype.Product(w.Shape)
		x := make([]float32, n)
		if err := dtype.Dequantize(dtype.F32, x, data); err != nil {
			return nil, nil, err
		}
		size, err := typ.RowBytes(n)
		if err != nil {
			return nil, nil, err
		}
		out := make([]byte, size)
		return out, release, dtype.Quantize(typ, out, x)
	}
}

// TestMisuse: one line that says what is wrong.
func TestMisuse(t *testing.T) {
	g := graphOf(t, small, limits, 0)
	tr := trainer(t, 1, g, step.Random(1, 0.05, small.layers), step.Options{})
	good := part(rand.New(rand.NewPCG(1, 1)), small.vocab, 8)
	for _, c := range []struct {
		name  string
		spoil func(p *step.Part)
		want  string
	}{
		{"no tokens", func(p *step.Part) { *p = step.Part{} }, "has no tokens"},
		{"labels", func(p *step.Part) { p.Labels = p.Labels[1:] }, "8 tokens with 7 labels"},
		{"weights", func(p *step.Part) { p.Weights = []float32{1} }, "1 weights"},
		{"lengths", func(p *step.Part) { p.Lengths = []int{3, 4} }, "documents have 7 tokens in all"},
		{"long document", func(p *step.Part) { p.Lengths = []int{9} }, "document 0 has 9 tokens"},
		{"nothing to learn", func(p *step.Part) { p.Labels = []int32{-1, -1, -1, -1, -1, -1, -1, -1} }, "nothing can be learnt"},
		{"token", func(p *step.Part) { p.Tokens = []int32{1, 2, 3, 4, 5, 6, 7, 61} }, "token 7 is 61"},
		{"label", func(p *step.Part) { p.Labels = []int32{1, 2, 3, 4, 5, 6, 7, 61} }, "label 7 is 61"},
		{"long", func(p *step.Part) { *p = part(rand.New(rand.NewPCG(1, 1)), small.vocab, 65) }, "at most 64"},
	} {
		p := good
		c.spoil(&p)
		_, err := tr.Step(t.Context(), p)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want %q in one line", c.name, err, c.want)
		}
	}
	if _, err := tr.Step(t.Context(), good); err != nil {
		t.Errorf("after mistakes: %v", err)
	}
	if _, err := step.New(t.Context(), null.New(null.Options{}), g, step.Random(1, 1, 1), step.Options{Rate: step.Constant(1)}); err == nil || !strings.Contains(err.Error(), "tensor") || strings.Contains(err.Error(), "\n") {
		t.Errorf("a device that keeps no tensors: %v", err)
	}
}

// BenchmarkStep is a step of a model of 2.4 million parameters.
func BenchmarkStep(b *testing.B) {
	l := llama{vocab: 4096, hidden: 192, ffn: 512, layers: 4, heads: 6, kvHeads: 3}
	for _, s := range [][2]int{{1, 64}, {16, 128}} {
		b.Run(fmt.Sprintf("%dx%d", s[0], s[1]), func(b *testing.B) {
			n := s[0] * s[1]
			g := graphOf(b, l, graph.Limits{T: n, S: s[0], R: n}, 0)
			tr := trainer(b, 0, g, step.Random(1, 0.02, l.layers), step.Options{AdamW: grad.AdamW{Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Clip: 1}, Rate: step.Constant(1e-3)})
			rng := rand.New(rand.NewPCG(1, 1))
			p := step.Part{}
			for range n {
				p.Tokens, p.Labels = append(p.Tokens, int32(rng.IntN(l.vocab))), append(p.Labels, int32(rng.IntN(l.vocab)))
			}
			for range s[0] {
				p.Lengths = append(p.Lengths, s[1])
			}
			for b.Loop() {
				if _, err := tr.Step(b.Context(), p); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "tok/s")
			b.ReportMetric(float64(tr.Memory().Step)/(1<<20), "MiB-step")
		})
	}
}
