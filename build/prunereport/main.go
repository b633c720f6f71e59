// Command prunereport prunes a model in many ways and writes what became of it into
// docs/prune.md, between marks.
//
//	go run ./build/prunereport [FLAGS] parts|zeros
//
// parts removes layers, heads and channels; zeros sets weights to zero. Of every file
// llama.cpp measures the perplexity, too, if it is at hand. Files and figures stay in
// -dir: with -measure quality and then, on a machine that does nothing else, -measure
// speed -only CASES, the table is made in pieces.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	_ "github.com/ledge-run/ledge/backend/cpu"
	"github.com/ledge-run/ledge/build/internal/report"
	"github.com/ledge-run/ledge/runtime/compress/delta"
	"github.com/ledge-run/ledge/runtime/compress/prune"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// job is what a run of the command does.
type job struct {
	model, calib, text, llama, docs, dir, only, measure string
	threads, chunks                                     int
	log                                                 io.Writer

	source string // llama.cpp's perplexity of the model, once it is measured
}

// pruned is a way to prune.
type pruned struct {
	name  string // as the flags of ledge prune
	write func(ctx context.Context, f *gguf.File, calib, path string) error
}

func main() {
	if err := run(os.Args[1:], os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "prunereport:", err)
		}
		os.Exit(1)
	}
}

func run(args []string, log io.Writer) (err error) {
	r := &job{log: log}
	flags := flag.NewFlagSet("prunereport", flag.ContinueOnError)
	flags.SetOutput(log)
	flags.StringVar(&r.llama, "llama", os.Getenv("LEDGE_TEST_LLAMA"), "folder with llama.cpp's bin/llama-perplexity; none: without its figures")
	flags.StringVar(&r.model, "model", filepath.Join(os.Getenv("LEDGE_TEST_MODELS"), "smollm2-q8_0.gguf"), "source")
	flags.StringVar(&r.calib, "calibration", "", "text to choose with")
	flags.StringVar(&r.text, "text", "", "text to measure on")
	flags.StringVar(&r.docs, "docs", "docs/prune.md", "page to write the tables into")
	flags.StringVar(&r.measure, "measure", "all", "quality, speed or all")
	flags.StringVar(&r.dir, "dir", "", "folder for files and figures (default: a temporary one)")
	flags.StringVar(&r.only, "only", "", "regular expression of the cases to run")
	flags.IntVar(&r.threads, "threads", 2, "threads")
	flags.IntVar(&r.chunks, "chunks", 0, "chunks of the text to measure on; 0: all")
	if err := flags.Parse(args); err != nil {
		return err
	}
	cases := map[string][]pruned{"parts": parts, "zeros": zeros}[flags.Arg(0)]
	if flags.NArg() != 1 || cases == nil {
		return errors.New("name what to measure: parts or zeros")
	}
	if r.measure != "all" && r.measure != "quality" && r.measure != "speed" {
		return fmt.Errorf("-measure %s: it must be quality, speed or all", r.measure)
	}
	if r.dir == "" {
		if r.dir, err = os.MkdirTemp("", "prunereport"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(r.dir)) }()
	}
	table, err := r.table(context.Background(), flags.Arg(0), cases)
	if err != nil {
		return err
	}
	fmt.Fprintln(log, table)
	begin, end := report.Marks(flags.Arg(0), "prunereport")
	return report.Insert(r.docs, begin, table, end)
}

// row is what is known of a case.
type row struct {
	Quality, Speed *delta.Report
	Source, Theirs string // llama.cpp's perplexities of the source and of the file
}

func (r *job) table(ctx context.Context, what string, cases []pruned) (string, error) {
	calib, err := os.ReadFile(r.calib)
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(r.text)
	if err != nil {
		return "", err
	}
	only, err := regexp.Compile(r.only)
	if err != nil {
		return "", err
	}
	rows, kept := map[string]*row{}, filepath.Join(r.dir, what+".json")
	if data, err := os.ReadFile(kept); err == nil {
		if err := json.Unmarshal(data, &rows); err != nil {
			return "", fmt.Errorf("%s: %w", kept, err)
		}
	}
	for i, c := range cases {
		if !only.MatchString(c.name) {
			continue
		}
		fmt.Fprintln(r.log, c.name)
		if rows[c.name] == nil {
			rows[c.name] = &row{}
		}
		path := filepath.Join(r.dir, fmt.Sprintf("%s-%d.gguf", what, i))
		if err := r.one(ctx, c, rows[c.name], string(calib), string(text), path); err != nil {
			return "", fmt.Errorf("%s: %w", c.name, err)
		}
		data, err := json.Marshal(rows)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(kept, data, 0o644); err != nil {
			return "", err
		}
	}
	return write(cases, rows), nil
}

// one measures a case.
func (r *job) one(ctx context.Context, c pruned, to *row, calib, text, path string) error {
	if _, err := os.Stat(path); err != nil {
		if err := r.prune(ctx, c, calib, path); err != nil {
			return err
		}
	}
	o := delta.Options{Engine: engine.Options{Device: "cpu", Threads: r.threads}, Chunks: r.chunks}
	var err error
	if r.measure != "speed" {
		o.Text = text
		if to.Quality, err = delta.Measure(ctx, r.model, path, o); err != nil {
			return err
		}
		n := to.Quality.Quality.Chunks
		if to.Theirs, err = r.theirs(ctx, path, n); err != nil {
			return err
		}
		if r.source == "" { // of the same chunks in every case
			if r.source, err = r.theirs(ctx, r.model, n); err != nil {
				return err
			}
		}
		to.Source = r.source
	}
	if r.measure != "quality" {
		o.Text, o.Speed = "", delta.AlwaysSpeed
		to.Speed, err = delta.Measure(ctx, r.model, path, o)
	}
	return err
}

func (r *job) prune(ctx context.Context, c pruned, calib, path string) (err error) {
	f, err := gguf.Open(r.model)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return c.write(ctx, f, calib, path)
}

// write makes the table of all cases whose quality is known.
func write(cases []pruned, rows map[string]*row) string {
	var b strings.Builder
	for _, c := range cases {
		k := rows[c.name]
		if k == nil || k.Quality == nil {
			continue
		}
		q := k.Quality.Quality
		if b.Len() == 0 {
			fmt.Fprintf(&b, "%d positions, the second halves of %d chunks of %d tokens.\n\n", q.Tokens, q.Chunks, q.ChunkSize)
			b.WriteString("| `ledge prune` | MB | Multiply-adds, M | Memory, MB | Reading, tok/s | Generating, tok/s | KL to the source | Same first choice | Perplexity | llama.cpp's |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
			line(&b, "(the source)", k, &k.Quality.Before, "", "", k.Source, func(s *delta.Report) (*delta.Model, string) { return &s.Before, "" })
		}
		line(&b, "`"+c.name+"`", k, &k.Quality.After, fmt.Sprintf("%.3f ± %.3f", q.KL, q.KLError), fmt.Sprintf("%.1f %%", 100*q.SameTop), k.Theirs,
			func(s *delta.Report) (*delta.Model, string) { return &s.After, " (%.2f x)" })
	}
	return b.String()
}

// line writes a row. Machines drift: the source is measured by turns with each file,
// and the ratio of both counts.
func line(b *strings.Builder, name string, k *row, m *delta.Model, kl, same, theirs string, side func(*delta.Report) (*delta.Model, string)) {
	read, generated := "", ""
	if k.Speed != nil {
		s, ratio := side(k.Speed)
		of := func(v, before *delta.Speed) string {
			t := fmt.Sprintf("%.0f", v.TokensPerSecond)
			if ratio != "" {
				t += fmt.Sprintf(ratio, delta.Ratio(before, v))
			}
			return t
		}
		read, generated = of(s.Prefill, k.Speed.Before.Prefill), of(s.Decode, k.Speed.Before.Decode)
	}
	fmt.Fprintf(b, "| %s | %.1f | %.1f | %s | %s | %s | %s | %s | %.2f | %s |\n", name, float64(m.FileBytes)/1e6, float64(m.MultiplyAdds)/1e6, fmt.Sprintf("%.1f", float64(m.Memory.Total())/1e6), read, generated, kl, same, *m.Perplexity, theirs)
}

var estimate = regexp.MustCompile(`Final estimate: PPL = ([0-9.]+)`)

// theirs is llama.cpp's perplexity of a file on the same chunks.
func (r *job) theirs(ctx context.Context, path string, chunks int) (string, error) {
	if r.llama == "" {
		return "", nil
	}
	const program = "llama-perplexity"
	out, err := report.Llama(ctx, filepath.Join(r.llama, "bin"), program,
		"-m", path, "-f", r.text, "-c", fmt.Sprint(delta.Chunk), "--chunks", fmt.Sprint(chunks), "-t", fmt.Sprint(r.threads))
	if err != nil {
		return "", err
	}
	m := estimate.FindSubmatch(out)
	if m == nil {
		return "", fmt.Errorf("%s says no final estimate: %s", program, report.LastLine(out))
	}
	return string(m[1]), nil
}

// byParts removes parts.
func byParts(name string, o prune.Options) pruned {
	return pruned{name, func(ctx context.Context, f *gguf.File, calib, path string) error {
		o.Text = calib
		p, err := prune.New(ctx, f, o)
		if err != nil {
			return err
		}
		return p.Write(ctx, path, prune.WriteOptions{})
	}}
}

// byZeros sets weights to zero.
func byZeros(name string, o prune.ZeroOptions) pruned {
	return pruned{name, func(ctx context.Context, f *gguf.File, calib, path string) error {
		o.Text = calib
		p, err := prune.NewZeros(ctx, f, o)
		if err != nil {
			return err
		}
		return p.Write(ctx, path, prune.WriteOptions{})
	}}
}

var parts = []pruned{
	byParts("--layers 1", prune.Options{Layers: 1}),
	byParts("--layers 3", prune.Options{Layers: 3}),
	byParts("--layers 6", prune.Options{Layers: 6}),
	byParts("--layers 3 --layers-by perplexity", prune.Options{Layers: 3, LayersBy: prune.ByPerplexity}),
	byParts("--channels 160", prune.Options{Channels: 160}),
	byParts("--channels 160 --by gradient", prune.Options{Channels: 160, PartsBy: prune.ByGradient}),
	byParts("--channels 160 --whole-blocks", prune.Options{Channels: 160, WholeBlocks: true}),
	byParts("--channels 384", prune.Options{Channels: 384}),
	byParts("--channels 384 --by gradient", prune.Options{Channels: 384, PartsBy: prune.ByGradient}),
	byParts("--heads 1", prune.Options{Groups: 1}),
	byParts("--heads 1 --by gradient", prune.Options{Groups: 1, PartsBy: prune.ByGradient}),
	byParts("--target-size 120MB", prune.Options{Target: 120e6}),
}

var zeros = []pruned{
	byZeros("--zeros 20%", prune.ZeroOptions{Share: 0.2}),
	byZeros("--zeros 50%", prune.ZeroOptions{Share: 0.5}),
	byZeros("--zeros 50% --scope global", prune.ZeroOptions{Share: 0.5, Scope: prune.Global}),
	byZeros("--zeros 50% --scope row --by activation", prune.ZeroOptions{Share: 0.5, Scope: prune.PerRow, Activity: true}),
	byZeros("--zeros 2:4", prune.ZeroOptions{N: 2, M: 4}),
	byZeros("--zeros 2:4 --by activation", prune.ZeroOptions{N: 2, M: 4, Activity: true}),
}
