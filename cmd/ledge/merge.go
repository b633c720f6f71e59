package main

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/graph/dtype"
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
means as much again as was changed. --type f16 loses next to nothing, in a larger file; an
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
		if o.Type, err = dtype.Parse(strings.ToLower(t)); err != nil {
			return usagef("--type: %v", err)
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
	worst := 0.0
	for _, k := range order {
		r.Types = append(r.Types, mergeTypeJSON{k.from.String(), k.to.String(), count[k], sums[k].Size(), sums[k].Lost()})
		worst = max(worst, sums[k].Lost())
	}
	if worst > 0.1 {
		a.note("note: %.0f %% of the change was lost in rounding to the weights' type: --type f16 or q8_0 keeps more, ledge run --lora all of it", 100*worst)
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
