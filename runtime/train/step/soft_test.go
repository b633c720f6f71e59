package step

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/graph/grad"
)

// softCase is a loss by soft targets as build/golden/make_soft.py writes it.
type softCase struct {
	Name                  string
	Rows, Size, Vocab, K  int
	Temperature, Mix, Cap float32
	Scale                 float64
	IDs                   []int32
	Probs                 []float32
	Losses                []float64
	X, W                  measured
}

// graph is that of the case: of an embedding's rows, so that x can be trained.
func (c *softCase) graph(t *testing.T) *graph.Graph {
	b := graph.NewBuilder(c.Name, graph.Limits{T: c.Rows, S: 1, R: c.Rows})
	r := dtype.Sym(dtype.R)
	x := b.Embed(b.Weight("x", dtype.F32, c.Rows, c.Size), b.Input("rows", graph.I32(r)))
	y := b.Linear(x, b.Weight("w", dtype.F32, c.Vocab, c.Size))
	if c.Cap != 0 {
		y = b.SoftCap(y, c.Cap)
	}
	k := dtype.Const(c.K)
	b.Output("loss", b.Add(graph.OpCrossEntropy, graph.CrossEntropyAttr{Temperature: c.Temperature, Mix: c.Mix}, y,
		b.Input("labels", graph.I32(r)), b.Input("targets", graph.I32(r, k)), b.Input("target.probs", graph.F32(r, k))))
	g, err := b.Graph()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestSoft: losses by soft targets and their gradients are PyTorch's, with all logits
// at once and in chunks.
func TestSoft(t *testing.T) {
	var golden struct{ Cases []softCase }
	readJSON(t, "testdata/soft.json", &golden)
	dev := openCPU(t, 2)
	for _, c := range golden.Cases {
		for _, chunks := range []bool{false, true} {
			name := c.Name
			if chunks {
				name += "-chunks"
			}
			t.Run(name, func(t *testing.T) {
				g, params, err := grad.Train(c.graph(t), grad.Options{Chunks: chunks})
				if err != nil {
					t.Fatal(err)
				}
				if has := hasOp(g, graph.OpLinearLoss); has != chunks {
					t.Fatalf("a chunked loss: %v\n%s", has, g)
				}
				p := alone(t, dev, g, nil)
				state, err := dev.NewState(backend.StateSpec{Decls: grad.States(params)})
				if err != nil {
					t.Fatal(err)
				}
				defer state.Close()
				tensors := state.(backend.Tensors)
				w := grid(2, c.Vocab*c.Size)
				for i := range w {
					w[i] *= float32(c.Scale)
				}
				for name, x := range map[string][]float32{"x": grid(1, c.Rows*c.Size), "w": w} {
					if err := tensors.WriteTensor(name, x); err != nil {
						t.Fatal(err)
					}
				}
				b := &batch{segments: []backend.Segment{{Rows: c.Rows}}, targets: c.IDs, probs: c.Probs, counts: grid(4, c.Rows)}
				for i := range c.Rows {
					b.rows, b.labels = append(b.rows, int32(i)), append(b.labels, int32(i*5%c.Vocab))
				}
				if err := p.submit(t.Context(), state, b); err != nil {
					t.Fatal(err)
				}
				for i, want := range c.Losses {
					if got := float64(b.losses[i]); !(math.Abs(got-want) <= 1e-6*max(1, want)) {
						t.Errorf("row %d: loss %.9g, PyTorch's is %.9g", i, got, want)
					}
				}
				for name, want := range map[string]measured{"x": c.X, "w": c.W} {
					n := map[string]int{"x": c.Rows, "w": c.Vocab}[name] * c.Size
					x := make([]float32, n)
					if err := tensors.ReadTensor(grad.Param{Name: name}.Grad(), x); err != nil {
						t.Fatal(err)
					}
					if off := want.off(x); !(off <= 1e-5) {
						t.Errorf("the gradient by %s is off by %.2g of its norm %g", name, off, want[0])
					}
				}
			})
		}
	}
}

func hasOp(g *graph.Graph, op graph.Op) bool {
	for _, n := range g.Nodes {
		if n.Op == op {
			return true
		}
	}
	return false
}

// TestHeads: of heads of every kind neither training nor evaluation has all logits,
// and losses are those of all at once.
func TestHeads(t *testing.T) {
	const vocab, size, rows = 6000, 32, 700
	dev := openCPU(t, 2)
	r := dtype.Sym(dtype.R)
	head := func(b *graph.Builder, typ dtype.DType) *graph.Node { return b.Weight("head", typ, vocab, size) }
	for _, c := range []struct {
		name   string
		frozen bool
		logits func(b *graph.Builder, x *graph.Node) *graph.Node
	}{
		{"trained", false, func(b *graph.Builder, x *graph.Node) *graph.Node { return b.Linear(x, head(b, dtype.F32)) }},
		{"frozen", true, func(b *graph.Builder, x *graph.Node) *graph.Node { return b.Linear(x, head(b, dtype.F32)) }},
		{"quantised", true, func(b *graph.Builder, x *graph.Node) *graph.Node { return b.Linear(x, head(b, dtype.Q8_0)) }},
		{"rounded", false, func(b *graph.Builder, x *graph.Node) *graph.Node {
			return b.Linear(x, b.Add(graph.OpFakeQuant, graph.QuantAttr{Type: "q8_0"}, head(b, dtype.F32)))
		}},
		{"merged", false, func(b *graph.Builder, x *graph.Node) *graph.Node {
			delta := b.Add(graph.OpMatMul, nil, b.Weight("head.lora_b", dtype.F32, vocab, 2), b.Weight("head.lora_a", dtype.F32, 2, size))
			return b.Linear(x, b.Add(graph.OpAdd, nil, head(b, dtype.F32), delta))
		}},
		{"adapter", true, func(b *graph.Builder, x *graph.Node) *graph.Node {
			low := b.Linear(b.Linear(x, b.Weight("head.lora_a", dtype.F32, 2, size)), b.Weight("head.lora_b", dtype.F32, vocab, 2))
			y := b.Add(graph.OpAdd, nil, b.Linear(x, head(b, dtype.Q8_0)), b.Scale(low, 0.5))
			return b.Add(graph.OpAdd, nil, y, b.Weight("head.bias", dtype.F32, vocab))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := graph.NewBuilder(c.name, graph.Limits{T: rows, S: 1, R: rows})
			x := b.Embed(b.Weight("embed", dtype.F32, vocab, size), b.Input("tokens", graph.I32(dtype.Sym(dtype.T))))
			x = b.RMSNorm(b.Add(graph.OpGatherRows, nil, x, b.Input("rows", graph.I32(r))), b.Weight("norm", dtype.F32, size), 1e-5)
			b.Output("loss", b.Add(graph.OpCrossEntropy, graph.CrossEntropyAttr{}, c.logits(b, x), b.Input("labels", graph.I32(r))))
			g, err := b.Graph()
			if err != nil {
				t.Fatal(err)
			}
			open := func(w backend.WeightSpec) ([]byte, func(), error) {
				n, _ := dtype.Product(w.Shape)
				x := grid(uint64(len(w.Name)), n)
				if w.DType == dtype.F32 {
					var b bytes.Buffer
					err := binary.Write(&b, binary.LittleEndian, x)
					return b.Bytes(), func() {}, err
				}
				rowBytes, err := w.DType.RowBytes(n)
				if err != nil {
					return nil, nil, err
				}
				data := make([]byte, rowBytes)
				return data, func() {}, dtype.Quantize(w.DType, data, x)
			}
			tr, err := New(t.Context(), dev, g, open, Options{Rate: Constant(0.01), Train: func(name string) bool { return name != "head" || !c.frozen }})
			if err != nil {
				t.Fatal(err)
			}
			defer tr.Close()
			p := Part{}
			for i := range rows {
				p.Tokens, p.Labels = append(p.Tokens, int32(i*7%vocab)), append(p.Labels, int32(i*11%vocab))
			}
			before, err := tr.Loss(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			first, err := tr.Step(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			if d := math.Abs(first.Loss - before); !(d <= 1e-6*before) {
				t.Errorf("evaluation gives %.9g, a step %.9g", before, first.Loss)
			}
			second, err := tr.Step(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			if !(second.Loss < first.Loss) {
				t.Errorf("the loss went from %g to %g", first.Loss, second.Loss)
			}
			m, logits := tr.Memory(), int64(4*vocab*rows)
			if m.Step >= logits || m.Loss >= logits || m.Loss > m.Step {
				t.Errorf("%d bytes of logits; %s", logits, m)
			}
			// The whole: the reference is the graph as it is, with all logits.
			whole, err := grad.Forward(g, grad.Options{Train: tr.o.Train})
			if err != nil {
				t.Fatal(err)
			}
			q := alone(t, dev, whole, open)
			batches, total, err := tr.prepare(q, 0, []Part{p})
			if err != nil {
				t.Fatal(err)
			}
			batches[0].count(total)
			if err := q.submit(t.Context(), tr.state, batches[0]); err != nil {
				t.Fatal(err)
			}
			after, err := tr.Loss(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			if d := math.Abs(batches[0].loss() - after); !(d <= 1e-6*after) {
				t.Errorf("in chunks the loss is %.9g, at once %.9g", after, batches[0].loss())
			}
		})
	}
}
