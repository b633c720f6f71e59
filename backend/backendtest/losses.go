package backendtest

import (
	"fmt"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
)

// labelsOf are the inputs of a loss that say what is right, with k targets if there is
// a temperature.
func labelsOf(b *graph.Builder, a graph.CrossEntropyAttr, k int) []*graph.Node {
	labels := b.Input("labels", graph.I32(T))
	if a.Temperature == 0 {
		return []*graph.Node{labels}
	}
	// Together less than 1, as a softmax without its last element.
	probs := b.Slice(b.Add(graph.OpSoftmax, nil, b.Scale(b.Input("probs", graph.F32(T, C(k+1))), 2)), 1, 0, k)
	return []*graph.Node{labels, b.Input("targets", graph.I32(T, C(k))), probs}
}

// lossCases are the losses: of logits, and of what logits are made of.
func lossCases() []opCase {
	var all []opCase
	add := func(c opCase, bound float64) {
		c.bound = bound
		all = append(all, c)
	}
	soft := []graph.CrossEntropyAttr{{}, {Temperature: 1, Mix: 0}, {Temperature: 2.5, Mix: 0.25}, {Temperature: 0.5, Mix: 1}}
	for _, d := range []int{2, 15, 16, 17, 64, 127, 257} {
		for i, a := range soft {
			name, k := fmt.Sprintf("%d-%d", d, i), min(d, 1+d/4)
			if d == 15 {
				k = d // no rest
			}
			add(one(graph.OpCrossEntropy, name, fewRows, func(b *graph.Builder) *graph.Node {
				x := b.Scale(b.Input("x", graph.F32(T, C(d))), 3)
				return b.Add(graph.OpCrossEntropy, a, append([]*graph.Node{x}, labelsOf(b, a, k)...)...)
			}), 1e-10)
			add(one(graph.OpCrossEntropyGrad, name, fewRows, func(b *graph.Builder) *graph.Node {
				x := b.Scale(b.Input("x", graph.F32(T, C(d))), 3)
				in := append([]*graph.Node{x}, labelsOf(b, a, k)...)
				return b.Add(graph.OpCrossEntropyGrad, a, append(in, b.Input("dy", graph.F32(T)))...)
			}), 1e-9)
		}
	}
	for _, s := range [][2]int{{2, 3}, {77, 20}, {9000, 5}} {
		rows := []int{1, 130, 300}
		if s[0] > 1000 {
			rows = []int{130} // of so many logits a chunk is fewer rows
		}
		v, d := s[0], s[1]
		head := func(b *graph.Builder, a graph.LinearLossAttr) []*graph.Node {
			in := []*graph.Node{b.Input("x", graph.F32(T, C(d))), b.Input("w", graph.F32(C(v), C(d)))}
			if a.Terms > 1 {
				in = append(in, b.Input("x2", graph.F32(T, C(2))), b.Input("w2", graph.F32(C(v), C(2))))
			}
			if a.Bias {
				in = append(in, b.Input("bias", graph.F32(C(v))))
			}
			return append(in, labelsOf(b, a.Soft, min(v, 9))...)
		}
		for i, a := range []graph.LinearLossAttr{
			{}, {SoftCap: 2}, {Bias: true}, {Terms: 2, Bias: true, SoftCap: 3}, {Soft: soft[2]}, {Terms: 2, SoftCap: 2, Soft: soft[1]},
			{Round: dtype.BF16.String()}, {Terms: 2, Bias: true, Round: dtype.BF16.String()},
		} {
			name, bound := fmt.Sprintf("%dx%d-%d", v, d, i), 1e-9
			if a.Round != "" {
				bound = 1e-6 // a gradient of the logits may be rounded to the other neighbour
			}
			add(one(graph.OpLinearLoss, name, rows, func(b *graph.Builder) *graph.Node {
				return b.Add(graph.OpLinearLoss, a, append(head(b, a), b.Input("dy", graph.F32(T)))...)
			}), bound)
			add(one(graph.OpLinearLoss, "alone-"+name, rows, func(b *graph.Builder) *graph.Node {
				return b.Add(graph.OpLinearLoss, a, head(b, a)...)
			}), bound)
			add(one(graph.OpLinearLossW, name, rows, func(b *graph.Builder) *graph.Node {
				a := a
				a.Of = max(0, a.Terms-1)
				return b.Add(graph.OpLinearLossW, a, append(head(b, a), b.Input("dy", graph.F32(T)))...)
			}), bound)
		}
	}
	// Matrices that are not trained stay as they are.
	for _, typ := range []dtype.DType{dtype.F32, dtype.F16, dtype.Q8_0, dtype.Q4_0, dtype.Q6_K} {
		bound := formatBound("")
		if typ.Quantized() {
			bound = formatBound("q8") // of activations
		}
		add(one(graph.OpLinearLoss, "frozen-"+typ.String(), []int{1, 17, 300}, func(b *graph.Builder) *graph.Node {
			x := b.Input("x", graph.F32(T, C(256)))
			in := []*graph.Node{b.Scale(x, 0.1), b.Weight("w", typ, 1050, 256), x, b.Weight("w2", typ, 1050, 256)}
			return b.Add(graph.OpLinearLoss, graph.LinearLossAttr{Terms: 2}, append(in, b.Input("labels", graph.I32(T)), b.Input("dy", graph.F32(T)))...)
		}), bound)
	}
	return all
}

// testLabels gives labels and targets that are none of 9 classes: kernels index by them.
func testLabels(t *testing.T, dev backend.Device) {
	for _, op := range []graph.Op{graph.OpCrossEntropy, graph.OpCrossEntropyGrad} {
		for _, a := range []graph.CrossEntropyAttr{{}, {Temperature: 1, Mix: 0.5}} {
			t.Run(fmt.Sprintf("labels/%v/%g", op, a.Temperature), func(t *testing.T) {
				b := graph.NewBuilder("labels", graph.Limits{T: 4, R: 4})
				in := append([]*graph.Node{b.Input("x", graph.F32(T, C(9)))}, labelsOf(b, a, 2)...)
				if op == graph.OpCrossEntropyGrad {
					in = append(in, b.Input("dy", graph.F32(T)))
				}
				b.Output("y", b.Add(op, a, in...))
				g, err := b.Graph()
				if err != nil {
					t.Fatal(err)
				}
				if why := unsupported(dev, g); why != "" {
					t.Skip(why)
				}
				m := compile(t, dev, g, nil, false)
				for i, x := range g.Inputs() {
					for _, label := range []int32{-2, -1, 8, 9, 1 << 30} {
						args := args(g, prompt(3), nil)
						if ids := args.Inputs[i].I32; ids != nil {
							ids[2] = label
							if err := m.submit(args); (err == nil) != (label == -1 || label == 8) {
								t.Errorf("%s %d of 9: %v", x.Name, label, err)
							}
						}
					}
				}
			})
		}
	}
}
