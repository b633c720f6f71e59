package accel

import (
	"fmt"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/shader"
)

// supports makes a node's calls, for few rows and for many, with operands that
// lie nowhere: what can be lowered so, Compile lowers.
func (d *device) supports(g *graph.Graph, n *graph.Node) error {
	for _, v := range append(n.In[:len(n.In):len(n.In)], n) {
		if v.Op == graph.OpWeight || v.Type.IsZero() {
			continue
		}
		size, err := v.Type.Shape.Bytes(v.Type.DType, g.Max.Binding())
		if err != nil {
			return err
		}
		if size > d.limits.Range {
			return fmt.Errorf("%s has up to %d bytes, a kernel of this device sees %d", v, size, d.limits.Range)
		}
	}
	if r := n.Round(); r != "" {
		return fmt.Errorf("this device does not round operands to %s", r)
	}
	for _, many := range []bool{false, true} {
		if err := d.canLower(g, n, many); err != nil {
			return err
		}
	}
	return nil
}

func (d *device) canLower(g *graph.Graph, n *graph.Node, many bool) error {
	l := &lowering{places: nowhere{d}, graph: g, features: d.limits.Features, max: bindingOf(g, many), many: many}
	calls, err := l.node(n)
	if err != nil {
		return err
	}
	for _, c := range calls {
		if len(c.Params) > 32 {
			return fmt.Errorf("kernel %s would take %d parameters, 32 are allowed", c.Kernel, len(c.Params))
		}
	}
	return nil
}

// bindingOf is the largest sizes of a graph's runs of few or many rows.
func bindingOf(g *graph.Graph, many bool) dtype.Binding {
	b := g.Max.Binding()
	if !many {
		b.T, b.R = min(b.T, shader.Few), min(b.R, shader.Few)
	}
	return b
}

// nowhere gives operands places that mean nothing.
type nowhere struct{ *device }

func (nowhere) value(*graph.Node) uint32                                 { return 0 }
func (nowhere) vector(*graph.Node) uint32                                { return 0 }
func (nowhere) ids(*graph.Node) uint32                                   { return shader.RunHeader }
func (nowhere) rowTable() uint32                                         { return shader.RunHeader }
func (nowhere) angles(a graph.RopeAttr, pos, factors *graph.Node) uint32 { return shader.RunHeader }
func (nowhere) layer(string) int                                         { return 0 }
func (nowhere) scratch(int) uint32                                       { return 0 }
func (nowhere) folded(*graph.Node) *graph.Node                           { return nil }

// pieces cuts a matrix as loading it alone would.
func (p nowhere) pieces(n *graph.Node) []shader.Piece {
	s := n.Type.Shape
	w := weight{spec: backend.WeightSpec{DType: n.Type.DType, Shape: []int{s[0].N, s[1].N}}}
	if _, err := w.place(p.limits.Features, nil, p.limits.Range/4); err != nil {
		return nil
	}
	return w.pieces
}
