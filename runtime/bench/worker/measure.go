package worker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/ledge-run/ledge/backend/packcache"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/bench"
	"github.com/ledge-run/ledge/runtime/bench/process"
	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/bench/stats"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/eval"
	"github.com/ledge-run/ledge/runtime/power"
	"github.com/ledge-run/ledge/runtime/sampler"
	"github.com/ledge-run/ledge/runtime/tokenizer"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

func sizes(j *Job, r *Reply) error {
	m, err := bench.Sizes(j.Model)
	if err != nil {
		return err
	}
	r.Model = &m
	return nil
}

// tokens counts those of a text.
func tokens(j *Job, r *Reply) error {
	f, err := gguf.Open(j.Model)
	if err != nil {
		return err
	}
	defer f.Close()
	t, err := engine.Tokenizer(f)
	if err != nil {
		return err
	}
	r.Tokens = len(t.Encode(j.Text, tokenizer.EncodeOptions{AddSpecial: true}))
	return nil
}

func ceilings(ctx context.Context, j *Job, r *Reply) error {
	n := j.Settings.Threads
	if n == 0 {
		n = runtime.NumCPU()
	}
	passes := max(1, j.Passes)
	read, err := bench.ReadCeiling(ctx, max(j.MiB, n)<<20, n, passes)
	if err != nil {
		return err
	}
	dots, err := bench.DotCeiling(ctx, n, passes)
	if err != nil {
		return err
	}
	r.Ceilings, r.Level = &record.Ceilings{ReadGBs: read.ReadGBs, DotGOPS: dots}, read.Level
	return nil
}

// options are the engine's for the settings of a case.
func options(j *Job) (engine.Options, error) {
	set := j.Settings
	o := engine.Options{Device: set.Device, Threads: set.Threads, Context: set.Context, Sequences: max(1, set.Parallel), Batch: set.Batch,
		PackCache: packcache.Default(os.Getenv)}
	switch set.Cache {
	case "":
	case "f16":
		o.CacheType = dtype.F16
	case "f32":
		o.CacheType = dtype.F32
	case "q8_0":
		o.CacheType = dtype.Q8_0
	default:
		return o, fmt.Errorf("%q is no type of cache", set.Cache)
	}
	switch j.Kind {
	case Speed:
		o.Context = max(o.Context, set.Depth+max(set.Prompt, set.Gen))
		if g := set.Greedy; g != nil {
			o.Context = max(o.Context, g.Tokens+len(g.Prompt)) // a token is a byte at least
		}
	case Quality:
		o.Context = set.Quality.Context
	}
	return o, nil
}

// measure opens the model and does one of the jobs that need it.
func measure(ctx context.Context, j *Job, r *Reply, set func(*engine.Options)) (err error) {
	o, err := options(j)
	if err != nil {
		return err
	}
	if set != nil {
		set(&o)
	}
	m, err := engine.Open(ctx, j.Model, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	if r.Figures = map[string]record.Figure{}; j.Kind != Pack {
		r.Figures[record.Load] = record.NewFigure(record.Load, time.Since(j.Started).Seconds())
	}
	switch j.Kind {
	case Pack:
		return m.Settle(ctx)
	case Start:
		err = start(ctx, j, m, r)
	case Quality:
		err = quality(ctx, j, m, r)
	default:
		err = speed(ctx, j, m, r)
	}
	if peak, _ := process.Memory(process.Peak); err == nil && peak > 0 {
		r.Figures[record.PeakMemory] = record.NewFigure(record.PeakMemory, float64(peak)/1e6)
	}
	r.Notes = m.Notes()
	for _, p := range m.Places() {
		r.Devices = append(r.Devices, record.Device{Name: p.Device})
	}
	first := m.Device()
	r.Level = first.Numerics.Level
	for i := range r.Devices {
		if r.Devices[i].Name == first.Name {
			r.Devices[i] = record.Device{Name: first.Name, Description: first.Description, Memory: int64(first.Memory.Total), Numerics: first.Numerics.String()}
		}
	}
	return err
}

// speed measures prompts, generation and the output of a fixed prompt.
func speed(ctx context.Context, j *Job, m *engine.Model, r *Reply) error {
	set := j.Settings
	var meter *power.Meter
	if j.Energy {
		meter = power.Open()
	}
	repeat := max(1, set.Repeat)
	run := func(figure string, t bench.Test) error {
		res, err := bench.RunMetered(ctx, m, t, repeat, meter, nil)
		if err != nil {
			return err
		}
		r.Figures[figure] = record.NewFigure(figure, res.Ts...)
		r.percentiles(res.Intervals)
		if j.Energy {
			r.energy(&res, repeat*(t.Prompt+t.Gen)*max(1, t.Parallel))
		}
		return nil
	}
	if set.Prompt > 0 {
		if err := run(record.Prefill, bench.Test{Prompt: set.Prompt, Depth: set.Depth, Parallel: set.Parallel}); err != nil {
			return err
		}
	}
	if set.Gen > 0 { // energy is this test's, where there are both
		if err := run(record.Decode, bench.Test{Gen: set.Gen, Depth: set.Depth, Parallel: set.Parallel}); err != nil {
			return err
		}
	}
	if set.Greedy != nil {
		return greedy(ctx, set.Greedy, m, r)
	}
	return nil
}

func (r *Reply) percentiles(intervals []time.Duration) {
	if len(intervals) == 0 {
		return
	}
	ms := make([]float64, len(intervals))
	for i, d := range intervals {
		ms[i] = float64(d) / float64(time.Millisecond)
	}
	for name, p := range map[string]float64{record.TokenP50: 0.5, record.TokenP95: 0.95, record.TokenP99: 0.99} {
		r.Figures[name] = record.NewFigure(name, stats.Quantile(ms, p))
	}
}

func (r *Reply) energy(res *bench.Result, tokens int) {
	r.Energy = nil
	if res.Energy != nil {
		for _, s := range res.Energy.Sources {
			r.Energy = append(r.Energy, record.Energy{Source: s.Name, Covers: s.Covers, Method: s.Method, Joules: s.Joules, Watts: s.Watts, Tokens: tokens})
		}
	}
	for name, v := range map[string]*float64{record.Joules: res.JoulesPerToken, record.TokensPerJ: res.TokensPerJoule, record.Watts: res.AvgWatts} {
		if v != nil {
			r.Figures[name] = record.NewFigure(name, *v)
		}
	}
}

// start generates one token and says how long the process took until then.
func start(ctx context.Context, j *Job, m *engine.Model, r *Reply) error {
	s := m.NewSession()
	defer s.Close()
	for _, err := range s.Generate(ctx, m.EncodePrompt(j.Settings.Start, false), greedily(1)) {
		if err != nil {
			return err
		}
		break
	}
	r.Figures[record.FirstToken] = record.NewFigure(record.FirstToken, time.Since(j.Started).Seconds())
	return nil
}

// greedily takes the most likely token each time, whatever it is.
func greedily(tokens int) engine.Settings {
	p := sampler.DefaultParams()
	p.Temperature = 0
	return engine.Settings{Sampler: p, MaxTokens: tokens, IgnoreEOG: true}
}

// greedy generates the most likely tokens and hashes their numbers.
func greedy(ctx context.Context, g *record.Greedy, m *engine.Model, r *Reply) error {
	s := m.NewSession()
	defer s.Close()
	h := sha256.New()
	var text strings.Builder
	n := 0
	for p, err := range s.Generate(ctx, m.EncodePrompt(g.Prompt, false), greedily(g.Tokens)) {
		if err != nil {
			return err
		}
		n++
		fmt.Fprintf(h, "%d\n", p.ID)
		text.WriteString(p.Text)
	}
	r.Output = &record.Output{Prompt: g.Prompt, Tokens: n, SHA256: hex.EncodeToString(h.Sum(nil)), Text: text.String()}
	return nil
}

// quality measures how well a text is predicted; with a file of another model's
// predictions, in llama-perplexity's format, also how far apart the two are. The file
// says which chunks it is of.
func quality(ctx context.Context, j *Job, m *engine.Model, r *Reply) error {
	text, err := os.ReadFile(j.Text)
	if err != nil {
		return err
	}
	q := j.Settings.Quality
	if j.Reference == "" {
		p, err := eval.MeasurePerplexity(ctx, m, string(text), q.Context, q.Chunks, nil)
		if err != nil {
			return err
		}
		r.Figures[record.Perplexity] = record.NewFigure(record.Perplexity, p.PPL)
		return nil
	}
	f, err := os.Open(j.Reference)
	if err != nil {
		return err
	}
	defer f.Close()
	ref, err := eval.NewLogitsReader(f)
	if err != nil {
		return fmt.Errorf("%s: %w", j.Reference, err)
	}
	if ref.Size != q.Context {
		return fmt.Errorf("%s: its chunks have %d tokens, the suite asks for %d: set context", j.Reference, ref.Size, q.Context)
	}
	chunks := ref.Chunks
	if q.Chunks > 0 {
		chunks = min(chunks, q.Chunks)
	}
	t, err := eval.NewText(m, string(text), q.Context, chunks)
	if err != nil {
		return err
	}
	d, err := eval.Compare(ctx, m, t, ref, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", j.Reference, err)
	}
	for name, v := range map[string]float64{record.Perplexity: d.Model.PPL, record.KL: d.KL, record.TopOne: d.SameTop} {
		r.Figures[name] = record.NewFigure(name, v)
	}
	return nil
}
