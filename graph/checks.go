package graph

import (
	"fmt"

	"github.com/ledge-run/ledge/graph/dtype"
)

// What the rules of several operations ask for.

func arity(n *Node, least, most int) error {
	if len(n.In) < least || len(n.In) > most {
		if least == most {
			return fmt.Errorf("takes %d inputs, has %d", least, len(n.In))
		}
		return fmt.Errorf("takes %d to %d inputs, has %d", least, most, len(n.In))
	}
	return nil
}

// wantF32 asks that inputs are float32 values. A weight of another type may be
// read only by embed and the products.
func wantF32(n *Node, idx ...int) error {
	for _, i := range idx {
		if t := n.In[i].Type; t.DType != dtype.F32 {
			return fmt.Errorf("input %d must be f32, is %s (%s)", i, t, n.In[i])
		}
	}
	return nil
}

// Round is the type that operands of the products that n is made of are rounded to,
// or empty.
func (n *Node) Round() string {
	switch a := n.Attr.(type) {
	case ProductAttr:
		return a.Round
	case LinearLossAttr:
		return a.Round
	}
	return ""
}

// checkRound asks that rounding is one that there is, and of values: how a loaded
// weight is read is the device's choice.
func (n *Node) checkRound() error {
	switch r := n.Round(); {
	case r == "":
	case r != dtype.BF16.String():
		return fmt.Errorf("operands cannot be rounded to %q: want %s", r, dtype.BF16)
	case n.Op == OpLinear && len(n.In) == 2 && n.In[1].Op == OpWeight:
		return fmt.Errorf("a loaded weight (%s) cannot be rounded", n.In[1])
	}
	return nil
}

func wantVector(n *Node, i int, d dtype.Dim) error {
	if t := n.In[i].Type; !t.Equal(F32(d)) {
		return fmt.Errorf("input %d must be f32[%s], is %s (%s)", i, d, t, n.In[i])
	}
	return nil
}

func wantPositions(n *Node, i int, rows dtype.Dim) error {
	if t := n.In[i].Type; !t.Equal(I32(rows)) {
		return fmt.Errorf("positions must be i32[%s], are %s", rows, t)
	}
	return nil
}

func kvState(g *Graph, name string) (StateDecl, error) {
	s, ok := g.State(name)
	if !ok {
		return s, fmt.Errorf("state %q is not declared", name)
	}
	if s.Kind == Fixed || s.Kind == Tensor {
		return s, fmt.Errorf("state %q is %s, keys and values need %s or %s", name, s.Kind, Paged, Ring)
	}
	return s, nil
}

// State is the name of the state that n reads or writes, or "".
func (n *Node) State() string {
	switch a := n.Attr.(type) {
	case StateAttr:
		return a.State
	case AttentionAttr:
		return a.State
	case RopeCacheAttr:
		return a.State
	case ParamAttr:
		return a.State
	}
	return ""
}

// Writes are the names of the states that n writes.
func (n *Node) Writes() []string {
	switch n.Op {
	case OpCacheWrite, OpRopeCache:
		return []string{n.State()}
	case OpAccumulate, OpAccumulateOuter, OpAccumulateRows:
		return []string{n.In[0].State()}
	case OpLinearLoss:
		var states []string
		for _, s := range n.LinearLoss().Sums {
			if s != nil {
				states = append(states, s.State())
			}
		}
		return states
	case OpAdamW:
		return []string{n.In[0].State(), n.In[1].State(), n.In[2].State(), n.In[3].State()}
	}
	return nil
}

func positive(what string, v float32) error {
	if !(v > 0) {
		return fmt.Errorf("%s must be positive, is %g", what, v)
	}
	return nil
}

func last(s dtype.Shape) dtype.Dim { return s[len(s)-1] }

// with is s with one dimension replaced.
func with(s dtype.Shape, i int, d dtype.Dim) dtype.Shape {
	out := append(dtype.Shape(nil), s...)
	out[i] = d
	return out
}

// split separates a shape into its symbols, in order, and the product of its constants.
func split(s dtype.Shape) (syms []dtype.Dim, n int) {
	n = 1
	for _, d := range s {
		if d.IsConst() {
			n *= d.N
		} else {
			syms = append(syms, d)
		}
	}
	return syms, n
}
