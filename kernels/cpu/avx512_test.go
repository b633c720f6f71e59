package cpu

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/cpu/internal/packed"
)

// interpreted returns the kernels of avx512_amd64.s, interpreted. The functions
// that the level shares with AVX2 (conversions and quantisation) are plain Go.
func interpreted(t testing.TB) *Kernels {
	m := &machine{program: parseProgram(t, "avx512_amd64.s"), t: t}
	tb := &table{tileRows: []int{1, 2, 4, 8}, twoRows: 4, panelRows: []int{1, 2, 3, 4, 8}}
	tile := func(name string, args ...any) tileFunc {
		name = fmt.Sprintf("avx512"+name, args...)
		if m.code[name] == nil {
			return nil
		}
		return func(dst *float32, ldd int, x *byte, ldx int, w *byte, units, groups, tail int) {
			m.call(name, dst, ldd, x, ldx, w, units, groups, tail)
		}
	}
	for _, f := range packed.Formats {
		name := strings.ReplaceAll(strings.ToUpper(f.DType.String()), "_", "")
		var tiles []tileFunc
		for _, rows := range tb.tileRows {
			tiles = append(tiles, tile("%s%dx1", name, rows))
		}
		tb.tiles, tb.twoGroups = append(tb.tiles, tiles), append(tb.twoGroups, tile("%s4x2", name))
	}
	panel := func(typ string, rows, groups int) panelFunc {
		name := fmt.Sprintf("avx512Panel%s%dx%d", typ, rows, groups)
		return func(dst *float32, ldd int, x *float32, ldx int, w *byte, step, group, k, add, tail int) {
			m.call(name, dst, ldd, x, ldx, w, step, group, k, add, tail)
		}
	}
	for _, rows := range tb.panelRows {
		tb.panelF32 = append(tb.panelF32, panel("F32", rows, 1))
		tb.panelF16 = append(tb.panelF16, panel("F16", rows, 1))
		tb.panelBF16 = append(tb.panelBF16, panel("BF16", rows, 1))
	}
	tb.wideF32, tb.wideF16, tb.wideBF16 = panel("F32", 1, 4), panel("F16", 1, 4), panel("BF16", 1, 4)

	tb.blockGroups, tb.q8Groups = 4, 4
	ahead := func(typ string, rows int) aheadFunc {
		return func(dst *float32, ldd int, x *float32, ldx int, w *byte, step, group, k, add, tail int, ahead *byte) {
			m.call(fmt.Sprintf("avx512Panel%s%dx4Ahead", typ, rows), dst, ldd, x, ldx, w, step, group, k, add, tail, ahead)
		}
	}
	q8 := func(what string, rows int) q8Func {
		return func(dst *float32, ldd int, x *float32, ldx int, w *byte, step, group, k int, scales *byte, scaleStep, add int, ahead *byte) {
			m.call(fmt.Sprintf("avx512Q8%s%d", what, rows), dst, ldd, x, ldx, w, step, group, k, scales, scaleStep, add, ahead)
		}
	}
	for rows := 1; rows <= 6; rows++ {
		tb.blockF32, tb.blockF16, tb.blockBF16 = append(tb.blockF32, panel("F32", rows, 4)), append(tb.blockF16, panel("F16", rows, 4)), append(tb.blockBF16, panel("BF16", rows, 4))
		tb.aheadF32, tb.aheadF16 = append(tb.aheadF32, ahead("F32", rows)), append(tb.aheadF16, ahead("F16", rows))
		if rows < 6 {
			tb.q8Keys, tb.q8Values = append(tb.q8Keys, q8("Keys", rows)), append(tb.q8Values, q8("Values", rows))
		}
	}
	tb.widenKeys = func(dst *float32, src *byte, dim, panels int) { m.call("avx512WidenKeys", dst, src, dim, panels) }
	tb.widenValues = func(dst *float32, rows, scales *byte, sixteens, n int) {
		m.call("avx512WidenValues", dst, rows, scales, sixteens, n)
	}

	tb.scaleRow = func(dst, x, w *float32, shift, scale float32, n int) {
		m.call("avx512ScaleRow", dst, x, w, shift, scale, n)
	}
	tb.shiftScale = func(dst, x *float32, shift, scale float32, n int) {
		m.call("avx512ShiftScale", dst, x, shift, scale, n)
	}
	tb.add = func(dst, a, b *float32, n int) { m.call("avx512Add", dst, a, b, n) }
	tb.mul = func(dst, a, b *float32, n int) { m.call("avx512Mul", dst, a, b, n) }
	tb.ropePairs = func(x, cos, sin *float32, n int) { m.call("avx512RopePairs", x, cos, sin, n) }
	tb.ropeHalves = func(a, b, cos, sin *float32, n int) { m.call("avx512RopeHalves", a, b, cos, sin, n) }
	tb.sum = func(x *float32, n int) float32 { return m.call("avx512Sum", x, n) }
	tb.sumSquares = func(x *float32, mean float32, n int) float32 { return m.call("avx512SumSquares", x, mean, n) }
	tb.expSum = func(dst, x *float32, top float32, n int) float32 { return m.call("avx512ExpSum", dst, x, top, n) }
	tb.max = func(x *float32, n int) float32 { return m.call("avx512Max", x, n) }
	tb.softCap = func(dst, x *float32, limit, twice float32, n int) { m.call("avx512SoftCap", dst, x, limit, twice, n) }
	for op, name := range [numUnary]string{opExp: "Exp", opSiLU: "SiLU", opGELU: "GELU", opGELUErf: "GELUErf"} {
		tb.unary[op] = func(dst, x *float32, n int) { m.call("avx512"+name, dst, x, n) }
		tb.gated[op] = func(dst, x, up *float32, n int) { m.call("avx512"+name+"Gate", dst, x, up, n) }
	}
	tb.turnSize = 16
	tb.turn = func(dst *float32, ldd int, src *float32, lds int, squares int) {
		m.call("avx512Turn", dst, ldd, src, lds, squares)
	}
	tb.adamW = func(p, g, v, w, numbers *float32, n int) { m.call("avx512AdamW", p, g, v, w, numbers, n) }
	tb.dot = func(a, b *float32, n int) float32 { return m.call("avx512Dot", a, b, n) }
	tb.subScale = func(dst, x *float32, a, c, s float32, n int) { m.call("avx512SubScale", dst, x, a, c, s, n) }
	tb.roundBF16 = func(dst, x *float32, n int) { m.call("avx512RoundBF16", dst, x, n) }
	for op, name := range [numDerivatives]string{SiLUDerivative: "SiLU", GELUDerivative: "GELU"} {
		if name != "" {
			tb.derivative[op] = func(dst, x, dy *float32, n int) { m.call("avx512"+name+"DerivativeGate", dst, x, dy, n) }
		}
	}
	generic := kernelsOf(Generic)
	tb.quantize = func(dst *byte, x *float32, records int) {
		for i, v := 0, unsafe.Slice(x, records*actCols); i < records; i++ {
			quantizeRecord(unsafe.Slice(dst, records*actBytes)[i*actBytes:], v[i*actCols:])
		}
	}
	tb.toF16 = func(dst *byte, x *float32, n int) { generic.F32ToF16(unsafe.Slice(dst, 32*n), unsafe.Slice(x, 16*n)) }
	tb.fromF16 = func(dst *float32, x *byte, n int) { generic.F16ToF32(unsafe.Slice(dst, 16*n), unsafe.Slice(x, 32*n)) }
	tb.scatterF16 = func(dst *byte, x *float32, n int) {
		generic.scatter(unsafe.Slice(dst, 256*n-30), unsafe.Slice(x, 8*n), 2)
	}
	return &Kernels{level: AVX512, asm: tb}
}

// TestLevelsAgree holds more than the contract asks: the levels of amd64 do
// the same operations in the same order, so their results have the same bits. A
// processor with AVX-512 compares itself with the interpreter, too.
func TestLevelsAgree(t *testing.T) {
	if !slices.Contains(Levels(), AVX2) {
		t.Skip("this processor has no AVX2 to compare with")
	}
	agree(t, kernelsOf(AVX2), interpreted(t))
	for _, l := range []Level{AVXVNNI, AVX512} {
		if slices.Contains(Levels(), l) {
			agree(t, kernelsOf(l), kernelsOf(AVX2))
		} else {
			t.Logf("this processor cannot run the %v kernels", l)
		}
	}
}

func agree(t *testing.T, a, b *Kernels) {
	both := func(what string, n int, f func(k *Kernels, dst []float32)) {
		t.Helper()
		x, y := make([]float32, n), make([]float32, n)
		f(a, x)
		f(b, y)
		sameBits(t, what, y, x)
	}
	for _, dt := range packedTypes {
		for _, m := range []int{1, 3, 15} {
			p := newProduct(t, a, dt, 37, 256, m)
			both(fmt.Sprintf("%v, %d rows", dt, m), m*37, func(k *Kernels, dst []float32) {
				k.MatMul(dst, 37, p.x, m, p.w, 0, p.w.Groups())
			})
		}
	}
	for _, n := range lengths {
		x, y := wide(n), randoms(newRand(uint64(n)), n)
		for name, f := range map[string]func(k *Kernels, dst []float32){
			"exp":       func(k *Kernels, dst []float32) { k.Exp(dst, x) },
			"silu":      func(k *Kernels, dst []float32) { k.SiLU(dst, x) },
			"geglu":     func(k *Kernels, dst []float32) { k.GeGLU(dst, x, y) },
			"gegluerf":  func(k *Kernels, dst []float32) { k.GeGLUErf(dst, x, y) },
			"softcap":   func(k *Kernels, dst []float32) { k.SoftCap(dst, x, 7) },
			"softmax":   func(k *Kernels, dst []float32) { k.Softmax(dst, x, n) },
			"rmsnorm":   func(k *Kernels, dst []float32) { k.RMSNorm(dst, x, y, n, 1e-6) },
			"layernorm": func(k *Kernels, dst []float32) { k.LayerNorm(dst, x, y, y, n, 1e-6) },
			"max":       func(k *Kernels, dst []float32) { dst[0] = k.Max(x) },
			"silu'":     func(k *Kernels, dst []float32) { k.UnaryGrad(SiLUDerivative, dst, x, y, make([]float32, n)) },
			"gelu'":     func(k *Kernels, dst []float32) { k.UnaryGrad(GELUDerivative, dst, x, y, make([]float32, n)) },
			"norm'":     func(k *Kernels, dst []float32) { k.NormGrad(dst, x, y, x, make([]float32, n), n, 1e-6, true) },
			"adamw":     func(k *Kernels, dst []float32) { adamWOf(k, dst, x, y) },
			"pairs":     func(k *Kernels, dst []float32) { copy(dst, x); k.RoPE(dst, n, x[:n/2], y[:n/2], RopePairs) },
			"halves":    func(k *Kernels, dst []float32) { copy(dst, x); k.RoPE(dst, n, x[:n/2], y[:n/2], RopeHalves) },
		} {
			both(fmt.Sprintf("%s of %d", name, n), n, f)
		}
	}
	for _, turned := range []bool{false, true} {
		g, _ := gemmCase(newRand(3), 23, 37, 40, turned, !turned, false, true)
		both(fmt.Sprintf("a product of values, a turned %v", turned), len(g.C), func(k *Kernels, dst []float32) {
			h := *g
			h.C = dst
			copy(dst, g.C)
			k.Gemm(&h, 0, h.M, 0, h.N, make([]float32, GemmPacked+GemmScratch))
		})
	}
	for _, typ := range []dtype.DType{dtype.F16, dtype.F32, dtype.Q8_0} {
		c := newCache(a, Attention{KV: KV{1, 72, 40, typ}, Group: 3, Len: 300, Scale: 0.1, SoftCap: 20}, 3)
		q := randoms(newRand(9), 5*3*72)
		both(fmt.Sprintf("attention over %v", typ), 5*3*40, func(k *Kernels, dst []float32) {
			copy(dst, c.run(t, k, q, []int32{200, 255, 256, 298, 299}, 1))
		})
		for rows := 1; rows <= 6; rows++ { // of one token
			c := newCache(a, Attention{KV: KV{2, 72, 64, typ}, Group: rows, Len: 300, Scale: 0.1}, 3)
			q := randoms(newRand(9), 2*rows*72)
			both(fmt.Sprintf("%d rows' attention over %v", rows, typ), 2*rows*64, func(k *Kernels, dst []float32) {
				copy(dst, c.run(t, k, q, []int32{299}, 2))
			})
		}
	}
}
