// Command prunereport prunes a model in many ways and writes what became of it into
// docs/prune.md, between marks.
//
//	go run ./build/prunereport [FLAGS] parts|zeros
//
// parts removes layers, heads and channels; zeros sets weights to zero. Of every file
// llama.cpp measures the perplexity, too, if it is at hand.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	_ "github.com/ledge-run/ledge/backend/cpu"
	"github.com/ledge-run/ledge/runtime/compress/delta"
	"github.com/ledge-run/ledge/runtime/compress/prune"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// report is a run of the command.
type report struct {
	model, calib, text, llama, docs, dir, only string
	threads, chunks                            int
	log                                        io.Writer
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
	r := &report{log: log}
	flags := flag.NewFlagSet("prunereport", flag.ContinueOnError)
	flags.SetOutput(log)
	flags.StringVar(&r.llama, "llama", os.Getenv("LEDGE_TEST_LLAMA"), "folder with llama.cpp's bin/llama-perplexity; none: without its figures")
	flags.StringVar(&r.model, "model", filepath.Join(os.Getenv("LEDGE_TEST_MODELS"), "smollm2-q8_0.gguf"), "source")
	flags.StringVar(&r.calib, "calibration", "", "text to choose with")
	flags.StringVar(&r.text, "text", "", "text to measure on")
	flags.StringVar(&r.docs, "docs", "docs/prune.md", "page to write the tables into")
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
	if r.dir, err = os.MkdirTemp("", "prunereport"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.dir)) }()
	table, err := r.table(context.Background(), cases)
	if err != nil {
		return err
	}
	fmt.Fprintln(log, table)
	return r.insert(flags.Arg(0), table)
}

func (r *report) table(ctx context.Context, cases []pruned) (string, error) {
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
	var b strings.Builder
	for _, c := range cases {
		if !only.MatchString(c.name) {
			continue
		}
		fmt.Fprintln(r.log, c.name)
		path := filepath.Join(r.dir, "pruned.gguf")
		if err := r.prune(ctx, c, string(calib), path); err != nil {
			return "", fmt.Errorf("%s: %w", c.name, err)
		}
		d, err := delta.Measure(ctx, r.model, path, delta.Options{Engine: engine.Options{Device: "cpu", Threads: r.threads}, Text: string(text), Chunks: r.chunks, Speed: delta.AlwaysSpeed})
		if err != nil {
			return "", fmt.Errorf("%s: %w", c.name, err)
		}
		if b.Len() == 0 {
			q := d.Quality
			fmt.Fprintf(&b, "%d positions, the second halves of %d chunks of %d tokens.\n\n", q.Tokens, q.Chunks, q.ChunkSize)
			b.WriteString("| `ledge prune` | MB | Multiply-adds, M | Memory, MB | Reading, tok/s | Generating, tok/s | KL to the source | Same first choice | Perplexity | llama.cpp's |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
			if err := r.row(ctx, &b, "(the source)", &d.Before, nil, r.model, d.Quality.Chunks); err != nil {
				return "", err
			}
		}
		if err := r.row(ctx, &b, "`"+c.name+"`", &d.After, d, path, d.Quality.Chunks); err != nil {
			return "", err
		}
		if err := os.Remove(path); err != nil {
			return "", err
		}
	}
	return b.String(), nil
}

func (r *report) prune(ctx context.Context, c pruned, calib, path string) (err error) {
	f, err := gguf.Open(r.model)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return c.write(ctx, f, calib, path)
}

func (r *report) row(ctx context.Context, b *strings.Builder, name string, m *delta.Model, d *delta.Report, path string, chunks int) error {
	kl, same := "", ""
	ratio := func(after, before float64) string { return "" }
	if d != nil {
		kl, same = fmt.Sprintf("%.3f ± %.3f", d.Quality.KL, d.Quality.KLError), fmt.Sprintf("%.1f %%", 100*d.Quality.SameTop)
		// Machines drift: the source is measured by turns with each, and the ratio counts.
		ratio = func(after, before float64) string { return fmt.Sprintf(" (%.2f x)", after/before) }
	}
	before := m
	if d != nil {
		before = &d.Before
	}
	theirs, err := r.theirs(ctx, path, chunks)
	if err != nil {
		return err
	}
	fmt.Fprintf(b, "| %s | %.1f | %.1f | %.1f | %.0f%s | %.0f%s | %s | %s | %.2f | %s |\n", name, float64(m.FileBytes)/1e6, float64(m.MultiplyAdds)/1e6, float64(m.Memory.Total())/1e6,
		m.Prefill.TokensPerSecond, ratio(m.Prefill.TokensPerSecond, before.Prefill.TokensPerSecond),
		m.Decode.TokensPerSecond, ratio(m.Decode.TokensPerSecond, before.Decode.TokensPerSecond), kl, same, *m.Perplexity, theirs)
	return nil
}

var estimate = regexp.MustCompile(`Final estimate: PPL = ([0-9.]+)`)

// theirs is llama.cpp's perplexity of a file on the same chunks.
func (r *report) theirs(ctx context.Context, path string, chunks int) (string, error) {
	if r.llama == "" {
		return "", nil
	}
	bin := filepath.Join(r.llama, "bin")
	c := exec.CommandContext(ctx, filepath.Join(bin, "llama-perplexity"), "-m", path, "-f", r.text, "-c", fmt.Sprint(delta.Chunk), "--chunks", fmt.Sprint(chunks), "-t", fmt.Sprint(r.threads))
	c.Env = append(os.Environ(), "LD_LIBRARY_PATH="+bin)
	out, err := c.CombinedOutput()
	m := estimate.FindSubmatch(out)
	if err != nil || m == nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return "", fmt.Errorf("llama-perplexity: %w: %s", err, lines[len(lines)-1])
	}
	return string(m[1]), nil
}

// insert puts a table between its marks in the page.
func (r *report) insert(what, table string) error {
	page, err := os.ReadFile(r.docs)
	if err != nil {
		return err
	}
	begin, end := "<!-- "+what+": go run ./build/prunereport -->\n", "<!-- end of "+what+" -->"
	head, rest, ok := strings.Cut(string(page), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return fmt.Errorf("%s has no marks %q and %q", r.docs, strings.TrimSpace(begin), end)
	}
	return os.WriteFile(r.docs, []byte(head+begin+table+end+tail), 0o644)
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
	byParts("--layers 6 --layers-by perplexity", prune.Options{Layers: 6, LayersBy: prune.ByPerplexity}),
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
