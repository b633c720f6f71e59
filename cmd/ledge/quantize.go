package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/compress/delta"
	"github.com/ledge-run/ledge/runtime/compress/imatrix"
	"github.com/ledge-run/ledge/runtime/compress/quantize"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/eval"
	"github.com/ledge-run/ledge/runtime/hub"
	"github.com/ledge-run/ledge/runtime/model"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

func (a *app) quantizeCommand() *cli.Command {
	c := &cli.Command{
		Name:  "quantize",
		Usage: "write a model's weights in fewer bits",
		Flags: join([]cli.Flag{
			&cli.StringFlag{Name: "imatrix", Usage: "`FILE` of ledge imatrix or llama-imatrix: which columns matter"},
			&cli.StringSliceFlag{Name: "tensor", Usage: "`REGEXP=TYPE`: give the tensors so named this type, or keep them; may be repeated, the first that matches counts"},
			&cli.StringFlag{Name: "target-size", Usage: "make a file of at most `SIZE`, such as 80MB, with the types that lose least"},
			&cli.Float64Flag{Name: "target-bpw", Usage: "the same, with at most `N` bits per weight"},
			&cli.StringFlag{Name: "file", Aliases: []string{"f"}, Usage: "`TEXT` to measure on: what types lose, for a target; and the models before and after (after a target, on its last third)"},
			&cli.StringFlag{Name: "eval-file", Usage: "another `TEXT` to measure the models before and after on"},
			&cli.IntFlag{Name: "threads", Aliases: []string{"t"}, Usage: "`N` CPU threads (default or 0: all processors)"},
			&cli.BoolFlag{Name: "dry-run", Usage: "show what would be written, write nothing"},
			&cli.BoolFlag{Name: "allow-requantize", Usage: "say nothing about weights that are quantised a second time"},
			forceFlag(), jsonFlag(), offlineFlag(), quietFlag(),
		}, deltaFlags()),
		Action: a.quantize,
	}
	var names []string
	for _, r := range quantize.Recipes {
		names = append(names, r.Name)
	}
	return describe(c, "ledge quantize [FLAGS] MODEL FILE.gguf TYPE\nledge quantize [FLAGS] --target-size SIZE -f TEXT MODEL FILE.gguf\nledge quantize [FLAGS] --dry-run MODEL TYPE", `
TYPE is one of
`+strings.Join(names, " ")+`
with the types per tensor of llama.cpp's files of that name. With --target-size or
--target-bpw each tensor gets a type of its own, by what its bits are worth: that is
measured with the text of -f: its first two thirds, the last being held out to measure the
result on, or all of it with --eval-file. Perplexity and divergence are those of
ledge perplexity and ledge eval --reference. Values are encoded with the least error, weighted by the
importance matrix if there is one. Weights that are quantised already lose a second time;
those that have no more bits than they would get are kept as they are.`,
		`ledge quantize model-f16.gguf model-q4_k_m.gguf Q4_K_M`,
		`ledge quantize --imatrix imatrix.gguf model-f16.gguf model-q4_0.gguf Q4_0`,
		`ledge quantize --imatrix imatrix.gguf -f text.txt --target-size 80MB model-f16.gguf model-80mb.gguf`,
		`ledge quantize --tensor 'ffn_down=q6_k' --tensor 'output\.weight=keep' model-f16.gguf out.gguf Q4_K_M`,
		`ledge quantize --dry-run model-f16.gguf Q3_K_M`)
}

// quantizeArgs are the command's arguments, sorted out.
type quantizeArgs struct {
	model, path string
	recipe      quantize.Recipe
	budget      quantize.Budget // zero: by the recipe
	overrides   []quantize.Override
	corpora     // a target's types are chosen by one of them
	task        *eval.Data
}

func (a *app) quantizeArgs(c *cli.Context) (q quantizeArgs, err error) {
	args, dry := c.Args().Slice(), c.Bool("dry-run")
	if q.budget, err = budget(c); err != nil {
		return q, err
	}
	if n := len(args); n > 0 && q.budget != (quantize.Budget{}) {
		if r, err := quantize.FindRecipe(args[n-1]); err == nil && (n == 3 || dry && n == 2) {
			return q, usagef("%s and a target: it is one of them that says the types", r.Name)
		}
	}
	if q.budget == (quantize.Budget{}) {
		if len(args) < 2 {
			return q, usagef("name a model, a file to write and a type; see ledge quantize --help")
		}
		if q.recipe, err = quantize.FindRecipe(args[len(args)-1]); err != nil {
			return q, usagef("%s", err)
		}
		args = args[:len(args)-1]
	} else if c.String("file") == "" {
		return q, usagef("a target needs a text to measure with: name one with -f TEXT")
	}
	switch {
	case len(args) == 2:
		q.model, q.path = args[0], args[1]
	case len(args) == 1 && dry:
		q.model = args[0]
	case len(args) == 1:
		return q, usagef("no file to write: name it after the model")
	default:
		return q, usagef("%d arguments instead of a model and a file to write, and a type unless there is a target; see ledge quantize --help", c.NArg())
	}
	if err := checkThreads(c); err != nil {
		return q, err
	}
	for _, s := range c.StringSlice("tensor") {
		o, err := quantize.ParseOverride(s)
		if err != nil {
			return q, usagef("--tensor: %v", err)
		}
		q.overrides = append(q.overrides, o)
	}
	if q.task, err = a.deltaTask(c); err != nil {
		return q, err
	}
	q.corpora, err = a.readTexts(c, q.budget != (quantize.Budget{}), choosing{"without a target", "the types are chosen", "no type"})
	return q, err
}

// budget reads --target-size and --target-bpw.
func budget(c *cli.Context) (b quantize.Budget, err error) {
	if s := c.String("target-size"); s != "" {
		if b.Bytes, err = parseBytes(s); err != nil {
			return b, usagef("--target-size: %v", err)
		}
	}
	if c.IsSet("target-bpw") {
		if b.BitsPerWeight = c.Float64("target-bpw"); !(b.BitsPerWeight > 0 && b.BitsPerWeight <= 32) {
			return b, usagef("--target-bpw %g: it must be more than 0 and at most 32", b.BitsPerWeight)
		}
	}
	if b.Bytes > 0 && b.BitsPerWeight > 0 {
		return b, usagef("--target-size and --target-bpw: give one of them")
	}
	return b, nil
}

// checkThreads is for commands that take any number of threads.
func checkThreads(c *cli.Context) error {
	if n := c.Int("threads"); n < 0 || n > maxThreads {
		return usagef("-t %d: it must be 0 (automatic) to %d", n, maxThreads)
	}
	return nil
}

// parseBytes reads a number of bytes: 80MB, 1.5GiB, 83886080.
func parseBytes(s string) (int64, error) {
	at := len(s)
	for at > 0 && (s[at-1]|0x20 >= 'a' && s[at-1]|0x20 <= 'z') {
		at--
	}
	unit := s[at:]
	n, err := strconv.ParseFloat(strings.TrimSpace(s[:at]), 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a size, such as 80MB", s)
	}
	units := map[string]float64{"": 1, "b": 1, "k": 1e3, "kb": 1e3, "kib": 1 << 10, "m": 1e6, "mb": 1e6, "mib": 1 << 20, "g": 1e9, "gb": 1e9, "gib": 1 << 30}
	u, ok := units[strings.ToLower(unit)]
	if !ok || !(n*u >= 1 && n*u < 1e18) {
		return 0, fmt.Errorf("%q is not a size, such as 80MB or 1.5GiB", s)
	}
	return int64(n * u), nil
}

func (a *app) quantize(c *cli.Context) (err error) {
	q, err := a.quantizeArgs(c)
	if err != nil {
		return err
	}
	f, source, err := a.openSource(c, q.model, q.path, &q.corpora)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := aModel(f); err != nil {
		return err
	}
	o := quantize.PlanOptions{Overrides: q.overrides, Source: c.String("imatrix")}
	if o.Source != "" {
		if o.Matrix, err = imatrix.Read(o.Source); err != nil {
			return err
		}
	}
	p, err := a.plan(c, f, q, o)
	if err != nil {
		return a.cause(c, inModel(f, err))
	}
	a.remarks(c, p)
	took := time.Duration(0)
	if !c.Bool("dry-run") {
		start := time.Now()
		if err := a.writeQuantized(c, p, q.path); err != nil {
			return a.cause(c, err)
		}
		took = time.Since(start)
	}
	on := q.measuredOn()
	if o.Matrix != nil && q.evalName != "-" && slices.Contains(o.Matrix.Datasets, filepath.Base(q.evalName)) {
		on += "; the importance matrix was made with a text of this name"
	}
	return a.reportPlan(c, f, p, q, source, on, took)
}

// aModel refuses a file that is no language model, such as an importance matrix, or has
// its vocabulary alone. One of an architecture that Ledge does not run can be quantised.
func aModel(f *gguf.File) error {
	_, err := engine.Network(f)
	arch, _ := f.String("general.architecture")
	if err != nil && arch != "" && !slices.Contains(model.Names(), arch) && len(f.Tensors()) > 0 {
		return nil
	}
	return inFile(f, err)
}

// cause is the interruption that ended the work, or the error.
func (a *app) cause(c *cli.Context, err error) error {
	if c.Context.Err() != nil {
		return context.Cause(c.Context)
	}
	return err
}

func (a *app) plan(c *cli.Context, f *gguf.File, q quantizeArgs, o quantize.PlanOptions) (*quantize.Plan, error) {
	if q.budget == (quantize.Budget{}) {
		return quantize.NewPlan(f, q.recipe, o)
	}
	bar := a.newStages()
	defer bar.done()
	return quantize.Search(c.Context, f, q.budget, o, quantize.SearchOptions{
		Text: q.chosen, Threads: c.Int("threads"),
		Progress: func(what string, done, of int) {
			bar.show(what, fraction(done, of), "%d of %d", done, of)
		},
	})
}

func (a *app) writeQuantized(c *cli.Context, p *quantize.Plan, path string) error {
	bar := a.newStages()
	defer bar.done()
	return p.Write(c.Context, path, quantize.WriteOptions{
		Threads: c.Int("threads"), Replace: c.Bool("force"),
		Progress: func(done, total int64) {
			bar.show("quantize", fraction(done, total), "%d of %d million weights", done/1e6, total/1e6)
		},
	})
}

// remarks are what the user should know about a plan before he waits for it.
func (a *app) remarks(c *cli.Context, p *quantize.Plan) {
	if n := p.Requantized(); n > 0 && !c.Bool("allow-requantize") {
		a.note("note: %d tensors are quantised already and lose a second time; start from F16, BF16 or F32 if you can", n)
	}
	if names := p.Missing(); len(names) > 0 {
		a.note("note: the importance matrix has nothing about %d tensors, among them %s", len(names), names[0])
	}
	fell := 0
	for _, ch := range p.Choices {
		if strings.HasPrefix(ch.Note, "rows of") {
			fell++
		}
	}
	if fell > 0 {
		a.note("note: %d tensors have rows that do not fit the blocks of their type and get another one (--dry-run shows them)", fell)
	}
}

// planJSON is what --json writes.
type planJSON struct {
	Model   string  `json:"model"`
	File    string  `json:"file,omitempty"`
	Type    string  `json:"type"`
	Seconds float64 `json:"seconds,omitempty"`
	*delta.Report
	Tensors []tensorJSON `json:"tensors"`
}

type tensorJSON struct {
	Name  string `json:"name"`
	Shape []int  `json:"shape"`
	From  string `json:"from"`
	To    string `json:"to"`
	Note  string `json:"note,omitempty"`
}

// deltaOf makes the table before and after; of a plan that was not carried out it has
// sizes alone.
func (a *app) deltaOf(c *cli.Context, f *gguf.File, p *quantize.Plan, q quantizeArgs, source, on string) (*delta.Report, error) {
	if c.Bool("dry-run") {
		r := delta.Sizes(f, f)
		_, after, _ := p.Sizes()
		r.After.FileBytes = 0
		r.After.SetBytes(after)
		return r, nil
	}
	return a.delta(c, source, q.path, q.eval, on, q.task)
}

func (a *app) reportPlan(c *cli.Context, f *gguf.File, p *quantize.Plan, q quantizeArgs, source, on string, took time.Duration) error {
	d, err := a.deltaOf(c, f, p, q, source, on)
	if err != nil {
		return a.cause(c, err)
	}
	r := planJSON{Model: q.model, File: q.path, Type: p.Recipe.Name, Seconds: took.Seconds(), Report: d}
	if c.Bool("json") {
		for _, t := range p.Choices {
			r.Tensors = append(r.Tensors, tensorJSON{t.Name, t.Shape, t.From.String(), t.To.String(), t.Note})
		}
		return a.out.JSON(r, true)
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	if c.Bool("dry-run") {
		for _, t := range p.Choices {
			fmt.Fprintf(w, "%s\t%v\t%v\t->\t%v\t%s\n", t.Name, t.Shape, t.From, t.To, t.Note)
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w, "type\ttensors before\tafter\tsize before\tafter")
	for _, d := range dtype.All() {
		nb, na, sb, sa := 0, 0, int64(0), int64(0)
		for _, t := range p.Choices {
			if t.From == d {
				nb, sb = nb+1, sb+t.Before
			}
			if t.To == d {
				na, sa = na+1, sa+t.After
			}
		}
		if nb+na > 0 {
			fmt.Fprintf(w, "%v\t%d\t%d\t%s\t%s\n", d, nb, na, hub.FormatBytes(sb), hub.FormatBytes(sa))
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(a.out)
	if err := d.WriteTable(a.out); err != nil {
		return err
	}
	if took > 0 {
		fmt.Fprintf(a.out, "\n%s written in %.1f s\n", q.path, took.Seconds())
	}
	return a.out.Flush()
}
