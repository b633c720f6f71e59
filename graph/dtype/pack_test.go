package dtype

import (
	"math/rand/v2"
	"testing"
)

// What is packed comes out again: Dequantize knows the layouts on its own.
func TestPack(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	one, half := F32ToF16(1), F32ToF16(0.5)
	codes := func(n, levels int) []byte {
		q := make([]byte, n)
		for i := range q {
			q[i] = byte(r.IntN(levels))
		}
		return q
	}
	check := func(d DType, block []byte, want func(i int) float32) {
		t.Helper()
		got := make([]float32, d.BlockLen())
		if err := Dequantize(d, got, block); err != nil {
			t.Fatal(err)
		}
		for i, v := range got {
			if v != want(i) {
				t.Fatalf("%v: value %d is %g, want %g", d, i, v, want(i))
			}
		}
	}
	block := func(d DType) []byte {
		b := make([]byte, d.BlockBytes())
		for i := range b {
			b[i] = 0xaa // nothing may shine through
		}
		return b
	}
	for range 20 {
		q := codes(32, 16)
		b := block(Q4_0)
		PackQ4_0(b, half, q)
		check(Q4_0, b, func(i int) float32 { return 0.5 * (float32(q[i]) - 8) })
		b = block(Q4_1)
		PackQ4_1(b, half, one, q)
		check(Q4_1, b, func(i int) float32 { return 0.5*float32(q[i]) + 1 })
		b = block(IQ4_NL)
		PackIQ4_NL(b, half, q)
		check(IQ4_NL, b, func(i int) float32 { return 0.5 * float32(iq4Curve[q[i]]) })
		b = block(MXFP4)
		PackMXFP4(b, 129, q)
		check(MXFP4, b, func(i int) float32 { return MXFP4Scale(129) * float32(mxfp4Curve[q[i]]) })
		q = codes(32, 32)
		b = block(Q5_0)
		PackQ5_0(b, half, q)
		check(Q5_0, b, func(i int) float32 { return 0.5 * (float32(q[i]) - 16) })
		b = block(Q5_1)
		PackQ5_1(b, half, one, q)
		check(Q5_1, b, func(i int) float32 { return 0.5*float32(q[i]) + 1 })
		q = codes(32, 256)
		b = block(Q8_0)
		PackQ8_0(b, half, q)
		check(Q8_0, b, func(i int) float32 { return 0.5 * float32(int8(q[i])) })

		s8, m8 := [8]byte(codes(8, 64)), [8]byte(codes(8, 64))
		s16, m16 := [16]byte(codes(16, 16)), [16]byte(codes(16, 16))
		var six, eight [16]int
		for g := range six {
			six[g], eight[g] = r.IntN(64)-32, r.IntN(256)-128
		}
		q = codes(256, 16)
		b = block(Q4_K)
		PackQ4_K(b, half, one, s8, m8, q)
		check(Q4_K, b, func(i int) float32 { return 0.5*float32(s8[i/32])*float32(q[i]) - float32(m8[i/32]) })
		b = block(IQ4_XS)
		PackIQ4_XS(b, half, [8]int(six[:8]), q)
		check(IQ4_XS, b, func(i int) float32 { return 0.5 * float32(six[i/32]) * float32(iq4Curve[q[i]]) })
		q = codes(256, 32)
		b = block(Q5_K)
		PackQ5_K(b, half, one, s8, m8, q)
		check(Q5_K, b, func(i int) float32 { return 0.5*float32(s8[i/32])*float32(q[i]) - float32(m8[i/32]) })
		q = codes(256, 4)
		b = block(Q2_K)
		PackQ2_K(b, half, one, s16, m16, q)
		check(Q2_K, b, func(i int) float32 { return 0.5*float32(s16[i/16])*float32(q[i]) - float32(m16[i/16]) })
		q = codes(256, 8)
		b = block(Q3_K)
		PackQ3_K(b, half, six, q)
		check(Q3_K, b, func(i int) float32 { return 0.5 * float32(six[i/16]) * (float32(q[i]) - 4) })
		q = codes(256, 64)
		b = block(Q6_K)
		PackQ6_K(b, half, eight, q)
		check(Q6_K, b, func(i int) float32 { return 0.5 * float32(eight[i/16]) * (float32(q[i]) - 32) })
	}
}
