package cpu

import (
	"fmt"

	"github.com/ledge-run/ledge/backend/cpu/pool"
	"github.com/ledge-run/ledge/graph"
	kernels "github.com/ledge-run/ledge/kernels/cpu"
)

const (
	tileCols  = 512 // output columns computed at once: their weights stay in cache
	tileRowN  = 64  // rows of activations that share them
	tileElems = tileRowN * (tileCols + kernels.GroupRows)

	// yieldBytes is how much of the weights few rows read between yields: a
	// fraction of a millisecond's.
	yieldBytes = 4 << 20
)

// acts are activations in the forms that products read.
type acts struct {
	f32 []float32
	q8  []byte
}

// segment is one weight matrix of a product; its rows are the product's output
// columns from base on.
type segment struct {
	base   int
	weight kernels.Matrix
	bias   []float32 // nil for none
	group  int       // bytes of a row group
}

// product is a fused_linear compiled.
type product struct {
	*executable
	graph.FusedLinearAttr
	parts    graph.FusedLinearParts
	node     *graph.Node
	segments []segment
	k        int // columns of x
	rows     int // of all segments
	cols     int // of the result: rows, or half of them if gated
	q8, f32  bool
	plain    bool // nothing follows the products: they are computed in place
	norm     []float32
}

func (c *compiler) linear(n *graph.Node, a graph.FusedLinearAttr, parts graph.FusedLinearParts) (func(*pool.Worker), error) {
	x := parts.X.Type.Shape
	p, err := c.product(n, a, parts, c.maxElems(x)/max(1, lastDim(parts.X)))
	if err != nil {
		return nil, err
	}
	return p.run, nil
}

// product compiles products that n does, of at most so many rows at once.
func (c *compiler) product(n *graph.Node, a graph.FusedLinearAttr, parts graph.FusedLinearParts, rows int) (*product, error) {
	x := parts.X.Type.Shape
	p := &product{executable: c.executable, FusedLinearAttr: a, parts: parts, node: n, k: x[len(x)-1].N}
	for i, wn := range parts.Weights {
		w := c.weights.byName[wn.Name]
		if w == nil || w.packed == nil {
			return nil, fmt.Errorf("weight %q is not loaded for products", wn.Name)
		}
		group, err := c.executable.k.Layout().PackedSize(w.packed.DType, kernels.GroupRows, p.k)
		if err != nil {
			return nil, err
		}
		s := segment{base: p.rows, weight: *w.packed, group: group}
		if a.Bias {
			s.bias = c.weights.byName[parts.Biases[i].Name].vector
		}
		p.segments = append(p.segments, s)
		p.rows += w.packed.Rows
		if kernels.ActFormatOf(w.packed.DType) == kernels.ActQ8 {
			p.q8 = true
		} else {
			p.f32 = true
		}
	}
	if parts.Norm != nil {
		p.norm = c.weights.byName[parts.Norm.Name].vector
	}
	p.cols = p.rows
	if a.Gated {
		p.cols /= 2
	}
	p.plain = !a.Gated && !a.Residual && a.SoftCap == 0 && a.Act == ""
	c.maxCols = max(c.maxCols, p.k)
	c.maxRows = max(c.maxRows, rows)
	// Two halves for a gated product, each with room for a misaligned start.
	c.tile = max(c.tile, 2*tileElems+tileRowN*kernels.GroupRows)
	return p, nil
}

func (p *product) run(w *pool.Worker) {
	p.over(w, p.value(p.parts.X), p.value(p.node), p.RowsOf(p.parts.X))
}

// over computes the products of m rows of x.
func (p *product) over(w *pool.Worker, x, out []float32, m int) {
	in := &p.shared.acts
	if m == 1 {
		// A row's preparation is cheaper done by all than waited for.
		in = &p.workers[w.ID].acts
		p.prepare(in, x, 0, 1)
	} else {
		lo, hi := pool.Split(m, 1, w.ID, w.N)
		for i := lo; i < hi; i++ {
			p.prepare(in, x, i, i+1)
			w.Yield()
		}
		w.Barrier()
	}
	var residual []float32
	if p.Residual {
		residual = p.value(p.parts.Residual)
	}
	lo, hi := pool.Split(p.cols, kernels.GroupRows, w.ID, w.N)
	step := p.tileCols(m)
	for c0 := lo; c0 < hi; c0 += step {
		c1 := min(hi, c0+step)
		for m0 := 0; m0 < m; m0 += tileRowN {
			p.tile(p.workers[w.ID].tile, out, residual, in, m0, min(m, m0+tileRowN), c0, c1)
			w.Yield()
		}
	}
}

// tileCols is how many columns of the result are computed at once. Few rows take
// as many as their tile holds, so that weights are read in long runs.
func (p *product) tileCols(m int) int {
	if m >= tileRowN {
		return tileCols
	}
	most := tileElems/max(1, m) - kernels.GroupRows
	s := &p.segments[0]
	most = min(most, yieldBytes/max(1, s.group)*kernels.GroupRows)
	return max(tileCols, most/kernels.GroupRows*kernels.GroupRows)
}

// prepare norms and quantises rows [lo, hi) of x into in.
func (p *product) prepare(in *acts, x []float32, lo, hi int) {
	k := p.executable.k
	src := x
	if p.Norm {
		for i := lo; i < hi; i++ {
			k.RMSNorm(in.f32[i*p.k:(i+1)*p.k], x[i*p.k:(i+1)*p.k], p.norm, p.k, p.Eps)
		}
		src = in.f32
	} else if p.f32 {
		copy(in.f32[lo*p.k:hi*p.k], x[lo*p.k:hi*p.k])
	}
	if p.q8 {
		k.QuantizeRows(in.q8, src, p.k, p.k, lo, hi)
	}
}

// tile computes rows [m0, m1) and columns [c0, c1) of the result.
func (p *product) tile(z, out, residual []float32, in *acts, m0, m1, c0, c1 int) {
	k, n, m := p.executable.k, c1-c0, m1-m0
	if p.plain {
		p.columns(out[m0*p.cols+c0:], p.cols, z[2*tileElems:], in, m0, m, c0, c1)
		return
	}
	ld := roundUp(n, kernels.GroupRows)
	up := z[tileElems:]
	odd := z[2*tileElems:]
	p.columns(z, ld, odd, in, m0, m, c0, c1)
	if p.Gated {
		p.columns(up, ld, odd, in, m0, m, p.cols+c0, p.cols+c1)
	}
	for i := range m {
		y, dst := z[i*ld:i*ld+n], out[(m0+i)*p.cols+c0:][:n]
		if p.Gated {
			gated(k, p.Act, y, y, up[i*ld:i*ld+n])
		} else {
			activate(k, p.Act, y, y)
		}
		if p.SoftCap != 0 {
			k.SoftCap(y, y, p.SoftCap)
		}
		if p.Residual {
			k.Add(dst, y, residual[(m0+i)*p.cols+c0:][:n])
		} else {
			copy(dst, y)
		}
	}
}

// columns computes output columns [r0, r1) of all segments, with bias and
// scaled, for m rows from m0 on, into z with rows of ld.
func (p *product) columns(z []float32, ld int, odd []float32, in *acts, m0, m, r0, r1 int) {
	k := p.executable.k
	x := kernels.Acts{Cols: p.k, LD: p.k, F32: in.f32[m0*p.k:], Q8: in.q8[m0*kernels.Q8RowBytes(p.k):]}
	for i := range p.segments {
		s := &p.segments[i]
		lo, hi := max(r0-s.base, 0), min(r1-s.base, s.weight.Rows) // rows of this segment
		if lo >= hi {
			continue
		}
		at := s.base + lo - r0 // column of z
		if lo%kernels.GroupRows == 0 {
			// Rows beyond hi but in its group are computed only if the
			// matrix ends there; z has the room.
			s.multiply(k, z[at:], ld, &x, m, lo, hi)
		} else {
			p.oddColumns(z[at:], ld, odd, s, &x, m, lo, hi)
		}
		for i := range m {
			y := z[i*ld+at:][:hi-lo]
			if s.bias != nil {
				k.Add(y, y, s.bias[lo:hi])
			}
			if p.Scale != 0 {
				k.Scale(y, y, p.Scale)
			}
		}
	}
}

// multiply computes rows [lo, hi) of the segment; lo begins a row group.
func (s *segment) multiply(k *kernels.Kernels, z []float32, ld int, x *kernels.Acts, m, lo, hi int) {
	g0 := lo / kernels.GroupRows
	w := kernels.Matrix{DType: s.weight.DType, Cols: s.weight.Cols, Rows: hi - lo, Data: s.weight.Data[g0*s.group:]}
	k.MatMul(z, ld, x, m, &w, 0, w.Groups())
}

// oddColumns is multiply for rows that begin inside a group, which happens
// where a matrix's halves or neighbours are no multiples of a group: group by
// group, through a small buffer.
func (p *product) oddColumns(z []float32, ld int, odd []float32, s *segment, x *kernels.Acts, m, lo, hi int) {
	const g = kernels.GroupRows
	for r := lo / g * g; r < hi; r += g {
		end := min(r+g, s.weight.Rows)
		s.multiply(p.executable.k, odd, g, x, m, r, end)
		from, to := max(r, lo), min(end, hi)
		for i := range m {
			copy(z[i*ld+from-lo:][:to-from], odd[i*g+from-r:])
		}
	}
}

// activate applies a named activation.
func activate(k *kernels.Kernels, name string, dst, x []float32) {
	switch name {
	case "silu":
		k.SiLU(dst, x)
	case "gelu":
		k.GELU(dst, x)
	case "gelu_erf":
		k.GELUErf(dst, x)
	case "relu":
		relu(dst, x)
	}
}

// gated computes act(gate) * up.
func gated(k *kernels.Kernels, name string, dst, gate, up []float32) {
	switch name {
	case "silu":
		k.SwiGLU(dst, gate, up)
	case "gelu":
		k.GeGLU(dst, gate, up)
	case "gelu_erf":
		k.GeGLUErf(dst, gate, up)
	default:
		activate(k, name, dst, gate)
		k.Mul(dst, dst, up)
	}
}

func relu(dst, x []float32) {
	for i, v := range x {
		dst[i] = max(v, 0)
	}
}
