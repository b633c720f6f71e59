// Package bind finds the sizes of a run and checks its arguments against the
// graph, so that every device refuses the same things in the same words.
package bind

import (
	"fmt"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
)

// MaxPosition bounds positions: beyond it float32 angles mean nothing.
const MaxPosition = 1 << 24

// Row says where a row of the batch belongs.
type Row struct {
	Segment int
	Slot    int // position in its sequence's cache
}

// Run is a graph and what is known of its current run.
type Run struct {
	Graph  *graph.Graph
	Inputs []*graph.Node

	Args *backend.Args
	Size dtype.Binding
	Rows []Row // of the batch, in order

	index   []int // by node ID: the number of an input
	indices []indices
}

// New prepares for runs of g.
func New(g *graph.Graph) *Run {
	r := &Run{Graph: g, Inputs: g.Inputs(), Rows: make([]Row, 0, g.Max.T), index: make([]int, len(g.Nodes))}
	for i, n := range r.Inputs {
		r.index[n.ID] = i
	}
	for _, n := range g.Nodes {
		r.indices = append(r.indices, indicesOf(n)...)
	}
	return r
}

// Bind finds the run's sizes and checks all of a but its state and the pages of
// its segments: see [Run.CheckSegments]. It allocates nothing.
func (r *Run) Bind(a *backend.Args) error {
	r.Args = a
	if len(a.Inputs) != len(r.Inputs) {
		return fmt.Errorf("%d inputs given, the graph has %d", len(a.Inputs), len(r.Inputs))
	}
	if len(a.Outputs) != len(r.Graph.Outputs) {
		return fmt.Errorf("room for %d outputs given, the graph has %d", len(a.Outputs), len(r.Graph.Outputs))
	}
	r.Size = dtype.Binding{T: -1, S: a.Seqs, R: -1}
	for i, n := range r.Inputs {
		in := a.Inputs[i]
		if n.Type.DType == dtype.I32 && len(n.Type.Shape) == 1 {
			r.setSym(n.Type.Shape[0].Sym, len(in.I32))
		}
	}
	r.Rows = r.Rows[:0]
	for s, seg := range a.Segments {
		if seg.Rows < 0 || seg.Rows > r.Graph.Max.T-len(r.Rows) {
			return fmt.Errorf("segment %d: %d rows after %d others; compiled for at most %d", s, seg.Rows, len(r.Rows), r.Graph.Max.T)
		}
		for i := range seg.Rows {
			r.Rows = append(r.Rows, Row{s, seg.Start + i})
		}
		r.Size.P = max(r.Size.P, len(seg.Pages))
	}
	if len(a.Segments) > 0 {
		r.setSym(dtype.T, len(r.Rows))
	}
	for i, n := range r.Inputs {
		if err := r.bindFloats(n, a.Inputs[i]); err != nil {
			return fmt.Errorf("input %q: %w", n.Name, err)
		}
	}
	r.Size.T, r.Size.R = max(r.Size.T, 0), max(r.Size.R, 0)
	limit := r.Graph.Max
	if r.Size.T > limit.T || r.Size.S > limit.S || r.Size.R > limit.R || r.Size.P > limit.P {
		return fmt.Errorf("a batch of %d rows, %d sequences, %d rows out, %d pages; compiled for at most %d, %d, %d, %d",
			r.Size.T, r.Size.S, r.Size.R, r.Size.P, limit.T, limit.S, limit.R, limit.P)
	}
	for i, n := range r.Inputs {
		want := r.Elems(n.Type.Shape)
		have := len(a.Inputs[i].F32)
		if n.Type.DType == dtype.I32 {
			have = len(a.Inputs[i].I32)
		}
		if have != want {
			return fmt.Errorf("input %q has %d elements, want %d", n.Name, have, want)
		}
	}
	if err := r.checkIndices(); err != nil {
		return err
	}
	return r.checkOutputs()
}

func (r *Run) setSym(s dtype.Symbol, n int) {
	switch s {
	case dtype.T:
		r.Size.T = n
	case dtype.R:
		r.Size.R = n
	}
}

// bindFloats takes a symbol's size from a float input if nothing else gave it:
// a part that begins in the middle of a model has no tokens.
func (r *Run) bindFloats(n *graph.Node, in backend.Tensor) error {
	if n.Type.DType != dtype.F32 || len(n.Type.Shape) == 0 {
		return nil
	}
	row := 1
	for _, d := range n.Type.Shape[1:] {
		if !d.IsConst() {
			return nil
		}
		row *= d.N
	}
	sym := n.Type.Shape[0].Sym
	if row == 0 || len(in.F32)%row != 0 {
		return fmt.Errorf("%d elements are no whole rows of %d", len(in.F32), row)
	}
	if sym == dtype.T && r.Size.T < 0 || sym == dtype.R && r.Size.R < 0 {
		r.setSym(sym, len(in.F32)/row)
	}
	return nil
}

// Dim is a dimension's size in the current run.
func (r *Run) Dim(d dtype.Dim) int {
	switch d.Sym {
	case dtype.T:
		return r.Size.T
	case dtype.S:
		return r.Size.S
	case dtype.R:
		return r.Size.R
	case dtype.P:
		return r.Size.P
	}
	return d.N
}

// Cols is the size of n's last dimension in the current run.
func (r *Run) Cols(n *graph.Node) int { return r.Dim(n.Type.Shape[len(n.Type.Shape)-1]) }

// Elems is the number of elements of a shape in the current run.
func (r *Run) Elems(s dtype.Shape) int {
	n := 1
	for _, d := range s {
		n *= r.Dim(d)
	}
	return n
}

// RowsOf is the number of rows of n in the current run: all dimensions but the
// last.
func (r *Run) RowsOf(n *graph.Node) int {
	s := n.Type.Shape
	if len(s) == 0 {
		return 1
	}
	return r.Elems(s[:len(s)-1])
}

// Input is the number of an input among the graph's.
func (r *Run) Input(n *graph.Node) int { return r.index[n.ID] }

// Ints gives an int32 input.
func (r *Run) Ints(n *graph.Node) []int32 { return r.Args.Inputs[r.index[n.ID]].I32 }

// Floats gives a float32 input.
func (r *Run) Floats(n *graph.Node) []float32 { return r.Args.Inputs[r.index[n.ID]].F32 }
