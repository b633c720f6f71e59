// Package kerneltest runs the kernels of package shader on an API, one operation
// at a time, and compares them with kernels/ref: for the backends' tests.
package kerneltest

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/kernels/shader"
)

// DotSuites are those whose kernels have a variant for a device with an instruction
// for dot products of int8.
var DotSuites = []string{"dot products", "dot products of extremes"}

// Run tests every kernel on an API that open opens; with suites, theirs alone.
func Run(t *testing.T, open func() (accel.API, error), only ...string) {
	api, err := open()
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	defer func() {
		if err := api.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}()
	for _, s := range suites {
		if len(only) > 0 && !slices.Contains(only, s.name) {
			continue
		}
		t.Run(s.name, func(t *testing.T) { s.test(t, api) })
	}
}

// suites are the tests of each family of kernels.
var suites = []struct {
	name string
	test func(t *testing.T, api accel.API)
}{
	{"copies", testCopies},
	{"norms", testNorms},
	{"unary", testUnary},
	{"binary", testBinary},
	{"softmax", testSoftmax},
	{"moves", testMoves},
	{"gather", testGather},
	{"matmul", testMatMul},
	{"readout", testReadout},
	{"rope", testRope},
	{"attention", testAttention},
	{"products", testProducts},
	{"products of many rows on tensor cores", testTiles},
	{"products of uneven rows", testUneven},
	{"products of what is not finite", testNotFinite},
	{"dot products", testDotProducts},
	{"dot products of extremes", testDotExtremes},
	{"embed", testEmbed},
}

// Machine holds a buffer for each role, and runs calls on them.
type Machine struct {
	t       *testing.T
	api     accel.API
	buffers map[place]accel.Buffer
}

// place is a role and, for weights and caches, the bank or layer.
type place struct {
	role shader.Role
	n    int
}

// unset fills what no test has written: a NaN that kernels do not compute.
const unset = 0x7fc5a5a5

// New makes a machine whose buffers are made by Put and Make. They are closed at
// the test's end.
func New(t *testing.T, api accel.API) *Machine {
	t.Helper()
	m := &Machine{t: t, api: api, buffers: map[place]accel.Buffer{}}
	t.Cleanup(func() {
		for _, b := range m.buffers {
			if err := b.Close(); err != nil {
				t.Errorf("close a buffer: %v", err)
			}
		}
	})
	return m
}

// Put makes the buffer of a role (n is the bank or layer, otherwise 0) with the
// given contents. The first shader.RunHeader uints of Run are written by Do.
func (m *Machine) Put(role shader.Role, n int, data []uint32) {
	m.t.Helper()
	use := accel.Local
	switch role {
	case shader.Run:
		use = accel.Upload
	case shader.Out:
		use = accel.Download
	}
	raw := make([]byte, 4*max(1, len(data)))
	for i, v := range data {
		binary.LittleEndian.PutUint32(raw[4*i:], v)
	}
	at := place{role, n}
	b := m.buffers[at]
	if b != nil && b.Size() != len(raw) {
		if err := b.Close(); err != nil {
			m.t.Fatalf("close a buffer: %v", err)
		}
		b = nil
	}
	if b == nil {
		var err error
		if b, err = m.api.Allocate(fmt.Sprintf("role %d", role), len(raw), use); err != nil {
			m.t.Fatalf("allocate %d bytes for role %d: %v", len(raw), role, err)
		}
		m.buffers[at] = b
	}
	switch use {
	case accel.Local:
		if err := b.Write(0, raw); err != nil {
			m.t.Fatalf("write role %d: %v", role, err)
		}
	case accel.Upload:
		copy(b.Host(), raw)
	}
}

// Make makes a buffer of uints that are unset (those of Out are undefined).
func (m *Machine) Make(role shader.Role, n, uints int) {
	m.t.Helper()
	m.Put(role, n, Unset(uints))
}

// Unset is n uints that no test has written.
func Unset(n int) []uint32 {
	u := make([]uint32, n)
	for i := range u {
		u[i] = unset
	}
	return u
}

// Do runs calls as one recording.
func (m *Machine) Do(s shader.Sizes, calls ...shader.Call) {
	m.t.Helper()
	if run := m.buffers[place{shader.Run, 0}]; run == nil {
		m.Put(shader.Run, 0, make([]uint32, shader.RunHeader))
	}
	header := m.buffers[place{shader.Run, 0}].Host()
	for i, v := range map[int]int{shader.RunT: s.T, shader.RunR: s.R, shader.RunS: s.S, shader.RunP: s.P, shader.RunLongest: s.Longest} {
		binary.LittleEndian.PutUint32(header[4*i:], uint32(v))
	}
	grids, err := m.api.Allocate("grids", 16*max(1, len(calls)), accel.Upload)
	if err != nil {
		m.t.Fatalf("allocate the grids: %v", err)
	}
	defer grids.Close()
	var list []accel.Dispatch
	for i, c := range calls {
		p, err := m.api.Program(c.Kernel, c.Constants)
		if err != nil {
			m.t.Fatalf("program %s %v: %v", c.Kernel, c.Constants, err)
		}
		d := accel.Dispatch{Label: c.Kernel, Program: p, Params: c.Params, Grid: grids, GridAt: 16 * i, Free: c.Free}
		for j, role := range c.Buffers {
			if role == shader.None {
				continue
			}
			if d.Buffers[j] = m.buffers[m.placeOf(role, c)]; d.Buffers[j] == nil {
				m.Make(role, m.placeOf(role, c).n, 1) // bound, but not read by this variant
				d.Buffers[j] = m.buffers[m.placeOf(role, c)]
			}
		}
		if len(c.Params) > 32 {
			m.t.Fatalf("%s has %d parameters", c.Kernel, len(c.Params))
		}
		for j, v := range c.Grid(s) {
			if v > 65535 {
				m.t.Fatalf("%s: %d groups in direction %d", c.Kernel, v, j)
			}
			binary.LittleEndian.PutUint32(grids.Host()[16*i+4*j:], v)
		}
		list = append(list, d)
	}
	rec, err := m.api.Record(list)
	if err != nil {
		m.t.Fatalf("record: %v", err)
	}
	defer rec.Close()
	var reads []accel.Range
	if out := m.buffers[place{shader.Out, 0}]; out != nil {
		reads = []accel.Range{{Buffer: out, From: 0, To: out.Size()}}
	}
	fence, err := m.api.Submit([]accel.Recording{rec}, reads)
	if err == nil {
		err = fence.Wait()
	}
	if err != nil {
		m.t.Fatalf("submit: %v", err)
	}
}

func (m *Machine) placeOf(role shader.Role, c shader.Call) place {
	switch role {
	case shader.Weights:
		return place{role, c.Bank}
	case shader.Keys, shader.Values:
		return place{role, c.Layer}
	}
	return place{role, 0}
}

// Get is what a buffer holds now; of Out, what the last Do read back.
func (m *Machine) Get(role shader.Role, n int) []uint32 {
	m.t.Helper()
	b := m.buffers[place{role, n}]
	if b == nil {
		m.t.Fatalf("no buffer for role %d, %d", role, n)
	}
	raw := b.Host()
	if raw == nil {
		raw = make([]byte, b.Size())
		if err := b.Read(0, raw); err != nil {
			m.t.Fatalf("read role %d: %v", role, err)
		}
	}
	u := make([]uint32, b.Size()/4)
	for i := range u {
		u[i] = binary.LittleEndian.Uint32(raw[4*i:])
	}
	return u
}

// Floats is n floats of a buffer from uint at on.
func (m *Machine) Floats(role shader.Role, at uint32, n int) []float32 {
	m.t.Helper()
	return ToFloats(m.Get(role, 0)[at:][:n])
}

// Bits are the uints that stand for floats, and ToFloats the reverse.
func Bits(f []float32) []uint32 {
	u := make([]uint32, len(f))
	for i, v := range f {
		u[i] = math.Float32bits(v)
	}
	return u
}

// ToFloats are the floats that uints stand for.
func ToFloats(u []uint32) []float32 {
	f := make([]float32, len(u))
	for i, v := range u {
		f[i] = math.Float32frombits(v)
	}
	return f
}

// Arena lays values out one after the other with gaps that stay unset, and
// notices what a kernel writes beside its result.
type Arena struct {
	words []uint32
	out   [][2]int // what may be written
}

// gap is the floats between values of an Arena; odd, so that nothing is aligned.
const gap = 13

// Value adds floats and gives their offset.
func (a *Arena) Value(f []float32) uint32 {
	a.words = append(a.words, Unset(gap)...)
	at := len(a.words)
	a.words = append(a.words, Bits(f)...)
	return uint32(at)
}

// Room adds n floats that may be written and gives their offset.
func (a *Arena) Room(n int) uint32 {
	a.words = append(a.words, Unset(gap)...)
	at := len(a.words)
	a.words = append(a.words, Unset(n)...)
	a.out = append(a.out, [2]int{at, at + n})
	return uint32(at)
}

// Load puts the arena into the machine.
func (a *Arena) Load(m *Machine) {
	m.t.Helper()
	m.Put(shader.Arena, 0, append(append([]uint32(nil), a.words...), Unset(gap)...))
}

// Check complains about what was written outside of the rooms.
func (a *Arena) Check(m *Machine) {
	m.t.Helper()
	now := m.Get(shader.Arena, 0)
	for _, o := range a.out {
		copy(now[o[0]:o[1]], a.words[o[0]:o[1]])
	}
	for i, v := range now {
		want := uint32(unset)
		if i < len(a.words) {
			want = a.words[i]
		}
		if v != want {
			m.t.Errorf("float %d of the arena was overwritten by %08x (rooms %v)", i, v, a.out)
			return
		}
	}
}

// Near compares by the normalised mean square error.
func Near(t *testing.T, what string, got, want []float32, bound float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", what, len(got), len(want))
		return
	}
	diff, norm, worst, at := 0.0, 0.0, -1.0, 0
	for i := range want {
		d := float64(got[i]) - float64(want[i])
		if math.IsNaN(d) || math.IsInf(d, 0) {
			t.Errorf("%s: element %d is %v, want %v", what, i, got[i], want[i])
			return
		}
		if math.Abs(d) > worst {
			worst, at = math.Abs(d), i
		}
		diff += d * d
		norm += float64(want[i]) * float64(want[i])
	}
	if diff > bound*norm {
		t.Errorf("%s: error %.3g of %.3g allowed; worst at element %d: %v, want %v", what, diff/norm, bound, at, got[at], want[at])
	}
}

// Same compares bits.
func Same(t *testing.T, what string, got, want []uint32) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", what, len(got), len(want))
		return
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%s: element %d is %08x (%v), want %08x (%v)", what, i,
				got[i], math.Float32frombits(got[i]), want[i], math.Float32frombits(want[i]))
			return
		}
	}
}
