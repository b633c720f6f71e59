package cpu

import (
	"encoding/binary"
	"math"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/cpu/internal/packed"
)

// GatherRow writes row r of the matrix to dst, Cols values: exactly those that
// dtype.Dequantize gives for the row as it was before packing.
func (k *Kernels) GatherRow(dst []float32, w *Matrix, r int) {
	p, ok := packingOf(w.DType)
	if !ok {
		return
	}
	dst = dst[:w.Cols]
	size := p.groupBytes(w.Cols)
	group := w.Data[r/GroupRows*size : (r/GroupRows+1)*size]
	r %= GroupRows
	if p.plain > 0 {
		for c := range dst {
			dst[c] = plainValue(w.DType, group[(c*GroupRows+r)*p.plain:])
		}
		return
	}
	f := p.format
	unit, blocks := f.UnitBytes(), f.Blocks()
	var q [packed.BlockCols]int32
	for b := 0; b*len(q) < len(dst); b++ {
		in := group[b/blocks*unit : (b/blocks+1)*unit]
		integers(f, &q, in[f.ValuesAt()+b%blocks*f.BlockBytes():], r)
		for j := range min(len(q), len(dst)-b*len(q)) {
			scale, least := scaleAt(f, in, r, (b%blocks*len(q)+j)/f.Sub)
			v := float32(scale * float32(q[j]))
			if f.Min { // or -0 would become 0
				v += least
			}
			dst[b*len(q)+j] = v
		}
	}
}

// plainValue reads an element of a plain type.
func plainValue(dt dtype.DType, b []byte) float32 {
	switch dt {
	case dtype.F16:
		return loadF16(b)
	case dtype.BF16:
		return loadBF16(b)
	}
	return loadF32(b)
}

// scaleAt reads the scale and the minimum of sub-block i of a unit, for row r.
func scaleAt(f *packed.Format, unit []byte, r, i int) (scale, least float32) {
	at := f.ScalesAt() + (i*GroupRows+r)*f.ScaleBytes()/GroupRows
	minAt := f.MinsAt() + (i*GroupRows+r)*f.ScaleBytes()/GroupRows
	switch f.Scales {
	case packed.Halves:
		if f.Min {
			least = loadF16(unit[minAt:])
		}
		return loadF16(unit[at:]), least
	case packed.Exponents:
		return float32(math.Ldexp(1, int(unit[at])-128)), 0
	}
	d, m := loadF16(unit[2*r:]), loadF16(unit[2*GroupRows+2*r:])
	if f.Scales == packed.SuperNibbles {
		return float32(d * float32(unit[at]&15)), -float32(m * float32(unit[at]>>4))
	}
	if f.Min {
		least = -float32(m * float32(int8(unit[minAt])))
	}
	return float32(d * float32(int8(unit[at]))), least
}

// integers reads the 32 integers of row r of a packed block, the offset taken off.
func integers(f *packed.Format, q *[packed.BlockCols]int32, block []byte, r int) {
	high := block[f.LowBytes():]
	for j := range packed.Steps {
		v, shift := packed.Place(f.Low, j)
		low := binary.LittleEndian.Uint32(block[64*v+4*r:]) >> shift
		var top uint32
		if f.High > 0 {
			v, shift = packed.Place(f.High, j)
			top = binary.LittleEndian.Uint32(high[64*v+4*r:]) >> shift
		}
		for c := range packed.StepCols {
			b := low>>(8*c)&(1<<f.Low-1) | top>>(8*c)&(1<<f.High-1)<<f.Low
			switch {
			case f.Signed:
				q[4*j+c] = int32(int8(b))
			case f.Curve != nil:
				q[4*j+c] = int32(f.Curve[b])
			default:
				q[4*j+c] = int32(b) - int32(f.Offset)
			}
		}
	}
}
