package graph

import (
	"errors"
	"fmt"

	"github.com/ledge-run/ledge/graph/dtype"
)

// The rules of the losses.

// Labels are the inputs that say what is right.
type Labels struct {
	IDs     *Node // i32 [R]
	Targets *Node // i32 [R K]; nil without soft targets
	Probs   *Node // [R K]; likewise
}

// CrossEntropy sorts the inputs of a cross_entropy node or its gradient by role, but
// for x, which is the first, and the gradient's dy, which is the last.
func (n *Node) CrossEntropy() Labels {
	l, _ := labelsOf(n.Attr.(CrossEntropyAttr), n.In[1:])
	return l
}

// Nodes lists them.
func (l Labels) Nodes() []*Node {
	if l.Targets == nil {
		return []*Node{l.IDs}
	}
	return []*Node{l.IDs, l.Targets, l.Probs}
}

func labelsOf(a CrossEntropyAttr, in []*Node) (Labels, []*Node) {
	if a.Temperature == 0 {
		return Labels{IDs: in[0]}, in[1:]
	}
	return Labels{in[0], in[1], in[2]}, in[3:]
}

// count is how many inputs labels are.
func (a CrossEntropyAttr) count() int {
	if a.Temperature == 0 {
		return 1
	}
	return 3
}

// check asks for numbers that make sense, and labels for rows of a vocabulary.
func (a CrossEntropyAttr) check(l Labels, rows dtype.Dim, vocab int) error {
	if a.Temperature < 0 || a.Mix < 0 || a.Mix > 1 || a.Temperature == 0 && a.Mix != 0 {
		return fmt.Errorf("temperature %g and mix %g: want a positive temperature and a mix from 0 to 1, or neither", a.Temperature, a.Mix)
	}
	if t := l.IDs.Type; !t.Equal(I32(rows)) {
		return fmt.Errorf("labels must be i32[%s], are %s", rows, t)
	}
	if l.Targets == nil {
		return nil
	}
	t, p := l.Targets.Type, l.Probs.Type
	if len(t.Shape) != 2 || !t.Shape[1].IsConst() || !t.Equal(I32(rows, t.Shape[1])) || !p.Equal(F32(t.Shape...)) {
		return fmt.Errorf("targets are %s and their probabilities %s: want i32[%s, K] and f32[%s, K]", t, p, rows, rows)
	}
	if k := t.Shape[1].N; k > vocab {
		return fmt.Errorf("%d targets of a vocabulary of %d", k, vocab)
	}
	return nil
}

func inferCrossEntropy(n *Node, g *Graph) (Type, error) {
	a := n.Attr.(CrossEntropyAttr)
	want := 1 + a.count()
	if n.Op == OpCrossEntropyGrad {
		want++
	}
	if err := arity(n, want, want); err != nil {
		return Type{}, err
	}
	if err := wantF32(n, 0); err != nil {
		return Type{}, err
	}
	x := n.In[0].Type
	if len(x.Shape) != 2 || !x.Shape[1].IsConst() {
		return Type{}, fmt.Errorf("x must be [R V], is %s", x)
	}
	if err := a.check(n.CrossEntropy(), x.Shape[0], x.Shape[1].N); err != nil {
		return Type{}, err
	}
	if n.Op == OpCrossEntropy {
		return F32(x.Shape[0]), nil
	}
	return x, wantVector(n, want-1, x.Shape[0])
}

// LinearLossParts are the inputs of a linear_loss or linear_loss_w node, by role.
type LinearLossParts struct {
	X, W   []*Node // of each term
	Bias   *Node   // nil without
	Labels Labels
	Dy     *Node   // nil where only losses are computed
	Sums   []*Node // of each term, then of the bias; nil where no gradient is added up
}

// maxTerms bounds the products of a loss, for bits of Sums.
const maxTerms = 16

// count is how many products there are.
func (a LinearLossAttr) count() int { return max(1, a.Terms) }

// LinearLoss sorts the inputs by role.
func (n *Node) LinearLoss() LinearLossParts {
	a := n.Attr.(LinearLossAttr)
	var p LinearLossParts
	in := n.In
	for range a.count() {
		p.X, p.W = append(p.X, in[0]), append(p.W, in[1])
		in = in[2:]
	}
	if a.Bias {
		p.Bias, in = in[0], in[1:]
	}
	p.Labels, in = labelsOf(a.Soft, in)
	if len(in) > 0 {
		p.Dy, in = in[0], in[1:]
	}
	p.Sums = make([]*Node, a.count()+1)
	for i := range p.Sums {
		if a.Sums>>i&1 == 1 {
			p.Sums[i], in = in[0], in[1:]
		}
	}
	return p
}

// inputs is how many inputs a node must have: without dy one less.
func (a LinearLossAttr) inputs() int {
	n := 2*a.count() + a.Soft.count() + 1
	if a.Bias {
		n++
	}
	for i := range a.count() + 1 {
		n += a.Sums >> i & 1
	}
	return n
}

func inferLinearLoss(n *Node, g *Graph) (Type, error) {
	a := n.Attr.(LinearLossAttr)
	if a.Terms < 0 || a.Terms > maxTerms || a.Sums < 0 || a.Sums>>(a.count()+1) != 0 || a.Of < 0 || a.Of >= a.count() {
		return Type{}, fmt.Errorf("%d terms, sums %b, of %d: there are at most %d terms", a.Terms, a.Sums, a.Of, maxTerms)
	}
	if !a.Bias && a.Sums>>a.count() != 0 {
		return Type{}, errors.New("the gradient of a bias that is not there")
	}
	least := a.inputs()
	if n.Op == OpLinearLoss && a.Sums == 0 {
		least-- // losses alone
	}
	if err := arity(n, least, a.inputs()); err != nil {
		return Type{}, err
	}
	if n.Op == OpLinearLossW && a.Sums != 0 || n.Op == OpLinearLoss && a.Of != 0 {
		return Type{}, errors.New("either adds gradients up or gives one")
	}
	if a.SoftCap < 0 {
		return Type{}, fmt.Errorf("soft cap %g must not be negative", a.SoftCap)
	}
	p, cols := n.LinearLoss(), 1
	if s := p.X[0].Type.Shape; len(s) != 2 {
		return Type{}, fmt.Errorf("x is %s, want [R D]", s)
	}
	if s := p.W[0].Type.Shape; len(s) != 2 || !s[0].IsConst() {
		return Type{}, fmt.Errorf("the weight is %s, want [V D]", s)
	}
	rows, vocab := p.X[0].Type.Shape[0], p.W[0].Type.Shape[0]
	for i := range p.X {
		x, w := p.X[i].Type, p.W[i].Type
		d := last(x.Shape)
		if !d.IsConst() || !x.Equal(F32(rows, d)) || !w.Shape.Equal(dtype.Shape{vocab, d}) {
			return Type{}, fmt.Errorf("x is %s and the weight %s: want f32[%s, D] and [%s, D]", x, w, rows, vocab)
		}
		if w.DType != dtype.F32 && p.W[i].Op != OpWeight {
			return Type{}, fmt.Errorf("the weight %s is %s: only what is loaded has other types than f32", p.W[i], w)
		}
		if p.Sums[i] != nil {
			if err := isParam(p.Sums[i], Type{dtype.F32, w.Shape}); err != nil {
				return Type{}, err
			}
		}
		if cols += d.N; cols < 0 {
			return Type{}, errors.New("the rows are too long")
		}
	}
	if p.Bias != nil && !p.Bias.Type.Equal(F32(vocab)) {
		return Type{}, fmt.Errorf("the bias is %s, want f32[%s]", p.Bias.Type, vocab)
	}
	if s := p.Sums[a.count()]; s != nil {
		if err := isParam(s, F32(vocab)); err != nil {
			return Type{}, err
		}
	}
	if err := a.Soft.check(p.Labels, rows, vocab.N); err != nil {
		return Type{}, err
	}
	switch {
	case p.Dy == nil:
		return F32(rows), nil
	case !p.Dy.Type.Equal(F32(rows)):
		return Type{}, fmt.Errorf("what rows count must be f32[%s], is %s", rows, p.Dy.Type)
	case n.Op == OpLinearLossW:
		return F32(p.W[a.Of].Type.Shape...), nil
	}
	return F32(rows, dtype.Const(cols)), nil
}
