package backend

import "github.com/ledge-run/ledge/graph"

// WeightUses says how a graph reads each of its weights, by name.
func WeightUses(g *graph.Graph) map[string]Uses {
	uses := map[string]Uses{}
	mark := func(n *graph.Node, u Uses) {
		if n != nil && n.Op == graph.OpWeight {
			uses[n.Name] |= u
		}
	}
	for _, n := range g.Nodes {
		in := n.In
		switch n.Op {
		case graph.OpEmbed:
			mark(in[0], UseGather)
			in = in[1:]
		case graph.OpLinear, graph.OpLinearT:
			mark(in[1], UseProduct)
			in = in[:1]
		case graph.OpFusedLinear:
			p := n.FusedLinear()
			for _, w := range p.Weights {
				mark(w, UseProduct)
			}
			in = append([]*graph.Node{p.X, p.Norm, p.Residual}, p.Biases...)
		case graph.OpLinearLoss, graph.OpLinearLossW:
			p := n.LinearLoss()
			for _, w := range p.W {
				mark(w, UseProduct)
			}
			in = append(p.X, p.Bias)
		}
		for _, i := range in {
			mark(i, UseVector)
		}
	}
	return uses
}
