// Package bench measures how fast a model reads prompts and generates tokens,
// with the tests and the result fields of llama.cpp's llama-bench, so that
// figures compare.
package bench

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/sched"
)

// Test is one measurement: reading Prompt tokens, generating Gen, or both,
// after Depth tokens that are in the cache already.
type Test struct {
	Prompt, Gen, Depth int
}

// String is the test's name as llama-bench writes it: "pp512", "tg64 @ d4096".
func (t Test) String() string {
	var parts []string
	if t.Prompt > 0 {
		parts = append(parts, fmt.Sprintf("pp%d", t.Prompt))
	}
	if t.Gen > 0 {
		parts = append(parts, fmt.Sprintf("tg%d", t.Gen))
	}
	s := strings.Join(parts, "+")
	if t.Depth > 0 {
		s += fmt.Sprintf(" @ d%d", t.Depth)
	}
	return s
}

// Context is how many tokens a test needs room for.
func (t Test) Context() int { return t.Depth + t.Prompt + t.Gen }

// Tests lists what llama-bench runs for these sizes: for each depth every
// prompt, then every generation. Sizes of 0 are left out.
func Tests(prompts, gens, depths []int) []Test {
	var tests []Test
	for _, d := range depths {
		for _, p := range prompts {
			if p > 0 {
				tests = append(tests, Test{Prompt: p, Depth: d})
			}
		}
		for _, g := range gens {
			if g > 0 {
				tests = append(tests, Test{Gen: g, Depth: d})
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
	Device   string `json:"devices"`
	Prompt   int    `json:"n_prompt"`
	Gen      int    `json:"n_gen"`
	Depth    int    `json:"n_depth"`

	Time     string    `json:"test_time"` // RFC 3339, UTC
	AvgNs    int64     `json:"avg_ns"`
	StddevNs int64     `json:"stddev_ns"`
	AvgTs    float64   `json:"avg_ts"` // tokens per second
	StddevTs float64   `json:"stddev_ts"`
	Ns       []int64   `json:"samples_ns"`
	Ts       []float64 `json:"samples_ts"`

	ReadGBs float64 `json:"read_gbs,omitempty"` // what ReadCeiling measured beside the test, if asked; llama-bench has none
}

// Test is the test that the result is of.
func (r *Result) Test() Test { return Test{r.Prompt, r.Gen, r.Depth} }

// Run runs a test repeat times after one warm-up and fills the figures of a
// result. It reads random tokens, the same each time. progress, which may be
// nil, is told how many repetitions are done.
func Run(ctx context.Context, m *engine.Model, t Test, repeat int, progress func(done int)) (Result, error) {
	r := describe(m)
	r.Prompt, r.Gen, r.Depth = t.Prompt, t.Gen, t.Depth
	if t.Prompt < 0 || t.Gen < 0 || t.Depth < 0 || t.Prompt+t.Gen == 0 || repeat < 1 {
		return r, fmt.Errorf("bench: nothing to measure in %d prompt tokens, %d generated tokens, depth %d, %d repetitions", t.Prompt, t.Gen, t.Depth, repeat)
	}
	if n := m.Options.Context; t.Context() > n {
		return r, fmt.Errorf("bench: %s needs a context of %d tokens, the model is open with %d", t, t.Context(), n)
	}
	st := m.NewStream(nil)
	defer st.Close()
	draw := newTokens(m)
	if t.Depth > 0 {
		if err := st.Run(ctx, draw.some(t.Depth), sched.Nothing); err != nil {
			return r, err
		}
	}
	r.Time = time.Now().UTC().Format(time.RFC3339)
	for i := -1; i < repeat; i++ {
		warm := t
		if i < 0 {
			warm.Gen = min(t.Gen, 1)
		}
		took, err := once(ctx, st, draw, warm)
		if err != nil {
			return r, err
		}
		st.Truncate(t.Depth)
		if i >= 0 {
			r.Ns = append(r.Ns, took.Nanoseconds())
			r.Ts = append(r.Ts, float64(t.Prompt+t.Gen)/took.Seconds())
		}
		if progress != nil {
			progress(i + 1)
		}
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

// once runs a test and times it: what is generated is one token after the
// other, each read out as the sampler would have it.
func once(ctx context.Context, st *sched.Stream, draw *tokens, t Test) (time.Duration, error) {
	prompt, gen := draw.some(t.Prompt), draw.some(t.Gen)
	start := time.Now()
	var err error
	if t.Prompt > 0 {
		err = st.Run(ctx, prompt, sched.Top)
	}
	for i := 0; i < t.Gen && err == nil; i++ {
		err = st.Run(ctx, gen[i:i+1], sched.Top)
	}
	took := max(time.Since(start), 1)
	st.Pause()
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return took, err
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
