package selftest_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/null"
	"github.com/ledge-run/ledge/backend/selftest"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/graph/graphtest"
	"github.com/ledge-run/ledge/graph/pass"
)

// perfect is a device that computes with the reference itself, so that a fault
// can be put into it.
type perfect struct {
	*null.Device
	name  string
	specs []backend.WeightSpec
	spoil func(g *graph.Graph, a *backend.Args)
	load  error
}

func (d *perfect) Info() backend.Info {
	i := d.Device.Info()
	i.Name = d.name
	return i
}

func (d *perfect) Load(ctx context.Context, s backend.LoadSpec) (backend.Weights, error) {
	d.specs = s.Weights
	if d.load != nil {
		return nil, d.load
	}
	return d.Device.Load(ctx, s)
}

func (d *perfect) Compile(ctx context.Context, s backend.CompileSpec) (backend.Executable, error) {
	e, err := d.Device.Compile(ctx, s)
	if err != nil {
		return nil, err
	}
	r, err := selftest.NewReference(s.Graph, d.specs)
	return &executable{e, r, d}, err
}

type executable struct {
	backend.Executable
	r *selftest.Reference
	d *perfect
}

func (e *executable) Submit(ctx context.Context, a *backend.Args) (backend.Fence, error) {
	out, err := e.r.Run(a)
	if err != nil {
		return nil, err
	}
	f, err := e.Executable.Submit(ctx, a)
	for i := range out {
		copy(a.Outputs[i].F32, out[i])
	}
	if e.d.spoil != nil {
		e.d.spoil(e.r.Graph, a)
	}
	return f, err
}

// TestVerdicts: a right device passes, a wrong one does not.
func TestVerdicts(t *testing.T) {
	for i, c := range []struct {
		name  string
		spoil func(g *graph.Graph, a *backend.Args)
		load  error
		want  string // in the error; "" passes
	}{
		{name: "right"},
		{name: "an element in a hundred is wrong", spoil: func(g *graph.Graph, a *backend.Args) {
			for i := 0; i < len(a.Outputs[0].F32); i += 100 {
				a.Outputs[0].F32[i] *= -1
			}
		}, want: "wrong result"},
		{name: "off by five percent", spoil: func(g *graph.Graph, a *backend.Args) {
			for i := range a.Outputs[0].F32 {
				a.Outputs[0].F32[i] *= 1.05
			}
		}, want: "wrong result"},
		{name: "one value is not a number", spoil: func(g *graph.Graph, a *backend.Args) { a.Outputs[0].F32[0] = float32(math.NaN()) }, want: "wrong result"},
		{name: "wrong once the cache is used", spoil: func(g *graph.Graph, a *backend.Args) {
			if a.Segments[0].Start > 0 {
				clear(a.Outputs[0].F32)
			}
		}, want: "after 6 tokens"},
		{name: "wrong for one weight type", spoil: func(g *graph.Graph, a *backend.Args) {
			if strings.Contains(g.String(), "q4_1[") {
				clear(a.Outputs[0].F32)
			}
		}, want: "weights of type q4_1"},
		{name: "cannot load", load: errors.New("no memory today"), want: "no memory today"},
	} {
		d := &perfect{Device: null.New(null.Options{}), name: fmt.Sprint("perfect", i), spoil: c.spoil, load: c.load}
		err := selftest.Run(context.Background(), d)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
		if err := d.Close(); err != nil {
			t.Errorf("%s: the self-test left something open: %v", c.name, err)
		}
	}
	if err := selftest.Run(context.Background(), null.New(null.Options{})); err == nil {
		t.Error("a device that computes nothing passes")
	}
	nothing := null.New(null.Options{Name: "nothing", Supports: func(*graph.Graph, *graph.Node) error { return errors.New("no") }})
	if err := selftest.Run(context.Background(), nothing); err == nil {
		t.Error("a device that takes nothing passes")
	}
}

// TestAll: every weight type, and only those that the device takes.
func TestAll(t *testing.T) {
	noK := func(_ *graph.Graph, n *graph.Node) error {
		for _, in := range n.In {
			if in.Type.DType.BlockLen() == 256 {
				return errors.New("no K-quants")
			}
		}
		return nil
	}
	d := &perfect{Device: null.New(null.Options{Supports: noK}), name: "without K", spoil: func(g *graph.Graph, a *backend.Args) {
		if strings.Contains(g.String(), "_k[") {
			clear(a.Outputs[0].F32)
		}
	}}
	if err := selftest.RunAll(context.Background(), d); err != nil {
		t.Error(err)
	}
}

// TestPassesAreExact: on the reference, a graph and what the passes make of it
// give the same, but for the roundings of float32 between operations. No device
// is involved: this tests the passes and the meaning of the fused operations.
func TestPassesAreExact(t *testing.T) {
	target := pass.Target{
		Name: "reference", Align: 4,
		Supports: func(*graph.Graph, *graph.Node) error { return nil },
		Lower:    func(*graph.Graph, *graph.Node) (string, string) { return "", "" },
	}
	var graphs []*graph.Graph
	for _, d := range graphtest.Architectures() {
		graphs = append(graphs, d.Must())
	}
	for seed := range uint64(80) {
		graphs = append(graphs, graphtest.Random(seed))
	}
	for _, g := range graphs {
		parts, err := pass.Compile(g, []pass.Target{target}, pass.Options{Layers: -1})
		if err != nil {
			t.Fatal(err)
		}
		specs, err := selftest.RandomWeights(g, 2)
		if err != nil {
			t.Fatal(err)
		}
		built, err := selftest.NewReference(g, specs)
		if err != nil {
			t.Fatal(err)
		}
		fused, err := selftest.NewReference(parts[0].Graph, specs)
		if err != nil {
			t.Fatal(err)
		}
		for _, rows := range []int{min(3, g.Max.T), 1} {
			a := arguments(g, rows)
			want, err := built.Run(a)
			if err != nil {
				t.Fatal(err)
			}
			got, err := fused.Run(a)
			if err != nil {
				t.Fatal(err)
			}
			for i := range want {
				if err := selftest.Compare(got[i], want[i], 1e-6); err != nil {
					t.Fatalf("%s, output %d: %v\n%s\nfused:\n%s", g.Name, i, err, g, parts[0].Graph)
				}
			}
		}
	}
}

// arguments are some for any graph.
func arguments(g *graph.Graph, rows int) *backend.Args {
	a := &backend.Args{Seqs: 1, Segments: []backend.Segment{{Rows: rows, Pages: []int32{0}}}}
	for i, in := range g.Inputs() {
		n, _ := in.Type.Shape.NumElems(dtype.Binding{T: rows, S: 1, R: 1, P: 1})
		var v backend.Tensor
		for j := range n {
			if in.Type.DType == dtype.I32 {
				v.I32 = append(v.I32, int32(j%rows))
			} else {
				v.F32 = append(v.F32, float32(math.Sin(float64(i+3*j))))
			}
		}
		a.Inputs = append(a.Inputs, v)
	}
	return a
}

// TestReferenceAttention computes one small attention by hand: two tokens, one
// head, then a third that sees only the last two.
func TestReferenceAttention(t *testing.T) {
	g := graphtest.Parse(t, `
		graph "g" T=2 S=1 P=1
		state "kv" paged heads=1 key=2 value=1 type=f32
		%0 = input "q" : f32[T, 1, 2]
		%1 = input "k" : f32[T, 1, 2]
		%2 = input "v" : f32[T, 1, 1]
		%3 = cache_write(%1, %2) state=kv : none
		%4 = attention(%0, %3) state=kv scale=2 window=2 mask=causal : f32[T, 1, 1]
		output "y" %4`)
	r, err := selftest.NewReference(g, nil)
	if err != nil {
		t.Fatal(err)
	}
	run := func(start int, q, k, v []float32) []float32 {
		out, err := r.Run(&backend.Args{
			Inputs:   []backend.Tensor{{F32: q}, {F32: k}, {F32: v}},
			Segments: []backend.Segment{{Start: start, Rows: len(v), Pages: []int32{5}}}, Seqs: 1,
		})
		if err != nil {
			t.Fatal(err)
		}
		return out[0]
	}
	mix := func(s1, v1, s2, v2 float64) float32 { // soft-max of two scores
		return float32((math.Exp(s1)*v1 + math.Exp(s2)*v2) / (math.Exp(s1) + math.Exp(s2)))
	}
	got := run(0, []float32{1, 0, 1, 2}, []float32{0.5, 0, 0, 0.25}, []float32{10, 20})
	want := []float32{10, mix(2*0.5, 10, 2*0.5, 20)}
	got = append(got, run(2, []float32{0, 3}, []float32{7, 1}, []float32{-4})...)
	want = append(want, mix(2*0.75, 20, 2*3, -4))
	for i := range want {
		if math.Abs(float64(got[i]-want[i])) > 1e-5 {
			t.Errorf("row %d: %g, want %g", i, got[i], want[i])
		}
	}
}

func TestReferenceErrors(t *testing.T) {
	g := graphtest.Architectures()[0].Must()
	specs, err := selftest.RandomWeights(g, 1)
	if err != nil {
		t.Fatal(err)
	}
	specs[0].Open = func() ([]byte, func(), error) { return nil, nil, errors.New("gone") }
	if _, err := selftest.NewReference(g, specs); err == nil {
		t.Error("a weight that cannot be opened is no error")
	}
	specs[0].Open = func() ([]byte, func(), error) { return []byte{1}, func() {}, nil }
	if _, err := selftest.NewReference(g, specs); err == nil {
		t.Error("a weight with too few bytes is no error")
	}
}

func TestCompare(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		got, want []float32
		ok        bool
	}{
		{[]float32{1, 2}, []float32{1, 2}, true},
		{[]float32{1, 2.001}, []float32{1, 2}, true},
		{[]float32{1, 3}, []float32{1, 2}, false},
		{[]float32{1}, []float32{1, 2}, false},
		{[]float32{nan, 2}, []float32{1, 2}, false},
		{[]float32{0, 0}, []float32{0, 0}, true},
		{[]float32{1, 0}, []float32{0, 0}, false},
	} {
		if err := selftest.Compare(c.got, c.want, 1e-3); (err == nil) != c.ok {
			t.Errorf("%v against %v: %v", c.got, c.want, err)
		}
	}
}

// processor is a device that is taken for the processor.
type processor struct{ *perfect }

func (d processor) Info() backend.Info {
	i := d.perfect.Info()
	i.Kind, i.Backend = backend.CPU, "cpu"
	return i
}

// TestRunTypes: on the processor a model's own types are tried, and nothing is passed
// with that but they.
func TestRunTypes(t *testing.T) {
	spoil := func(g *graph.Graph, a *backend.Args) {
		if strings.Contains(g.String(), "q4_1[") {
			clear(a.Outputs[0].F32)
		}
	}
	ctx := context.Background()
	d := processor{&perfect{Device: null.New(null.Options{}), name: "types", spoil: spoil}}
	if err := selftest.RunTypes(ctx, d, []dtype.DType{dtype.Q5_0}); err != nil {
		t.Error(err)
	}
	if err := selftest.RunTypes(ctx, d, []dtype.DType{dtype.Q5_0, dtype.Q4_1}); err == nil || !strings.Contains(err.Error(), "weights of type q4_1") {
		t.Errorf("got %v", err)
	}
	if err := selftest.Run(ctx, d); err == nil {
		t.Error("one type that passed stands for all")
	}
	if err := selftest.RunTypes(ctx, d, nil); err == nil {
		t.Error("a test of nothing passes")
	}
	gpu := &perfect{Device: null.New(null.Options{}), name: "types of a GPU", spoil: spoil}
	if err := selftest.RunTypes(ctx, gpu, []dtype.DType{dtype.Q5_0}); err == nil {
		t.Error("a GPU is tested in part")
	}
}
