package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/compress/delta"
	"github.com/ledge-run/ledge/runtime/compress/imatrix"
	"github.com/ledge-run/ledge/runtime/compress/prune"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/eval"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

func (a *app) pruneCommand() *cli.Command {
	const parts, zeros = "PARTS TO REMOVE", "SINGLE WEIGHTS"
	text := func(name, usage, category string) cli.Flag {
		return &cli.StringFlag{Name: name, Usage: usage, Category: category}
	}
	c := &cli.Command{
		Name:  "prune",
		Usage: "leave parts of a model out, or set weights to zero",
		Flags: join([]cli.Flag{
			&cli.IntFlag{Name: "layers", Usage: "remove `N` layers", Category: parts},
			text("layers-by", "`HOW` they are chosen: angle (a run that changes its input's direction least) or perplexity (one by one; default: angle)", parts),
			&cli.IntFlag{Name: "heads", Usage: "remove `N` key-value heads of each layer, with the query heads that read them", Category: parts},
			text("channels", "remove `N` channels, or N%, of the feed-forward of each layer", parts),
			text("target-size", "remove as many channels as it takes for a file of at most `SIZE`, such as 80MB", parts),
			&cli.BoolFlag{Name: "whole-blocks", Usage: "remove channels in whole blocks, so that no quantised weight is rounded again", Category: parts},
			text("zeros", "set a `SHARE` of the layers' weights to zero: 50%, or in a pattern such as 2:4", zeros),
			text("scope", "`WHAT` competes for a share: tensor, global or row (default: tensor)", zeros),
			text("tensor", "only in matrices whose names match `REGEXP`", zeros),
			text("type", "write these matrices in `TYPE`: f32, f16, bf16, q8_0, q5_0 or q4_0 (default: their own)", zeros),
			text("by", "`HOW` heads and channels are scored: activation or gradient; single weights: magnitude or activation (defaults: activation, magnitude)", ""),
			&cli.StringFlag{Name: "file", Aliases: []string{"f"}, Usage: "`TEXT` to choose with (its first two thirds) and to measure the models before and after on"},
			text("eval-file", "another `TEXT` to measure them on", ""),
			text("heal", "let what is left learn on `TEXT` (or FILE.jsonl) to say what the source says", healingFlags),
			&cli.IntFlag{Name: "heal-steps", Usage: fmt.Sprintf("take `N` steps of %d tokens", healTokens), Value: 100, Category: healingFlags},
			&cli.Float64Flag{Name: "heal-rate", Usage: "peak `RATE` of learning", Value: 1e-4, DefaultText: "1e-4", Category: healingFlags},
			text("imatrix", "`FILE` of ledge imatrix: activations that are measured already", ""),
			&cli.IntFlag{Name: "threads", Aliases: []string{"t"}, Usage: "`N` CPU threads (default or 0: all processors)"},
			&cli.BoolFlag{Name: "dry-run", Usage: "show what would be removed, write nothing"},
			forceFlag(), jsonFlag(), offlineFlag(), quietFlag(),
		}, deltaFlags()),
		Action: a.prune,
	}
	return describe(c, "ledge prune [FLAGS] MODEL FILE.gguf\nledge prune [FLAGS] --dry-run MODEL", `
What is left is a smaller model of the same architecture, which Ledge and llama.cpp load:
every layer loses as many heads and channels, each those that it misses least. What
is chosen by a text is not measured on it, but on its last third, or on --eval-file.
Parts of quantised tensors stay byte for byte; columns of ffn_down are rounded again,
unless --whole-blocks is given. --zeros changes neither size nor speed: zeros
are multiplied like other weights. --heal distils the source into what is left; what
was learnt is kept in FILE.gguf.heal until the end, and the same command goes on
there. Definitions: docs/prune.md.`,
		`ledge prune --layers 6 -f text.txt model.gguf smaller.gguf`,
		`ledge prune --layers 4 --layers-by perplexity -f text.txt model.gguf smaller.gguf`,
		`ledge prune --heads 1 --channels 25% --by gradient -f text.txt model.gguf smaller.gguf`,
		`ledge prune --target-size 120MB -f text.txt --eval-file other.txt model.gguf smaller.gguf`,
		`ledge prune --layers 4 -f text.txt --heal more.txt --heal-steps 200 model.gguf smaller.gguf`,
		`ledge prune --zeros 50% --scope global model-f16.gguf sparse.gguf`,
		`ledge prune --zeros 2:4 --by activation --imatrix imatrix.gguf model-f16.gguf sparse.gguf`)
}

// pruneArgs are the command's arguments, sorted out.
type pruneArgs struct {
	model, path string
	channels    string // as given: a share needs the model
	parts       prune.Options
	zeros       *prune.ZeroOptions // nil: parts
	corpora
	task *eval.Data
	heal *healing // nil: none
}

func (a *app) pruneArgs(c *cli.Context) (q pruneArgs, err error) {
	args := c.Args().Slice()
	switch {
	case len(args) == 2:
		q.model, q.path = args[0], args[1]
	case len(args) == 1 && c.Bool("dry-run"):
		q.model = args[0]
	case len(args) == 1:
		return q, usagef("no file to write: name it after the model")
	default:
		return q, usagef("%d arguments instead of a model and a file to write; see ledge prune --help", len(args))
	}
	for _, n := range []string{"layers", "heads"} {
		if c.Int(n) < 0 || c.IsSet(n) && c.Int(n) == 0 {
			return q, usagef("--%s %d: it must be 1 or more", n, c.Int(n))
		}
	}
	if err := checkThreads(c); err != nil {
		return q, err
	}
	if c.String("zeros") != "" {
		err = q.readZeros(c)
	} else {
		err = q.readParts(c)
	}
	if err != nil {
		return q, err
	}
	if q.task, err = a.deltaTask(c); err != nil {
		return q, err
	}
	if err := a.pruneTexts(c, &q); err != nil {
		return q, err
	}
	return q, q.readHealing(c)
}

// readParts reads the flags of what is removed.
func (q *pruneArgs) readParts(c *cli.Context) (err error) {
	for _, n := range []string{"scope", "tensor", "type"} {
		if c.IsSet(n) {
			return usagef("--%s goes with --zeros", n)
		}
	}
	o := prune.Options{Layers: c.Int("layers"), Groups: c.Int("heads"), LayersBy: prune.LayersBy(c.String("layers-by")), PartsBy: prune.PartsBy(c.String("by")),
		WholeBlocks: c.Bool("whole-blocks"), Threads: c.Int("threads")}
	q.channels = c.String("channels")
	if s := c.String("target-size"); s != "" {
		if o.Target, err = parseBytes(s); err != nil {
			return usagef("--target-size: %v", err)
		}
		if q.channels != "" {
			return usagef("--target-size and --channels: give one of them")
		}
	}
	if q.channels != "" {
		if _, err := amount(q.channels, 100); err != nil {
			return usagef("--channels: %v", err)
		}
	}
	switch {
	case o.Layers == 0 && o.Groups == 0 && q.channels == "" && o.Target == 0:
		return usagef("nothing to remove: give --layers, --heads, --channels, --target-size or --zeros; see ledge prune --help")
	case o.LayersBy != "" && o.LayersBy != prune.ByAngle && o.LayersBy != prune.ByPerplexity:
		return usagef("--layers-by %s: it must be angle or perplexity", o.LayersBy)
	case o.PartsBy != "" && o.PartsBy != prune.ByActivation && o.PartsBy != prune.ByGradient:
		return usagef("--by %s: heads and channels are chosen by activation or gradient", o.PartsBy)
	}
	q.parts = o
	return nil
}

// readZeros reads the flags of single weights.
func (q *pruneArgs) readZeros(c *cli.Context) error {
	for _, n := range []string{"layers", "layers-by", "heads", "channels", "target-size", "whole-blocks"} {
		if c.IsSet(n) {
			return usagef("--%s and --zeros: do one after the other", n)
		}
	}
	o := &prune.ZeroOptions{Scope: prune.Scope(c.String("scope")), Threads: c.Int("threads")}
	s := c.String("zeros")
	if n, m, ok := strings.Cut(s, ":"); ok {
		var err, other error
		o.N, err = strconv.Atoi(n)
		o.M, other = strconv.Atoi(m)
		if err != nil || other != nil || o.N < 1 || o.M <= o.N || o.M > 64 {
			return usagef("--zeros %s: a pattern is N:M, such as 2:4, N of every M weights being zero", s)
		}
		if o.Scope != "" {
			return usagef("--scope goes with a share, not with a pattern")
		}
	} else {
		v, err := strconv.ParseFloat(strings.TrimSuffix(s, "%"), 64)
		if err != nil || !strings.HasSuffix(s, "%") || !(v > 0 && v <= 100) {
			return usagef("--zeros %s: it must be a share, such as 50%%, or a pattern, such as 2:4", s)
		}
		o.Share = v / 100
	}
	switch by := c.String("by"); by {
	case "", "magnitude":
	case "activation":
		o.Activity = true
	default:
		return usagef("--by %s: weights become zero by magnitude or activation", by)
	}
	switch o.Scope {
	case "", prune.PerTensor, prune.PerRow, prune.Global:
	default:
		return usagef("--scope %s: it must be tensor, global or row", o.Scope)
	}
	var err error
	if s := c.String("tensor"); s != "" {
		if o.Tensors, err = regexp.Compile(s); err != nil {
			return usagef("--tensor: %v", err)
		}
	}
	if s := c.String("type"); s != "" {
		if o.Type, err = dtype.Parse(s); err != nil {
			return usagef("--type %s: it must be f32, f16, bf16, q8_0, q5_0 or q4_0", s)
		}
	}
	q.zeros = o
	return nil
}

// amount reads "512" or "25%" of something.
func amount(s string, of int) (int, error) {
	share, isShare := strings.CutSuffix(s, "%")
	v, err := strconv.ParseFloat(share, 64)
	switch {
	case err != nil || !(v > 0) || isShare && v > 100 || !isShare && (v > 1<<24 || v != float64(int(v))):
		return 0, fmt.Errorf("%q is no number of them, such as 512 or 25%%", s)
	case isShare:
		return int(v / 100 * float64(of)), nil
	}
	return int(v), nil
}

// measures tells whether a text is needed to choose with.
func (q *pruneArgs) measures(c *cli.Context) bool {
	matrix := c.String("imatrix") != ""
	if q.zeros != nil {
		return q.zeros.Activity && !matrix
	}
	byActivation := q.parts.Groups > 0 || q.channels != "" || q.parts.Target > 0
	return q.parts.Layers > 0 || byActivation && (q.parts.PartsBy == prune.ByGradient || !matrix)
}

// pruneTexts reads what is chosen by and what is measured on.
func (a *app) pruneTexts(c *cli.Context, q *pruneArgs) (err error) {
	chooses := q.measures(c)
	if c.String("file") == "" && chooses {
		return usagef("a text is needed to choose with: name one with -f TEXT")
	}
	q.corpora, err = a.readTexts(c, chooses, choosing{"nothing is chosen by a text:", "is chosen", "nothing"})
	q.parts.Text = q.chosen
	if q.zeros != nil {
		q.zeros.Text = q.chosen
	}
	return err
}

func (a *app) prune(c *cli.Context) (err error) {
	q, err := a.pruneArgs(c)
	if err != nil {
		return err
	}
	f, source, err := a.openSource(c, q.model, q.path, &q.corpora)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := q.fill(c, f); err != nil {
		return err
	}
	if q.heal != nil && !c.Bool("dry-run") {
		if err := q.heal.spares(c, source); err != nil {
			return err
		}
	}
	if q.zeros != nil {
		err = a.pruneZeros(c, f, q, source)
	} else {
		err = a.pruneParts(c, f, q, source)
	}
	if err != nil {
		return a.cause(c, inModel(f, err))
	}
	return nil
}

// fill adds what the model's sizes and the importance matrix say.
func (q *pruneArgs) fill(c *cli.Context, f *gguf.File) error {
	if q.channels != "" {
		net, err := engine.Network(f)
		if err != nil {
			return inFile(f, err)
		}
		if q.parts.Channels, err = amount(q.channels, net.Info().FeedForward); err != nil {
			return usagef("--channels: %v", err)
		}
		if q.parts.Channels == 0 {
			return usagef("--channels %s: that is none of the %d of each layer", q.channels, net.Info().FeedForward)
		}
	}
	path := c.String("imatrix")
	if path == "" {
		return nil
	}
	m, err := imatrix.Read(path)
	if err != nil {
		return err
	}
	q.parts.Matrix = m
	if q.zeros != nil {
		q.zeros.Matrix = m
	}
	return nil
}

// pruneJSON is what --json writes.
type pruneJSON struct {
	Model   string         `json:"model"`
	File    string         `json:"file,omitempty"`
	Seconds float64        `json:"seconds,omitempty"` // of writing
	Removed []int          `json:"layers_removed,omitempty"`
	Angles  []float64      `json:"angles,omitempty"`
	Losses  []float64      `json:"losses,omitempty"`
	Layers  []prune.Choice `json:"layers,omitempty"`
	Recoded int            `json:"tensors_rounded_again"`
	Zeros   *zerosJSON     `json:"zeros,omitempty"`
	Healing *healingJSON   `json:"healing,omitempty"`
	*delta.Report
}

type zerosJSON struct {
	Matrices int   `json:"matrices"`
	Weights  int64 `json:"weights"`
	Zeros    int64 `json:"zeros"`
}

// pruneProgress shows how far stages are.
func pruneProgress(bar stages) func(stage string, done, of int) {
	return func(stage string, done, of int) { bar.show(stage, fraction(done, of), "%d of %d", done, of) }
}

func (a *app) pruneParts(c *cli.Context, f *gguf.File, q pruneArgs, source string) error {
	bar := a.newStages()
	q.parts.Progress = pruneProgress(bar)
	p, err := prune.New(c.Context, f, q.parts)
	bar.done()
	if err != nil {
		return err
	}
	if p.Recoded > 0 {
		a.note("note: %d tensors are quantised already and lose a second time, for columns of them go: --whole-blocks avoids it, or start from F16, BF16 or F32", p.Recoded)
	}
	if q.parts.Groups > 0 {
		if arch, _ := f.String("general.architecture"); arch == "qwen2" || arch == "phi3" {
			a.note("note: Ledge runs %s models with fewer heads; llama.cpp does not load them", arch)
		}
	}
	r := pruneJSON{Model: q.model, File: q.path, Removed: p.Removed, Angles: p.Angles, Losses: p.Losses, Layers: p.Choices, Recoded: p.Recoded}
	write := p.Write
	if q.heal != nil {
		if err := p.Healable(); err != nil {
			return err
		}
		write = func(ctx context.Context, path string, o prune.WriteOptions) error { return a.heal(c, q, source, p, o) }
	}
	return a.finishPrune(c, f, q, source, r, write, p.Lines())
}

func (a *app) pruneZeros(c *cli.Context, f *gguf.File, q pruneArgs, source string) error {
	bar := a.newStages()
	q.zeros.Progress = pruneProgress(bar)
	p, err := prune.NewZeros(c.Context, f, *q.zeros)
	bar.done()
	if err != nil && q.zeros.Type == dtype.Invalid && strings.Contains(err.Error(), "another type") {
		err = fmt.Errorf("%w: --type names one", err)
	}
	if err != nil {
		return err
	}
	if n := p.Requantized(); n > 0 {
		a.note("note: %d tensors are quantised already and lose a second time, for they get another type", n)
	}
	r := pruneJSON{Model: q.model, File: q.path, Recoded: p.Requantized(), Zeros: &zerosJSON{p.Matrices, p.Weights, p.Zeros}}
	lines := []string{fmt.Sprintf("%d of the %d weights of %d matrices become zero", p.Zeros, p.Weights, p.Matrices),
		"zeros are multiplied like other weights: size, memory, executed multiply-adds and time stay as they are"}
	return a.finishPrune(c, f, q, source, r, p.Write, lines)
}
