package graph

import (
	"fmt"
	"strings"
)

// DOT draws the graph in Graphviz's language: operations as boxes, weights as
// ellipses, layers as clusters.
func (g *Graph) DOT() string {
	var b strings.Builder
	fmt.Fprintf(&b, "digraph %q {\n\trankdir=TB; node [shape=box, fontname=monospace, fontsize=10];\n", g.Name)
	layer := -1
	for _, n := range g.Nodes {
		if n.Layer != layer {
			if layer >= 0 {
				b.WriteString("\t}\n")
			}
			if n.Layer >= 0 {
				fmt.Fprintf(&b, "\tsubgraph \"cluster_%d_%d\" { label=\"layer %d\";\n", n.Layer, n.ID, n.Layer)
			}
			layer = n.Layer
		}
		label := n.Op.String()
		if n.Name != "" {
			label += "\n" + n.Name
		}
		label += "\n" + n.Type.String()
		shape := ""
		if n.Op == OpWeight || n.Op == OpInput {
			shape = ", shape=ellipse"
		}
		fmt.Fprintf(&b, "\tn%d [label=%q%s];\n", n.ID, label, shape)
	}
	if layer >= 0 {
		b.WriteString("\t}\n")
	}
	for _, n := range g.Nodes {
		for _, in := range n.In {
			fmt.Fprintf(&b, "\tn%d -> n%d;\n", in.ID, n.ID)
		}
	}
	for i, o := range g.Outputs {
		fmt.Fprintf(&b, "\to%d [label=%q, shape=doubleoctagon]; n%d -> o%d;\n", i, o.Name, o.Node.ID, i)
	}
	b.WriteString("}\n")
	return b.String()
}
