package pass

import (
	"fmt"

	"github.com/ledge-run/ledge/graph"
)

// Part is the piece of a graph that one device runs. Values that cross from
// one part to a later one are an output and an input of the same name.
type Part struct {
	Device int // index of the target among those compiled for
	Target Target
	Graph  *graph.Graph
}

// Options steer Compile.
type Options struct {
	// NoFuse leaves the fuse passes out: every operation runs as built.
	NoFuse bool

	// CachedTokens is how many tokens the states will hold in all; with the
	// weights it decides how many layers a target's memory takes.
	CachedTokens int

	// Layers, if not negative, is how many layers the first target gets,
	// whatever its memory. Use -1 for automatic.
	Layers int

	// Observe, if set, sees the parts after each stage: "built", "placed",
	// "fused", "lowered".
	Observe func(stage string, parts []Part)
}

// Compile verifies a built graph, places it on targets (the first is
// preferred, the last must support everything), fuses and lowers each part.
func Compile(g *graph.Graph, targets []Target, o Options) ([]Part, error) {
	if len(targets) == 0 {
		return nil, fmt.Errorf("pass: no target to compile %s for", g.Name)
	}
	see := func(stage string, parts []Part) {
		if o.Observe != nil {
			o.Observe(stage, parts)
		}
	}
	if err := graph.Verify(g); err != nil {
		return nil, err
	}
	see("built", []Part{{Graph: g}})
	parts, err := place(g, targets, o)
	if err != nil {
		return nil, err
	}
	see("placed", parts)
	if !o.NoFuse {
		if err := each(parts, "fuse", fuse); err != nil {
			return nil, err
		}
	}
	see("fused", parts)
	if err := each(parts, "lower", lower); err != nil {
		return nil, err
	}
	see("lowered", parts)
	return parts, nil
}

// each runs a pass over every part and verifies what comes out.
func each(parts []Part, name string, run func(*graph.Graph, Target) (*graph.Graph, error)) error {
	for i, p := range parts {
		g, err := run(p.Graph, p.Target)
		if err == nil {
			err = graph.Verify(g)
		}
		if err != nil {
			return fmt.Errorf("pass %s for %s: %w", name, p.Target.Name, err)
		}
		parts[i].Graph = g
	}
	return nil
}

// lower asks the target for each node's kernel.
func lower(g *graph.Graph, t Target) (*graph.Graph, error) {
	r := newRewriter(g)
	for _, n := range g.Nodes {
		m := r.copy(n)
		if n.Op == graph.OpInput || n.Op == graph.OpWeight {
			continue
		}
		if err := t.Supports(g, n); err != nil {
			return nil, fmt.Errorf("%s: %w", n, err)
		}
		m.Kernel, m.Format = t.Lower(g, n)
	}
	return r.finish()
}
