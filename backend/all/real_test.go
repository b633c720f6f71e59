package all_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/selftest"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/engine/goldentest"
	"github.com/ledge-run/ledge/runtime/model"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// TestRealModel compares a real model's logits with those of the plain reference
// on the same weights: a device that computes in float32 differs by rounding only,
// a hundred-thousandth of what rounding activations to int8 does.
func TestRealModel(t *testing.T) {
	dir := os.Getenv("LEDGE_TEST_MODELS")
	if dir == "" {
		t.Skip("LEDGE_TEST_MODELS does not name a folder with the real models")
	}
	path := filepath.Join(dir, "smollm2-135m-instruct-q4_1.gguf")
	tokens := []int32{504, 3575, 282, 4649, 314} // The capital of France is
	want := reference(t, path, tokens)
	eachDevice(t, func(t *testing.T, i backend.Info) {
		if i.Backend == "opencl" && i.Kind == backend.CPU && os.Getenv("LEDGE_TEST_FULL") == "" {
			t.Skip("it compiles for a minute: only with LEDGE_TEST_FULL")
		}
		bound := 1e-5
		if i.Backend == "cuda" {
			bound = 2e-4 // activations in float16
			if os.Getenv("LEDGE_TEST_CUDA") == "" && os.Getenv("LEDGE_TEST_FULL") == "" {
				t.Skip("the emulated GPU takes minutes: only with LEDGE_TEST_FULL")
			}
		}
		m, err := engine.Open(context.Background(), path, engine.Options{Device: i.Name, Context: 64})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if err := selftest.Compare(goldentest.Logits(t, m, tokens), want, bound); err != nil {
			t.Error(err)
		}
	})
}

func reference(t *testing.T, path string, tokens []int32) []float32 {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	net, err := engine.Network(f)
	if err != nil {
		t.Fatal(err)
	}
	rows := len(tokens)
	g, err := net.Decoder(model.Options{Max: graph.Limits{T: rows, S: 1, R: rows, P: 1}, Cache: dtype.F16, Context: 64})
	if err != nil {
		t.Fatal(err)
	}
	var specs []backend.WeightSpec
	for _, n := range g.Weights() {
		w, _ := f.Tensor(n.Name)
		specs = append(specs, backend.WeightSpec{
			Name: n.Name, DType: w.DType, Shape: w.Shape,
			Open: func() ([]byte, func(), error) { return w.Data, func() {}, nil },
		})
	}
	r, err := selftest.NewReference(g, specs)
	if err != nil {
		t.Fatal(err)
	}
	a := &backend.Args{Seqs: 1, Segments: []backend.Segment{{Rows: rows, Pages: []int32{0}}}}
	places := make([]int32, rows)
	for i := range places {
		places[i] = int32(i)
	}
	for _, in := range g.Inputs() {
		v := backend.Tensor{I32: places} // positions, rows read
		if in.Name == "tokens" {
			v.I32 = tokens
		}
		a.Inputs = append(a.Inputs, v)
	}
	out, err := r.Run(a)
	if err != nil {
		t.Fatal(err)
	}
	return out[0]
}
