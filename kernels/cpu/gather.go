package cpu

import "github.com/ledge-run/ledge/graph/dtype"

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
	f := &formats[p.id]
	pair := f.pairBytes()
	var q [32]int32
	for b := 0; b*32 < len(dst); b++ {
		in := group[b/2*pair : (b/2+1)*pair]
		f.integers(&q, in[f.valuesAt()+b%2*f.blockBytes():], r, p.curve)
		for j := range min(32, len(dst)-b*32) {
			at := (b%2*32 + j) / f.subLen * GroupRows
			v := float32(f.scale(in, at+r) * float32(q[j]))
			if f.min {
				v += f.scale(in[f.scaleBytes():], at+r)
			}
			dst[b*32+j] = v
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

// scale reads element at of a pair's scales, or of its minimums.
func (f *format) scale(b []byte, at int) float32 {
	if f.wide {
		return loadF32(b[4*at:])
	}
	return loadF16(b[2*at:])
}

// integers reads the 32 integers of row r of a packed block, the offset taken off.
func (f *format) integers(q *[32]int32, b []byte, r int, curve *[16]int8) {
	b = b[4*r:]
	switch f.kind {
	case nibbles:
		for j := range 16 {
			v := b[j/4*64+j%4]
			q[j], q[16+j] = int32(v&15)-int32(f.offset), int32(v>>4)-int32(f.offset)
		}
	case indices:
		for j := range 16 {
			v := b[j/4*64+j%4]
			q[j], q[16+j] = int32(curve[v&15]), int32(curve[v>>4])
		}
	case unsigned8:
		for j := range q {
			q[j] = int32(b[j/4*64+j%4]) - int32(f.offset)
		}
	case signed8:
		for j := range q {
			q[j] = int32(int8(b[j/4*64+j%4]))
		}
	}
}
