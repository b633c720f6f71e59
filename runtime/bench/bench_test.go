package bench_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	_ "github.com/ledge-run/ledge/backend/cpu"
	"github.com/ledge-run/ledge/runtime/bench"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/engine/goldentest"
)

func open(t *testing.T) *engine.Model {
	t.Helper()
	g := goldentest.Named("../model/testdata", "llama-gqa")
	return g.Open(t, engine.Options{Threads: 1, Sequences: 3})
}

func TestNames(t *testing.T) {
	tests := bench.Tests([]int{512, 0}, []int{64}, []int{0, 4096}, []int{1, 8})
	var got []string
	for _, x := range tests {
		got = append(got, x.String())
	}
	want := []string{"pp512", "tg64", "pp512 @ d4096", "tg64 @ d4096",
		"pp512 x8", "tg64 x8", "pp512 @ d4096 x8", "tg64 @ d4096 x8"}
	if !slices.Equal(got, want) {
		t.Errorf("tests are %q, want %q", got, want)
	}
	if s := (bench.Test{Prompt: 8, Gen: 4}).String(); s != "pp8+tg4" {
		t.Errorf("a mixed test is called %q", s)
	}
}

func TestRun(t *testing.T) {
	m := open(t)
	for _, x := range []bench.Test{
		{Prompt: 16, Parallel: 1}, {Gen: 4, Parallel: 1}, {Prompt: 16, Depth: 40, Parallel: 1}, {Gen: 3, Depth: 100, Parallel: 1},
		{Prompt: 5, Gen: 2, Parallel: 1}, {Gen: 5, Depth: 20, Parallel: 3}, {Prompt: 20, Parallel: 2},
	} {
		done := 0
		r, err := bench.Run(context.Background(), m, x, 3, func(n int) { done = n })
		if err != nil {
			t.Fatalf("%s: %v", x, err)
		}
		if r.Test() != x || len(r.Ns) != 3 || len(r.Ts) != 3 || r.AvgNs <= 0 || r.AvgTs <= 0 || r.Time == "" || done != 3 {
			t.Errorf("%s: %+v, %d done", x, r, done)
		}
		if r.Backends != "cpu" || r.Params == 0 || r.Size == 0 || !strings.HasPrefix(r.Type, "llama ") || r.Threads != 1 {
			t.Errorf("%s: the model is described as %+v", x, r)
		}
		if n := r.AvgTs * float64(r.AvgNs) / 1e9; n < float64(x.Parallel*(x.Prompt+x.Gen))*0.99 {
			t.Errorf("%s: %v tokens a second in %v ns: not of all sequences", x, r.AvgTs, r.AvgNs)
		}
		mean := 0.0
		for _, v := range r.Ts {
			mean += v / 3
		}
		if d := r.AvgTs/mean - 1; d > 1e-9 || d < -1e-9 {
			t.Errorf("%s: mean %v of %v", x, r.AvgTs, r.Ts)
		}
	}
}

func TestRunRefuses(t *testing.T) {
	m := open(t)
	for _, x := range []bench.Test{{}, {Prompt: -1}, {Prompt: 129}, {Gen: 2, Depth: 127}, {Gen: 1, Parallel: 4}, {Gen: 1, Parallel: -1}} {
		if r, err := bench.Run(context.Background(), m, x, 1, nil); err == nil {
			t.Errorf("%+v gave %+v", x, r)
		}
	}
	if _, err := bench.Run(context.Background(), m, bench.Test{Gen: 1}, 0, nil); err == nil {
		t.Error("no repetitions gave no error")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := bench.Run(ctx, m, bench.Test{Gen: 1}, 1, nil); err == nil {
		t.Error("a cancelled context gave no error")
	}
}

// TestFields holds the names that readers of llama-bench's JSON rely on.
func TestFields(t *testing.T) {
	data, err := json.Marshal(bench.Result{})
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"build_commit", "build_number", "cpu_info", "gpu_info", "backends", "model_filename", "model_type", "model_size",
		"model_n_params", "n_batch", "n_ubatch", "n_threads", "type_k", "type_v", "devices", "n_prompt", "n_gen", "n_depth", "n_parallel",
		"test_time", "avg_ns", "stddev_ns", "avg_ts", "stddev_ts", "samples_ns", "samples_ts",
		// Not llama-bench's.
		"joules_per_token", "tokens_per_joule", "avg_watts", "energy_source", "energy_covers", "energy_method", "energy_note"} {
		if _, ok := got[name]; !ok {
			t.Errorf("a result has no %s", name)
		}
	}
}
