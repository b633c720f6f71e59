package accel

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/selftest"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/graph/graphtest"
	"github.com/ledge-run/ledge/graph/pass"
	"github.com/ledge-run/ledge/graph/plan"
)

// session is a model on a device, step by step, so that any step can fail.
type session struct {
	dev     backend.Device
	graph   *graph.Graph // lowered
	weights backend.Weights
	state   backend.State
	exe     backend.Executable
}

// decoder is a small model of an architecture.
func decoder(t testing.TB, name string) *graph.Graph {
	t.Helper()
	for _, d := range graphtest.Architectures() {
		if d.Name == name {
			d.Max = graph.Limits{T: 70, S: 3, R: 4, P: 3}
			return d.Must()
		}
	}
	t.Fatalf("no architecture %q", name)
	return nil
}

// start brings a graph onto a device; what is there is closed in the end, whether
// the rest worked or not.
func start(dev backend.Device, g *graph.Graph) (s session, err error) {
	s.dev = dev
	ctx := context.Background()
	specs, err := selftest.RandomWeights(g, 1)
	if err != nil {
		return s, err
	}
	parts, err := pass.Compile(g, []pass.Target{dev.Target()}, pass.Options{Layers: -1})
	if err != nil {
		return s, err
	}
	s.graph = parts[0].Graph
	uses := backend.WeightUses(s.graph)
	for i := range specs {
		specs[i].Uses = uses[specs[i].Name]
	}
	p, err := plan.New(s.graph, dev.Target().Align)
	if err != nil {
		return s, err
	}
	if w, err := dev.Load(ctx, backend.LoadSpec{Weights: specs}); err != nil {
		return s, err
	} else {
		s.weights = w
	}
	if e, err := dev.Compile(ctx, backend.CompileSpec{Graph: s.graph, Plan: p, Weights: s.weights}); err != nil {
		return s, err
	} else {
		s.exe = e
	}
	if k, err := dev.NewState(backend.StateSpec{Decls: g.States, Pages: 9, Sequences: 3}); err != nil {
		return s, err
	} else {
		s.state = k
	}
	return s, nil
}

func (s *session) close() error {
	var errs []error
	if s.exe != nil {
		errs = append(errs, s.exe.Close())
	}
	if s.state != nil {
		errs = append(errs, s.state.Close())
	}
	if s.weights != nil {
		errs = append(errs, s.weights.Close())
	}
	return errors.Join(append(errs, s.dev.Close())...)
}

// args are those of a run of one sequence.
func (s *session) args(start, rows int, mode backend.ReadMode) *backend.Args {
	vocab := s.graph.Outputs[0].Node.Type.Shape[1].N
	a := &backend.Args{
		Inputs:   []backend.Tensor{{I32: make([]int32, rows)}, {I32: make([]int32, rows)}, {I32: []int32{int32(rows - 1)}}},
		Segments: []backend.Segment{{Start: start, Rows: rows, Pages: []int32{4, 2, 7}[:backend.PagesFor(start+rows)]}},
		Seqs:     1, State: s.state,
		Outputs: []backend.Output{{Mode: mode, F32: make([]float32, vocab), IDs: make([]int32, backend.TopCount),
			Logits: make([]float32, backend.TopCount), LogSumExp: make([]float32, 1)}},
	}
	for i := range rows {
		a.Inputs[1].I32[i] = int32(start + i)
	}
	return a
}

func (s *session) run(a *backend.Args) error {
	f, err := s.exe.Submit(context.Background(), a)
	if err != nil {
		return err
	}
	return f.Wait()
}

// generate is a prompt, a few tokens in each mode, and a page copied.
func (s *session) generate() error {
	for i, rows := range []int{66, 1, 1, 1, 5} {
		if err := s.run(s.args(i+65*min(i, 1), rows, backend.ReadMode(i%modes))); err != nil {
			return err
		}
	}
	return s.state.CopyPage(0, 4)
}

// TestFaults fails every call of a short generation in turn: each fault is an
// error, nothing panics, stays open, or is closed twice.
func TestFaults(t *testing.T) {
	g := decoder(t, "gemma3")
	for _, fault := range []error{errFake, backend.ErrDeviceLost, &backend.ErrOutOfMemory{What: "a test", Need: 1}} {
		for n := 1; ; n++ {
			f := newFake()
			f.failAt, f.fail = n, fault
			dev, err := New(f, fakeInfo)
			if err != nil {
				t.Fatal(err)
			}
			s, err := start(dev, g)
			if err == nil {
				err = s.generate()
			}
			if err == nil && f.calls < n {
				if cerr := s.close(); cerr != nil {
					t.Error(cerr)
				}
				if n < 100 {
					t.Errorf("a generation takes %d calls, which is too few", n)
				}
				f.checkClosed(t)
				break
			}
			if err == nil {
				t.Errorf("call %d fails (%v), but all goes on", n, fault)
			} else if !errors.Is(err, fault) {
				t.Errorf("call %d fails: the error is %v, which is not %v", n, err, fault)
			}
			if errors.Is(fault, backend.ErrDeviceLost) && s.exe != nil && s.state != nil {
				calls := f.calls
				if err := s.run(s.args(0, 1, backend.ReadArgMax)); !errors.Is(err, backend.ErrDeviceLost) {
					t.Errorf("after the device was lost in call %d: %v", n, err)
				}
				if f.calls != calls {
					t.Errorf("a device lost in call %d is called again", n)
				}
			}
			if err := s.close(); err != nil && !errors.Is(err, fault) {
				t.Errorf("closing after a fault in call %d: %v", n, err)
			}
			f.checkClosed(t)
			if t.Failed() {
				t.Fatalf("stopped at call %d, %v", n, fault)
			}
		}
	}
}

func (f *fake) checkClosed(t *testing.T) {
	t.Helper()
	for _, what := range f.open {
		t.Errorf("left open: %s", what)
	}
	for _, what := range f.wrong {
		t.Error(what)
	}
	if !f.closed {
		t.Error("the API was not closed")
	}
}

// fakeSession is a decoder on the fake device.
func fakeSession(t testing.TB, name string) (*fake, *session) {
	t.Helper()
	f := newFake()
	dev, err := New(f, fakeInfo)
	if err != nil {
		t.Fatal(err)
	}
	s, err := start(dev, decoder(t, name))
	if err != nil {
		t.Fatal(errors.Join(err, s.close()))
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
		for _, w := range f.wrong {
			t.Error(w)
		}
	})
	return f, &s
}

// TestDispatches: what a decoded token costs, by the backend's own count and the
// device's.
func TestDispatches(t *testing.T) {
	for name, outside := range map[string]int{
		"llama":  3, // embed, gather_rows, output
		"gemma3": 5, // and scale, and the last norm_add
	} {
		f, s := fakeSession(t, name)
		layers := len(s.graph.States)
		if err := s.run(s.args(0, 66, backend.ReadArgMax)); err != nil {
			t.Fatal(err)
		}
		before := s.exe.(backend.Counted).Counters()
		if err := s.run(s.args(66, 1, backend.ReadArgMax)); err != nil {
			t.Fatal(err)
		}
		c := s.exe.(backend.Counted).Counters().Since(before)
		if most := int64(7*layers + outside + 2); c.Dispatches > most {
			t.Errorf("%s: a token of %d layers takes %d dispatches, at most %d are allowed\n%s", name, layers, c.Dispatches, most, s.graph)
		}
		if int(c.Dispatches) != f.dispatches {
			t.Errorf("%s: %d dispatches are counted, the device saw %d", name, c.Dispatches, f.dispatches)
		}
		if c.Submissions != 1 || c.ReadBacks != 1 || c.ReadBackBytes > 16 {
			t.Errorf("%s: a token takes %d submissions, %d read-backs of %d bytes", name, c.Submissions, c.ReadBacks, c.ReadBackBytes)
		}
		if c.Traffic < c.Streamed || c.Streamed == 0 {
			t.Errorf("%s: traffic %d, of it weights and cache %d", name, c.Traffic, c.Streamed)
		}
	}
}

// TestAllocations: a token allocates nothing.
func TestAllocations(t *testing.T) {
	_, s := fakeSession(t, "gemma3")
	for mode := range backend.ReadMode(modes) {
		a := s.args(3, 1, mode)
		if err := s.run(a); err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(50, func() {
			if err := s.run(a); err != nil {
				t.Error(err)
			}
		}); n > 0 {
			t.Errorf("mode %d: a token makes %g allocations", mode, n)
		}
	}
}

// TestAbandoned: a run whose fence nobody waits for does not disturb the next, nor
// what is closed after it.
func TestAbandoned(t *testing.T) {
	_, s := fakeSession(t, "llama")
	for range 2 {
		if _, err := s.exe.Submit(context.Background(), s.args(0, 2, backend.ReadArgMax)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.state.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.run(s.args(0, 1, backend.ReadArgMax)); err == nil {
		t.Error("a closed state is taken")
	}
	if err := s.exe.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.run(s.args(0, 1, backend.ReadArgMax)); err == nil {
		t.Error("a closed executable runs")
	}
}

// TestBanks: matrices follow each other in a bank as long as they fit; one that no
// bank holds is cut between rows.
func TestBanks(t *testing.T) {
	d := &device{limits: Limits{Range: 1 << 20}}
	spec := func(name string, rows, cols int) backend.WeightSpec {
		return backend.WeightSpec{Name: name, DType: dtype.F32, Shape: []int{rows, cols}, Uses: backend.UseProduct}
	}
	all, banks, _, err := d.layOut([]backend.WeightSpec{
		spec("small", 100, 1024), spec("next", 100, 1024), spec("large", 600, 1024), spec("after", 10, 1024),
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range all {
		rows := 0
		for _, p := range w.pieces {
			got = append(got, fmt.Sprintf("%s %d:%d+%d", w.spec.Name, p.Bank, p.At/1024, p.Rows))
			rows += p.Rows
			if int(p.At)+p.Rows*1024 > banks[p.Bank] || banks[p.Bank] > d.limits.Range/4 {
				t.Errorf("%s: a piece beyond its bank of %d", w.spec.Name, banks[p.Bank])
			}
		}
		if rows != w.spec.Shape[0] {
			t.Errorf("%s: %d of %d rows have a place", w.spec.Name, rows, w.spec.Shape[0])
		}
	}
	want := []string{"small 0:0+100", "next 0:100+100", "large 1:0+256", "large 2:0+256", "large 3:0+88", "after 3:88+10"}
	if !slices.Equal(got, want) {
		t.Errorf("places: %s\nwant:   %s", strings.Join(got, ", "), strings.Join(want, ", "))
	}
	var oom *backend.ErrOutOfMemory
	if _, _, _, err := d.layOut([]backend.WeightSpec{spec("wide", 1, 1<<20)}); !errors.As(err, &oom) {
		t.Errorf("a row that no buffer holds: %v", err)
	}
}

// TestOutOfMemory: what does not fit a buffer says which and how large it is.
func TestOutOfMemory(t *testing.T) {
	f := newFake()
	f.limits.Range = 1 << 20
	dev, err := New(f, fakeInfo)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	decl := graph.StateDecl{Name: "kv.0", Kind: graph.Paged, KVHeads: 2, KeyDim: 64, ValueDim: 64, DType: dtype.F16}
	var oom *backend.ErrOutOfMemory
	_, err = dev.NewState(backend.StateSpec{Decls: []graph.StateDecl{decl}, Pages: 65, Sequences: 1})
	if !errors.As(err, &oom) || !strings.Contains(err.Error(), "kv.0") {
		t.Errorf("a cache larger than a buffer: %v", err)
	}
	g := decoder(t, "llama")
	g.Max.T = 2600
	s, err := start(dev, g)
	if !errors.As(err, &oom) || !strings.Contains(err.Error(), "2600 rows") {
		t.Errorf("an arena larger than a buffer: %v", err)
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
	if len(f.open) > 0 {
		t.Errorf("left open: %v", f.open)
	}
}
