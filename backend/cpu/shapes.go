package cpu

import (
	"github.com/ledge-run/ledge/backend/cpu/pool"
	"github.com/ledge-run/ledge/graph"
)

// reshape copies only if the plan did not make the result the input's memory.
func (c *compiler) reshape(n *graph.Node) (func(*pool.Worker), error) {
	if c.plan.Slots[n.ID].Alias >= 0 {
		return nil, nil
	}
	e := c.executable
	return func(w *pool.Worker) {
		x, out := e.value(n.In[0]), e.value(n)
		eachChunk(w, len(out), func(lo, hi int) { copy(out[lo:hi], x[lo:hi]) })
	}, nil
}

// around splits a shape at an axis: the elements before it, its size, and
// those after, in the current run.
func (e *executable) around(n *graph.Node, axis int) (outer, size, inner int) {
	s := n.Type.Shape
	return e.Elems(s[:axis]), e.Dim(s[axis]), e.Elems(s[axis+1:])
}

func (c *compiler) slice(n *graph.Node) (func(*pool.Worker), error) {
	e, a := c.executable, n.Attr.(graph.SliceAttr)
	return func(w *pool.Worker) {
		x, out := e.value(n.In[0]), e.value(n)
		outer, size, inner := e.around(n.In[0], a.Axis)
		run := a.Len * inner
		eachRow(w, outer, func(i int) {
			copy(out[i*run:(i+1)*run], x[(i*size+a.Start)*inner:])
		})
	}, nil
}

func (c *compiler) concat(n *graph.Node) (func(*pool.Worker), error) {
	e, axis := c.executable, n.Attr.(graph.AxisAttr).Axis
	return func(w *pool.Worker) {
		out := e.value(n)
		outer, size, inner := e.around(n, axis)
		at := 0
		for _, in := range n.In {
			x := e.value(in)
			run := in.Type.Shape[axis].N * inner
			eachRow(w, outer, func(i int) { copy(out[i*size*inner+at:][:run], x[i*run:(i+1)*run]) })
			at += run
		}
	}, nil
}

func (c *compiler) transpose(n *graph.Node) (func(*pool.Worker), error) {
	e, perm := c.executable, n.Attr.(graph.PermAttr).Perm
	rank := len(perm)
	return func(w *pool.Worker) {
		x, out := e.value(n.In[0]), e.value(n)
		from := make([]int, rank) // stride in x of each dimension of the result
		size := make([]int, rank)
		for i, p := range perm {
			from[i] = e.Elems(n.In[0].Type.Shape[p+1:])
			size[i] = e.Dim(n.Type.Shape[i])
		}
		eachChunk(w, len(out), func(lo, hi int) {
			for o := lo; o < hi; o++ {
				at, rest := 0, o
				for d := rank - 1; d >= 0; d-- {
					at += rest % size[d] * from[d]
					rest /= size[d]
				}
				out[o] = x[at]
			}
		})
	}, nil
}

// matMul is the plain product of two values; models' products with weights are
// linear, which is the fast one.
func (c *compiler) matMul(n *graph.Node) (func(*pool.Worker), error) {
	e := c.executable
	return func(w *pool.Worker) {
		a, b, out := e.value(n.In[0]), e.value(n.In[1]), e.value(n)
		s := n.In[0].Type.Shape
		m, k := e.Dim(s[len(s)-2]), e.Dim(s[len(s)-1])
		cols := e.Dim(n.Type.Shape[len(s)-1])
		if m == 0 || cols == 0 {
			return
		}
		eachRow(w, len(out)/cols, func(i int) {
			row := out[i*cols : (i+1)*cols]
			clear(row)
			bm := b[i/m*k*cols:]
			for j, v := range a[i*k : (i+1)*k] {
				for c, u := range bm[j*cols : (j+1)*cols] {
					row[c] += v * u
				}
			}
		})
	}, nil
}
