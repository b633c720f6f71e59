// Package bench measures how fast a model reads prompts and generates tokens,
// with the tests and the result fields of llama.cpp's llama-bench, so that
// figures compare.
package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/power"
	"github.com/ledge-run/ledge/runtime/sched"
)

// Test is one measurement: reading Prompt tokens, generating Gen, or both,
// after Depth tokens that are in the cache already; by Parallel sequences at once,
// each of its own (0 counts as 1).
type Test struct {
	Prompt, Gen, Depth, Parallel int
}

// streams is the number of sequences.
func (t Test) streams() int { return max(1, t.Parallel) }

// String is the test's name as llama-bench writes it.
func (t Test) String() string {
	return record.Settings{Prompt: t.Prompt, Gen: t.Gen, Depth: t.Depth, Parallel: t.Parallel}.Test()
}

// Context is how many tokens of a sequence a test needs room for.
func (t Test) Context() int { return t.Depth + t.Prompt + t.Gen }

// Tests lists what llama-bench runs for these sizes: for each depth every
// prompt, then every generation; and all of it for each number of sequences.
// Sizes of 0 are left out.
func Tests(prompts, gens, depths, parallel []int) []Test {
	var tests []Test
	for _, n := range parallel {
		for _, d := range depths {
			for _, p := range prompts {
				if p > 0 {
					tests = append(tests, Test{Prompt: p, Depth: d, Parallel: n})
				}
			}
			for _, g := range gens {
				if g > 0 {
					tests = append(tests, Test{Gen: g, Depth: d, Parallel: n})
				}
			}
		}
	}
	return tests
}

// Result is the outcome of a test under llama-bench's field names.
type Result struct {
	Commit   string `json:"build_commit"`
	Build    int    `json:"build_number"`
	CPU      string `json:"cpu_info"`
	GPU      string `json:"gpu_info"`
	Backends string `json:"backends"`
	File     string `json:"model_filename"`
	Type     string `json:"model_type"`
	Size     int64  `json:"model_size"`     // bytes of the tensors
	Params   int64  `json:"model_n_params"` // elements of the tensors
	Batch    int    `json:"n_batch"`
	UBatch   int    `json:"n_ubatch"`
	Threads  int    `json:"n_threads"`
	TypeK    string `json:"type_k"`
	TypeV    string `json:"type_v"`
	Device   string `json:"devices"`      // those in use, divided by /
	Layers   int    `json:"n_gpu_layers"` // layers on the first, if that is not the CPU
	Prompt   int    `json:"n_prompt"`
	Gen      int    `json:"n_gen"`
	Depth    int    `json:"n_depth"`
	Parallel int    `json:"n_parallel"` // sequences; tokens per second are of all together

	Time     string    `json:"test_time"` // RFC 3339, UTC
	AvgNs    int64     `json:"avg_ns"`
	StddevNs int64     `json:"stddev_ns"`
	AvgTs    float64   `json:"avg_ts"` // tokens per second
	StddevTs float64   `json:"stddev_ts"`
	Ns       []int64   `json:"samples_ns"`
	Ts       []float64 `json:"samples_ts"`

	// Intervals are the times between two tokens of a sequence, of tests that generate.
	Intervals []time.Duration `json:"-"`

	// Counters is what a token cost; nil for tests that read prompts. Llama-bench
	// has none.
	Counters *TokenCost `json:"counters,omitempty"`

	EnergyFigures

	PausedNs int64 `json:"paused_ns,omitempty"` // of the samples, that limits of the machine held it up; llama-bench has none

	ReadGBs float64 `json:"read_gbs,omitempty"` // what ReadCeiling measured beside the test, if asked; llama-bench has none
}

// Test is the test that the result is of.
func (r *Result) Test() Test { return Test{r.Prompt, r.Gen, r.Depth, r.Parallel} }

// Run runs a test repeat times after one warm-up and fills the figures of a
// result. It reads random tokens, the same each time. progress, which may be
// nil, is told how many repetitions are done. Energy is not measured.
func Run(ctx context.Context, m *engine.Model, t Test, repeat int, progress func(done int)) (Result, error) {
	return RunMetered(ctx, m, t, repeat, nil, progress)
}

// RunMetered is Run with the energy of the repetitions, the warm-up left out.
func RunMetered(ctx context.Context, m *engine.Model, t Test, repeat int, meter *power.Meter, progress func(done int)) (Result, error) {
	r := describe(m)
	r.Prompt, r.Gen, r.Depth, r.Parallel = t.Prompt, t.Gen, t.Depth, t.streams()
	if t.Prompt < 0 || t.Gen < 0 || t.Depth < 0 || t.Prompt+t.Gen == 0 || repeat < 1 {
		return r, fmt.Errorf("bench: nothing to measure in %d prompt tokens, %d generated tokens, depth %d, %d repetitions", t.Prompt, t.Gen, t.Depth, repeat)
	}
	if n := m.Options.Context; t.Context() > n {
		return r, fmt.Errorf("bench: %s needs a context of %d tokens, the model is open with %d", t, t.Context(), n)
	}
	if t.Parallel < 0 || t.Parallel > m.Options.Sequences {
		return r, fmt.Errorf("bench: %s: the model is open for %d sequences", t, m.Options.Sequences)
	}
	device := m.Device().Name
	draw := newTokens(m)
	streams := make([]*sched.Stream, t.streams())
	for i := range streams {
		streams[i] = m.NewStream(nil)
		defer streams[i].Close()
		if t.Depth > 0 {
			if err := streams[i].Run(ctx, draw.some(t.Depth), sched.Nothing); err != nil {
				return r, err
			}
			streams[i].Pause()
		}
	}
	r.Time = time.Now().UTC().Format(time.RFC3339)
	var before backend.Counters
	var paused time.Duration
	var energy *power.Run
	defer func() {
		if energy != nil {
			energy.Stop()
		}
	}()
	for i := -1; i < repeat; i++ {
		if i == 0 {
			before, _ = m.Counters()
			paused = m.Paused()
			energy = meter.Start()
		}
		warm := t
		if i < 0 {
			warm.Gen = min(t.Gen, 1)
		}
		took, intervals, err := once(ctx, streams, draw, warm)
		if err != nil {
			return r, err
		}
		for _, st := range streams {
			st.Truncate(t.Depth)
		}
		if i >= 0 {
			r.Intervals = append(r.Intervals, intervals...)
			r.Ns = append(r.Ns, took.Nanoseconds())
			r.Ts = append(r.Ts, float64(len(streams)*(t.Prompt+t.Gen))/took.Seconds())
		}
		if progress != nil {
			progress(i + 1)
		}
	}
	spent := energy.Stop()
	r.PausedNs = (m.Paused() - paused).Nanoseconds()
	if d := m.Device().Name; d != device {
		return r, fmt.Errorf("bench: %s failed during %s, which %s then ran: there is no figure", device, t, d)
	}
	r.EnergyFigures = figuresOf(m, spent, repeat*(t.Prompt+t.Gen)*len(streams))
	if t.Prompt == 0 {
		after, counted := m.Counters()
		r.Counters = costOf(m, after.Since(before), counted, repeat*t.Gen*len(streams))
	}
	ns := make([]float64, len(r.Ns))
	for i, n := range r.Ns {
		ns[i] = float64(n)
	}
	avg, dev := stats(ns)
	r.AvgNs, r.StddevNs = int64(avg), int64(dev)
	r.AvgTs, r.StddevTs = stats(r.Ts)
	return r, nil
}

// once runs a test and times it and each of its tokens, each stream on a goroutine of
// its own, as sessions are.
func once(ctx context.Context, streams []*sched.Stream, draw *tokens, t Test) (time.Duration, []time.Duration, error) {
	type tokens struct{ prompt, gen []int32 }
	todo := make([]tokens, len(streams))
	for i := range todo {
		todo[i] = tokens{draw.some(t.Prompt), draw.some(t.Gen)}
	}
	errs := make([]error, len(streams))
	intervals := make([]time.Duration, len(streams)*t.Gen)
	one := func(i int) {
		errs[i] = runStream(ctx, streams[i], todo[i].prompt, todo[i].gen, intervals[i*t.Gen:(i+1)*t.Gen])
	}
	var others sync.WaitGroup
	start := time.Now()
	for i := 1; i < len(streams); i++ {
		others.Go(func() { one(i) })
	}
	one(0)
	others.Wait()
	took := max(time.Since(start), 1)
	err := errors.Join(errs...)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return took, intervals, err
}

// runStream reads a prompt and generates one token after the other, each read out
// as the sampler would have it, and says how long each took.
func runStream(ctx context.Context, st *sched.Stream, prompt, gen []int32, took []time.Duration) error {
	defer st.Pause()
	if len(prompt) > 0 {
		if err := st.Run(ctx, prompt, sched.Best); err != nil {
			return err
		}
	}
	last := time.Now()
	for i := range gen {
		if err := st.Run(ctx, gen[i:i+1], sched.Best); err != nil {
			return err
		}
		now := time.Now()
		took[i], last = now.Sub(last), now
	}
	return nil
}

// tokens draws random tokens.
type tokens struct {
	rng   *rand.Rand
	vocab int
}

func newTokens(m *engine.Model) *tokens {
	return &tokens{rand.New(rand.NewPCG(1, 2)), m.Vocab()}
}

func (d *tokens) some(n int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(d.rng.IntN(d.vocab))
	}
	return ids
}

// stats are the mean and the standard deviation of a sample.
func stats(x []float64) (mean, dev float64) {
	for _, v := range x {
		mean += v / float64(len(x))
	}
	if len(x) < 2 {
		return mean, 0
	}
	for _, v := range x {
		dev += (v - mean) * (v - mean) / float64(len(x)-1)
	}
	return mean, math.Sqrt(dev)
}
