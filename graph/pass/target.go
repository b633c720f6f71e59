// Package pass turns a built graph into what a device can run: named passes in
// a fixed order, each a function from graph to graph. See [Compile].
package pass

import "github.com/ledge-run/ledge/graph"

// Target is a device as the passes see it: functions and limits, nothing that
// runs. Only Supports drives fusion and placement.
type Target struct {
	Name string

	// Supports says whether the device runs a node, or why not. Passes ask
	// it of fused nodes too, before they make them. The graph tells what a
	// node does not: its state's heads and types, the limits of a run.
	Supports func(g *graph.Graph, n *graph.Node) error

	// Lower names the kernel that runs a supported node and the activation
	// format it reads. Neither depends on T.
	Lower func(g *graph.Graph, n *graph.Node) (kernel, format string)

	// Memory is what weights, states and the arena may take together, in
	// bytes; 0 for no limit.
	Memory uint64

	// Align is the alignment of values in the arena, in bytes: a power of two.
	Align int
}
