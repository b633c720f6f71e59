package dtype

import (
	"math"
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for _, d := range All() {
		s := d.String()
		if s == "" || seen[s] {
			t.Errorf("type %d has the name %q", d, s)
		}
		seen[s] = true
		for _, spelling := range []string{s, strings.ToUpper(s)} {
			if got, err := Parse(spelling); err != nil || got != d {
				t.Errorf("Parse(%q) = %v, %v", spelling, got, err)
			}
		}
		if d.BlockLen() < 1 || d.BlockBytes() < 1 || !d.Valid() {
			t.Errorf("%v: blocks of %d values, %d bytes, valid %v", d, d.BlockLen(), d.BlockBytes(), d.Valid())
		}
	}
	for _, bad := range []string{"", "invalid", "q4", "f32 ", strings.Repeat("x", 1000)} {
		d, err := Parse(bad)
		if err == nil || d != Invalid {
			t.Errorf("Parse(%.20q) = %v, %v", bad, d, err)
		} else if len(err.Error()) > 400 {
			t.Errorf("error of %d bytes", len(err.Error()))
		}
	}
	if got := DType(200).String(); got != "dtype(200)" {
		t.Errorf("DType(200) prints as %q", got)
	}
}

func TestComputable(t *testing.T) {
	want := "f32 f16 bf16 q4_0 q4_1 q5_0 q5_1 q8_0 q2_k q3_k q4_k q5_k q6_k iq4_nl iq4_xs mxfp4"
	var got []string
	for _, d := range computable() {
		got = append(got, d.String())
		if d.Quantized() != (d.BlockLen() > 1) || d.Quantized() != (d > I64) {
			t.Errorf("%v: Quantized is %v", d, d.Quantized())
		}
	}
	if s := strings.Join(got, " "); s != want {
		t.Errorf("computable types:\n got %s\nwant %s", s, want)
	}
}

func TestRowBytes(t *testing.T) {
	cases := []struct {
		d    DType
		n    int
		want int // -1: error
	}{
		{F32, 3, 12}, {F16, 0, 0}, {Q4_0, 64, 36}, {Q6_K, 512, 420}, {MXFP4, 32, 17}, {NVFP4, 128, 72},
		{Q4_0, 33, -1}, {Q4_0, -32, -1}, {F64, math.MaxInt / 4, -1}, {F32, math.MaxInt, -1},
		{I8, math.MaxInt, math.MaxInt}, {Invalid, 1, -1}, {DType(99), 1, -1},
	}
	for _, c := range cases {
		got, err := c.d.RowBytes(c.n)
		if c.want < 0 && err == nil || c.want >= 0 && (err != nil || got != c.want) {
			t.Errorf("%v.RowBytes(%d) = %d, %v; want %d", c.d, c.n, got, err, c.want)
		}
	}
}

// wantF16 rounds by definition: the nearest of all finite binary16 values, with
// 65536 standing in for infinity, the even one if two are equally near.
func wantF16(v float64) uint16 {
	sign := uint16(0)
	if math.Signbit(v) {
		sign, v = 0x8000, -v
	}
	lo, hi := uint16(0), uint16(0x7c00)
	for lo+1 < hi { // value(lo) <= v
		if mid := (lo + hi) / 2; halfValue(mid) <= v {
			lo = mid
		} else {
			hi = mid
		}
	}
	below, above := v-halfValue(lo), halfValue(lo+1)-v
	if v >= halfValue(0x7c00) || above < below || above == below && lo&1 == 1 {
		lo = min(lo+1, 0x7c00)
	}
	return sign | lo
}

// halfValue is the value of a non-negative binary16; 0x7c00 gives 65536.
func halfValue(h uint16) float64 {
	if h < 0x400 {
		return math.Ldexp(float64(h), -24)
	}
	return math.Ldexp(float64(h&0x3ff|0x400), int(h>>10)-25)
}

func TestF16Exhaustive(t *testing.T) {
	for i := range 1 << 16 {
		h := uint16(i)
		f := F16ToF32(h)
		if h&0x7fff > 0x7c00 {
			if f == f || F32ToF16(f)&0x7fff <= 0x7c00 || F32ToF16(f)&0x8000 != h&0x8000 {
				t.Fatalf("%#04x: NaN became %v, then %#04x", h, f, F32ToF16(f))
			}
			continue
		}
		want := halfValue(h & 0x7fff)
		if h&0x7fff == 0x7c00 {
			want = math.Inf(1)
		}
		if h&0x8000 != 0 {
			want = -want
		}
		if float64(f) != want || math.Signbit(float64(f)) != (h&0x8000 != 0) {
			t.Fatalf("%#04x: got %v, want %v", h, f, want)
		}
		if back := F32ToF16(f); back != h {
			t.Fatalf("%#04x: back %#04x", h, back)
		}
		if h&0x7fff >= 0x7c00 {
			continue
		}
		// The point half-way to the next value, and its two neighbours.
		sign := 1 - 2*float64(h>>15)
		mid := float32(sign * (halfValue(h&0x7fff) + halfValue(h&0x7fff+1)) / 2)
		for _, v := range []float32{mid, math.Nextafter32(mid, 0), math.Nextafter32(mid, mid*2)} {
			if got, want := F32ToF16(v), wantF16(float64(v)); got != want {
				t.Fatalf("%v (%#x): got %#04x, want %#04x", v, math.Float32bits(v), got, want)
			}
		}
	}
	if F32ToF16(math.MaxFloat32) != 0x7c00 || F32ToF16(-math.MaxFloat32) != 0xfc00 {
		t.Error("the largest float32 is not an infinity in binary16")
	}
	if F32ToF16(math.SmallestNonzeroFloat32) != 0 || F32ToF16(float32(math.Copysign(0, -1))) != 0x8000 {
		t.Error("tiny values and zeros lose their sign or size")
	}
}

func TestBF16(t *testing.T) {
	for i := range 1 << 16 {
		h := uint16(i)
		f := BF16ToF32(h)
		if f != f {
			if got := F32ToBF16(f); BF16ToF32(got) == BF16ToF32(got) {
				t.Fatalf("%#04x: NaN became %#04x", h, got)
			}
			continue
		}
		if got := F32ToBF16(f); got != h {
			t.Fatalf("%#04x: back %#04x", h, got)
		}
		if h&0x7fff == 0x7f80 {
			continue
		}
		bits := uint32(h) << 16
		even := h + h&1
		for _, c := range []struct {
			bits uint32
			want uint16
		}{{bits + 0x7fff, h}, {bits + 0x8000, even}, {bits + 0x8001, h + 1}} {
			if got := F32ToBF16(math.Float32frombits(c.bits)); got != c.want {
				t.Fatalf("%#08x: got %#04x, want %#04x", c.bits, got, c.want)
			}
		}
	}
	// A NaN whose payload sits in the dropped half must not become infinity.
	if got := F32ToBF16(math.Float32frombits(0x7f800001)); got != 0x7fc0 {
		t.Errorf("small NaN payload: %#04x", got)
	}
}
