package kerneltest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/ref"
	"github.com/ledge-run/ledge/kernels/shader"
)

// attendCase is a layer of attention.
type attendCase struct {
	kv, group, keyDim, valueDim int
	cache                       shader.CacheType
	window                      int
	softCap                     float32
	bidirectional               bool

	fused        bool // written by rope_cache
	dims         int  // that rotate
	pairs        bool
	qNorm, kNorm bool

	batches [][]seg
}

// seg is rows of one sequence: from slot start on.
type seg struct{ seq, start, rows int }

// The ways of a sequence: prompt and single tokens, over pages and splits, with
// others beside it.
var (
	short  = [][]seg{{{0, 0, 17}}, {{0, 17, 1}}, {{0, 18, 5}}}
	beside = [][]seg{{{0, 0, 5}, {1, 0, 1}, {2, 0, 33}}, {{2, 33, 1}, {0, 5, 1}, {1, 1, 1}}, {{1, 2, 40}, {0, 6, 1}}}
	twice  = [][]seg{{{0, 0, 7}, {0, 7, 70}, {1, 0, 9}}, {{0, 77, 1}, {1, 9, 2}, {1, 11, 1}}} // segments of one sequence
	longer = [][]seg{{{0, 0, 63}}, {{0, 63, 1}}, {{0, 64, 130}}, {{0, 194, 61}}, {{0, 255, 1}}, {{0, 256, 1}, {1, 0, 3}}, {{0, 257, 254}}, {{0, 511, 3}, {1, 3, 2}}}
)

func (c attendCase) name() string {
	n := fmt.Sprintf("f%d-%dx%d-k%d-v%d", 16+16*int(c.cache), c.kv, c.group, c.keyDim, c.valueDim)
	if c.window > 0 {
		n += fmt.Sprintf("-window%d", c.window)
	}
	if c.softCap > 0 {
		n += "-cap"
	}
	if c.bidirectional {
		n += "-bidirectional"
	}
	if c.fused {
		n += fmt.Sprintf("-rope%d-%v-%v-%v", c.dims, c.pairs, c.qNorm, c.kNorm)
	}
	return n
}

// attendCases are few enough for drivers that compile slowly: each set of heads is
// two programs of attention. Windows and slots are not in the program.
func attendCases() []attendCase {
	const f16, f32 = shader.CacheF16, shader.CacheF32
	all := []attendCase{
		{kv: 2, group: 9, keyDim: 48, valueDim: 32, cache: f16, batches: beside}, // in two parts
		{kv: 1, group: 8, keyDim: 256, valueDim: 256, cache: f16, batches: short},
		{kv: 1, group: 2, keyDim: 512, valueDim: 511, cache: f16, batches: short},
		{kv: 1, group: 4, keyDim: 64, valueDim: 64, cache: f16, bidirectional: true, window: 200, batches: longer},
		{kv: 1, group: 2, keyDim: 65, valueDim: 258, cache: f32, batches: [][]seg{{{0, 0, 300}}, {{0, 300, 1}}}},

		{kv: 2, group: 1, keyDim: 24, valueDim: 24, cache: f16, batches: twice, fused: true},
		{kv: 2, group: 3, keyDim: 11, valueDim: 1, cache: f16, batches: beside, fused: true, dims: 10, pairs: true, qNorm: true},
		{kv: 2, group: 3, keyDim: 80, valueDim: 79, cache: f16, batches: beside, fused: true, dims: 40, kNorm: true},
		{kv: 2, group: 2, keyDim: 129, valueDim: 129, cache: f32, batches: twice, fused: true, dims: 128, pairs: true, qNorm: true, kNorm: true},
	}
	for _, window := range []int{0, 1, 7, 64, 257, 300} {
		all = append(all,
			attendCase{kv: 1, group: 3, keyDim: 16, valueDim: 16, cache: f16, window: window, batches: longer},
			attendCase{kv: 2, group: 1, keyDim: 16, valueDim: 16, cache: f32, window: window, bidirectional: true, softCap: 20, batches: beside})
	}
	return all
}

// attendRun is the state of a case: what the sequences hold, and where.
type attendRun struct {
	attendCase
	t        *testing.T
	m        *Machine
	api      accel.API
	r        *rand.Rand
	tables   map[int][]uint32       // pages of each sequence
	keys     map[int][][]float32    // by sequence and slot, [kv][keyDim] as stored
	values   map[int][][]float32    // likewise
	results  map[[2]int][][]uint32  // what rows gave, by sequence and slot
	inputs   map[[2]int][][]float32 // q, k and v of a row, made once
	qw, kw   []float32
	nextPage uint32
}

// tensorCases are for devices with tensor cores: each width of heads that there are
// kernels for, and such as have none of their own; heads that fill tiles, and do not.
func tensorCases() []attendCase {
	const f16 = shader.CacheF16
	return []attendCase{
		{kv: 1, group: 3, keyDim: 64, valueDim: 64, cache: f16, batches: longer},
		{kv: 1, group: 3, keyDim: 64, valueDim: 64, cache: f16, window: 257, softCap: 5, batches: longer},
		{kv: 2, group: 4, keyDim: 64, valueDim: 64, cache: f16, fused: true, dims: 64, batches: beside},
		{kv: 1, group: 20, keyDim: 80, valueDim: 80, cache: f16, batches: beside}, // in two parts
		{kv: 1, group: 19, keyDim: 32, valueDim: 32, cache: f16, batches: twice},  // of ten and nine
		{kv: 2, group: 1, keyDim: 96, valueDim: 96, cache: f16, bidirectional: true, batches: twice},
		{kv: 1, group: 1, keyDim: 128, valueDim: 128, cache: f16, window: 100, batches: longer},
		{kv: 2, group: 4, keyDim: 128, valueDim: 128, cache: f16, batches: longer},
		{kv: 1, group: 4, keyDim: 256, valueDim: 256, cache: f16, window: 64, softCap: 50, batches: longer},
		{kv: 1, group: 16, keyDim: 192, valueDim: 128, cache: f16, batches: twice},
		{kv: 1, group: 2, keyDim: 16, valueDim: 240, cache: f16, batches: longer},
		{kv: 1, group: 2, keyDim: 32, valueDim: 32, cache: f16, batches: [][]seg{{{0, 0, 600}}, {{0, 600, 1}}, {{0, 601, 8}}}},
	}
}

const attendPages = 40

func testAttention(t *testing.T, api accel.API) {
	cases := attendCases()
	if features(api).Tensor {
		cases = append(cases, tensorCases()...)
	}
	for _, c := range cases {
		t.Run(c.name(), func(t *testing.T) {
			a := newAttendRun(t, api, c)
			for _, b := range c.batches {
				a.batch(b, -1)
			}
			// The same rows again, one at a time and otherwise cut: the same bits.
			again := newAttendRun(t, api, c)
			again.inputs = a.inputs
			for _, b := range c.batches {
				for _, s := range b {
					for i := 0; i < s.rows; {
						n := min(1+(i+s.start)%4*5, s.rows-i)
						if c.bidirectional {
							n = s.rows
						}
						again.batch([]seg{{s.seq, s.start + i, n}}, 0)
						i += n
					}
				}
			}
			for at, want := range a.results {
				Same(t, fmt.Sprintf("sequence %d, slot %d alone", at[0], at[1]), slices.Concat(again.results[at]...), slices.Concat(want...))
				if t.Failed() {
					return
				}
			}
		})
	}
}

func newAttendRun(t *testing.T, api accel.API, c attendCase) *attendRun {
	a := &attendRun{attendCase: c, t: t, m: New(t, api), api: api, r: newRand(c.kv, c.group, c.keyDim), tables: map[int][]uint32{},
		keys: map[int][][]float32{}, values: map[int][][]float32{}, results: map[[2]int][][]uint32{}, inputs: map[[2]int][][]float32{}}
	a.qw, a.kw = random(newRand(c.keyDim), c.keyDim), random(newRand(c.keyDim, 1), c.keyDim)
	kv := a.layout()
	// Bits of NaN in both formats wherever nothing was written.
	a.m.Put(shader.Keys, 2, slices.Repeat([]uint32{0x7fff7fff}, attendPages*kv.PageKeys()))
	a.m.Put(shader.Values, 2, slices.Repeat([]uint32{0x7fff7fff}, attendPages*kv.PageValues()))
	return a
}

func (c attendCase) layout() shader.KV {
	return shader.KV{KVHeads: c.kv, KeyDim: c.keyDim, ValueDim: c.valueDim, Type: c.cache, Layer: 2}
}

// row gives q, k and v of a row.
func (a *attendRun) row(seq, slot int) (q, k, v []float32) {
	in := a.inputs[[2]int{seq, slot}]
	if in == nil {
		in = [][]float32{random(a.r, a.kv*a.group*a.keyDim), random(a.r, a.kv*a.keyDim), random(a.r, a.kv*a.valueDim)}
		a.inputs[[2]int{seq, slot}] = in
	}
	return in[0], in[1], in[2]
}

// stored is what a cache gives back of x.
func (a *attendRun) stored(x []float32) []float32 {
	y := slices.Clone(x)
	if a.cache == shader.CacheF16 {
		for i, v := range y {
			y[i] = dtype.F16ToF32(dtype.F32ToF16(v))
		}
	}
	return y
}

// prepared are heads as they are after norm and rotation.
func (a *attendRun) prepared(x, w []float32, norm bool, slot int, cs []float32) []float32 {
	y := slices.Clone(x)
	if norm {
		ref.RMSNorm(y, x, w, a.keyDim, 1e-6)
	}
	if a.fused && a.dims > 0 {
		turn(y, a.keyDim, slot, a.dims, cs, a.pairs)
	}
	return y
}

// batch runs one batch by both ways of attention and compares it with ref;
// way 0 keeps the results of the way for few rows.
func (a *attendRun) batch(segs []seg, way int) {
	a.t.Helper()
	const slots = 700
	rows := 0
	for _, s := range segs {
		rows += s.rows
	}
	all := table(slots, max(2, a.dims)) // by slot
	run := make([]uint32, shader.RunHeader+1+rows*shader.RowInfo)
	s := shader.Sizes{T: rows, Segments: len(segs)}
	var q, k, v, cs []float32
	var want []float32
	at, row := uint32(len(run)), 0
	qs := make([][]float32, 0, rows)
	for n, g := range segs {
		for len(a.tables[g.seq]) < (g.start+g.rows+63)/64 {
			a.nextPage += 7 // pages in no order
			a.tables[g.seq] = append(a.tables[g.seq], a.nextPage%attendPages)
		}
		for i := range g.rows {
			slot := g.start + i
			copy(run[shader.RunHeader+1+row*shader.RowInfo:], []uint32{uint32(slot), at, uint32(g.start + g.rows - 1), uint32(n)})
			rq, rk, rv := a.row(g.seq, slot)
			q, k, v = append(q, rq...), append(k, rk...), append(v, rv...)
			if a.dims > 0 {
				cs = append(cs, all[slot*a.dims:][:a.dims]...)
			}
			qs = append(qs, a.prepared(rq, a.qw, a.qNorm, slot, all))
			a.keys[g.seq] = append(a.keys[g.seq][:min(slot, len(a.keys[g.seq]))], a.stored(a.prepared(rk, a.kw, a.kNorm, slot, all)))
			a.values[g.seq] = append(a.values[g.seq][:min(slot, len(a.values[g.seq]))], a.stored(rv))
			row++
		}
		s.Longest = max(s.Longest, g.start+g.rows)
		run = append(run, a.tables[g.seq]...)
		at = uint32(len(run))
		s.P = max(s.P, len(a.tables[g.seq]))
		s.S = max(s.S, g.seq+1)
	}
	row = 0
	for _, g := range segs {
		for i := range g.rows {
			s.Cached += g.start + i + 1
			want = append(want, a.expect(g, g.start+i, qs[row])...)
			row++
		}
	}
	tableAt := uint32(len(run))
	run = append(run, Bits(cs)...)
	a.m.Put(shader.Run, 0, run)

	var arena Arena
	at0 := shader.Attention{KV: a.layout(), Heads: a.kv * a.group, Scale: 0.3, SoftCap: a.softCap, Window: a.window,
		Causal: !a.bidirectional, RowTable: shader.RunHeader + 1}
	var calls []shader.Call
	var err error
	if a.fused {
		calls, at0.Q, err = a.ropeCache(&arena, q, k, v, rows, tableAt)
	} else {
		at0.Q = arena.Value(q)
		calls, err = shader.CacheWrite{KV: a.layout(), K: arena.Value(k), V: arena.Value(v), RowTable: shader.RunHeader + 1}.Calls(features(a.api))
	}
	if err != nil {
		a.t.Fatal(err)
	}
	at0.Scratch = arena.Room(at0.ScratchFloats(rows, s.Longest))
	var outs [2]uint32
	for i := range outs {
		outs[i] = arena.Room(len(want))
		at0.Out = outs[i]
		c, err := at0.Calls(features(a.api), i == 1)
		if err != nil {
			a.t.Fatal(err)
		}
		if c[0].Streamed(s) > c[0].Traffic(s) {
			a.t.Errorf("streamed %d of %d bytes", c[0].Streamed(s), c[0].Traffic(s))
		}
		calls = append(calls, c...)
	}
	arena.Load(a.m)
	a.m.Do(s, calls...)
	arena.Check(a.m)
	few, many := a.m.Floats(shader.Arena, outs[0], len(want)), a.m.Floats(shader.Arena, outs[1], len(want))
	what := fmt.Sprint(segs)
	bound := 1e-10
	if a.cache == shader.CacheF16 && a.fused {
		bound = 1e-7 // a key may round to the other side
	}
	if features(a.api).Tensor && a.layout().Tensor() {
		bound = 1e-5 // queries and weights are rounded to float16
	}
	Near(a.t, what+" few", few, want, bound)
	Same(a.t, what+" many against few", Bits(many), Bits(few))
	if a.t.Failed() {
		a.t.FailNow()
	}
	got := many
	if way == 0 {
		got = few
	}
	row = 0
	size := a.kv * a.group * a.valueDim
	for _, g := range segs {
		for i := range g.rows {
			a.results[[2]int{g.seq, g.start + i}] = [][]uint32{Bits(got[row*size : (row+1)*size])}
			row++
		}
	}
}

// expect is what ref gives for a row.
func (a *attendRun) expect(g seg, slot int, q []float32) []float32 {
	out := make([]float32, a.kv*a.group*a.valueDim)
	last := slot
	if a.bidirectional {
		last = g.start + g.rows - 1
	}
	sees := func(p int) bool {
		return p <= last && (a.window == 0 || p > slot-a.window && p < slot+a.window)
	}
	for h := range a.kv * a.group {
		kv := h / a.group
		ref.Attention(out[h*a.valueDim:(h+1)*a.valueDim], q[h*a.keyDim:(h+1)*a.keyDim], last+1, 0.3, a.softCap, sees,
			func(p int) []float32 { return a.keys[g.seq][p][kv*a.keyDim : (kv+1)*a.keyDim] },
			func(p int) []float32 { return a.values[g.seq][p][kv*a.valueDim : (kv+1)*a.valueDim] })
	}
	return out
}

// ropeCache lays q, k and v side by side, with a gap, and gives the call.
func (a *attendRun) ropeCache(arena *Arena, q, k, v []float32, rows int, tableAt uint32) ([]shader.Call, uint32, error) {
	nq, nk, nv := a.kv*a.group*a.keyDim, a.kv*a.keyDim, a.kv*a.valueDim
	var x []float32
	for i := range rows {
		x = append(x, v[i*nv:(i+1)*nv]...)
		x = append(x, k[i*nk:(i+1)*nk]...)
		x = append(x, 1e9, 1e9, 1e9)
		x = append(x, q[i*nq:(i+1)*nq]...)
	}
	r := shader.RopeCache{KV: a.layout(), Heads: a.kv * a.group, Width: nq + nk + nv + 3, VOff: 0, KOff: nv, QOff: nv + nk + 3, Eps: 1e-6,
		Table: shader.RopeTable{Dims: a.dims, Pairs: a.pairs, At: tableAt}, X: arena.Value(x), RowTable: shader.RunHeader + 1}
	if a.qNorm {
		r.QNorm = off(arena.Value(a.qw))
	}
	if a.kNorm {
		r.KNorm = off(arena.Value(a.kw))
	}
	r.Out = arena.Room(rows * nq)
	calls, err := r.Calls(features(a.api))
	return calls, r.Out, err
}
