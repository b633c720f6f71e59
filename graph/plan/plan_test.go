package plan_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/graphtest"
	"github.com/ledge-run/ledge/graph/pass"
	"github.com/ledge-run/ledge/graph/plan"
)

// everything is a target that supports all there is.
var everything = pass.Target{
	Name:     "all",
	Supports: func(*graph.Graph, *graph.Node) error { return nil },
	Lower:    func(g *graph.Graph, n *graph.Node) (string, string) { return n.Op.String(), "f32" },
	Align:    64,
}

// both gives a graph as built and as fused.
func both(t *testing.T, g *graph.Graph) []*graph.Graph {
	t.Helper()
	parts, err := pass.Compile(g, []pass.Target{everything}, pass.Options{Layers: -1})
	if err != nil {
		t.Fatal(err)
	}
	return []*graph.Graph{g, parts[0].Graph}
}

// checkPlan holds a plan against its rules, by its own reckoning: node by node,
// what memory each value occupies from when to when.
func checkPlan(g *graph.Graph, p *plan.Plan, align int) error {
	if len(p.Slots) != len(g.Nodes) {
		return fmt.Errorf("%d slots for %d nodes", len(p.Slots), len(g.Nodes))
	}
	last := make([]int, len(g.Nodes)) // reader of each node, by itself
	output := make([]bool, len(g.Nodes))
	for i, n := range g.Nodes {
		last[i] = i
		for _, in := range n.In {
			last[in.ID] = i
		}
	}
	for _, o := range g.Outputs {
		last[o.Node.ID], output[o.Node.ID] = len(g.Nodes), true
	}
	for i, n := range g.Nodes {
		s := p.Slots[i]
		if n.Op == graph.OpInput || n.Op == graph.OpWeight || n.Type.IsZero() {
			if s.Off != -1 || s.Alias != -1 {
				return fmt.Errorf("%s has a place in the arena", n)
			}
			continue
		}
		size, err := n.Type.Shape.Bytes(n.Type.DType, g.Max.Binding())
		if err != nil {
			return err
		}
		if s.Size != size || s.Off < 0 || s.Off%align != 0 || s.Off+s.Size > p.Arena {
			return fmt.Errorf("%s: %+v does not hold %d bytes aligned to %d in an arena of %d", n, s, size, align, p.Arena)
		}
		if s.Alias >= 0 {
			if err := checkAlias(g, p, n, output); err != nil {
				return err
			}
		}
	}
	// Any two values alive at once lie apart, unless one is the other.
	for i, a := range p.Slots {
		for j := i + 1; j < len(p.Slots); j++ {
			b := p.Slots[j]
			if a.Off < 0 || b.Off < 0 || a.Size == 0 || b.Size == 0 || a.Off+a.Size <= b.Off || b.Off+b.Size <= a.Off {
				continue
			}
			if root(p, i) == root(p, j) {
				continue // checkAlias has judged it
			}
			if last[i] >= j { // j is written while i is still to be read
				return fmt.Errorf("%s %+v is overwritten by %s %+v before node %d reads it", g.Nodes[i], a, g.Nodes[j], b, last[i])
			}
		}
	}
	// What is in one piece of memory is overwritten only after it was read.
	for i := range g.Nodes {
		for j := i + 1; j < len(g.Nodes); j++ {
			if p.Slots[i].Off < 0 || p.Slots[j].Off < 0 || root(p, i) != root(p, j) || !writes(g.Nodes[j]) {
				continue
			}
			if last[i] > j {
				return fmt.Errorf("%s is done in place in %s's memory, which node %d reads later", g.Nodes[j], g.Nodes[i], last[i])
			}
		}
	}
	return nil
}

// writes reports whether n changes the memory it shares: a reshape and a
// readout do not.
func writes(n *graph.Node) bool { return n.Op != graph.OpReshape && n.Op != graph.OpReadout }

func root(p *plan.Plan, i int) int {
	for p.Slots[i].Alias >= 0 {
		i = p.Slots[i].Alias
	}
	return i
}

// checkAlias: only these operations share memory, and with that operand.
func checkAlias(g *graph.Graph, p *plan.Plan, n *graph.Node, output []bool) error {
	var with *graph.Node
	switch {
	case n.Op == graph.OpReshape || n.Op == graph.OpReadout || n.Op.IsUnary() || n.Op.IsBinary():
		with = n.In[0]
	case n.Op == graph.OpNormAdd:
		with = n.In[2]
	case n.Op == graph.OpFusedLinear:
		with = n.FusedLinear().Residual
	}
	if with == nil || root(p, with.ID) != root(p, n.ID) {
		return fmt.Errorf("%s shares memory with node %d, which it must not", n, p.Slots[n.ID].Alias)
	}
	if p.Slots[n.ID].Off != p.Slots[with.ID].Off {
		return fmt.Errorf("%s is called the memory of %s but lies elsewhere", n, with)
	}
	if p.Slots[p.Slots[n.ID].Alias].Alias >= 0 {
		return fmt.Errorf("%s: its alias %d is an alias itself", n, p.Slots[n.ID].Alias)
	}
	if writes(n) {
		for _, in := range n.In {
			if in != with && p.Slots[in.ID].Off >= 0 && root(p, in.ID) == root(p, n.ID) {
				return fmt.Errorf("%s is done in place but also reads %s there", n, in)
			}
		}
	}
	if n.Op == graph.OpReadout {
		for i := range g.Nodes {
			if i != n.ID && output[i] && p.Slots[i].Off >= 0 && root(p, i) == root(p, n.ID) {
				return fmt.Errorf("the readout %s shares memory with output %s, which a bias would change", n, g.Nodes[i])
			}
		}
	}
	return nil
}

func TestRandomGraphs(t *testing.T) {
	for seed := range uint64(200) {
		for i, g := range both(t, graphtest.Random(seed)) {
			for _, align := range []int{4, 64, 4096} {
				p, err := plan.New(g, align)
				if err != nil {
					t.Fatal(err)
				}
				if err := checkPlan(g, p, align); err != nil {
					t.Fatalf("seed %d, fused %v, aligned to %d: %v\n%s", seed, i == 1, align, err, g)
				}
				sum := 0
				for j, s := range p.Slots {
					if s.Off >= 0 && root(p, j) == j {
						sum += (s.Size + align - 1) / align * align
					}
				}
				if p.Arena > sum {
					t.Fatalf("seed %d: an arena of %d for values of %d bytes in all", seed, p.Arena, sum)
				}
			}
		}
	}
}

// TestDeepDecoder: the arena hardly grows with the number of layers, since
// a layer's values are gone when the next begins.
func TestDeepDecoder(t *testing.T) {
	arena := func(layers int, fused bool) int {
		d := graphtest.Architectures()[0]
		d.Layers = layers
		g := both(t, d.Must())[0]
		if fused {
			g = both(t, d.Must())[1]
		}
		p, err := plan.New(g, 64)
		if err != nil {
			t.Fatal(err)
		}
		return p.Arena
	}
	for _, fused := range []bool{false, true} {
		two, thirty := arena(2, fused), arena(30, fused)
		if float64(thirty) > 1.1*float64(two) {
			t.Errorf("fused %v: %d bytes for 30 layers, %d for 2", fused, thirty, two)
		}
	}
}

// TestSharing names which values share memory.
func TestSharing(t *testing.T) {
	for _, c := range []struct {
		name, text string
		alias      string // node->alias, in order
	}{
		{"a chain in place", `
			graph "g" T=4
			%0 = input "x" : f32[T, 8]
			%1 = silu(%0) : f32[T, 8]
			%2 = tanh(%1) : f32[T, 8]
			%3 = add(%2, %0) : f32[T, 8]
			output "y" %3`, "2->1 3->1"},
		{"read again later", `
			graph "g" T=4
			%0 = input "x" : f32[T, 8]
			%1 = silu(%0) : f32[T, 8]
			%2 = tanh(%1) : f32[T, 8]
			%3 = add(%2, %1) : f32[T, 8]
			output "y" %3`, "3->2"},
		{"an output is kept", `
			graph "g" T=4
			%0 = input "x" : f32[T, 8]
			%1 = silu(%0) : f32[T, 8]
			%2 = tanh(%1) : f32[T, 8]
			output "y" %1
			output "z" %2`, ""},
		{"twice the same operand", `
			graph "g" T=4
			%0 = input "x" : f32[T, 8]
			%1 = silu(%0) : f32[T, 8]
			%2 = add(%1, %1) : f32[T, 8]
			output "y" %2`, ""},
		{"under another name", `
			graph "g" T=4
			%0 = input "x" : f32[T, 2, 4]
			%1 = silu(%0) : f32[T, 2, 4]
			%2 = reshape(%1) shape=[T,8] : f32[T, 8]
			%3 = reshape(%2) shape=[T,2,4] : f32[T, 2, 4]
			%4 = add(%3, %1) : f32[T, 2, 4]
			output "y" %4`, "2->1 3->1"},
		{"a residual that is also what is multiplied", `
			graph "g" T=4
			%0 = input "x" : f32[T, 2, 4]
			%1 = silu(%0) : f32[T, 2, 4]
			%2 = reshape(%1) shape=[T,8] : f32[T, 8]
			%3 = reshape(%1) shape=[T,8] : f32[T, 8]
			%4 = weight "w" : f32[8, 8]
			%5 = fused_linear(%2, %4, %3) segments=1 residual=true : f32[T, 8]
			output "y" %5`, "2->1 3->1"},
		{"a residual", `
			graph "g" T=4
			%0 = input "x" : f32[T, 8]
			%1 = silu(%0) : f32[T, 8]
			%2 = tanh(%0) : f32[T, 8]
			%3 = weight "w" : f32[8, 8]
			%4 = fused_linear(%1, %3, %2) segments=1 residual=true : f32[T, 8]
			output "y" %4`, "4->2"},
		{"norm_add over a view of what is added", `
			graph "g" T=4
			%0 = input "x" : f32[T, 8]
			%1 = silu(%0) : f32[T, 8]
			%2 = reshape(%1) shape=[T,8] : f32[T, 8]
			%3 = weight "w" : f32[8]
			%4 = norm_add(%2, %3, %1) eps=1e-05 : f32[T, 8]
			output "y" %4`, "2->1"},
		{"readouts", `
			graph "g" R=4
			%0 = input "x" : f32[R, 8]
			%1 = silu(%0) : f32[R, 8]
			%2 = readout(%1) : f32[R, 8]
			%3 = readout(%1) : f32[R, 8]
			%4 = reshape(%1) shape=[R,2,4] : f32[R, 2, 4]
			output "a" %2
			output "b" %3
			output "c" %4`, "2->1"},
		{"a readout of an output's memory", `
			graph "g" R=4
			%0 = input "x" : f32[R, 8]
			%1 = silu(%0) : f32[R, 8]
			%2 = reshape(%1) shape=[R,8] : f32[R, 8]
			%3 = readout(%1) : f32[R, 8]
			output "a" %2
			output "b" %3`, "2->1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := graphtest.Parse(t, c.text)
			p, err := plan.New(g, 64)
			if err != nil {
				t.Fatal(err)
			}
			if err := checkPlan(g, p, 64); err != nil {
				t.Error(err)
			}
			var have []string
			for i, s := range p.Slots {
				if s.Alias >= 0 {
					have = append(have, fmt.Sprintf("%d->%d", i, s.Alias))
				}
			}
			if got := strings.Join(have, " "); got != c.alias {
				t.Errorf("shared: %q, want %q", got, c.alias)
			}
		})
	}
}

func TestBadAlignment(t *testing.T) {
	g := graphtest.Random(1)
	for _, align := range []int{0, -4, 3, 48} {
		if _, err := plan.New(g, align); err == nil {
			t.Errorf("an alignment of %d is no error", align)
		}
	}
}

// TestCheckPlan makes sure that the check above sees mistakes.
func TestCheckPlan(t *testing.T) {
	caught := 0
	g := both(t, graphtest.Architectures()[0].Must())[1]
	p, err := plan.New(g, 64)
	if err != nil {
		t.Fatal(err)
	}
	for i := range p.Slots {
		q := &plan.Plan{Slots: append([]plan.Slot(nil), p.Slots...), Arena: p.Arena}
		if q.Slots[i].Off > 0 {
			q.Slots[i].Off = 0
			if checkPlan(g, q, 64) != nil {
				caught++
			}
		}
	}
	if caught == 0 {
		t.Error("no misplaced value was caught")
	}
}
