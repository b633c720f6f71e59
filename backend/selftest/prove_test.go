package selftest_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/null"
	"github.com/ledge-run/ledge/backend/selftest"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
)

// gpu is a perfect device that calls itself a GPU and reads out in every mode.
type gpu struct{ *perfect }

func (d gpu) Info() backend.Info {
	i := d.perfect.Info()
	i.Kind = backend.GPU
	return i
}

func (d gpu) Compile(ctx context.Context, s backend.CompileSpec) (backend.Executable, error) {
	e, err := d.perfect.Compile(ctx, s)
	if err != nil {
		return nil, err
	}
	return &reader{e.(*executable)}, nil
}

// reader reads out what the reference computed as the contract of Output says.
type reader struct{ *executable }

func (r *reader) Submit(ctx context.Context, a *backend.Args) (backend.Fence, error) {
	rows, err := r.r.Run(a)
	if err != nil {
		return nil, err
	}
	cols := r.r.Graph.Outputs[0].Node.Type.Shape[1].N
	f, err := r.executable.Executable.Submit(ctx, a)
	if err != nil {
		return nil, err
	}
	x := rows[0]
	o := &a.Outputs[0]
	if o.Mode == backend.ReadFull {
		copy(o.F32, x)
	} else {
		readOut(o, x, cols)
	}
	if r.d.spoil != nil {
		r.d.spoil(r.r.Graph, a)
	}
	return f, nil
}

func readOut(o *backend.Output, x []float32, cols int) {
	words := (cols + 63) / 64
	for _, b := range o.Bias {
		x[b.Row*cols+int(b.ID)] += b.Add
	}
	n := len(x) / cols
	k := len(o.IDs) / n
	for row := range n {
		y := x[row*cols : (row+1)*cols]
		ids := make([]int32, cols)
		sum := 0.0
		for id := range y {
			ids[id] = int32(id)
			if o.Mask != nil && o.Mask[row*words+id/64]>>(id%64)&1 == 0 {
				y[id] = float32(math.Inf(-1))
			}
			sum += math.Exp(float64(y[id]))
		}
		slices.SortStableFunc(ids, func(a, b int32) int {
			switch {
			case y[a] > y[b]:
				return -1
			case y[a] < y[b]:
				return 1
			}
			return 0
		})
		for i := range k {
			o.IDs[row*k+i], o.Logits[row*k+i] = ids[i], y[ids[i]]
		}
		o.LogSumExp[row] = float32(math.Log(sum))
	}
}

func rowsIn(a *backend.Args) (n int) {
	for _, s := range a.Segments {
		n += s.Rows
	}
	return n
}

// TestProve: each fault that only one variant of the kernels has is found.
func TestProve(t *testing.T) {
	full := func(a *backend.Args) bool { return a.Outputs[0].Mode == backend.ReadFull }
	for _, c := range []struct {
		name   string
		types  []dtype.DType
		spoil  func(g *graph.Graph, a *backend.Args)
		want   string // in the error; "" passes
		varies bool
	}{
		{name: "right", types: []dtype.DType{dtype.Q4_K}},
		{name: "wrong with one of the model's types", types: []dtype.DType{dtype.Q4_K}, spoil: func(g *graph.Graph, a *backend.Args) {
			if strings.Contains(g.String(), "q4_k[") && full(a) {
				a.Outputs[0].F32[0] = -a.Outputs[0].F32[0] + 9
			}
		}, want: "weights of type q4_k"},
		{name: "that type is not asked for", spoil: func(g *graph.Graph, a *backend.Args) {
			if strings.Contains(g.String(), "q4_k[") {
				clear(a.Outputs[0].F32)
			}
		}},
		{name: "wrong with more than 8 rows", spoil: func(g *graph.Graph, a *backend.Args) {
			if full(a) && rowsIn(a) > 8 {
				clear(a.Outputs[0].F32[len(a.Outputs[0].F32)-96:])
			}
		}, want: "wrong result"},
		{name: "wrong in a long context", spoil: func(g *graph.Graph, a *backend.Args) {
			s := a.Segments[len(a.Segments)-1]
			if full(a) && s.Start+s.Rows > 256 {
				clear(a.Outputs[0].F32[len(a.Outputs[0].F32)-96:])
			}
		}, want: "after 205 tokens: wrong result"},
		{name: "wrong with keys and values in float32", spoil: func(g *graph.Graph, a *backend.Args) {
			if full(a) && g.States[0].DType == dtype.F32 {
				clear(a.Outputs[0].F32)
			}
		}, want: "keys and values stored as f32"},
		{name: "the best candidate is not the best", spoil: func(g *graph.Graph, a *backend.Args) {
			if a.Outputs[0].Mode == backend.ReadArgMax {
				a.Outputs[0].IDs[0] = (a.Outputs[0].IDs[0] + 1) % 96
			}
		}, want: "the best candidates (1 of a row"},
		{name: "candidates twice", spoil: func(g *graph.Graph, a *backend.Args) {
			if a.Outputs[0].Mode == backend.ReadTop {
				a.Outputs[0].IDs[1] = a.Outputs[0].IDs[0]
			}
		}, want: "the best candidates (96 of a row"},
		{name: "no candidate at all", spoil: func(g *graph.Graph, a *backend.Args) {
			if a.Outputs[0].Mode == backend.ReadTop {
				a.Outputs[0].IDs[0] = 1 << 30
			}
		}, want: "row 0 has candidate 1073741824"},
		{name: "the mask is ignored", spoil: func(g *graph.Graph, a *backend.Args) {
			if o := &a.Outputs[0]; o.Mask != nil {
				for i := range o.IDs {
					o.IDs[i] = 0 // row 0 forbids 0
				}
			}
		}, want: "mask and bias: true"},
		{name: "a wrong sum", spoil: func(g *graph.Graph, a *backend.Args) {
			if o := &a.Outputs[0]; o.Mode == backend.ReadTop {
				o.LogSumExp[1]++
			}
		}, want: "log-sum-exp"},
		{name: "rows depend on the batch by a hair", spoil: func(g *graph.Graph, a *backend.Args) {
			for i := range a.Outputs[0].F32 {
				a.Outputs[0].F32[i] *= 1 + 1e-6*float32(rowsIn(a))
			}
		}, varies: true},
		{name: "wrong alone", spoil: func(g *graph.Graph, a *backend.Args) {
			if len(a.Segments) == 1 && full(a) {
				a.Outputs[0].F32[5] = 100
			}
		}, want: "wrong result"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := gpu{&perfect{Device: null.New(null.Options{}), name: "gpu", spoil: c.spoil}}
			r, err := selftest.Prove(context.Background(), d, c.types, nil)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if (r.Varies != nil) != c.varies && c.want == "" {
				t.Errorf("varies: %v", r.Varies)
			}
			if err := d.Close(); err != nil {
				t.Errorf("the self-test left something open: %v", err)
			}
		})
	}
}

// TestProveFails: what a device cannot do ends the proof in order.
func TestProveFails(t *testing.T) {
	for call := null.Load; call <= null.Submit; call++ {
		for n := 1; n <= 3; n++ {
			d := gpu{&perfect{Device: null.New(null.Options{}), name: "gpu"}}
			d.Fail(call, n, errors.New("not today"))
			if _, err := selftest.Prove(context.Background(), d, nil, nil); err == nil || !strings.Contains(err.Error(), "not today") {
				t.Errorf("%v %d: %v", call, n, err)
			}
			if err := d.Close(); err != nil {
				t.Errorf("%v %d: %v", call, n, err)
			}
		}
	}
	none := gpu{&perfect{Device: null.New(null.Options{Supports: func(*graph.Graph, *graph.Node) error { return errors.New("no") }}), name: "gpu"}}
	if _, err := selftest.Prove(context.Background(), none, nil, nil); err == nil {
		t.Error("a device that takes nothing passes")
	}
}
