package pass_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/graph/graphtest"
	"github.com/ledge-run/ledge/graph/pass"
)

// layered is a small decoder of four layers.
func layered() *graph.Graph {
	d := graphtest.Architectures()[0]
	d.Layers = 4
	return d.Must()
}

// where says, part by part, the device and which layers' operations it has:
// "gpu:-,0,1 cpu:2,3,-" (- is what stands outside the layers).
func where(parts []pass.Part) string {
	var out []string
	for _, p := range parts {
		var layers []string
		for _, n := range p.Graph.Nodes {
			if n.Op == graph.OpInput || n.Op == graph.OpWeight {
				continue
			}
			l := "-"
			if n.Layer >= 0 {
				l = fmt.Sprint(n.Layer)
			}
			if len(layers) == 0 || layers[len(layers)-1] != l {
				layers = append(layers, l)
			}
		}
		out = append(out, p.Target.Name+":"+strings.Join(layers, ","))
	}
	return strings.Join(out, " ")
}

// layerBytes is what the weights of one layer take, and what stands outside.
func layerBytes(t *testing.T, g *graph.Graph) (layer, outside uint64) {
	for _, n := range g.Weights() {
		b, err := n.Type.Shape.Bytes(n.Type.DType, g.Max.Binding())
		if err != nil {
			t.Fatal(err)
		}
		if n.Layer == 0 {
			layer += uint64(b)
		} else if n.Layer < 0 {
			outside += uint64(b)
		}
	}
	return layer, outside
}

func TestPlace(t *testing.T) {
	g := layered()
	layer, outside := layerBytes(t, g)
	tokenBytes := uint64(g.States[0].TokenBytes())
	noGelu := func(g *graph.Graph, n *graph.Node) error {
		if n.Op == graph.OpSilu && n.Layer == 1 {
			return fmt.Errorf("no silu today")
		}
		return nil
	}
	noReadout := func(g *graph.Graph, n *graph.Node) error {
		if n.Op == graph.OpReadout {
			return fmt.Errorf("no readout")
		}
		return nil
	}
	noState := func(g *graph.Graph, n *graph.Node) error {
		if n.Op.WritesState() && n.State() == "kv.3" {
			return fmt.Errorf("full")
		}
		return nil
	}
	for _, c := range []struct {
		name    string
		change  func(gpu *pass.Target)
		options pass.Options
		want    string
	}{
		{"all fits", nil, pass.Options{Layers: -1}, "gpu:-,0,1,2,3,-"},
		{"nothing asked for", nil, pass.Options{Layers: 0}, "cpu:-,0,1,2,3,-"},
		{"two layers asked for", nil, pass.Options{Layers: 2}, "gpu:-,0,1 cpu:2,3,-"},
		{"more layers asked for than there are", nil, pass.Options{Layers: 99}, "gpu:-,0,1,2,3,-"},
		{"asked for beyond the memory", func(p *pass.Target) { p.Memory = 1 }, pass.Options{Layers: 3}, "gpu:-,0,1,2 cpu:3,-"},
		{"memory for three layers", func(p *pass.Target) { p.Memory = outside + 3*layer }, pass.Options{Layers: -1}, "gpu:-,0,1,2 cpu:3,-"},
		{"a byte less", func(p *pass.Target) { p.Memory = outside + 3*layer - 1 }, pass.Options{Layers: -1}, "gpu:-,0,1 cpu:2,3,-"},
		{"the cache counts", func(p *pass.Target) { p.Memory = outside + 3*layer }, pass.Options{Layers: -1, CachedTokens: int(layer/tokenBytes) + 1}, "gpu:-,0 cpu:1,2,3,-"},
		{"no memory at all", func(p *pass.Target) { p.Memory = 1 }, pass.Options{Layers: -1}, "cpu:-,0,1,2,3,-"},
		{"an operation not supported in layer 1", func(p *pass.Target) { p.Supports = noGelu }, pass.Options{Layers: -1}, "gpu:-,0 cpu:1,2,3,-"},
		{"not supported wins over what is asked for", func(p *pass.Target) { p.Supports = noGelu }, pass.Options{Layers: 3}, "gpu:-,0 cpu:1,2,3,-"},
		{"no readout", func(p *pass.Target) { p.Supports = noReadout }, pass.Options{Layers: -1}, "gpu:-,0,1,2,3,- cpu:-"},
		{"a state not kept", func(p *pass.Target) { p.Supports = noState }, pass.Options{Layers: -1}, "gpu:-,0,1,2 cpu:3,-"},
	} {
		t.Run(c.name, func(t *testing.T) {
			gpu, cpu := target("gpu", ""), target("cpu", "")
			if c.change != nil {
				c.change(&gpu)
			}
			before := g.String()
			var stages []string
			c.options.Observe = func(stage string, parts []pass.Part) { stages = append(stages, stage) }
			parts, err := pass.Compile(g, []pass.Target{gpu, cpu}, c.options)
			if err != nil {
				t.Fatal(err)
			}
			if g.String() != before {
				t.Error("the input was changed")
			}
			if got := where(parts); got != c.want {
				t.Errorf("placed %q, want %q", got, c.want)
			}
			if s := strings.Join(stages, " "); s != "built placed fused lowered" {
				t.Errorf("stages %q", s)
			}
			checkParts(t, g, parts)
		})
	}
}

// checkParts: parts fit together, and together are the graph.
func checkParts(t *testing.T, g *graph.Graph, parts []pass.Part) {
	t.Helper()
	given, outputs, states := map[string]graph.Type{}, map[string]bool{}, map[string]bool{}
	for _, n := range g.Inputs() {
		given[n.Name] = n.Type
	}
	for _, p := range parts {
		if err := graph.Verify(p.Graph); err != nil {
			t.Error(err)
		}
		for _, n := range p.Graph.Inputs() {
			if typ, ok := given[n.Name]; !ok || !typ.Equal(n.Type) {
				t.Errorf("%s reads input %q %s, which nothing before it gives", p.Graph.Name, n.Name, n.Type)
			}
		}
		for _, o := range p.Graph.Outputs {
			given[o.Name], outputs[o.Name] = o.Node.Type, true
		}
		for _, s := range p.Graph.States {
			if states[s.Name] {
				t.Errorf("state %q is in two parts", s.Name)
			}
			states[s.Name] = true
			if _, ok := g.State(s.Name); !ok {
				t.Errorf("state %q is new", s.Name)
			}
		}
		for _, n := range p.Graph.Nodes {
			if n.Device != p.Target.Name {
				t.Errorf("%s is for device %q in a part of %q", n, n.Device, p.Target.Name)
			}
			if n.Op == graph.OpInput || n.Op == graph.OpWeight {
				if n.Kernel != "" {
					t.Errorf("%s has kernel %q", n, n.Kernel)
				}
			} else if n.Kernel != "k_"+n.Op.String() || n.Format != "f32" {
				t.Errorf("%s was not lowered: kernel %q, format %q", n, n.Kernel, n.Format)
			}
		}
	}
	for _, o := range g.Outputs {
		if !outputs[o.Name] {
			t.Errorf("output %q is lost", o.Name)
		}
	}
	if len(states) != len(g.States) {
		t.Errorf("%d of %d states are left", len(states), len(g.States))
	}
}

// TestCutNames: a value that crosses is named after its node.
func TestCutNames(t *testing.T) {
	parts, err := pass.Compile(layered(), []pass.Target{target("gpu", ""), target("cpu", "")}, pass.Options{Layers: 2, NoFuse: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(parts) != 2 || len(parts[0].Graph.Outputs) != 1 || !strings.HasPrefix(parts[0].Graph.Outputs[0].Name, "cut.") {
		t.Fatalf("want one cut from part 0 to part 1:\n%s", parts[0].Graph)
	}
	name, found := parts[0].Graph.Outputs[0].Name, 0
	for _, n := range parts[1].Graph.Inputs() {
		if n.Name == name {
			found++
		}
	}
	if found != 1 {
		t.Errorf("%q is %d inputs of part 1", name, found)
	}
	if parts[0].Graph.Name != "llama.0" || parts[1].Graph.Name != "llama.1" {
		t.Errorf("parts are called %q and %q", parts[0].Graph.Name, parts[1].Graph.Name)
	}
}

// TestPlaceRandom: whatever the graph and the split, the parts fit together.
func TestPlaceRandom(t *testing.T) {
	for seed := range uint64(60) {
		g := graphtest.Random(seed)
		for layers := -1; layers < 3; layers++ {
			parts, err := pass.Compile(g, []pass.Target{target("gpu", "gelu"), target("cpu", "")}, pass.Options{Layers: layers})
			if err != nil {
				t.Fatalf("seed %d, %d layers: %v\n%s", seed, layers, err, g)
			}
			checkParts(t, g, parts)
			if t.Failed() {
				t.Fatalf("seed %d, %d layers:\n%s", seed, layers, g)
			}
		}
	}
}

func TestCompileErrors(t *testing.T) {
	g := layered()
	q8 := graphtest.Architectures()[0]
	q8.Cache = dtype.Q8_0
	q8.KeyDim, q8.ValueDim = 32, 32
	noQ8 := target("cpu", "")
	noQ8.Supports = func(g *graph.Graph, n *graph.Node) error {
		if s, ok := g.State(n.State()); ok && s.DType == dtype.Q8_0 {
			return fmt.Errorf("no q8_0 caches")
		}
		return nil
	}
	bad := layered()
	bad.Nodes[3].ID = 7
	for _, c := range []struct {
		name    string
		g       *graph.Graph
		targets []pass.Target
		want    string
	}{
		{"no target", g, nil, "no target"},
		{"last target lacks an operation", g, []pass.Target{target("gpu", ""), target("cpu", "silu")}, "cpu cannot run"},
		{"only target lacks an operation", g, []pass.Target{target("cpu", "attention")}, "has no attention"},
		{"last target keeps no such cache", q8.Must(), []pass.Target{noQ8}, "no q8_0 caches"},
		{"broken graph", bad, []pass.Target{target("cpu", "")}, "position 3"},
	} {
		_, err := pass.Compile(c.g, c.targets, pass.Options{Layers: -1})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q in it", c.name, err, c.want)
		}
	}
}

// TestNoFuse: without fusion no operation of a fuse pass occurs.
func TestNoFuse(t *testing.T) {
	parts, err := pass.Compile(layered(), []pass.Target{target("cpu", "")}, pass.Options{Layers: -1, NoFuse: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range parts[0].Graph.Nodes {
		if n.Op.Stage() == graph.Fused {
			t.Errorf("%s was made", n)
		}
	}
}
