package shader

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/ledge-run/ledge/graph/dtype"
)

func half(u uint32) float32 { return dtype.F16ToF32(uint16(u)) }

func nibbleOf(row []uint32, u, n, j int) uint32 { return row[j/8*n+u] >> (j % 8 * 4) & 15 }
func byteOf(row []uint32, u, n, j int) int8     { return int8(row[j/4*n+u] >> (j % 4 * 8)) }
func half16(row []uint32, p, u int) uint32      { return row[p+u/2] >> (u % 2 * 16) & 0xffff }

// valueAt is column i of a row, as the table at Layout says.
func (l Layout) valueAt(row []uint32, k, i int) float32 {
	u, n, j := i/32, units(k), i%32
	high := func(p int) uint32 { return row[p*n+u] >> j & 1 << 4 }
	affine := func(p int, q uint32) float32 {
		return float32(half(row[p*n+u])*float32(q)) + half(row[p*n+u]>>16)
	}
	affineK := func(p int, q uint32) float32 {
		s, d := half16(row, p*n, u), row[p*n+n/2+u/8]
		return float32(float32(half(d)*float32(s&255))*float32(q)) - float32(half(d>>16)*float32(s>>8))
	}
	switch l {
	case LayoutF32:
		return math.Float32frombits(row[j*n+u])
	case LayoutF16:
		return half(row[j/2*n+u] >> (j % 2 * 16))
	case LayoutQ4_0:
		return half(half16(row, 4*n, u)) * float32(int(nibbleOf(row, u, n, j))-8)
	case LayoutQ4_1:
		return affine(4, nibbleOf(row, u, n, j))
	case LayoutQ5_0:
		return half(half16(row, 5*n, u)) * float32(int(nibbleOf(row, u, n, j)|high(4))-16)
	case LayoutQ5_1:
		return affine(5, nibbleOf(row, u, n, j)|high(4))
	case LayoutQ8_0:
		return half(half16(row, 8*n, u)) * float32(byteOf(row, u, n, j))
	case LayoutQ4_K:
		return affineK(4, nibbleOf(row, u, n, j))
	case LayoutQ5_K:
		return affineK(5, nibbleOf(row, u, n, j)|high(4))
	case LayoutQ6_K:
		q := nibbleOf(row, u, n, j) | row[(4+j/16)*n+u]>>(j%16*2)&3<<4
		s := int8(half16(row, 6*n, u) >> (j / 16 * 8))
		return float32(half(half16(row, 6*n+n/2, u/8))*float32(s)) * float32(int(q)-32)
	case LayoutI8:
		return math.Float32frombits(row[8*n+u]) * float32(byteOf(row, u, n, j))
	case LayoutI8M:
		s, m := math.Float32frombits(row[(8+j/16)*n+u]), math.Float32frombits(row[(10+j/16)*n+u])
		return float32(s*float32(byteOf(row, u, n, j))) - m
	}
	panic("no layout")
}

func random(n int, seed uint64) []byte {
	rng := rand.New(rand.NewPCG(seed, 5))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// Every type, from random bytes (so with infinities and NaNs among the scales):
// the packed rows hold the same bits as dtype.Dequantize gives.
func TestPackExact(t *testing.T) {
	for _, d := range dtype.All() {
		l, ok := LayoutOf(d)
		if ok != d.Computable() {
			t.Errorf("%v: layout %v, computable %v", d, ok, d.Computable())
		}
		if !ok {
			continue
		}
		ks := []int{d.BlockLen(), 3 * d.BlockLen(), 8 * d.BlockLen(), 18 * d.BlockLen()}
		if d.BlockLen() == 1 {
			ks = []int{1, 5, 31, 32, 33, 64, 100, 576}
		}
		for _, k := range ks {
			const rows = 5
			size, err := d.RowBytes(k)
			if err != nil {
				t.Fatal(err)
			}
			src := random(rows*size, uint64(k))
			want := make([]float32, rows*k)
			if err := dtype.Dequantize(d, want, src); err != nil {
				t.Fatal(err)
			}
			n := l.RowUints(k)
			dst := make([]uint32, rows*n)
			for i := range dst {
				dst[i] = 0xdeadbeef
			}
			if err := l.Pack(dst, d, src, rows, k); err != nil {
				t.Fatal(err)
			}
			for i, w := range want {
				g := l.valueAt(dst[i/k*n:i/k*n+n], k, i%k)
				if math.Float32bits(g) != math.Float32bits(w) && (g == g || w == w) {
					t.Fatalf("%v as %v, k %d, row %d, column %d: %v, want %v", d, l, k, i/k, i%k, g, w)
				}
			}
			for i := k; i < 32*units(k) && d.BlockLen() == 1; i++ {
				if g := l.valueAt(dst[:n], k, i); math.Float32bits(g) != 0 {
					t.Fatalf("%v, k %d: column %d beyond the row is %v", d, k, i, g)
				}
			}
		}
	}
}

// What a device reads is at most 5 % more than the file has.
func TestLayoutSize(t *testing.T) {
	for _, d := range []dtype.DType{dtype.F32, dtype.F16, dtype.Q4_0, dtype.Q4_1, dtype.Q5_0, dtype.Q5_1, dtype.Q8_0, dtype.Q4_K, dtype.Q5_K, dtype.Q6_K} {
		l, _ := LayoutOf(d)
		for _, k := range []int{256, 512, 576, 640, 768, 1536, 2048, 3072} {
			if k%d.BlockLen() != 0 {
				continue
			}
			file, _ := d.RowBytes(k)
			if got := 4 * l.RowUints(k); float64(got) > 1.05*float64(file) {
				t.Errorf("%v, %d columns: %d bytes, %d in the file", d, k, got, file)
			}
		}
	}
}

func TestPackErrors(t *testing.T) {
	for name, err := range map[string]error{
		"another layout": LayoutQ4_0.Pack(make([]uint32, 5), dtype.Q4_1, make([]byte, 20), 1, 32),
		"half a block":   LayoutQ4_0.Pack(make([]uint32, 5), dtype.Q4_0, make([]byte, 18), 1, 31),
		"short source":   LayoutQ4_0.Pack(make([]uint32, 5), dtype.Q4_0, make([]byte, 17), 1, 32),
		"long target":    LayoutQ4_0.Pack(make([]uint32, 6), dtype.Q4_0, make([]byte, 18), 1, 32),
		"no codec":       LayoutQ8_0.Pack(nil, dtype.Q8_1, nil, 0, 32),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
