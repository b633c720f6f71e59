package null_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/null"
	"github.com/ledge-run/ledge/backend/selftest"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/graphtest"
	"github.com/ledge-run/ledge/graph/pass"
	"github.com/ledge-run/ledge/graph/plan"
)

// model is a decoder on a null device.
type model struct {
	g     *graph.Graph
	plan  *plan.Plan
	specs []backend.WeightSpec
	bytes int64
}

func newModel(t *testing.T, d *null.Device) model {
	t.Helper()
	parts, err := pass.Compile(graphtest.Architectures()[0].Must(), []pass.Target{d.Target()}, pass.Options{Layers: -1})
	if err != nil {
		t.Fatal(err)
	}
	m := model{g: parts[0].Graph}
	if m.plan, err = plan.New(m.g, d.Target().Align); err != nil {
		t.Fatal(err)
	}
	if m.specs, err = selftest.RandomWeights(m.g, 1); err != nil {
		t.Fatal(err)
	}
	for _, s := range m.specs {
		data, _, _ := s.Open()
		m.bytes += int64(len(data))
	}
	return m
}

func (m model) open(d *null.Device) (w backend.Weights, s backend.State, e backend.Executable, err error) {
	if w, err = d.Load(context.Background(), backend.LoadSpec{Weights: m.specs}); err != nil {
		return
	}
	if s, err = d.NewState(backend.StateSpec{Decls: m.g.States, Pages: 8, Sequences: 4}); err != nil {
		return
	}
	e, err = d.Compile(context.Background(), backend.CompileSpec{Graph: m.g, Plan: m.plan, Weights: w})
	return
}

func args(s backend.State, segs ...backend.Segment) *backend.Args {
	rows := 0
	for _, g := range segs {
		rows += g.Rows
	}
	return &backend.Args{
		Inputs:   []backend.Tensor{{I32: make([]int32, rows)}, {I32: make([]int32, rows)}, {I32: []int32{0}}},
		Segments: segs, Seqs: len(segs), State: s,
		Outputs: []backend.Output{{Mode: backend.ReadArgMax, IDs: []int32{7}, Logits: []float32{7}}},
	}
}

func TestCounts(t *testing.T) {
	d := null.New(null.Options{})
	m := newModel(t, d)
	w, s, e, err := m.open(d)
	if err != nil {
		t.Fatal(err)
	}
	token := int64(0)
	for _, decl := range m.g.States {
		token += int64(decl.TokenBytes())
	}
	st := d.Stats()
	if st.WeightBytes != m.bytes || st.StateBytes != 8*backend.PageTokens*token || st.ArenaBytes != int64(m.plan.Arena) {
		t.Errorf("memory %+v, want %d of weights", st, m.bytes)
	}
	a := args(s, backend.Segment{Rows: 3, Pages: []int32{1}}, backend.Segment{Seq: 1, Start: 64, Rows: 2, Pages: []int32{3, 2}})
	if _, err := e.Submit(context.Background(), a); err != nil {
		t.Fatal(err)
	}
	if a.Outputs[0].IDs[0] != 0 || a.Outputs[0].Logits[0] != 0 {
		t.Errorf("the answer is %+v", a.Outputs[0])
	}
	st = d.Stats()
	if st.Rows != 5 || st.CacheWrites != 5*token || st.CacheReads != (1+2+3+65+66)*token {
		t.Errorf("traffic %+v, a token takes %d bytes", st, token)
	}
	if st.WeightReads <= 0 || st.Calls != [4]int{1, 1, 1, 1} {
		t.Errorf("counts %+v", st)
	}
	for _, c := range []interface{ Close() error }{e, s, w, d} {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if st := d.Stats(); st.WeightBytes+st.StateBytes+st.ArenaBytes != 0 || st.Weights+st.States+st.Executables != 0 {
		t.Errorf("after closing: %+v", st)
	}
}

func TestFail(t *testing.T) {
	oom := &backend.ErrOutOfMemory{What: "a test", Need: 1 << 20}
	for _, c := range []null.Call{null.Load, null.NewState, null.Compile} {
		d := null.New(null.Options{})
		d.Fail(c, 1, oom)
		m := newModel(t, d)
		var have *backend.ErrOutOfMemory
		if _, _, _, err := m.open(d); !errors.As(err, &have) {
			t.Errorf("%s: error %v, want one of memory", c, err)
		}
		if _, _, _, err := m.open(d); err != nil {
			t.Errorf("%s: the second time: %v", c, err)
		}
	}
	d := null.New(null.Options{})
	m := newModel(t, d)
	_, s, e, err := m.open(d)
	if err != nil {
		t.Fatal(err)
	}
	d.Fail(null.Submit, 3, backend.ErrDeviceLost)
	for i := range 5 {
		_, err := e.Submit(context.Background(), args(s, backend.Segment{Start: i, Rows: 1, Pages: []int32{0}}))
		if lost := errors.Is(err, backend.ErrDeviceLost); lost != (i >= 2) {
			t.Errorf("run %d: error %v", i, err)
		}
	}
	if _, err := d.NewState(backend.StateSpec{}); !errors.Is(err, backend.ErrDeviceLost) {
		t.Errorf("a lost device gives %v", err)
	}
}

func TestMemory(t *testing.T) {
	probe := null.New(null.Options{})
	m := newModel(t, probe)
	d := null.New(null.Options{Memory: uint64(m.bytes) + 100})
	_, _, _, err := m.open(d)
	var oom *backend.ErrOutOfMemory
	if !errors.As(err, &oom) || oom.Have != 100 || oom.What != "states" {
		t.Errorf("error %v, want no memory for states, 100 bytes free", err)
	}
}

func TestMisuse(t *testing.T) {
	d := null.New(null.Options{})
	m := newModel(t, d)
	w, s, e, err := m.open(d)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		want string
		a    *backend.Args
	}{
		{"page 8 of 8", args(s, backend.Segment{Rows: 1, Pages: []int32{8}})},
		{"do not fit", args(s, backend.Segment{Rows: 65, Pages: []int32{0}})},
		{"both write slot 3 of page 2", args(s, backend.Segment{Rows: 4, Pages: []int32{2}}, backend.Segment{Seq: 1, Start: 3, Rows: 1, Pages: []int32{2}})},
		{"state is missing", args(nil, backend.Segment{Rows: 1, Pages: []int32{0}})},
		{"compiled for at most", args(s, backend.Segment{Rows: 33, Pages: []int32{0}})},
		{"0 inputs", &backend.Args{}},
	} {
		if _, err := e.Submit(context.Background(), c.a); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q in it", err, c.want)
		}
	}
	if err := w.Close(); err == nil {
		t.Error("closing weights in use is no error")
	}
	if err := d.Close(); err == nil {
		t.Error("closing a device in use is no error")
	}
}

// TestNeverPicked: the driver is there once imported, and must be asked for.
func TestNeverPicked(t *testing.T) {
	if dev, _, err := backend.Select(context.Background(), backend.Choice{}); err == nil {
		t.Errorf("%s was picked", dev.Info().Name)
	}
	dev, cands, err := backend.Select(context.Background(), backend.Choice{Device: null.Name})
	if err != nil || dev.Info().Kind != backend.Null || len(cands) != 1 || !cands[0].Picked {
		t.Errorf("asked for by name: %v, %+v", err, cands)
	}
}
