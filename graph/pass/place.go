package pass

import (
	"fmt"

	"github.com/ledge-run/ledge/graph"
)

// place gives every node a device and cuts the graph into parts. Whole layers
// go to the first target until its memory is full or a node or state is not
// supported; the rest go to the last target. What stands outside the layers goes
// with its neighbours: the embedding with the first layer, the output with the
// last.
func place(g *graph.Graph, targets []Target, o Options) ([]Part, error) {
	last := len(targets) - 1
	for _, n := range g.Nodes {
		if n.Op == graph.OpInput || n.Op == graph.OpWeight {
			continue
		}
		if err := targets[last].Supports(g, n); err != nil {
			return nil, fmt.Errorf("place: %s cannot run %s: %w", targets[last].Name, n, err)
		}
	}
	if last == 0 {
		r := newRewriter(g)
		for _, n := range g.Nodes {
			r.copy(n).Device = targets[0].Name
		}
		out, err := r.finish()
		return []Part{{Device: 0, Target: targets[0], Graph: out}}, err
	}
	layers := 0
	for _, n := range g.Nodes {
		layers = max(layers, n.Layer+1)
	}
	fit := min(layers, fitting(g, targets[0], o, layers))
	device := make([]int, len(g.Nodes))
	begun := false // a layer's operation has gone by
	for i, n := range g.Nodes {
		begun = begun || n.Layer >= 0 && n.Op != graph.OpInput && n.Op != graph.OpWeight
		switch {
		case n.Layer >= fit, n.Layer < 0 && begun && fit < layers, fit == 0 && layers > 0:
			device[i] = last
		}
		if device[i] == 0 && n.Layer < 0 && n.Op != graph.OpInput && n.Op != graph.OpWeight && targets[0].Supports(g, n) != nil {
			device[i] = last
		}
	}
	return cut(g, targets, device)
}

// fitting is how many layers the target takes.
func fitting(g *graph.Graph, t Target, o Options, layers int) int {
	fit := layers
	bytes := make([]uint64, layers+1) // [0] is outside the layers
	for _, n := range g.Nodes {
		switch {
		case n.Op == graph.OpWeight:
			b, err := n.Type.Shape.Bytes(n.Type.DType, g.Max.Binding())
			if err == nil {
				bytes[n.Layer+1] += uint64(b)
			}
		case n.Op != graph.OpInput && n.Layer >= 0 && t.Supports(g, n) != nil:
			fit = min(fit, n.Layer)
		}
		if n.Op == graph.OpCacheWrite && n.Layer >= 0 {
			s, _ := g.State(n.Attr.(graph.StateAttr).State)
			bytes[n.Layer+1] += uint64(s.TokenBytes()) * uint64(o.CachedTokens)
		}
	}
	if o.Layers >= 0 {
		return min(fit, o.Layers)
	}
	if t.Memory == 0 {
		return fit
	}
	sum := bytes[0]
	for l := range fit {
		if sum += bytes[l+1]; sum > t.Memory {
			return l
		}
	}
	return fit
}

// cut splits the nodes, in order, into runs of one device. A value that a
// later part reads becomes an output "cut.N" there and an input here.
func cut(g *graph.Graph, targets []Target, device []int) ([]Part, error) {
	partOf := make([]int, len(g.Nodes)) // -1 for inputs and weights, which every part may have
	var devs []int
	for i, n := range g.Nodes {
		if n.Op == graph.OpInput || n.Op == graph.OpWeight {
			partOf[i] = -1
			continue
		}
		if len(devs) == 0 || devs[len(devs)-1] != device[i] {
			devs = append(devs, device[i])
		}
		partOf[i] = len(devs) - 1
	}
	parts := make([]Part, len(devs))
	for p, d := range devs {
		sub := &graph.Graph{Name: g.Name, Max: g.Max}
		if len(devs) > 1 {
			sub.Name = fmt.Sprintf("%s.%d", g.Name, p)
		}
		c := &cutter{sub: sub, partOf: partOf, part: p, moved: map[int]*graph.Node{}, device: targets[d].Name}
		for i, n := range g.Nodes {
			if partOf[i] == p {
				c.take(n)
				if s := n.State(); n.Op.WritesState() {
					decl, _ := g.State(s)
					sub.States = append(sub.States, decl)
				}
			}
		}
		uses := g.Uses()
		for i, n := range g.Nodes {
			if partOf[i] != p {
				continue
			}
			for _, o := range g.Outputs {
				if o.Node == n {
					sub.Outputs = append(sub.Outputs, graph.Output{Name: o.Name, Node: c.moved[i]})
				}
			}
			for _, u := range uses[i] {
				if partOf[u.ID] != p {
					if n.Type.IsZero() {
						return nil, fmt.Errorf("place: %s is read on another device", n)
					}
					sub.Outputs = append(sub.Outputs, graph.Output{Name: cutName(n), Node: c.moved[i]})
					break
				}
			}
		}
		parts[p] = Part{Device: d, Target: targets[d], Graph: sub}
	}
	return parts, nil
}

func cutName(n *graph.Node) string { return fmt.Sprintf("cut.%d", n.ID) }

type cutter struct {
	sub    *graph.Graph
	partOf []int
	part   int
	moved  map[int]*graph.Node
	device string
}

func (c *cutter) take(n *graph.Node) *graph.Node {
	if m := c.moved[n.ID]; m != nil {
		return m
	}
	m := *n
	m.Device = c.device
	if p := c.partOf[n.ID]; p >= 0 && p != c.part {
		m = graph.Node{Op: graph.OpInput, Name: cutName(n), Type: n.Type, Layer: n.Layer, Device: c.device}
	}
	in := make([]*graph.Node, len(m.In))
	for i, x := range m.In {
		in[i] = c.take(x)
	}
	m.In = in
	m.ID = len(c.sub.Nodes)
	c.sub.Nodes = append(c.sub.Nodes, &m)
	c.moved[n.ID] = &m
	return &m
}
