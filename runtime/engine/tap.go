package engine

import (
	"strings"

	"github.com/ledge-run/ledge/graph"
)

// Tap is shown the inputs of a model's linear weights: the rows x, cols values
// each, that weights of these names are multiplied with in one batch. x is valid
// during the call. Calls come one at a time, from the goroutine that runs batches.
//
// A tapped model keeps all these inputs to the end of a batch, so that its batches
// should be small, and fuses nothing.
type Tap func(weights []string, x []float32, cols int)

// tapped marks the outputs that are there for a tap.
const tapped = "input of "

// addTaps gives out the inputs of the products with weights.
func addTaps(g *graph.Graph) {
	var inputs []*graph.Node
	of := map[*graph.Node][]string{}
	for _, n := range g.Nodes {
		if n.Op != graph.OpLinear || n.In[1].Op != graph.OpWeight {
			continue
		}
		x := n.In[0]
		if of[x] == nil {
			inputs = append(inputs, x)
		}
		of[x] = append(of[x], n.In[1].Name)
	}
	for _, x := range inputs {
		g.Outputs = append(g.Outputs, graph.Output{Name: tapped + strings.Join(of[x], " "), Node: x})
	}
}

// showTap passes a segment's tapped values on.
func (m *Model) showTap(s *segment, values map[string][]float32) {
	for _, o := range s.part.Graph.Outputs {
		names, ok := strings.CutPrefix(o.Name, tapped)
		if !ok {
			continue
		}
		shape := o.Node.Type.Shape
		m.Options.Tap(strings.Fields(names), values[o.Name], shape[len(shape)-1].N)
	}
}
