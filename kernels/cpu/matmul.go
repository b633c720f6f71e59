package cpu

import (
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/cpu/internal/packed"
)

// maxTile is the largest number of activation rows that a kernel takes at once.
const maxTile = 8

// MatMul computes row groups [group0, group1) of the product of m rows of
// activations with the matrix's transpose: for each i < m and each row r of those
// groups,
//
//	dst[i*ldd+r] = sum over k of x[i,k] * w[r,k]
//
// Nothing else in dst is touched. w.Cols must be x.Cols, and w a matrix that Pack
// has made: of another type nothing is computed. Calls on disjoint ranges
// may run at once.
func (k *Kernels) MatMul(dst []float32, ldd int, x *Acts, m int, w *Matrix, group0, group1 int) {
	p, ok := packingOf(w.DType)
	group1 = min(group1, w.Groups())
	if !ok || m <= 0 || group0 >= group1 {
		return
	}
	_ = dst[(m-1)*ldd+min(group1*GroupRows, w.Rows)-1] // all that will be written
	_ = w.Data[group1*p.groupBytes(w.Cols)-min(1, w.Cols)]
	if w.Cols == 0 {
		for i := range m {
			clear(dst[i*ldd+group0*GroupRows : i*ldd+min(group1*GroupRows, w.Rows)])
		}
		return
	}
	if p.plain > 0 {
		_ = x.F32[(m-1)*x.LD+w.Cols-1]
		k.matMulPlain(dst, ldd, x, m, w, p, group0, group1)
		return
	}
	_ = x.Q8[m*Q8RowBytes(w.Cols)-1]
	k.matMulInt(dst, ldd, x, m, w, p, group0, group1)
}

func (k *Kernels) matMulInt(dst []float32, ldd int, x *Acts, m int, w *Matrix, p *packing, group0, group1 int) {
	actRow, group := Q8RowBytes(w.Cols), p.groupBytes(w.Cols)
	if k.asm != nil {
		k.asm.matMulInt(dst, ldd, x.Q8, actRow, m, w, p, group0, group1)
		return
	}
	for g := group0; g < group1; g++ {
		n := min(GroupRows, w.Rows-g*GroupRows)
		in := w.Data[g*group : (g+1)*group]
		for i := 0; i < m; i += maxTile {
			t := min(maxTile, m-i)
			genericTile(p.format, dst[i*ldd+g*GroupRows:], ldd, x.Q8[i*actRow:], actRow, t, in, n)
		}
	}
}

// genericTile is the product of t activation rows with the n rows of a group.
func genericTile(f *packed.Format, dst []float32, ldd int, x []byte, actRow, t int, group []byte, n int) {
	var acc [maxTile][GroupRows]float32
	var q [packed.BlockCols]int32
	unit, blocks := f.UnitBytes(), f.Blocks()
	for b := range len(group) / unit * blocks {
		in := group[b/blocks*unit : (b/blocks+1)*unit]
		for r := range n {
			integers(f, &q, in[f.ValuesAt()+b%blocks*f.BlockBytes():], r)
			for s := range f.Subs() {
				scale, least := scaleAt(f, in, r, b%blocks*f.Subs()+s)
				for i := range t {
					a := x[i*actRow+b/2*actBytes:][:actBytes]
					var dot, sum int32
					for j := s * f.Sub; j < (s+1)*f.Sub; j++ {
						v := int32(int8(a[b%2*packed.BlockCols+j]))
						dot += q[j] * v
						sum += v
					}
					v := float32(scale*float32(dot)) + float32(least*float32(sum))
					acc[i][r] += float32(loadF32(a[packed.ActScale+4*(b%2):]) * v)
				}
			}
		}
	}
	for i := range t {
		copy(dst[i*ldd:i*ldd+n], acc[i][:n])
	}
}

func (k *Kernels) matMulPlain(dst []float32, ldd int, x *Acts, m int, w *Matrix, p *packing, group0, group1 int) {
	group := p.groupBytes(w.Cols)
	ps := panels{
		dt: w.DType, data: w.Data[group0*group : group1*group], step: GroupRows * p.plain, group: group,
		cols: min(group1*GroupRows, w.Rows) - group0*GroupRows, steps: w.Cols,
	}
	// Rows are taken in runs that stay in the cache while the weights pass.
	run := max(maxTile, runBytes/(4*w.Cols)/maxTile*maxTile)
	for i := 0; i < m; i += run {
		ps.product(k, dst[i*ldd+group0*GroupRows:], ldd, x.F32[i*x.LD:], x.LD, min(run, m-i), false)
	}
}

// panels is a matrix of plain values, steps rows by cols columns: panels of 16
// columns lie group bytes apart, in each the rows lie step bytes apart. If cols is
// no multiple of 16, the rest of the last panel can be read, but is not used.
type panels struct {
	dt    dtype.DType
	data  []byte
	step  int
	group int
	cols  int
	steps int
	ahead []byte // what will be read next, if anything: worth prefetching
}

// product computes dst[i,c] = sum over s of x[i,s] * p[s,c] for m rows, or adds
// that to dst, s in order. To add, cols is a multiple of 16.
func (p panels) product(k *Kernels, dst []float32, ldd int, x []float32, ldx, m int, add bool) {
	if k.asm != nil {
		k.asm.panels(&p, dst, ldd, x, ldx, m, add)
		return
	}
	var acc, vals [GroupRows]float32
	for c := 0; c < p.cols; c += GroupRows {
		n := min(GroupRows, p.cols-c)
		data := p.data[c/GroupRows*p.group:]
		for i := range m {
			out := dst[i*ldd+c : i*ldd+c+n]
			acc = [GroupRows]float32{}
			if add {
				copy(acc[:], out)
			}
			for s, v := range x[i*ldx : i*ldx+p.steps] {
				readPlain(vals[:n], p.dt, data[s*p.step:])
				for j := range n {
					acc[j] += float32(v * vals[j])
				}
			}
			copy(out, acc[:n])
		}
	}
}

// readPlain reads len(dst) elements of a plain type.
func readPlain(dst []float32, dt dtype.DType, b []byte) {
	switch dt {
	case dtype.F16:
		for j := range dst {
			dst[j] = loadF16(b[2*j:])
		}
	case dtype.BF16:
		for j := range dst {
			dst[j] = loadBF16(b[2*j:])
		}
	default:
		for j := range dst {
			dst[j] = loadF32(b[4*j:])
		}
	}
}
