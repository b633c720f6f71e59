package block

import (
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/model"
	"github.com/ledge-run/ledge/runtime/weights/lora"
)

// What may be done to a model's matrices where they are read, for every
// architecture: rounding in training, and low-rank adapters.

// matrix is the weight of this name [rows, cols], rounded if it is trained so.
func (d *Decoder) matrix(name string, rows, cols int) *graph.Node {
	w := d.Tensor(name, rows, cols)
	if d.opts.Train == nil || d.opts.Train.Round == nil {
		return w
	}
	to, ok := d.opts.Train.Round(name)
	if !ok {
		return w
	}
	if r := d.rounded[name]; r != nil {
		return r
	}
	switch {
	case w.Type.DType != dtype.F32:
		d.Fail("tensor %q has type %s: only weights in f32 can be trained rounded, here to %s", name, w.Type.DType, to)
	case cols%to.BlockLen() != 0:
		d.Fail("tensor %q cannot be trained rounded to %s: its rows of %d values are no whole blocks of %d", name, to, cols, to.BlockLen())
	}
	r := d.Label("%s", name).Add(graph.OpFakeQuant, graph.QuantAttr{Type: to.String()}, w)
	if d.rounded == nil {
		d.rounded = map[string]*graph.Node{}
	}
	d.rounded[name] = r
	return r
}

// adapter is that of a weight, with its tensors' types filled in.
func (d *Decoder) adapter(weight string) (a model.Adapter, ok bool) {
	if d.opts.Adapters == nil {
		return a, false
	}
	if a, ok = d.opts.Adapters(weight); !ok {
		return a, false
	}
	if a.Rank < 1 {
		d.Fail("the adapter of %q has rank %d: want at least 1", weight, a.Rank)
		a.Rank = 1
	}
	for _, t := range []*dtype.DType{&a.A, &a.B} {
		if *t == dtype.Invalid {
			*t = dtype.F32
		}
	}
	return a, true
}

// adapted adds scale B low to y, low being what lora_a gives. The scale is a node of
// its own, which fusing takes into the product; a scale of 1 needs none.
func (d *Decoder) adapted(y, low *graph.Node, weight string, a model.Adapter, out int) *graph.Node {
	up := d.Label("%s", weight+lora.SuffixB).Linear(low, d.Weight(weight+lora.SuffixB, a.B, out, a.Rank))
	if a.Scale != 1 {
		up = d.Scale(up, a.Scale)
	}
	return d.Add(graph.OpAdd, nil, y, up)
}
