package backendtest

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/graph/pass"
	"github.com/ledge-run/ledge/graph/plan"
)

// testMisuse gives wrong arguments: each must be an error, and the executable
// must work as before afterwards.
func testMisuse(t *testing.T, dev backend.Device) {
	g := stateGraph()
	if why := unsupported(dev, g); why != "" {
		t.Skip(why)
	}
	specs := weightsFor(t, g, 5)
	m := compile(t, dev, g, specs, true)
	good := step{segs: []seg{{0, 0, 5}, {1, 0, 3}}, read: []int32{7}}
	first, err := m.execute(good)
	if err != nil {
		t.Fatal(err)
	}
	want := append([]float32(nil), first.Outputs[0].F32...)

	otherState, err := dev.NewState(backend.StateSpec{Decls: []graph.StateDecl{{Name: "kv.0", Kind: graph.Paged, KVHeads: 1, KeyDim: 8, ValueDim: 8, DType: g.States[0].DType}}, Pages: 100, Sequences: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer otherState.Close()
	top := func(a *backend.Args) *backend.Output {
		o := &a.Outputs[0]
		k := backend.TopCount
		*o = backend.Output{Mode: backend.ReadTop, IDs: make([]int32, k), Logits: make([]float32, k), LogSumExp: make([]float32, 1)}
		return o
	}
	for _, c := range []struct {
		name  string
		spoil func(a *backend.Args)
	}{
		{"no arguments", func(a *backend.Args) { *a = backend.Args{} }},
		{"an input missing", func(a *backend.Args) { a.Inputs = a.Inputs[:2] }},
		{"an input too many", func(a *backend.Args) { a.Inputs = append(a.Inputs, backend.Tensor{}) }},
		{"no outputs", func(a *backend.Args) { a.Outputs = nil }},
		{"token below 0", func(a *backend.Args) { a.Inputs[0].I32[1] = -1 }},
		{"token beyond the vocabulary", func(a *backend.Args) { a.Inputs[0].I32[7] = 160 }},
		{"position below 0", func(a *backend.Args) { a.Inputs[1].I32[0] = -5 }},
		{"position far away", func(a *backend.Args) { a.Inputs[1].I32[0] = math.MaxInt32 }},
		{"row read out beyond the batch", func(a *backend.Args) { a.Inputs[2].I32[0] = 8 }},
		{"row read out below 0", func(a *backend.Args) { a.Inputs[2].I32[0] = -1 }},
		{"tokens and positions of different number", func(a *backend.Args) { a.Inputs[1].I32 = a.Inputs[1].I32[1:] }},
		{"tokens as floats", func(a *backend.Args) { a.Inputs[0] = backend.Tensor{F32: make([]float32, 8)} }},
		{"no state", func(a *backend.Args) { a.State = nil }},
		{"state of another model", func(a *backend.Args) { a.State = otherState }},
		{"state of another device", func(a *backend.Args) { a.State = foreignState{} }},
		{"no segments", func(a *backend.Args) { a.Segments = nil }},
		{"segments with fewer rows than the inputs", func(a *backend.Args) { a.Segments = a.Segments[:1] }},
		{"segments with more rows than the inputs", func(a *backend.Args) { a.Segments[1].Rows++ }},
		{"segment with too few pages", func(a *backend.Args) { a.Segments[0].Pages = nil }},
		{"segment that starts beyond its pages", func(a *backend.Args) { a.Segments[0].Start = 60 }},
		{"segment with negative start", func(a *backend.Args) { a.Segments[0].Start = -1 }},
		{"segment with a start near the largest number", func(a *backend.Args) { a.Segments[0].Start = math.MaxInt - 1 }},
		{"segment with negative rows", func(a *backend.Args) { a.Segments[0].Rows = -3 }},
		{"segment with a huge number of rows", func(a *backend.Args) { a.Segments[0].Rows = math.MaxInt / 2 }},
		{"page that is not there", func(a *backend.Args) { a.Segments[1].Pages = []int32{int32(pagesOf(g))} }},
		{"page below 0", func(a *backend.Args) { a.Segments[1].Pages = []int32{-1} }},
		{"sequence below 0", func(a *backend.Args) { a.Segments[0].Seq = -1 }},
		{"more pages than compiled for", func(a *backend.Args) { a.Segments[0].Pages = make([]int32, 4) }},
		{"more sequences than compiled for", func(a *backend.Args) { a.Seqs = 4 }},
		{"more rows than compiled for", func(a *backend.Args) { *a = *args(g, prompt(71), m.state) }},
		{"more rows read out than compiled for", func(a *backend.Args) {
			*a = *args(g, step{segs: []seg{{0, 0, 8}}, read: []int32{0, 1, 2, 3, 4}}, m.state)
		}},
		{"output too small", func(a *backend.Args) { a.Outputs[0].F32 = a.Outputs[0].F32[1:] }},
		{"output missing", func(a *backend.Args) { a.Outputs[0].F32 = nil }},
		{"unknown read mode", func(a *backend.Args) { a.Outputs[0].Mode = 99 }},
		{"too little room for ids", func(a *backend.Args) { top(a).IDs = make([]int32, 127) }},
		{"too little room for candidates", func(a *backend.Args) { top(a).Logits = nil }},
		{"no room for log-sum-exp", func(a *backend.Args) { top(a).LogSumExp = nil }},
		{"mask too short", func(a *backend.Args) { a.Outputs[0].Mask = make([]uint64, 2) }},
		{"bias of a row that is not read out", func(a *backend.Args) { a.Outputs[0].Bias = []backend.Bias{{Row: 1, ID: 0, Add: 1}} }},
		{"bias of an id beyond the vocabulary", func(a *backend.Args) { a.Outputs[0].Bias = []backend.Bias{{Row: 0, ID: 160, Add: 1}} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := args(g, good, m.state)
			c.spoil(a)
			if err := m.submit(a); err == nil {
				t.Error("is no error")
			} else if len(err.Error()) < 10 {
				t.Errorf("the error says too little: %v", err)
			}
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		f, err := m.exe.Submit(ctx, args(g, good, m.state))
		if err == nil {
			err = f.Wait()
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("a cancelled run gives %v", err)
		}
		w, err := dev.Load(ctx, backend.LoadSpec{Weights: withUses(specs, m.lowered)})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("a cancelled Load gives %v", err)
		}
		if w != nil && err == nil {
			w.Close()
		}
	})
	t.Run("nothing to do", func(t *testing.T) {
		a := args(g, good, m.state)
		a.Outputs[0].Skip, a.Outputs[0].F32 = true, nil
		if err := m.submit(a); err != nil {
			t.Errorf("a skipped output: %v", err)
		}
		if _, err := m.execute(step{segs: []seg{{0, 0, 8}}, read: []int32{}}); err != nil {
			t.Errorf("no rows read out: %v", err)
		}
	})
	t.Run("still works", func(t *testing.T) {
		a, err := m.execute(good)
		if err != nil {
			t.Fatal(err)
		}
		if !sameBits(a.Outputs[0].F32, want) {
			t.Error("after wrong arguments the result is another one")
		}
	})
	t.Run("allocations", func(t *testing.T) {
		a := args(g, prompt(5), m.state)
		if err := m.submit(a); err != nil {
			t.Fatal(err)
		}
		n := testing.AllocsPerRun(20, func() {
			if err := m.submit(a); err != nil {
				t.Error(err)
			}
		})
		if n > 0 {
			t.Errorf("Submit makes %g allocations", n)
		}
	})
	t.Run("load", func(t *testing.T) { testBadLoad(t, dev, g, specs) })
	t.Run("progress", func(t *testing.T) { testProgress(t, dev, g, specs) })
}

func testBadLoad(t *testing.T, dev backend.Device, g *graph.Graph, specs []backend.WeightSpec) {
	for _, c := range []struct {
		name  string
		spoil func(s *backend.WeightSpec)
	}{
		{"Open fails", func(s *backend.WeightSpec) {
			s.Open = func() ([]byte, func(), error) { return nil, nil, errors.New("no such tensor") }
		}},
		{"too few bytes", func(s *backend.WeightSpec) {
			open := s.Open
			s.Open = func() ([]byte, func(), error) {
				b, release, err := open()
				return b[:len(b)-1], release, err
			}
		}},
		{"shape that does not fit", func(s *backend.WeightSpec) { s.Shape = append([]int{2}, s.Shape...) }},
		{"type without kernels", func(s *backend.WeightSpec) { s.DType = dtype.I64 }},
		{"negative size", func(s *backend.WeightSpec) { s.Shape = []int{-1, 4} }},
		{"size that overflows", func(s *backend.WeightSpec) { s.Shape = []int{math.MaxInt, math.MaxInt} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, at := range []int{0, len(specs) - 1} {
				bad := withUses(specs, g)
				c.spoil(&bad[at])
				w, err := dev.Load(context.Background(), backend.LoadSpec{Weights: bad})
				if err == nil {
					t.Errorf("weight %q: is no error", bad[at].Name)
					w.Close()
				}
			}
		})
	}
	t.Run("weight missing", func(t *testing.T) {
		parts, err := pass.Compile(g, []pass.Target{dev.Target()}, pass.Options{Layers: -1})
		if err != nil {
			t.Fatal(err)
		}
		lowered := parts[0].Graph
		p, err := plan.New(lowered, dev.Target().Align)
		if err != nil {
			t.Fatal(err)
		}
		all := withUses(specs, lowered)
		for i := range all {
			some := append(append([]backend.WeightSpec(nil), all[:i]...), all[i+1:]...)
			w, err := dev.Load(context.Background(), backend.LoadSpec{Weights: some})
			if err != nil {
				t.Fatal(err)
			}
			if e, err := dev.Compile(context.Background(), backend.CompileSpec{Graph: lowered, Plan: p, Weights: w}); err == nil {
				t.Errorf("without %q: Compile gives no error", all[i].Name)
				e.Close()
			}
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

// testProgress: what Load reports grows to the bytes of all weights; every
// release is called once, at the latest when the weights are closed.
func testProgress(t *testing.T, dev backend.Device, g *graph.Graph, specs []backend.WeightSpec) {
	var total, last int64
	released := 0
	all := withUses(specs, g)
	for i := range all {
		open := all[i].Open
		n, err := dtype.ByteSize(all[i].DType, all[i].Shape)
		if err != nil {
			t.Fatal(err)
		}
		total += int64(n)
		all[i].Open = func() ([]byte, func(), error) {
			b, release, err := open()
			return b, func() { released++; release() }, err
		}
	}
	w, err := dev.Load(context.Background(), backend.LoadSpec{Weights: all, Progress: func(done int64) {
		if done < last {
			t.Errorf("progress goes back from %d to %d", last, done)
		}
		last = done
	}})
	if err != nil {
		t.Fatal(err)
	}
	if last != total {
		t.Errorf("progress ends at %d of %d bytes", last, total)
	}
	if w.Bytes() <= 0 {
		t.Errorf("the weights take %d bytes", w.Bytes())
	}
	for range 2 { // closing twice does no harm
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
	if released != len(all) {
		t.Errorf("%d of %d weights were released", released, len(all))
	}
}

// foreignState is a state that no device made.
type foreignState struct{}

func (foreignState) Layout() string              { return "foreign" }
func (foreignState) PageBytes() int              { return 1 }
func (foreignState) CopyPage(dst, src int) error { return nil }
func (foreignState) ReadPage(int, []byte) error  { return nil }
func (foreignState) WritePage(int, []byte) error { return nil }
func (foreignState) Close() error                { return nil }
