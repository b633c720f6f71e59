package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/hub"
)

func (a *app) graphCommand() *cli.Command {
	c := &cli.Command{
		Name:  "graph",
		Usage: "show the graph of a model at a stage of compilation",
		Flags: join([]cli.Flag{
			&cli.StringFlag{Name: "stage", Usage: "`STAGE`: " + strings.Join(engine.Stages, ", "), Value: "planned"},
			&cli.BoolFlag{Name: "dot", Usage: "write Graphviz's language instead of text"},
			&cli.BoolFlag{Name: "no-fuse", Usage: "leave the operations as they were built"},
		}, nameFlags(), deviceFlags()),
		Action: a.graph,
	}
	return describe(c, "ledge graph [FLAGS] [MODEL]", `
Loads no weights. The stages are: built (as the model emits it), placed (on devices),
fused, lowered (with kernels), planned (with the place of every value in the arena,
after the graph: offset, size, the operation that makes it). The arena's size also
goes to standard error.`,
		`ledge graph smollm2:135m --stage fused | head -40`,
		`ledge graph model.gguf --stage built --dot | dot -Tsvg -o graph.svg`)
}

func (a *app) graph(c *cli.Context) error {
	if err := only(c, 1, "one MODEL"); err != nil {
		return err
	}
	stage := strings.ToLower(c.String("stage"))
	if !slices.Contains(engine.Stages, stage) {
		return usagef("--stage %s: there is %s%s", stage, strings.Join(engine.Stages, ", "), suggest(stage, engine.Stages))
	}
	o, err := a.options(c)
	if err != nil {
		return err
	}
	o.NoFuse = c.Bool("no-fuse")
	f, _, err := a.openFile(c, c.Args().First())
	if err != nil {
		return err
	}
	defer f.Close()
	net, err := engine.Network(f)
	if err != nil {
		return inFile(f, err)
	}
	ds, err := openDevices(c.Context, o, false)
	if err != nil {
		return err
	}
	defer closeDevices(ds)
	parts, err := engine.Graph(net, ds, o, stage)
	if err != nil {
		return inFile(f, err)
	}
	if ps := engine.PlacesOf(parts); len(ps) > 1 {
		a.note("%s", engine.DescribePlaces(ps))
	}
	for _, p := range parts {
		if c.Bool("dot") {
			fmt.Fprint(a.out, p.Graph.DOT())
		} else {
			fmt.Fprint(a.out, p.Graph)
			a.writePlan(p)
		}
		if p.Plan != nil {
			a.note("arena on %s: %d bytes (%s)", p.Device, p.Plan.Arena, hub.FormatBytes(int64(p.Plan.Arena)))
		}
	}
	return a.out.Flush()
}

// writePlan lists where the values of a graph lie.
func (a *app) writePlan(p engine.StageGraph) {
	if p.Plan == nil {
		return
	}
	fmt.Fprintf(a.out, "\nplan for %s: arena %d bytes\n", p.Device, p.Plan.Arena)
	for i, s := range p.Plan.Slots {
		switch {
		case s.Off < 0:
		case s.Alias >= 0:
			fmt.Fprintf(a.out, "%10d %10s  %%%d in place of %%%d\n", s.Off, "", i, s.Alias)
		default:
			fmt.Fprintf(a.out, "%10d %10d  %%%d %s, until %%%d\n", s.Off, s.Size, i, p.Graph.Nodes[i].Op, s.End)
		}
	}
}
