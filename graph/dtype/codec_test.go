package dtype

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

func computable() []DType {
	var out []DType
	for _, d := range All() {
		if d.Computable() {
			out = append(out, d)
		}
	}
	return out
}

// same compares bit by bit, except that any NaN equals any other.
func same(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
}

func golden(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The goldens come from the gguf Python package; see testdata/make_goldens.py.
func TestDequantizeGolden(t *testing.T) {
	for _, d := range computable() {
		if d == F32 {
			continue
		}
		t.Run(d.String(), func(t *testing.T) {
			file := golden(t, "dequant_"+d.String()+".bin")
			n := int(binary.LittleEndian.Uint32(file))
			blocks, want := file[4:4+n*d.BlockBytes()], file[4+n*d.BlockBytes():]
			if len(want) != 4*n*d.BlockLen() {
				t.Fatalf("golden file has %d bytes of values for %d blocks", len(want), n)
			}
			got := make([]float32, n*d.BlockLen())
			if err := Dequantize(d, got, blocks); err != nil {
				t.Fatal(err)
			}
			for i, g := range got {
				w := math.Float32frombits(binary.LittleEndian.Uint32(want[4*i:]))
				if !same(g, w) {
					t.Fatalf("block %d value %d: got %v (%#x), want %v (%#x)", i/d.BlockLen(), i%d.BlockLen(),
						g, math.Float32bits(g), w, math.Float32bits(w))
				}
			}
		})
	}
}

func TestQuantizeGolden(t *testing.T) {
	raw := golden(t, "quant_input.bin")
	x := make([]float32, len(raw)/4)
	if err := Dequantize(F32, x, raw); err != nil {
		t.Fatal(err)
	}
	for _, d := range []DType{F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, IQ4_NL, MXFP4} {
		t.Run(d.String(), func(t *testing.T) {
			want := golden(t, "quant_"+d.String()+".bin")
			got := make([]byte, len(want))
			if err := Quantize(d, got, x); err != nil {
				t.Fatal(err)
			}
			for i := 0; i < len(got); i += d.BlockBytes() {
				if g, w := got[i:i+d.BlockBytes()], want[i:i+d.BlockBytes()]; !bytes.Equal(g, w) {
					t.Errorf("block %d\n got %x\nwant %x", i/d.BlockBytes(), g, w)
				}
			}
		})
	}
}

// Root mean square error, relative to that of the values, that encoding normal
// noise may cost. Five or more bits are close; two bits are not.
var roundTripBound = map[DType]float64{
	F32: 0, F16: 4e-4, BF16: 3e-3, Q8_0: 7e-3,
	Q4_0: 0.12, Q4_1: 0.10, Q5_0: 0.06, Q5_1: 0.05, IQ4_NL: 0.10, MXFP4: 0.15,
	Q2_K: 0.40, Q3_K: 0.25, Q4_K: 0.10, Q5_K: 0.05, Q6_K: 0.03, IQ4_XS: 0.11,
}

func TestRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	x := make([]float32, 64*256)
	for i := range x {
		x[i] = float32(rng.NormFloat64()) * float32(math.Exp2(float64(i/256%16-8)))
	}
	for _, d := range computable() {
		n, err := d.RowBytes(len(x))
		if err != nil {
			t.Fatal(err)
		}
		b, y := make([]byte, n), make([]float32, len(x))
		if err := Quantize(d, b, x); err != nil {
			t.Fatal(err)
		}
		if err := Dequantize(d, y, b); err != nil {
			t.Fatal(err)
		}
		var worst float64
		for s := 0; s < len(x); s += 256 {
			var e, p float64
			for i := s; i < s+256; i++ {
				e += math.Pow(float64(x[i]-y[i]), 2)
				p += math.Pow(float64(x[i]), 2)
			}
			worst = max(worst, math.Sqrt(e/p))
		}
		t.Logf("%-7v worst relative error %.4f", d, worst)
		if worst > roundTripBound[d] {
			t.Errorf("%v: relative error %.4f, want at most %.4f", d, worst, roundTripBound[d])
		}
	}
}

// Encoding what was decoded must change little or nothing: zeros stay zeros,
// and hostile values (NaN, infinities, extremes) never panic.
func TestQuantizeExtremes(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	fills := [][]float32{
		{0}, {nan}, {inf}, {-inf}, {inf, -inf, nan, 0}, {math.MaxFloat32, -math.MaxFloat32},
		{math.SmallestNonzeroFloat32}, {-math.SmallestNonzeroFloat32, 0}, {1e-20, -3e-20}, {1}, {-1},
	}
	for _, d := range computable() {
		for _, fill := range fills {
			x, y := make([]float32, 512), make([]float32, 512)
			for i := range x {
				x[i] = fill[i%len(fill)]
			}
			n, _ := d.RowBytes(len(x))
			b := bytes.Repeat([]byte{0xaa}, n)
			if err := Quantize(d, b, x); err != nil {
				t.Fatalf("%v %v: %v", d, fill, err)
			}
			if err := Dequantize(d, y, b); err != nil {
				t.Fatalf("%v %v: %v", d, fill, err)
			}
			for i := range y {
				if len(fill) == 1 && fill[0] == 0 && y[i] != 0 {
					t.Fatalf("%v: zero became %v", d, y[i])
				}
				if len(fill) == 1 && abs32(fill[0]) == 1 && abs32(y[i]-fill[0]) > 0.25 {
					t.Fatalf("%v: %v became %v", d, fill[0], y[i])
				}
			}
		}
	}
}

func TestCodecErrors(t *testing.T) {
	cases := []struct {
		name string
		err  error
	}{
		{"dequantize unknown codec", Dequantize(IQ2_XXS, make([]float32, 256), make([]byte, 66))},
		{"quantize unknown codec", Quantize(NVFP4, make([]byte, 36), make([]float32, 64))},
		{"invalid type", Dequantize(Invalid, nil, nil)},
		{"type out of range", Dequantize(DType(250), nil, nil)},
		{"short source", Dequantize(Q4_0, make([]float32, 32), make([]byte, 17))},
		{"long source", Dequantize(Q4_0, make([]float32, 32), make([]byte, 36))},
		{"partial block", Dequantize(Q4_0, make([]float32, 31), make([]byte, 18))},
		{"short destination", Quantize(Q8_0, make([]byte, 33), make([]float32, 32))},
		{"partial block in", Quantize(Q6_K, make([]byte, 210), make([]float32, 255))},
	}
	for _, c := range cases {
		if c.err == nil {
			t.Errorf("%s: no error", c.name)
		}
	}
	for _, d := range computable() {
		if err := Dequantize(d, nil, nil); err != nil {
			t.Errorf("%v: nothing to decode: %v", d, err)
		}
		if err := Quantize(d, nil, nil); err != nil {
			t.Errorf("%v: nothing to encode: %v", d, err)
		}
	}
}

// Packing and unpacking of the 6-bit scales are each other's inverse.
func TestScalePacking(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var b [12]byte
	for range 200 {
		var q3 [16]int
		for j := range q3 {
			q3[j] = rng.IntN(64) - 32
		}
		packQ3Scales(b[:], q3)
		if got := unpackQ3Scales(b[:]); got != q3 {
			t.Fatalf("q3: got %v, want %v", got, q3)
		}
		var s, m [8]byte
		for j := range s {
			s[j], m[j] = byte(rng.IntN(64)), byte(rng.IntN(64))
		}
		packScaleMins(b[:], s, m)
		if gs, gm := unpackScaleMins(b[:]); gs != s || gm != m {
			t.Fatalf("q4: got %v %v, want %v %v", gs, gm, s, m)
		}
	}
}
