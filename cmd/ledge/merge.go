package main

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/compress/encode"
	"github.com/ledge-run/ledge/runtime/compress/merge"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
	"github.com/ledge-run/ledge/runtime/weights/lora"
)

func (a *app) mergeCommand() *cli.Command {
	c := &cli.Command{
		Name:  "merge",
		Usage: "write a model with a LoRA adapter merged into its weights",
		Flags: join([]cli.Flag{
			loraFlag(),
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "`FILE`.gguf to write"},
			&cli.StringFlag{Name: "type", Usage: "`TYPE` for the weights that change, such as f16 or q8_0 (default: the type they have)"},
			&cli.IntFlag{Name: "threads", Aliases: []string{"t"}, Usage: "`N` CPU threads (default or 0: all processors)"},
			forceFlag(), jsonFlag(),
		}, nameFlags()),
		Action: a.merge,
	}
	return describe(c, "ledge merge [FLAGS] -m MODEL --lora FILE[:SCALE] -o FILE.gguf", `
The weights become W + scale B A. Quantised ones are decoded and encoded anew; what of the
change is lost by that is told, as the size of the error against that of the change: 100 %
means as much again as was changed. --type f16 loses little, f32 next to nothing, in larger files; an
adapter that is kept (ledge run --lora) loses nothing.`,
		`ledge merge -m base-f16.gguf --lora adapter.gguf -o merged.gguf`,
		`ledge merge -m base-q4_0.gguf --lora adapter.gguf:0.8 --type q8_0 -o merged.gguf`)
}

// mergeJSON is what ledge merge --json writes.
type mergeJSON struct {
	Model    string          `json:"model"`
	Adapters []string        `json:"adapters"`
	File     string          `json:"file"`
	Weights  []mergeRowJSON  `json:"weights"`
	Types    []mergeTypeJSON `json:"types"`
}

type mergeRowJSON struct {
	Name string `json:"name"`
	mergeTypeJSON
}

type mergeTypeJSON struct {
	From    string  `json:"from"`
	To      string  `json:"to"`
	Tensors int     `json:"tensors"`
	Change  float64 `json:"change"`         // against the weights
	Lost    float64 `json:"lost_of_change"` // against the change
}

func (a *app) merge(c *cli.Context) (err error) {
	path := c.String("output")
	switch {
	case only(c, 0, "") != nil:
		return only(c, 0, "")
	case len(c.StringSlice("lora")) == 0:
		return usagef("nothing to merge: name an adapter with --lora FILE")
	case path == "":
		return usagef("no file to write: name it with -o FILE.gguf")
	}
	if err := checkThreads(c); err != nil {
		return err
	}
	o := merge.Options{Threads: c.Int("threads")}
	if t := c.String("type"); t != "" {
		if o.Type, err = writtenType(t); err != nil {
			return usagef("--type %s: %v", t, err)
		}
	}
	f, name, err := a.openFile(c, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := apart(f, path); err != nil {
		return err
	}
	if err := free(c, path); err != nil {
		return err
	}
	uses, err := a.adapters(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lora.CloseAll(uses)) }()
	for _, u := range uses {
		if sameFile(path, u.File.Name()) {
			return usagef("%s is the adapter that is read: name another file to write", path)
		}
	}
	m, err := a.mergeFiles(c, f, path, o, uses)
	if err != nil {
		return a.cause(c, err)
	}
	return a.reportMerge(c, name, path, m.Changes())
}

// writtenType is the type of a name, if weights can be written in it.
func writtenType(name string) (dtype.DType, error) {
	var all []string
	for _, d := range dtype.All() {
		switch {
		case !encode.Can(d):
		case strings.EqualFold(name, d.String()):
			return d, nil
		default:
			all = append(all, d.String())
		}
	}
	return dtype.Invalid, fmt.Errorf("no type of that name is written; those that are: %s", strings.Join(all, " "))
}

// mergeFiles writes the merged file.
func (a *app) mergeFiles(c *cli.Context, f *gguf.File, path string, o merge.Options, uses []lora.Use) (*merge.Merge, error) {
	set, err := lora.Join(f, uses...)
	if err != nil {
		return nil, err
	}
	bar := a.newStages()
	defer bar.done()
	o.Progress = func(done, total int64) {
		bar.show("merge", fraction(done, total), "%d of %d million weights", done/1e6, total/1e6)
	}
	m, err := merge.New(f, set, o)
	if err != nil {
		return nil, err
	}
	return m, m.Write(c.Context, path, c.Bool("force"))
}

// roundings are about what types lose of weights that follow no grid, against the weights
// (root mean squares), in the order in which files grow.
var roundings = []struct {
	to   dtype.DType
	loss float64
}{{dtype.Q8_0, 6e-3}, {dtype.F16, 2e-4}, {dtype.F32, 3e-8}}

// keepMore names the types that keep at least twice as much of a change, which is so large
// against the weights. None is finer for all: weights of four bits stay on their grid by
// themselves in their own type, and eight bits may round them more than they change.
func keepMore(to dtype.DType, change, lost float64) string {
	var names []string
	for _, r := range roundings {
		if r.to != to && 2*r.loss < lost*change {
			names = append(names, r.to.String())
		}
	}
	if len(names) == 0 {
		return ""
	}
	verb := " keep more, "
	if len(names) == 1 {
		verb = " keeps more, "
	}
	return "--type " + strings.Join(names, " or ") + verb
}

func (a *app) reportMerge(c *cli.Context, name, path string, changes []merge.Change) error {
	r := mergeJSON{Model: name, Adapters: c.StringSlice("lora"), File: path}
	type types struct{ from, to dtype.DType }
	sums, count := map[types]*merge.Change{}, map[types]int{}
	var order []types
	for _, ch := range changes {
		k := types{ch.From, ch.To}
		if sums[k] == nil {
			sums[k] = &merge.Change{}
			order = append(order, k)
		}
		sums[k].Add(ch)
		count[k]++
		r.Weights = append(r.Weights, mergeRowJSON{ch.Weight, mergeTypeJSON{ch.From.String(), ch.To.String(), 1, ch.Size(), ch.Lost()}})
	}
	var worst types
	for _, k := range order {
		r.Types = append(r.Types, mergeTypeJSON{k.from.String(), k.to.String(), count[k], sums[k].Size(), sums[k].Lost()})
		if worst.to == dtype.Invalid || sums[k].Lost() > sums[worst].Lost() {
			worst = k
		}
	}
	if s := sums[worst]; s != nil && s.Lost() > 0.1 {
		a.note("note: %.0f %% of the change was lost in rounding to %v: %sledge run --lora keeps all of it", 100*s.Lost(), worst.to, keepMore(worst.to, s.Size(), s.Lost()))
	}
	if c.Bool("json") {
		return a.out.JSON(r, true)
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "type\twritten as\tweights\tchange\tlost of it")
	for _, t := range r.Types {
		fmt.Fprintf(w, "%s\t%s\t%d\t%.3f %%\t%.2f %%\n", t.From, t.To, t.Tensors, 100*t.Change, 100*t.Lost)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "\n%s written\n", path)
	return a.out.Flush()
}
