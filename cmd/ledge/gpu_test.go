package main

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/cpu"
	"github.com/ledge-run/ledge/graph/pass"
	"github.com/ledge-run/ledge/runtime/bench"
)

// testGPU is the processor as a GPU that counts, while a test switches it on.
var testGPU struct {
	on   atomic.Bool
	left atomic.Int64 // runs until it is lost, from 1; 0 for ever
}

func init() {
	backend.Register(backend.Driver{
		Name: "testgpu",
		Probe: func(context.Context) ([]backend.Info, error) {
			if !testGPU.on.Load() {
				return nil, errors.New("only in tests")
			}
			return []backend.Info{gpuInfo()}, nil
		},
		Open: func(context.Context, string, backend.Options) (backend.Device, error) {
			d, err := cpu.Open(backend.Options{Threads: 1})
			return gpuDevice{d}, err
		},
	})
}

func gpuInfo() backend.Info {
	return backend.Info{Name: "testgpu0", Backend: "testgpu", Description: "a test", Kind: backend.GPU, Score: 1000,
		Numerics: backend.Numerics{Device: "testgpu", Level: "any", Version: "1"}}
}

// withGPU switches the device on for a test.
func withGPU(t *testing.T, runs int64) {
	testGPU.on.Store(true)
	testGPU.left.Store(runs)
	t.Cleanup(func() { testGPU.on.Store(false) })
}

type gpuDevice struct{ backend.Device }

func (d gpuDevice) Info() backend.Info { return gpuInfo() }

func (d gpuDevice) Target() pass.Target {
	t := d.Device.Target()
	t.Name = "testgpu0"
	return t
}

func (d gpuDevice) Compile(ctx context.Context, s backend.CompileSpec) (backend.Executable, error) {
	e, err := d.Device.Compile(ctx, s)
	return &gpuExecutable{Executable: e, steps: int64(len(s.Plan.Slots))}, err
}

type gpuExecutable struct {
	backend.Executable
	steps, runs int64
}

func (e *gpuExecutable) Submit(ctx context.Context, a *backend.Args) (backend.Fence, error) {
	if len(a.Inputs) > 0 && testGPU.left.Load() > 0 && testGPU.left.Add(-1) == 0 {
		return nil, backend.ErrDeviceLost
	}
	e.runs++
	return e.Executable.Submit(ctx, a)
}

func (e *gpuExecutable) Counters() backend.Counters {
	return backend.Counters{Submissions: e.runs, Dispatches: 14 * e.runs, ReadBacks: e.runs, ReadBackBytes: 1028 * e.runs,
		Traffic: 3e6 * e.runs, Streamed: 2e6 * e.runs}
}

func TestBenchCounters(t *testing.T) {
	m := golden(t, "llama-gqa")
	args := []string{"bench", "-m", m, "-p", "8", "-n", "4", "-r", "2", "--counters"}
	if out := must(t, append(args, "--device", "cpu", "-t", "1")...); !strings.Contains(out, "tg4, each token on cpu counts nothing") {
		t.Errorf("on the CPU: %s", out)
	}
	withGPU(t, 0)
	out := must(t, args...)
	if !strings.Contains(out, "tg4, each token on testgpu0: 1.00 submissions, 14.00 dispatches (7.00 for each of 2 layers), 1.00 read-backs of 1028 bytes together;\n"+
		"3.000 MB moved, 1.500 times the 2.000 MB") || strings.Contains(out, "pp8, each") {
		t.Errorf("on a device that counts: %s", out)
	}
	rs := decode[[]bench.Result](t, must(t, append(args, "--gpu-layers", "1", "--json")...))
	if len(rs) != 2 || rs[0].Counters != nil || rs[1].Layers != 1 || rs[1].Device != "testgpu0/cpu" {
		t.Fatalf("%+v", rs)
	}
	if c := *rs[1].Counters; c != (bench.TokenCost{Device: "testgpu0", Counted: true, Layers: 1, Submissions: 1, Dispatches: 14, PerLayer: 14,
		ReadBacks: 1, ReadBackBytes: 1028, Traffic: 3e6, Streamed: 2e6, Ratio: 1.5}) {
		t.Errorf("%+v", c)
	}
	refused(t, exitUsage, "-o json", append(args, "-o", "csv")...)
}

func TestGPULayers(t *testing.T) {
	m := golden(t, "llama-gqa")
	refused(t, exitDevice, "cpu alone", "run", "-m", m, "--device", "cpu", "--gpu-layers", "1", "hi")
	refused(t, exitUsage, "--gpu-layers -2", "run", "-m", m, "--gpu-layers", "-2", "hi")
	withGPU(t, 0)
	want := must(t, "run", "-m", m, "--raw", "-n", "8", "--temp", "0", "--device", "cpu", "hi")
	for _, c := range []struct{ layers, note string }{
		{"0", "testgpu0 is not used: no layer was to run on it"},
		{"1", "1 of 2 layers run on testgpu0, 1 on cpu"},
		{"2", ""}, {"99", ""}, {"-1", ""},
	} {
		r := ledge("run", "-m", m, "--raw", "-n", "8", "--temp", "0", "--gpu-layers", c.layers, "hi")
		if r.code != 0 || r.out != want || !strings.Contains(r.err, c.note) || (c.note == "") != !strings.Contains(r.err, "note:") {
			t.Errorf("%s layers: %d, %q, %q", c.layers, r.code, r.out, r.err)
		}
	}
	t.Setenv("LEDGE_GPU_LAYERS", "1")
	r := ledge("graph", m, "--stage", "placed")
	if !strings.Contains(r.out, `device=testgpu0`) || !strings.Contains(r.out, `device=cpu`) || !strings.Contains(r.err, "1 of 2 layers run on testgpu0, 1 on cpu") {
		t.Errorf("%s\n%s", r.out, r.err)
	}
	if out := must(t, "info", m); !strings.Contains(out, "1 of 2 layers run on testgpu0, 1 on cpu") {
		t.Error(out)
	}
	if out := must(t, "graph", m, "--stage", "placed", "--gpu-layers", "2"); strings.Contains(out, "device=cpu") {
		t.Error("the flag does not count more than the environment")
	}
	t.Setenv("LEDGE_GPU_LAYERS", "many")
	refused(t, exitUsage, "LEDGE_GPU_LAYERS=many", "info", m)
}

// TestGPUFails: a device that was picked automatically fails under a generation.
func TestGPUFails(t *testing.T) {
	m := golden(t, "llama-gqa")
	args := []string{"run", "-m", m, "--raw", "-n", "8", "--temp", "0", "hi"}
	want := must(t, append(args, "--device", "cpu")...)
	testGPU.on.Store(true)
	before := testRuns(t, args)
	for n := before + 1; n < before+6; n++ {
		withGPU(t, n)
		r := ledge(args...)
		if r.code != 0 || r.out != want || !strings.Contains(r.err, "note: testgpu0 failed (device lost): the CPU goes on from there") {
			t.Errorf("run %d: %d, %q, %q", n, r.code, r.out, r.err)
		}
		withGPU(t, n)
		r = ledge(append(args, "--device", "testgpu")...)
		if r.code == 0 || !strings.HasPrefix(want, strings.TrimSuffix(r.out, "\n")) || !strings.Contains(r.err, "asked for by name") {
			t.Errorf("run %d, by name: %d, %q, %q", n, r.code, r.out, r.err)
		}
	}
}

// testRuns is how many runs come before a generation: the self-test's.
func testRuns(t *testing.T, args []string) int64 {
	withGPU(t, 1<<40)
	must(t, args...)
	return 1<<40 - testGPU.left.Load() - 8 // a run for the prompt and each token but the last
}
