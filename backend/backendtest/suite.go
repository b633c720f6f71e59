// Package backendtest is the conformance suite of backends. A backend's test is
// one line:
//
//	func TestConformance(t *testing.T) { backendtest.Run(t, open) }
//
// Every operation that the device's Target supports runs over many shapes and is
// compared with the reference of package selftest; what it does not support is
// skipped by name. Then come wrong arguments, reading back, determinism, state,
// and random graphs, built and fused.
//
// # How close is close enough
//
// Results are compared by their normalised mean square error, |got-want|² /
// |want|². How large it may be follows from the activation format that the
// device itself names when it lowers a node:
//
//   - f32: only the order of float32 sums and the polynomials of the
//     elementary functions differ from the reference: 1e-10 for one operation.
//   - f16: 11 bits of mantissa: 1e-5.
//   - q8: activations are rounded to int8 with one scale for 32 values. For
//     values of normal distribution the largest of 32 is about 2.1 standard
//     deviations, a step 2.1/127 = 0.017 of one, and its error's variance
//     0.017²/12 = 2.3e-5. Weights add nothing: the reference has the same. The
//     bound is 5e-4, since some rows have outliers, and is far below what a
//     wrong scale or a swapped nibble gives (above 1e-2).
//
// Longer results of several operations: see graphBound.
//
// Keys and values stored as f16 are rounded by the reference too, so what is
// left is the rare value that rounds to the other neighbour: 1e-7.
package backendtest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/selftest"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/graph/pass"
	"github.com/ledge-run/ledge/graph/plan"
)

// Open opens the device under test. The suite closes it.
type Open func() (backend.Device, error)

// Share says how much of the suite runs: every case, or each so-manyth of those that
// are many.
type Share int

const (
	Whole   Share = 1
	Quarter Share = 4 // what -short makes of the whole: for emulated processors
	Eighth  Share = 8 // for drivers that compile slowly, and for variants of a device
)

// Run is the whole suite; with -short, a quarter of it.
func Run(t *testing.T, open func() (backend.Device, error)) { RunShare(t, open, Whole) }

// RunShare is a share of the suite, or of its parts of the given names.
func RunShare(t *testing.T, open func() (backend.Device, error), share Share, only ...string) {
	if testing.Short() {
		share = max(share, Quarter)
	}
	dev := mustOpen(t, open)
	for _, p := range []struct {
		name string
		test func(t *testing.T)
	}{
		{"info", func(t *testing.T) { testInfo(t, dev) }},
		{"selftest", func(t *testing.T) {
			if err := selftest.Run(context.Background(), dev); err != nil {
				t.Error(err)
			}
			if share >= Eighth {
				return // "products" has every type, too
			}
			if err := selftest.RunAll(context.Background(), dev); err != nil {
				t.Error(err)
			}
		}},
		{"ops", func(t *testing.T) { testCases(t, dev, opCases(), share) }},
		{"products", func(t *testing.T) { testCases(t, dev, productCases(), share) }},
		{"attention", func(t *testing.T) { testCases(t, dev, attentionCases(), share) }},
		{"training", func(t *testing.T) {
			testCases(t, dev, trainingCases(), share)
			testUpdates(t, dev)
			testLabels(t, dev)
		}},
		{"graphs", func(t *testing.T) { testGraphs(t, dev, share) }},
		{"readout", func(t *testing.T) { testReadout(t, dev) }},
		{"determinism", func(t *testing.T) { testDeterminism(t, dev, share) }},
		{"state", func(t *testing.T) { testState(t, dev) }},
		{"misuse", func(t *testing.T) { testMisuse(t, dev) }},
	} {
		if len(only) == 0 || slices.Contains(only, p.name) {
			t.Run(p.name, p.test)
		}
	}
}

// OfProducts are the parts that see how products compute: for further runs of a
// device with other arithmetic.
var OfProducts = []string{"info", "selftest", "products", "determinism"}

func mustOpen(t testing.TB, open Open) backend.Device {
	t.Helper()
	dev, err := open()
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		if err := dev.Close(); err != nil {
			t.Errorf("closing the device: %v", err)
		}
	})
	return dev
}

func testInfo(t *testing.T, dev backend.Device) {
	i, target := dev.Info(), dev.Target()
	if i.Name == "" || i.Backend == "" || i.Kind == "" || i.Description == "" {
		t.Errorf("incomplete: %+v", i)
	}
	if i.Numerics.Device == "" || i.Numerics.Level == "" || i.Numerics.Version == "" {
		t.Errorf("Numerics must name device, level and version: %+v", i.Numerics)
	}
	if target.Name != i.Name {
		t.Errorf("the target is called %q, the device %q", target.Name, i.Name)
	}
	if a := target.Align; a < 4 || a&(a-1) != 0 {
		t.Errorf("the target's alignment is %d: want a power of two, at least 4", a)
	}
}

// unsupported is the reason why the device cannot run g, or "".
func unsupported(dev backend.Device, g *graph.Graph) string {
	target := dev.Target()
	for _, n := range g.Nodes {
		if n.Op == graph.OpInput || n.Op == graph.OpWeight {
			continue
		}
		if err := target.Supports(g, n); err != nil {
			return fmt.Sprintf("%s: %v", n.Op, err)
		}
	}
	return ""
}

// seg is a segment of a batch; its pages follow from the sequence.
type seg struct{ seq, start, rows int }

// step is one run.
type step struct {
	segs []seg
	read []int32 // rows read out; nil: as many as fit, spread over the batch
}

// prompt is a step of one sequence from its start.
func prompt(rows int) step { return step{segs: []seg{{0, 0, rows}}} }

func (s step) rows() int {
	n := 0
	for _, g := range s.segs {
		n += g.rows
	}
	return n
}

func (s step) String() string {
	var b strings.Builder
	for _, g := range s.segs {
		if g.rows == 0 {
			fmt.Fprintf(&b, " seq %d no rows", g.seq)
			continue
		}
		fmt.Fprintf(&b, " seq %d rows %d-%d", g.seq, g.start, g.start+g.rows-1)
	}
	return strings.TrimSpace(b.String())
}

// machine is a graph compiled for a device, with weights and state.
type machine struct {
	built   *graph.Graph
	lowered *graph.Graph
	exe     backend.Executable
	state   backend.State
}

// compile brings g onto the device. It is not fused if fuse is false.
func compile(t testing.TB, dev backend.Device, g *graph.Graph, specs []backend.WeightSpec, fuse bool) *machine {
	t.Helper()
	m, err := tryCompile(t, dev, g, specs, fuse)
	if err != nil {
		t.Fatalf("%v\n%s", err, g)
	}
	return m
}

func tryCompile(t testing.TB, dev backend.Device, g *graph.Graph, specs []backend.WeightSpec, fuse bool) (*machine, error) {
	m := &machine{built: g}
	parts, err := pass.Compile(g, []pass.Target{dev.Target()}, pass.Options{NoFuse: !fuse, Layers: -1})
	if err != nil {
		return nil, err
	}
	m.lowered = parts[0].Graph
	p, err := plan.New(m.lowered, dev.Target().Align)
	if err != nil {
		return nil, err
	}
	w, err := dev.Load(context.Background(), backend.LoadSpec{Weights: withUses(specs, m.lowered)})
	if err != nil {
		return nil, err
	}
	closeLater(t, "weights", w.Close)
	if m.exe, err = dev.Compile(context.Background(), backend.CompileSpec{Graph: m.lowered, Plan: p, Weights: w}); err != nil {
		return nil, fmt.Errorf("compiling refused what the target supports: %w", err)
	}
	closeLater(t, "executable", m.exe.Close)
	if len(g.States) > 0 {
		if m.state, err = dev.NewState(backend.StateSpec{Decls: g.States, Pages: pagesOf(g), Sequences: g.Max.S}); err != nil {
			return nil, err
		}
		closeLater(t, "state", m.state.Close)
	}
	return m, nil
}

func closeLater(t testing.TB, what string, do func() error) {
	t.Cleanup(func() {
		if err := do(); err != nil {
			t.Errorf("closing the %s: %v", what, err)
		}
	})
}

// withUses gives the weights that g reads, with how it reads them.
func withUses(specs []backend.WeightSpec, g *graph.Graph) []backend.WeightSpec {
	uses := backend.WeightUses(g)
	var out []backend.WeightSpec
	for _, s := range specs {
		if u, ok := uses[s.Name]; ok {
			s.Uses = u
			out = append(out, s)
		}
	}
	return out
}

// weightsFor makes random weights for a graph, the same for a seed.
func weightsFor(t testing.TB, g *graph.Graph, seed uint64) []backend.WeightSpec {
	t.Helper()
	specs, err := selftest.RandomWeights(g, seed)
	if err != nil {
		t.Fatal(err)
	}
	return specs
}

func pagesOf(g *graph.Graph) int { return max(1, g.Max.S) * max(1, g.Max.P) }

// pagesFor is a sequence's page table: pages that lie apart and out of order,
// none shared with another sequence.
func pagesFor(g *graph.Graph, seq, tokens int) []int32 {
	n := pagesOf(g)
	step := 7
	for gcd(step, n) != 1 {
		step++
	}
	var pages []int32
	for i := range (tokens + backend.PageTokens - 1) / backend.PageTokens {
		pages = append(pages, int32((seq*max(1, g.Max.P)+i)*step%n))
	}
	return pages
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// args makes the arguments of a step: what an input holds at a row depends on
// the row's sequence and position alone, so that the same tokens come again
// however they are cut into batches.
func args(g *graph.Graph, s step, state backend.State) *backend.Args {
	a := &backend.Args{State: state}
	type place struct{ seq, pos int }
	var at []place
	for _, x := range s.segs {
		sg := backend.Segment{Seq: x.seq, Start: x.start, Rows: x.rows}
		if len(g.States) > 0 {
			sg.Pages = pagesFor(g, x.seq, x.start+x.rows)
		}
		if g.Max.T > 0 {
			a.Segments = append(a.Segments, sg)
		}
		a.Seqs = min(g.Max.S, max(a.Seqs, x.seq+1))
		for i := range x.rows {
			at = append(at, place{x.seq, x.start + i})
		}
	}
	read := s.read
	if read == nil {
		n := min(g.Max.R, len(at))
		for i := range n {
			read = append(read, int32((i*len(at)+len(at)-1)/n))
		}
	}
	for i, in := range g.Inputs() {
		var v backend.Tensor
		shape := in.Type.Shape
		first := dtype.Const(1)
		if len(shape) > 0 {
			first = shape[0]
		}
		rows := len(at)
		switch first.Sym {
		case dtype.R:
			rows = len(read)
		case dtype.T:
		default:
			rows = first.N
		}
		kind, limit := indexKind(g, in)
		cols := 1
		for _, d := range shape[min(1, len(shape)):] {
			cols *= d.N
		}
		for r := range rows {
			p := place{-1, r}
			if first.Sym == dtype.T {
				p = at[r]
			}
			switch {
			case in.Type.DType == dtype.F32:
				rng := rand.New(rand.NewPCG(uint64(i)<<32|uint64(p.seq+1), uint64(p.pos)))
				for range cols {
					v.F32 = append(v.F32, float32(rng.NormFloat64()))
				}
			case kind == indexPosition:
				v.I32 = append(v.I32, int32(p.pos))
			case kind == indexTarget:
				// Ids that differ, and here and there none.
				from := p.seq*131 + p.pos*37
				for j := range cols {
					id := int32((from + j*7) % limit)
					if limit%7 == 0 {
						id = int32((from + j) % limit)
					}
					if j%5 == 3 {
						id = -1
					}
					v.I32 = append(v.I32, id)
				}
			case kind == indexLabel && p.pos%9 == 4:
				v.I32 = append(v.I32, -1)
			case first.Sym == dtype.R:
				v.I32 = append(v.I32, read[r])
			default:
				v.I32 = append(v.I32, int32((p.seq*131+p.pos*37+i*11+p.pos*p.pos%7)%limit))
			}
		}
		a.Inputs = append(a.Inputs, v)
	}
	for _, o := range g.Outputs {
		n, _ := o.Node.Type.Shape.NumElems(dtype.Binding{T: len(at), R: len(read), S: a.Seqs})
		a.Outputs = append(a.Outputs, backend.Output{F32: guarded[float32](n)})
	}
	return a
}

type index int

const (
	indexID index = iota
	indexPosition
	indexLabel
	indexTarget
)

// indexKind says what an int32 input counts, from what reads it.
func indexKind(g *graph.Graph, in *graph.Node) (kind index, limit int) {
	limit = 1
	for _, n := range g.Nodes {
		for i, x := range n.In {
			if x != in {
				continue
			}
			switch {
			case n.Op == graph.OpEmbed && i == 1:
				return indexID, n.In[0].Type.Shape[0].N
			case n.Op == graph.OpRope || n.Op == graph.OpRopeCache:
				return indexPosition, 0
			case n.Op == graph.OpCrossEntropy || n.Op == graph.OpCrossEntropyGrad:
				return labelKind(n.CrossEntropy(), in), n.In[0].Type.Shape[1].N
			case n.Op == graph.OpLinearLoss || n.Op == graph.OpLinearLossW:
				return labelKind(n.LinearLoss().Labels, in), n.In[1].Type.Shape[0].N
			case n.Op == graph.OpScatterRows:
				return indexID, n.Type.Shape[0].N
			case n.Op == graph.OpAccumulateRows:
				return indexID, n.In[0].Type.Shape[0].N
			case n.Op == graph.OpDropout:
				return indexID, 1 << 30
			}
		}
	}
	return indexID, limit
}

func labelKind(l graph.Labels, in *graph.Node) index {
	if in == l.Targets {
		return indexTarget
	}
	return indexLabel
}

// guard is how many elements before and after a buffer must stay as they are.
const guard = 16

const guardWord = 0x7fc0dead // a NaN

// guarded makes room for n values between guards that intact checks.
func guarded[T float32 | int32](n int) []T {
	b := make([]T, n+2*guard)
	for i := range b {
		b[i] = canary[T]()
	}
	return b[guard : guard+n : guard+n]
}

func canary[T float32 | int32]() (v T) {
	switch p := any(&v).(type) {
	case *float32:
		*p = math.Float32frombits(guardWord)
	case *int32:
		*p = guardWord
	}
	return v
}

// execute runs a step and checks that nothing but the outputs was written.
func (m *machine) execute(s step) (*backend.Args, error) {
	a := args(m.built, s, m.state)
	before := cloneInputs(a)
	var keep [][]float32 // with guards; a slice cannot be widened later
	for i := range a.Outputs {
		n := len(a.Outputs[i].F32)
		whole := make([]float32, n+2*guard)
		for j := range whole {
			whole[j] = canary[float32]()
		}
		keep = append(keep, whole)
		a.Outputs[i].F32 = whole[guard : guard+n : guard+n]
	}
	if err := m.submit(a); err != nil {
		return nil, err
	}
	if !sameInputs(a, before) {
		return nil, errors.New("the run changed its inputs")
	}
	for i, whole := range keep {
		n := len(whole) - 2*guard
		for j, v := range whole {
			if (j < guard || j >= guard+n) && math.Float32bits(v) != guardWord {
				return nil, fmt.Errorf("output %d was written %d elements outside its buffer of %d", i, outside(j-guard, n), n)
			}
		}
	}
	return a, nil
}

func outside(i, n int) int {
	if i < 0 {
		return -i
	}
	return i - n + 1
}

func (m *machine) submit(a *backend.Args) error {
	f, err := m.exe.Submit(context.Background(), a)
	if err != nil {
		return err
	}
	return f.Wait()
}

func cloneInputs(a *backend.Args) []backend.Tensor {
	var c []backend.Tensor
	for _, in := range a.Inputs {
		c = append(c, backend.Tensor{F32: append([]float32(nil), in.F32...), I32: append([]int32(nil), in.I32...)})
	}
	return c
}

func sameInputs(a *backend.Args, before []backend.Tensor) bool {
	for i, in := range a.Inputs {
		if !sameBits(in.F32, before[i].F32) {
			return false
		}
		for j, v := range in.I32 {
			if v != before[i].I32[j] {
				return false
			}
		}
	}
	return true
}

func sameBits(a, b []float32) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if math.Float32bits(a[i]) != math.Float32bits(b[i]) {
			return false
		}
	}
	return true
}

// deviation sums up how far results are off, over the runs of a case: a single
// small result says little about its relative error.
type deviation struct {
	diff, norm float64
	count      int
}

func (d *deviation) add(got, want []float32) {
	for i, w := range want {
		g, w := float64(got[i]), float64(w)
		if math.IsInf(w, 0) && g == w {
			continue
		}
		d.diff += (g - w) * (g - w)
		d.norm += w * w
	}
	d.count += len(want)
}

// nmse is the normalised mean square error; NaN or infinite where the results
// are not numbers in the same places. Values that are below 0.003 on average are
// judged as if they were that large: functions such as GELU cancel there, and
// what counts is the absolute error. So are the sums of few products, whose
// size is chance: fewer than 200 values may be off 4 times as much.
func (d *deviation) nmse() float64 {
	if d.diff == 0 {
		return 0
	}
	e := d.diff / max(d.norm, 1e-5*float64(d.count))
	if d.count < 200 {
		e /= 4
	}
	return e
}

// expected are the reference's results for steps, kept for the next device
// that asks for them under the same key: the reference is slow.
func expected(t testing.TB, key string, g *graph.Graph, specs []backend.WeightSpec, steps []step) [][][]float32 {
	t.Helper()
	if v, ok := known.Load(key); ok {
		return v.([][][]float32)
	}
	ref, err := selftest.NewReference(g, specs)
	if err != nil {
		t.Fatal(err)
	}
	var all [][][]float32
	for _, s := range steps {
		out, err := ref.Run(args(g, s, nil))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, clone2(out))
	}
	known.Store(key, all)
	return all
}

var known sync.Map

func clone2(x [][]float32) [][]float32 {
	var c [][]float32
	for _, v := range x {
		c = append(c, append([]float32(nil), v...))
	}
	return c
}

// check runs steps on a machine and compares every output with the reference's.
func check(t testing.TB, m *machine, steps []step, want [][][]float32, bound float64) {
	t.Helper()
	sums := make([]deviation, len(m.built.Outputs))
	for i, s := range steps {
		a, err := m.execute(s)
		if err != nil {
			t.Errorf("%s: %v", s, err)
			return
		}
		for j, o := range m.built.Outputs {
			got := a.Outputs[j].F32
			if len(got) != len(want[i][j]) {
				t.Errorf("%s, output %q: %d values, want %d", s, o.Name, len(got), len(want[i][j]))
				return
			}
			sums[j].add(got, want[i][j])
			if e := sums[j].nmse(); !(e <= bound) {
				t.Errorf("%s, output %q: normalised error %.3g, allowed %.3g; %s", s, o.Name, e, bound, worst(got, want[i][j]))
				return
			}
		}
	}
}

// worst names the element that is furthest off.
func worst(got, want []float32) string {
	at, most := 0, -1.0
	for i := range want {
		d := math.Abs(float64(got[i]) - float64(want[i]))
		if math.IsNaN(d) {
			at = i
			break
		}
		if d > most {
			at, most = i, d
		}
	}
	return fmt.Sprintf("worst at element %d of %d: %g instead of %g", at, len(want), got[at], want[at])
}
