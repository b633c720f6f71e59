package cpu

import (
	"testing"

	"github.com/ledge-run/ledge/graph/dtype"
)

// FuzzPack packs arbitrary bytes as weights of any type: reading rows back gives
// what dtype.Dequantize gives, and a product with them does not fail.
func FuzzPack(f *testing.F) {
	for i, dt := range packedTypes {
		f.Add(byte(i), byte(i), make([]byte, 3*dt.BlockBytes()))
	}
	f.Add(byte(3), byte(2), []byte("\xff\x7f0123456789abcdef\x00\xfc0123456789abcdef"))
	f.Fuzz(func(t *testing.T, typ, perRow byte, src []byte) {
		dt := packedTypes[int(typ)%len(packedTypes)]
		blocks := int(perRow)%5 + 1
		rows := len(src) / dt.BlockBytes() / blocks
		cols := blocks * dt.BlockLen()
		if rows == 0 || rows > 100 {
			return
		}
		src = src[:rows*blocks*dt.BlockBytes()]
		want := make([]float32, rows*cols)
		if err := dtype.Dequantize(dt, want, src); err != nil {
			t.Fatal(err)
		}
		w, row := packWeights(t, dt, src, rows, cols), make([]float32, cols)
		for _, l := range Levels() {
			k := kernelsOf(l)
			for r := range rows {
				k.GatherRow(row, w, r)
				for i, v := range row {
					if x := want[r*cols+i]; v != x && (v == v || x == x) {
						t.Fatalf("%v row %d value %d: %v, want %v", dt, r, i, v, x)
					}
				}
			}
			acts := randomActs(k, cols, 3)
			k.MatMul(make([]float32, 3*rows), rows, acts, 3, w, 0, w.Groups())
		}
	})
}
