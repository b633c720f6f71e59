package cpu

import (
	"encoding/binary"
	"math"
	"strings"
	"testing"
	"unsafe"
)

// An interpreter of the instructions in avx512_amd64.s, so that those kernels are
// tested on machines without AVX-512. What it takes instructions to mean is
// written from Intel's manual; operands are in the order of Go's assembler, the
// reverse of the manual's.

// machine is the state of a processor.
type machine struct {
	*program
	t           testing.TB
	r           [16]uint64
	z           [32][64]byte
	k           [8]uint64
	diff        int64 // result of the last comparison: negative, zero, positive
	args, stack []byte
}

func (m *machine) address(o operand) unsafe.Pointer {
	switch {
	case o.symbol == "FP":
		return unsafe.Pointer(&m.args[o.disp])
	case o.symbol == "SP":
		return unsafe.Pointer(&m.stack[o.disp])
	case o.symbol != "":
		return unsafe.Pointer(&m.data[o.symbol][o.disp])
	}
	a := m.r[o.base] + uint64(o.disp)
	if o.index >= 0 {
		a += m.r[o.index] * uint64(o.scale)
	}
	return unsafe.Add(nil, int(a))
}

func (m *machine) memory(o operand, n int) []byte { return unsafe.Slice((*byte)(m.address(o)), n) }

func (m *machine) fail(i instruction) { m.t.Fatalf("line %d: cannot interpret %s", i.line, i.name) }

// call runs a function with its arguments, and returns its result.
func (m *machine) call(name string, args ...any) float32 {
	m.args = m.args[:0]
	for _, a := range args {
		switch a := a.(type) {
		case float32:
			m.args = binary.LittleEndian.AppendUint32(m.args, math.Float32bits(a))
			continue
		default:
			for len(m.args)%8 != 0 {
				m.args = append(m.args, 0)
			}
			var v uint64
			switch a := a.(type) {
			case int:
				v = uint64(a)
			case *float32:
				v = uint64(uintptr(unsafe.Pointer(a)))
			case *byte:
				v = uint64(uintptr(unsafe.Pointer(a)))
			case *int8:
				v = uint64(uintptr(unsafe.Pointer(a)))
			}
			m.args = binary.LittleEndian.AppendUint64(m.args, v)
		}
	}
	for len(m.args)%8 != 0 {
		m.args = append(m.args, 0)
	}
	ret := len(m.args)
	m.args = append(m.args, make([]byte, 8)...)
	code := m.code[name]
	if code == nil {
		m.t.Fatalf("no function %s", name)
	}
	m.stack = make([]byte, m.frame[name]+8)
	for i := range m.r { // what a function finds is arbitrary
		m.r[i] = 0xdeadbeef00000000
	}
	for i := range m.z {
		for j := range m.z[i] {
			m.z[i][j] = 0xff
		}
	}
	for pc := 0; code[pc].name != "RET"; {
		if next := m.step(code[pc]); next >= 0 {
			pc = next
		} else {
			pc++
		}
	}
	return loadF32(m.args[ret:])
}

// step executes an instruction and returns where a jump goes, or -1.
func (m *machine) step(i instruction) int {
	a := i.args
	word := func(o operand) uint64 {
		switch o.kind {
		case opImm:
			return uint64(o.n)
		case opGPR:
			return m.r[o.n]
		}
		return binary.LittleEndian.Uint64(m.memory(o, 8))
	}
	last := len(a) - 1
	jump := func(take bool) int {
		if take {
			return a[0].n
		}
		return -1
	}
	switch i.name {
	case "MOVQ":
		if a[1].kind == opMem {
			binary.LittleEndian.PutUint64(m.memory(a[1], 8), word(a[0]))
			break
		}
		m.r[a[1].n] = word(a[0])
	case "MOVL":
		m.r[a[1].n] = uint64(uint32(word(a[0])))
	case "LEAQ":
		m.r[a[1].n] = uint64(uintptr(m.address(a[0])))
	case "ADDQ":
		m.r[a[1].n] += word(a[0])
	case "SUBQ":
		m.r[a[1].n] -= word(a[0])
		m.diff = int64(m.r[a[1].n])
	case "SUBL":
		m.r[a[1].n] = uint64(uint32(m.r[a[1].n] - word(a[0])))
	case "SHLL":
		m.r[a[1].n] = uint64(uint32(m.r[a[1].n] << (word(a[0]) & 31)))
	case "SHLQ":
		m.r[a[1].n] <<= word(a[0]) & 63
	case "CMOVQLT":
		if m.diff < 0 {
			m.r[a[1].n] = word(a[0])
		}
	case "IMUL3Q":
		m.r[a[2].n] = word(a[0]) * word(a[1])
	case "DECQ":
		m.r[a[0].n]--
		m.diff = int64(m.r[a[0].n])
	case "CMPQ":
		m.diff = int64(word(a[0]) - word(a[1]))
	case "TESTQ":
		m.diff = int64(word(a[0]) & word(a[1]))
	case "JMP":
		return a[0].n
	case "JZ":
		return jump(m.diff == 0)
	case "JNZ", "JNE":
		return jump(m.diff != 0)
	case "JLT":
		return jump(m.diff < 0)
	case "JGE":
		return jump(m.diff >= 0)
	case "PREFETCHT0", "VZEROUPPER":
	case "KMOVW":
		m.k[a[1].n] = m.r[a[0].n] & 0xffff
	case "VMOVSS":
		copy(m.memory(a[1], 4), m.z[a[0].n][:4])
	default:
		if a[last].kind == opMem {
			m.store(i)
		} else {
			m.vector(i)
		}
	}
	return -1
}

// store is VMOVUPS to memory, perhaps under a mask.
func (m *machine) store(i instruction) {
	a := i.args
	if i.name != "VMOVUPS" {
		m.fail(i)
	}
	src := m.z[a[0].n]
	if len(a) == 2 {
		copy(m.memory(a[1], a[0].width), src[:])
		return
	}
	for l := range a[0].width / 4 {
		if m.k[a[1].n]>>l&1 != 0 {
			to := a[2]
			to.disp += 4 * l
			copy(m.memory(to, 4), src[4*l:4*l+4])
		}
	}
}

// fma32 is a*b + c rounded once: the product is exact in 64 bits, the sum is
// rounded to odd there, after which rounding to 32 bits is right.
func fma32(a, b, c float32) float32 {
	p, q := float64(a)*float64(b), float64(c)
	s := p + q
	if math.IsInf(s, 0) || s != s || s == 0 {
		return float32(s)
	}
	v := s - p
	if e := (p - (s - v)) + (q - v); e != 0 {
		bits := math.Float64bits(s)
		if (e < 0) != (s < 0) {
			bits--
		}
		s = math.Float64frombits(bits | 1)
	}
	return float32(s)
}

// float operations of two operands: x is the manual's first source, y its second.
var floatOps = map[string]func(x, y float32) float32{
	"VADDPS": func(x, y float32) float32 { return x + y },
	"VSUBPS": func(x, y float32) float32 { return x - y },
	"VMULPS": func(x, y float32) float32 { return x * y },
	"VDIVPS": func(x, y float32) float32 { return x / y },
	"VMAXPS": func(x, y float32) float32 {
		if x > y {
			return x
		}
		return y
	},
	"VMINPS": func(x, y float32) float32 {
		if x < y {
			return x
		}
		return y
	},
}

// operations of words of 32 bits.
var wordOps = map[string]func(x, y uint32) uint32{
	"VPADDD":  func(x, y uint32) uint32 { return x + y },
	"VPMAXUD": func(x, y uint32) uint32 { return max(x, y) },
	"VPMINUD": func(x, y uint32) uint32 { return min(x, y) },
	"VPORD":   func(x, y uint32) uint32 { return x | y },
	"VPSUBD":  func(x, y uint32) uint32 { return x - y },
	"VPANDD":  func(x, y uint32) uint32 { return x & y },
	"VPXORD":  func(x, y uint32) uint32 { return x ^ y },
	"VANDPS":  func(x, y uint32) uint32 { return x & y },
	"VORPS":   func(x, y uint32) uint32 { return x | y },
	"VXORPS":  func(x, y uint32) uint32 { return x ^ y },
}

// fused operations: d is the destination, x and y the manual's second and third
// operands, l the lane.
var fusedOps = map[string]func(d, x, y float32, l int) float32{
	"VFMADD213PS":  func(d, x, y float32, l int) float32 { return fma32(x, d, y) },
	"VFMADD231PS":  func(d, x, y float32, l int) float32 { return fma32(x, y, d) },
	"VFNMADD231PS": func(d, x, y float32, l int) float32 { return fma32(-x, y, d) },
	"VFMSUB231PS":  func(d, x, y float32, l int) float32 { return fma32(x, y, -d) },
	"VFMADDSUB231PS": func(d, x, y float32, l int) float32 {
		if l%2 == 0 {
			d = -d
		}
		return fma32(x, y, d)
	},
}

// vector executes an instruction whose destination is a vector or mask register.
func (m *machine) vector(i instruction) {
	a := i.args
	name, broadcast := strings.CutSuffix(i.name, ".BCST")
	dst := a[len(a)-1]
	w := dst.width
	if dst.kind == opMask {
		w = 64
	}
	src := func(o operand, n int) (b [64]byte) {
		switch {
		case o.kind == opVec:
			return m.z[o.n]
		case broadcast:
			for l := 0; l < n; l += 4 {
				copy(b[l:], m.memory(o, 4))
			}
		default:
			copy(b[:], m.memory(o, n))
		}
		return b
	}
	var out [64]byte
	lanes := func(f func(l int)) {
		for l := range w / 4 {
			f(l)
		}
	}
	u32 := func(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }
	put := func(l int, v uint32) { binary.LittleEndian.PutUint32(out[4*l:], v) }
	if f := floatOps[name]; f != nil {
		x, y := src(a[1], w), src(a[0], w)
		lanes(func(l int) { putF32(out[4*l:], f(loadF32(x[4*l:]), loadF32(y[4*l:]))) })
	} else if f := wordOps[name]; f != nil {
		x, y := src(a[1], w), src(a[0], w)
		lanes(func(l int) { put(l, f(u32(x[4*l:]), u32(y[4*l:]))) })
	} else if f := fusedOps[name]; f != nil {
		d, x, y := m.z[dst.n], src(a[1], w), src(a[0], w)
		lanes(func(l int) { putF32(out[4*l:], f(loadF32(d[4*l:]), loadF32(x[4*l:]), loadF32(y[4*l:]), l)) })
	} else {
		switch name {
		case "VMOVUPS", "VMOVAPS", "VMOVDQU32", "VMOVDQA32":
			out = src(a[0], w)
		case "VMOVUPS.Z", "VMOVAPS.Z":
			lanes(func(l int) {
				if m.k[a[1].n]>>l&1 == 0 {
					return // not even read
				}
				if o := a[0]; o.kind == opMem {
					o.disp += 4 * l
					copy(out[4*l:4*l+4], m.memory(o, 4))
				} else {
					copy(out[4*l:4*l+4], m.z[o.n][4*l:])
				}
			})
		case "VBLENDMPS": // the mask takes lanes of the second source
			x, y := src(a[1], w), src(a[0], w)
			lanes(func(l int) {
				from := x
				if m.k[a[2].n]>>l&1 != 0 {
					from = y
				}
				copy(out[4*l:4*l+4], from[4*l:])
			})
		case "VBROADCASTSS", "VPBROADCASTD":
			x := src(a[0], 4)
			lanes(func(l int) { copy(out[4*l:], x[:4]) })
		case "VPBROADCASTW":
			x := src(a[0], 2)
			lanes(func(l int) { copy(out[4*l:], x[:2]); copy(out[4*l+2:], x[:2]) })
		case "VBROADCASTI32X4":
			x := src(a[0], 16)
			for l := 0; l < w; l += 16 {
				copy(out[l:], x[:16])
			}
		case "VCVTDQ2PS":
			x := src(a[0], w)
			lanes(func(l int) { putF32(out[4*l:], float32(int32(u32(x[4*l:])))) })
		case "VCVTPH2PS":
			x := src(a[0], w/2)
			lanes(func(l int) { putF32(out[4*l:], loadF16(x[2*l:])) })
		case "VPMOVZXWD":
			x := src(a[0], w/2)
			lanes(func(l int) { put(l, uint32(loadHalf(x[2*l:]))) })
		case "VPMOVZXDQ":
			x := src(a[0], w/2)
			for l := range w / 8 {
				put(2*l, u32(x[4*l:]))
			}
		case "VSQRTPS":
			x := src(a[0], w)
			lanes(func(l int) { putF32(out[4*l:], float32(math.Sqrt(float64(loadF32(x[4*l:]))))) })
		case "VUNPCKLPS", "VUNPCKHPS", "VUNPCKLPD", "VUNPCKHPD": // elements of both in turn, of each lane of 16 bytes
			x, y := src(a[1], w), src(a[0], w)
			size, from := 4, 0
			if strings.HasSuffix(name, "D") {
				size = 8
			}
			if name[6] == 'H' {
				from = 8
			}
			for lane := 0; lane < w; lane += 16 {
				for at := 0; at < 8; at += size {
					copy(out[lane+2*at:][:size], x[lane+from+at:])
					copy(out[lane+2*at+size:][:size], y[lane+from+at:])
				}
			}
		case "VSHUFF32X4": // two lanes of the one, two of the other
			x, y := src(a[2], w), src(a[1], w)
			for i := range 4 {
				from := x
				if i >= 2 {
					from = y
				}
				copy(out[16*i:16*i+16], from[16*(a[0].n>>(2*i)&3):])
			}
		case "VMOVSLDUP":
			x := src(a[0], w)
			lanes(func(l int) { put(l, u32(x[4*(l&^1):])) })
		case "VPERMILPS":
			x := src(a[1], w)
			lanes(func(l int) { put(l, u32(x[4*(l&^3|a[0].n>>(2*(l&3))&3):])) })
		case "VPMOVZXBD", "VPMOVSXBD":
			x := src(a[0], w/4)
			lanes(func(l int) {
				if name == "VPMOVSXBD" {
					put(l, uint32(int8(x[l])))
				} else {
					put(l, uint32(x[l]))
				}
			})
		case "VPSLLD":
			x := src(a[1], w)
			lanes(func(l int) { put(l, u32(x[4*l:])<<a[0].n) })
		case "VPSRLD":
			x := src(a[1], w)
			lanes(func(l int) { put(l, u32(x[4*l:])>>a[0].n) })
		case "VPSRAD":
			x := src(a[1], w)
			lanes(func(l int) { put(l, uint32(int32(u32(x[4*l:]))>>a[0].n)) })
		case "VPSLLW":
			x := src(a[1], w)
			for l := 0; l < w; l += 2 {
				putHalf(out[l:], loadHalf(x[l:])<<a[0].n)
			}
		case "VPTERNLOGD":
			if a[0].n != 0xf8 { // destination or both sources
				m.fail(i)
			}
			x, y := src(a[2], w), src(a[1], w)
			lanes(func(l int) { put(l, u32(m.z[dst.n][4*l:])|u32(x[4*l:])&u32(y[4*l:])) })
		case "VPSRLW":
			x := src(a[1], w)
			for l := 0; l < w; l += 2 {
				putHalf(out[l:], loadHalf(x[l:])>>a[0].n)
			}
		case "VPSHUFB":
			table, index := src(a[1], w), src(a[0], w)
			for l := range w {
				if index[l]&0x80 == 0 {
					out[l] = table[l&^15|int(index[l]&15)]
				}
			}
		case "VPDPBUSD":
			x, y := src(a[1], w), src(a[0], w)
			out = m.z[dst.n]
			lanes(func(l int) {
				sum := int32(u32(out[4*l:]))
				for j := 4 * l; j < 4*l+4; j++ {
					sum += int32(x[j]) * int32(int8(y[j]))
				}
				put(l, uint32(sum))
			})
		case "VEXTRACTF64X4":
			copy(out[:32], m.z[a[1].n][32*a[0].n:])
		case "VEXTRACTF128":
			copy(out[:16], m.z[a[1].n][16*a[0].n:])
		case "VCMPPS":
			x, y := src(a[2], w), src(a[1], w)
			if a[0].n != 21 { // not less than, or unordered
				m.fail(i)
			}
			m.k[dst.n] = 0
			lanes(func(l int) {
				if !(loadF32(x[4*l:]) < loadF32(y[4*l:])) {
					m.k[dst.n] |= 1 << l
				}
			})
			return
		default:
			m.fail(i)
		}
	}
	clear(out[w:])
	m.z[dst.n] = out
}
