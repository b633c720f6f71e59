// Package pass turns a built graph into what a device can run: named passes in
// a fixed order, each a function from graph to graph. See [Compile].
package pass

import "github.com/ledge-run/ledge/graph"

// Target is a device as the passes see it: functions and limits, nothing that
// runs. Only Supports drives fusion and placement.
type Target struct {
	Name string

	// Supports says whether the device runs a node, or why not. Passes ask
	// it of fused nodes too, before they make them.
	Supports func(n *graph.Node) error

	// States says whether the device keeps a state, or why not: kinds and
	// element types differ. nil keeps all. A node cannot tell, since it only
	// names its state.
	States func(s graph.StateDecl) error

	// Lower names the kernel that runs a supported node and the activation
	// format it reads. Neither depends on T.
	Lower func(n *graph.Node) (kernel, format string)

	// Memory is what weights, states and the arena may take together, in
	// bytes; 0 for no limit.
	Memory uint64

	// Align is the alignment of values in the arena, in bytes: a power of two.
	Align int
}

// keeps asks whether the target keeps the state that n writes, if it does.
func (t *Target) keeps(g *graph.Graph, n *graph.Node) error {
	if t.States == nil || !n.Op.WritesState() {
		return nil
	}
	s, _ := g.State(stateName(n))
	return t.States(s)
}
