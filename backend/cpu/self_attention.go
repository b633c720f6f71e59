package cpu

import (
	"github.com/ledge-run/ledge/backend/cpu/pool"
	"github.com/ledge-run/ledge/graph"
	kernels "github.com/ledge-run/ledge/kernels/cpu"
)

// attendRows is how many queries of a head are scored at once: enough for products
// to be fast, few enough that scores stay in cache and little of a causal square is
// computed in vain.
const attendRows = 96

// selfAttention is attention within the segments of a batch, compiled.
type selfAttention struct {
	*executable
	graph.SelfAttentionAttr
	node                      *graph.Node
	heads, groups, key, value int
}

func (c *compiler) newSelfAttention(n *graph.Node, buffers int) *selfAttention {
	q, v := n.In[0].Type.Shape, n.In[2].Type.Shape
	c.buffers = max(c.buffers, buffers)
	c.train.gemm = true
	return &selfAttention{c.executable, n.Attr.(graph.SelfAttentionAttr), n, q[1].N, v[1].N, q[2].N, v[2].N}
}

// prepareSelfAttention makes room for the scores of the longest segment.
func (e *executable) prepareSelfAttention() {
	longest := 0
	for _, s := range e.Args.Segments {
		longest = max(longest, s.Rows)
	}
	for _, l := range e.workers {
		l.train.scores = grow(l.train.scores, e.buffers*attendRows*longest)
	}
}

// each calls do with a segment's first row and rows, for each unit of a segment and
// one of so many parts of the heads; workers take units as they come.
func (a *selfAttention) each(w *pool.Worker, parts int, do func(first, rows, part int)) {
	segs := a.Args.Segments
	for u := w.Next(len(segs) * parts); u >= 0; u = w.Next(len(segs) * parts) {
		first := 0
		for _, s := range segs[:u/parts] {
			first += s.Rows
		}
		if rows := segs[u/parts].Rows; rows > 0 {
			do(first, rows, u%parts)
		}
	}
}

// visible is the range of rows that row i of n sees.
func (a *selfAttention) visible(i, n int) (lo, hi int) {
	lo, hi = 0, n
	if a.Mask == graph.Causal {
		hi = i + 1
	}
	if a.Window > 0 {
		lo, hi = max(lo, i-a.Window+1), min(hi, i+a.Window)
	}
	return lo, hi
}

// head is one head's vectors in a value with rows of ld elements.
func head(x []float32, first, ld, at int) kernels.Operand {
	return kernels.Operand{F32: x[first*ld+at:], LD: ld}
}

func turned(o kernels.Operand) kernels.Operand { o.T = true; return o }

// scores computes a head's scores of rows [i0, i1) with rows [j0, j1), capped if that
// is asked for.
func (a *selfAttention) scores(s []float32, q, k kernels.Operand, i0, i1, j0, j1 int, scratch []float32) {
	n, m := j1-j0, i1-i0
	g := kernels.Gemm{M: m, N: n, K: a.key, A: q, B: turned(k), C: s, LDC: n}
	g.A.F32, g.B.F32 = q.F32[i0*q.LD:], k.F32[j0*k.LD:]
	a.k.Gemm(&g, 0, m, 0, n, scratch)
	a.k.Scale(s[:m*n], s[:m*n], a.Scale)
	if a.SoftCap != 0 {
		a.k.SoftCap(s[:m*n], s[:m*n], a.SoftCap)
	}
}

// softmax turns scores into probabilities, zero where a row sees nothing.
func (a *selfAttention) softmax(s []float32, i0, i1, j0, j1, rows int) {
	n := j1 - j0
	for i := i0; i < i1; i++ {
		lo, hi := a.visible(i, rows)
		row := s[(i-i0)*n : (i-i0+1)*n]
		clear(row[:lo-j0])
		a.k.Softmax(row[lo-j0:hi-j0], row[lo-j0:hi-j0], hi-lo)
		clear(row[hi-j0:])
	}
}

// span is the range of rows that rows [i0, i1) see together.
func (a *selfAttention) span(i0, i1, rows int) (j0, j1 int) {
	j0, _ = a.visible(i0, rows)
	_, j1 = a.visible(i1-1, rows)
	return j0, j1
}

func (c *compiler) selfAttention(n *graph.Node) (func(*pool.Worker), error) {
	a := c.newSelfAttention(n, 1)
	return func(w *pool.Worker) {
		q, k, v, out := a.executable.value(n.In[0]), a.executable.value(n.In[1]), a.executable.value(n.In[2]), a.executable.value(n)
		l := &a.workers[w.ID].train
		a.each(w, a.heads, func(first, rows, h int) {
			g := h / (a.heads / a.groups)
			qh := head(q, first, a.heads*a.key, h*a.key)
			kh := head(k, first, a.groups*a.key, g*a.key)
			vh := head(v, first, a.groups*a.value, g*a.value)
			for i0 := 0; i0 < rows; i0 += attendRows {
				i1 := min(rows, i0+attendRows)
				j0, j1 := a.span(i0, i1, rows)
				a.scores(l.scores, qh, kh, i0, i1, j0, j1, l.gemm)
				a.softmax(l.scores, i0, i1, j0, j1, rows)
				p := kernels.Gemm{M: i1 - i0, N: a.value, K: j1 - j0,
					A: kernels.Operand{F32: l.scores, LD: j1 - j0}, B: kernels.Operand{F32: vh.F32[j0*vh.LD:], LD: vh.LD},
					C: out[((first+i0)*a.heads+h)*a.value:], LDC: a.heads * a.value}
				a.executable.k.Gemm(&p, 0, p.M, 0, p.N, l.gemm)
				w.Yield()
			}
		})
	}, nil
}

// selfAttentionGrad gives one worker a segment and a head. The gradients of k and v
// are sums over the heads that share them: each head's own are computed first, then
// added up in order.
func (c *compiler) selfAttentionGrad(n *graph.Node) (func(*pool.Worker), error) {
	a := c.newSelfAttention(n, 3)
	each, size := a.heads/a.groups, a.key+a.value
	if each > 1 {
		c.train.heads = max(c.train.heads, c.maxElems(n.In[0].Type.Shape[:1])*a.heads*size)
	}
	return func(w *pool.Worker) {
		a.each(w, a.heads, func(first, rows, h int) { a.gradients(w, first, rows, h) })
		if each == 1 {
			return
		}
		w.Barrier()
		out, wide := a.executable.value(n), a.heads*a.key+a.groups*size
		eachRow(w, a.RowsOf(n), func(i int) {
			row, own := out[i*wide+a.heads*a.key:(i+1)*wide], a.shared.train.heads[i*a.heads*size:]
			for g := range a.groups {
				dk, dv := row[g*a.key:(g+1)*a.key], row[a.groups*a.key+g*a.value:][:a.value]
				a.sumHeads(dk, own[g*each*size:], each, size)
				a.sumHeads(dv, own[g*each*size+a.key:], each, size)
			}
		})
	}, nil
}

// sumHeads adds up vectors that lie size elements apart.
func (a *selfAttention) sumHeads(dst, x []float32, n, size int) {
	copy(dst, x)
	for h := 1; h < n; h++ {
		a.executable.k.Add(dst, dst, x[h*size:][:len(dst)])
	}
}

// gradients computes those of a head's q, and what it adds to those of k and v.
func (a *selfAttention) gradients(w *pool.Worker, first, rows, h int) {
	e, n := a.executable, a.node
	q, k, v, dy, out := e.value(n.In[0]), e.value(n.In[1]), e.value(n.In[2]), e.value(n.In[3]), e.value(n)
	nq, nk, nv := a.heads*a.key, a.groups*a.key, a.groups*a.value
	wide, each := nq+nk+nv, a.heads/a.groups
	g := h / each
	sums, ld, dk, dv := out, wide, nq+h*a.key, nq+nk+h*a.value // where those of k and v are: in rows of ld, columns dk and dv
	if each > 1 {
		sums, ld = e.shared.train.heads, a.heads*(a.key+a.value)
		dk = h * (a.key + a.value)
		dv = dk + a.key
	}
	for i := first; i < first+rows; i++ {
		clear(sums[i*ld+dk:][:a.key])
		clear(sums[i*ld+dv:][:a.value])
	}
	kh, vh := head(k, first, nk, g*a.key), head(v, first, nv, g*a.value)
	qh, yh := head(q, first, nq, h*a.key), head(dy, first, a.heads*a.value, h*a.value)
	l := &a.workers[w.ID].train
	for i0 := 0; i0 < rows; i0 += attendRows {
		i1 := min(rows, i0+attendRows)
		j0, j1 := a.span(i0, i1, rows)
		m, cols := i1-i0, j1-j0
		size := m * cols
		p, dp, capped := l.scores[:size], l.scores[size:2*size], l.scores[2*size:3*size]
		a.scores(p, qh, kh, i0, i1, j0, j1, l.gemm)
		if a.SoftCap != 0 {
			copy(capped, p)
		}
		a.softmax(p, i0, i1, j0, j1, rows)
		square := func(x []float32) kernels.Operand { return kernels.Operand{F32: x, LD: cols} }
		part := func(o kernels.Operand, from int) kernels.Operand { o.F32 = o.F32[from*o.LD:]; return o }
		product := func(x kernels.Gemm) { e.k.Gemm(&x, 0, x.M, 0, x.N, l.gemm) }

		product(kernels.Gemm{M: cols, N: a.value, K: m, A: turned(square(p)), B: part(yh, i0), C: sums[(first+j0)*ld+dv:], LDC: ld, Add: true})
		product(kernels.Gemm{M: m, N: cols, K: a.value, A: part(yh, i0), B: turned(part(vh, j0)), C: dp, LDC: cols})
		e.k.SoftmaxGrad(dp, p, dp, cols)
		if a.SoftCap != 0 {
			uncap(dp, capped, a.SoftCap)
		}
		e.k.Scale(dp, dp, a.Scale)
		product(kernels.Gemm{M: m, N: a.key, K: cols, A: square(dp), B: part(kh, j0), C: out[(first+i0)*wide+h*a.key:], LDC: wide})
		product(kernels.Gemm{M: cols, N: a.key, K: m, A: turned(square(dp)), B: part(qh, i0), C: sums[(first+j0)*ld+dk:], LDC: ld, Add: true})
		w.Yield()
	}
}

// uncap multiplies by the derivative of the cap, given capped values.
func uncap(dx, capped []float32, limit float32) {
	for i, v := range capped {
		t := v / limit
		dx[i] *= 1 - float32(t*t)
	}
}
