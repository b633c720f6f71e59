package step

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/cpu"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/graph/grad"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/engine/goldentest"
	"github.com/ledge-run/ledge/runtime/model"
)

// measured is a tensor as build/golden/make_gradients.py writes it: its norm, and
// products with vectors of signs.
type measured []float64

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// stream is value i of the stream of a seed.
func stream(seed uint64, i int) uint64 { return mix(mix(seed) + uint64(i+1)*0x9e3779b97f4a7c15) }

// grid makes n values from -1 to 1 that float32 holds exactly.
func grid(seed uint64, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32((float64(stream(seed, i)>>40) - 1<<23) / (1 << 23))
	}
	return x
}

// off estimates the norm of the difference between x and what was measured, relative
// to the latter's. A product of the difference with random signs has the difference's
// norm as its deviation, so that the mean of their squares is its square.
func (m measured) off(x []float32) float64 {
	sum := 0.0
	for k, want := range m[1:] {
		product := 0.0
		for i, v := range x {
			if stream(uint64(k), i)&1 == 1 {
				product -= float64(v)
			} else {
				product += float64(v)
			}
		}
		sum += (product - want) * (product - want) / float64(len(m)-1)
	}
	return math.Sqrt(sum) / m[0]
}

func readJSON(t *testing.T, path string, to any) {
	t.Helper()
	var data []byte
	var err error
	if dir, name := filepath.Split(path); filepath.Ext(name) == ".gz" {
		data = goldentest.Bytes(t, dir, name)
	} else if data, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, to); err != nil {
		t.Fatal(err)
	}
}

const models = "../../model/testdata"

// sequences are the golden models' tokens, by model and length.
func sequences(t *testing.T) map[string]map[int][]int32 {
	t.Helper()
	var manifest struct {
		Models []struct {
			Name      string
			Sequences []struct{ Tokens []int32 }
		}
	}
	readJSON(t, filepath.Join(models, "manifest.json"), &manifest)
	all := map[string]map[int][]int32{}
	for _, m := range manifest.Models {
		all[m.Name] = map[int][]int32{}
		for _, s := range m.Sequences {
			all[m.Name][len(s.Tokens)] = s.Tokens
		}
	}
	return all
}

// openCPU opens the processor; it is closed when the test ends.
func openCPU(t *testing.T, threads int) backend.Device {
	t.Helper()
	dev, err := cpu.Open(backend.Options{Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dev.Close(); err != nil {
			t.Error(err)
		}
	})
	return dev
}

// TestGradients: of every golden model the loss and every parameter's gradient are
// PyTorch's, to 1e-5 of their norm. In models of 46 and 62 layers rounding adds up
// (PyTorch norms and takes softmax in float32, too): there it is 3e-5.
func TestGradients(t *testing.T) {
	var golden struct {
		Models []struct {
			Name      string
			Context   int
			Lengths   []int
			Loss      float64
			Gradients map[string]measured
		}
	}
	readJSON(t, "testdata/gradients.json.gz", &golden)
	tokens := sequences(t)
	dev := openCPU(t, 2)
	for i, m := range golden.Models {
		t.Run(m.Name, func(t *testing.T) {
			f := goldentest.Parse(t, models, m.Name+".gguf.gz")
			net, err := engine.Network(f)
			if err != nil {
				t.Fatal(err)
			}
			p := partOf(tokens[m.Name], m.Lengths)
			n := len(p.Tokens)
			g, err := net.Decoder(model.Options{Max: graph.Limits{T: n, S: len(m.Lengths), R: n}, Context: m.Context, Train: &model.Train{}})
			if err != nil {
				t.Fatal(err)
			}
			most := 1e-5
			if net.Info().Layers > 20 {
				most = 3e-5
			}
			againstPyTorch(t, dev, g, FromFile(f), Options{Rate: Constant(1), Recompute: i%2 == 1}, p, m.Loss, m.Gradients, most)
		})
	}
}

// partOf is some of a model's sequences, one after another.
func partOf(sequences map[int][]int32, lengths []int) Part {
	p := Part{Lengths: lengths}
	for _, n := range lengths {
		s := sequences[n]
		p.Tokens = append(p.Tokens, s...)
		p.Labels = append(append(p.Labels, s[1:]...), -1)
	}
	return p
}

// againstPyTorch runs a graph forward and backward: its loss and every parameter's
// gradient are those given, these to a part of their norm.
func againstPyTorch(t *testing.T, dev backend.Device, g *graph.Graph, open Open, o Options, p Part, loss float64, gradients map[string]measured, most float64) {
	t.Helper()
	tr, err := New(t.Context(), dev, g, open, o)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	batches, total, err := tr.prepare(tr.run, 1, []Part{p})
	if err != nil {
		t.Fatal(err)
	}
	batches[0].count(total)
	if err := tr.run.submit(t.Context(), tr.state, batches[0]); err != nil {
		t.Fatal(err)
	}
	off := math.Abs(batches[0].loss()/loss - 1)
	if !(off < 1e-6) {
		t.Errorf("the loss is %.9g, PyTorch's %.9g", batches[0].loss(), loss)
	}
	if len(tr.Params()) != len(gradients) {
		t.Errorf("%d parameters, PyTorch has %d", len(tr.Params()), len(gradients))
	}
	worst, where := 0.0, ""
	for _, q := range tr.Params() {
		want, ok := gradients[q.Name]
		if !ok {
			t.Errorf("PyTorch has no parameter %q", q.Name)
			continue
		}
		x := make([]float32, q.Elems())
		if err := tr.Get(q.Grad(), x); err != nil {
			t.Fatal(err)
		}
		off := want.off(x)
		if !(off <= most) {
			t.Errorf("the gradient of %s is off by %.2g of its norm %g", q.Name, off, want[0])
		}
		if off > worst {
			worst, where = off, q.Name
		}
	}
	t.Logf("loss off by %.1e, gradients by at most %.1e (%s)", off, worst, where)
}

// alone is a graph on the device with weights of its own, until the test ends.
func alone(t *testing.T, dev backend.Device, g *graph.Graph, open Open) *program {
	t.Helper()
	g, err := lower(dev, g)
	if err != nil {
		t.Fatal(err)
	}
	weights, err := load(t.Context(), dev, open, g)
	if err != nil {
		t.Fatal(err)
	}
	p, err := compile(t.Context(), dev, g, weights)
	if err != nil {
		t.Fatalf("%v\n%s", err, g)
	}
	t.Cleanup(func() {
		if err := errors.Join(p.close(), weights.Close()); err != nil {
			t.Error(err)
		}
	})
	return p
}

// runs compiles a graph and runs it once; weights and inputs are given by name.
func runs(t *testing.T, dev backend.Device, g *graph.Graph, rows int, values map[string][]float32) map[string][]float32 {
	t.Helper()
	open := func(w backend.WeightSpec) ([]byte, func(), error) {
		var b bytes.Buffer
		err := binary.Write(&b, binary.LittleEndian, values[w.Name])
		return b.Bytes(), func() {}, err
	}
	p := alone(t, dev, g, open)
	a := &backend.Args{Segments: []backend.Segment{{Rows: rows}}, Seqs: 1}
	for _, in := range p.graph.Inputs() {
		a.Inputs = append(a.Inputs, backend.Tensor{F32: values[in.Name]})
	}
	out := map[string][]float32{}
	for _, o := range p.graph.Outputs {
		n, _ := o.Node.Type.Shape.NumElems(dtype.Binding{T: rows})
		out[o.Name] = make([]float32, n)
		a.Outputs = append(a.Outputs, backend.Output{F32: out[o.Name]})
	}
	if err := p.start(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestAttention: attention and multi-head attention are PyTorch's
// scaled_dot_product_attention and nn.MultiheadAttention, forward and gradients.
func TestAttention(t *testing.T) {
	var golden struct {
		Attention []struct {
			Name                            string
			Rows, Heads, Groups, Key, Value int
			Causal                          bool
			Y, Q, K, V                      measured
		}
		Multihead []struct {
			Name              string
			Rows, Size, Heads int
			Causal            bool
			Y, X              measured
			Gradients         map[string]measured
		}
	}
	readJSON(t, "testdata/attention.json", &golden)
	dev := openCPU(t, 2)
	check := func(t *testing.T, out map[string][]float32, want map[string]measured) {
		t.Helper()
		for name, w := range want {
			// The only key of a row of one has the gradient 0.
			if off := w.off(out[name]); !(off <= 1e-5) && !(w[0] == 0 && norm(out[name]) < 1e-7) {
				t.Errorf("%s is off by %.2g of its norm %g", name, off, w[0])
			}
		}
	}
	rows, c := dtype.Sym(dtype.T), dtype.Const
	attend := func(b *graph.Builder, q, k, v *graph.Node, key int, causal bool) *graph.Node {
		a := graph.SelfAttentionAttr{Scale: float32(1 / math.Sqrt(float64(key))), Mask: graph.Bidirectional}
		if causal {
			a.Mask = graph.Causal
		}
		return b.Add(graph.OpSelfAttention, a, q, k, v)
	}
	for _, m := range golden.Attention {
		t.Run("attention/"+m.Name, func(t *testing.T) {
			b := graph.NewBuilder(m.Name, graph.Limits{T: m.Rows, S: 1})
			q := b.Input("q", graph.F32(rows, c(m.Heads), c(m.Key)))
			k, v := b.Input("k", graph.F32(rows, c(m.Groups), c(m.Key))), b.Input("v", graph.F32(rows, c(m.Groups), c(m.Value)))
			b.Output("y", attend(b, q, k, v, m.Key, m.Causal))
			out := runs(t, dev, differentiated(t, b, "q", "k", "v"), m.Rows, map[string][]float32{
				"q": grid(1, m.Rows*m.Heads*m.Key), "k": grid(2, m.Rows*m.Groups*m.Key), "v": grid(3, m.Rows*m.Groups*m.Value), "y.grad": grid(4, m.Rows*m.Heads*m.Value),
			})
			check(t, out, map[string]measured{"y": m.Y, "d.q": m.Q, "d.k": m.K, "d.v": m.V})
		})
	}
	for _, m := range golden.Multihead {
		t.Run("multihead/"+m.Name, func(t *testing.T) {
			b := graph.NewBuilder(m.Name, graph.Limits{T: m.Rows, S: 1})
			values := map[string][]float32{"x": grid(1, m.Rows*m.Size), "y.grad": grid(4, m.Rows*m.Size)}
			weight := func(name string, seed uint64, shape ...int) *graph.Node {
				n, _ := dtype.Product(shape)
				values[name] = grid(seed, n)
				return b.Weight(name, dtype.F32, shape...)
			}
			x := b.Input("x", graph.F32(rows, c(m.Size)))
			qkv := b.Add(graph.OpAdd, nil, b.Linear(x, weight("in_proj_weight", 11, 3*m.Size, m.Size)), weight("in_proj_bias", 12, 3*m.Size))
			head := m.Size / m.Heads
			part := func(i int) *graph.Node {
				return b.Reshape(b.Slice(qkv, 1, i*m.Size, m.Size), rows, c(m.Heads), c(head))
			}
			a := b.Reshape(attend(b, part(0), part(1), part(2), head, m.Causal), rows, c(m.Size))
			b.Output("y", b.Add(graph.OpAdd, nil, b.Linear(a, weight("out_proj.weight", 13, m.Size, m.Size)), weight("out_proj.bias", 14, m.Size)))
			want := map[string]measured{"y": m.Y, "d.x": m.X}
			by := []string{"x"}
			for name, g := range m.Gradients {
				want["d."+name] = g
				by = append(by, name)
			}
			check(t, runs(t, dev, differentiated(t, b, by...), m.Rows, values), want)
		})
	}
}

func norm(x []float32) float64 {
	sum := 0.0
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum)
}

func differentiated(t *testing.T, b *graph.Builder, by ...string) *graph.Graph {
	t.Helper()
	g, err := b.Graph()
	if err == nil {
		g, err = grad.Of(g, "y", by...)
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}
