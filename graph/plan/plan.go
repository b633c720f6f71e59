// Package plan gives every value of a graph its place in one arena: values
// whose lifetimes do not overlap share memory.
package plan

import (
	"fmt"
	"sort"

	"github.com/ledge-run/ledge/graph"
)

// Plan is the memory layout of a graph's values, for the largest sizes its
// symbols may take. Smaller runs use the same offsets.
type Plan struct {
	Slots []Slot // by node ID
	Arena int    // bytes
}

// Slot is one value's place. Weights, inputs, parameters and nodes without value have
// Off -1. A value that is another's memory (a reshape, or an operation done in
// place) has that node's ID as Alias and its Off; others have Alias -1.
type Slot struct {
	Off   int // bytes from the arena's start
	Size  int // bytes
	Alias int // node ID, or -1
	End   int // ID of the last node that reads the value, len(Nodes) for outputs
}

// New plans g with values aligned to align bytes, a power of two.
//
// Going through the nodes in order, each value takes the lowest gap between
// the values still alive; an input's memory is free again only after the node
// that read it last, so that a node never writes what it reads, except for the
// operations that are done in place (see inPlace).
func New(g *graph.Graph, align int) (*Plan, error) {
	if align <= 0 || align&(align-1) != 0 {
		return nil, fmt.Errorf("plan: alignment %d is no power of two", align)
	}
	p := &Plan{Slots: make([]Slot, len(g.Nodes))}
	if err := p.sizes(g); err != nil {
		return nil, err
	}
	p.lifetimes(g)
	var live []int // roots in order of offset
	for i, n := range g.Nodes {
		s := &p.Slots[i]
		if holdsValue(n) && s.Alias < 0 {
			live = p.allocate(live, i, align)
		} else if s.Alias >= 0 {
			s.Off = p.Slots[s.Alias].Off
		}
		kept := live[:0]
		for _, r := range live {
			if p.Slots[r].End > i {
				kept = append(kept, r)
			}
		}
		live = kept
	}
	return p, nil
}

func holdsValue(n *graph.Node) bool {
	return !n.Op.IsGiven() && !n.Type.IsZero()
}

func (p *Plan) sizes(g *graph.Graph) error {
	for i, n := range g.Nodes {
		p.Slots[i] = Slot{Off: -1, Alias: -1, End: i}
		if !holdsValue(n) {
			continue
		}
		size, err := n.Type.Shape.Bytes(n.Type.DType, g.Max.Binding())
		if err != nil {
			return fmt.Errorf("plan: %s: %w", n, err)
		}
		p.Slots[i].Size = size
	}
	return nil
}

// lifetimes finds each value's last reader and which values share memory. The
// root of a chain of aliases lives as long as the longest of them.
func (p *Plan) lifetimes(g *graph.Graph) {
	for i, n := range g.Nodes {
		for _, in := range n.In {
			p.Slots[in.ID].End = i
		}
	}
	for _, o := range g.Outputs {
		p.Slots[o.Node.ID].End = len(g.Nodes)
	}
	read := map[int]bool{} // roots whose memory a readout may change in the end
	for i, n := range g.Nodes {
		if !holdsValue(n) {
			continue
		}
		from := -1
		switch in := inPlace(n); {
		case n.Op == graph.OpReshape:
			if holdsValue(n.In[0]) && !read[p.root(n.In[0].ID)] {
				from = n.In[0].ID
			}
		case n.Op == graph.OpReadout:
			// It may be biased and masked where it lies, after all nodes have
			// run, so its memory must be no other output's.
			if holdsValue(n.In[0]) && p.lastReader(n.In[0].ID) < len(g.Nodes) {
				from = n.In[0].ID
				read[p.root(from)] = true
			} else {
				read[i] = true
			}
		case in != nil && holdsValue(in) && p.Slots[in.ID].Size == p.Slots[i].Size && p.lastReader(in.ID) == i && p.readOnce(n, in):
			from = in.ID
		}
		if from >= 0 {
			root := p.root(from)
			p.Slots[i].Alias = root
			p.Slots[root].End = max(p.Slots[root].End, p.Slots[i].End)
		}
	}
}

func (p *Plan) root(id int) int {
	if a := p.Slots[id].Alias; a >= 0 {
		return a
	}
	return id
}

// lastReader is the last node that reads id's memory under any of its names.
func (p *Plan) lastReader(id int) int { return p.Slots[p.root(id)].End }

// inPlace is the input whose memory n may write its result to, or nil: the
// operations that read that input's elements only where they write them.
func inPlace(n *graph.Node) *graph.Node {
	switch {
	case n.Op.IsUnary(), n.Op.IsBinary(), n.Op == graph.OpDropout, n.Op == graph.OpCrossEntropyGrad:
		return n.In[0]
	case n.Op == graph.OpUnaryGrad, n.Op == graph.OpSoftmaxGrad:
		return n.In[1]
	case n.Op == graph.OpNormAdd:
		return n.In[2]
	case n.Op == graph.OpFusedLinear:
		return n.FusedLinear().Residual
	}
	return nil
}

// readOnce reports whether n reads in's memory through one operand only.
func (p *Plan) readOnce(n, in *graph.Node) bool {
	count := 0
	for _, x := range n.In {
		if p.root(x.ID) == p.root(in.ID) {
			count++
		}
	}
	return count == 1
}

func (p *Plan) allocate(live []int, id, align int) []int {
	size := (p.Slots[id].Size + align - 1) &^ (align - 1)
	off := 0
	for _, r := range live {
		s := p.Slots[r]
		if s.Off-off >= size {
			break
		}
		off = max(off, (s.Off+s.Size+align-1)&^(align-1))
	}
	p.Slots[id].Off = off
	p.Arena = max(p.Arena, off+size)
	live = append(live, id)
	sort.Slice(live, func(a, b int) bool { return p.Slots[live[a]].Off < p.Slots[live[b]].Off })
	return live
}
