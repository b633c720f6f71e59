package pass_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/graphtest"
	"github.com/ledge-run/ledge/graph/pass"
)

// target supports everything but the features named in without: names of
// operations, or of what a fused product may have.
func target(name, without string) pass.Target {
	lacks := map[string]bool{}
	for _, w := range strings.Fields(without) {
		lacks[w] = true
	}
	return pass.Target{
		Name: name,
		Supports: func(g *graph.Graph, n *graph.Node) error {
			has := map[string]bool{n.Op.String(): true}
			if a, ok := n.Attr.(graph.FusedLinearAttr); ok {
				has["segments"], has["norm"], has["bias"] = a.Segments > 1, a.Norm, a.Bias
				has["act"], has["gated"], has["cap"], has["residual"] = a.Act != "", a.Gated, a.SoftCap != 0, a.Residual
			}
			for w := range lacks {
				if has[w] {
					return errors.New("has no " + w)
				}
			}
			return nil
		},
		Lower: func(g *graph.Graph, n *graph.Node) (string, string) { return "k_" + n.Op.String(), "f32" },
		Align: 64,
	}
}

const separator = "----\n"

// TestFuse: each file in testdata/fuse holds a graph and, below a line of
// dashes, what the fuse passes make of it. A name with "not" in it is about
// something that must stay. "// without: x" takes features from the target.
// -update rewrites the second halves; read the difference before keeping it.
func TestFuse(t *testing.T) {
	files, err := filepath.Glob("testdata/fuse/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no files in testdata/fuse", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			before, after, _ := strings.Cut(string(text), separator)
			_, without, _ := strings.Cut(strings.SplitN(before, "\n", 2)[0], "// without:")
			g, err := graph.Parse(before)
			if err != nil {
				t.Fatal(err)
			}
			got := fuse(t, g, target("", without))
			if flag.Lookup("update").Value.String() == "true" {
				if err := os.WriteFile(file, []byte(before+separator+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if d := graphtest.Diff(after, got); d != "" {
				t.Errorf("differs:\n%s\nall of it:\n%s", d, got)
			}
		})
	}
}

// fuse gives the text after the fuse passes, and checks that they leave their
// input alone.
func fuse(t *testing.T, g *graph.Graph, on pass.Target) (text string) {
	t.Helper()
	before := g.String()
	_, err := pass.Compile(g, []pass.Target{on}, pass.Options{Layers: -1, Observe: func(stage string, parts []pass.Part) {
		if stage == "fused" {
			text = parts[0].Graph.String()
		}
	}})
	if err != nil {
		// A target may lack what even the built graph needs.
		if text == "" {
			t.Fatal(err)
		}
	}
	if g.String() != before {
		t.Fatalf("the passes changed their input:\n%s", graphtest.Diff(before, g.String()))
	}
	return text
}

// TestArchitectures holds what every architecture looks like once fused.
func TestArchitectures(t *testing.T) {
	for _, d := range graphtest.Architectures() {
		t.Run(d.Name, func(t *testing.T) {
			graphtest.Golden(t, "arch/"+d.Name+".txt", fuse(t, d.Must(), target("", "")))
		})
	}
}

// TestFusedCount: what is left of a decoder's layer.
func TestFusedCount(t *testing.T) {
	for _, c := range []struct {
		arch string
		most int // operations in a layer
	}{
		// product with norm, rope_cache, attention, reshape, product with
		// residual, gated product with norm, product with residual
		{"llama", 7}, {"qwen2", 7}, {"qwen3", 7}, {"phi3", 7},
		// and norm_add twice
		{"gemma2", 9}, {"gemma3", 9},
	} {
		for _, d := range graphtest.Architectures() {
			if d.Name != c.arch {
				continue
			}
			parts, err := pass.Compile(d.Must(), []pass.Target{target("x", "")}, pass.Options{Layers: -1})
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, node := range parts[0].Graph.Nodes {
				if node.Layer == 0 && node.Op != graph.OpWeight && node.Op != graph.OpInput {
					n++
				}
			}
			if n > c.most {
				t.Errorf("%s: %d operations in a layer, want at most %d:\n%s", d.Name, n, c.most, parts[0].Graph)
			}
		}
	}
}

// TestLabelsSurvive: after fusion a product is still found under its label.
func TestLabelsSurvive(t *testing.T) {
	for _, d := range graphtest.Architectures() {
		text := fuse(t, d.Must(), target("", ""))
		want := []string{"attn_output", "ffn_down", "token_embd", "output"}
		for _, w := range want {
			if !strings.Contains(text, w+"\"") {
				t.Errorf("%s: no %q in\n%s", d.Name, w, text)
			}
		}
	}
}

// TestRandomGraphs: on any graph the passes give a valid one, do not touch
// theirs, keep inputs and outputs, and come to the same again.
func TestRandomGraphs(t *testing.T) {
	for seed := range uint64(200) {
		g := graphtest.Random(seed)
		before := g.String()
		for _, without := range []string{"", "segments", "norm gated", "rope_cache residual", "fused_linear"} {
			on := target("dev", without)
			parts, err := pass.Compile(g, []pass.Target{on}, pass.Options{Layers: -1})
			if err != nil {
				t.Fatalf("seed %d without %q: %v\n%s", seed, without, err, g)
			}
			out := parts[0].Graph
			for _, n := range out.Nodes {
				if n.Op != graph.OpInput && n.Op != graph.OpWeight && on.Supports(g, n) != nil {
					t.Fatalf("seed %d: made %s, which the target refuses", seed, n)
				}
			}
			if err := sameInterface(g, out); err != "" {
				t.Fatalf("seed %d without %q: %s", seed, without, err)
			}
			again, err := pass.Compile(g, []pass.Target{on}, pass.Options{Layers: -1})
			if err != nil || again[0].Graph.String() != out.String() {
				t.Fatalf("seed %d: the second time something else comes out (%v)", seed, err)
			}
		}
		if g.String() != before {
			t.Fatalf("seed %d: the passes changed their input:\n%s", seed, graphtest.Diff(before, g.String()))
		}
	}
}

func sameInterface(a, b *graph.Graph) string {
	x, y := a.Inputs(), b.Inputs()
	if len(x) != len(y) || len(a.Outputs) != len(b.Outputs) || len(a.States) != len(b.States) {
		return "another number of inputs, outputs or states"
	}
	for i := range x {
		if x[i].Name != y[i].Name || !x[i].Type.Equal(y[i].Type) {
			return "input " + x[i].Name + " has become " + y[i].Name
		}
	}
	for i := range a.Outputs {
		if a.Outputs[i].Name != b.Outputs[i].Name || !a.Outputs[i].Node.Type.Equal(b.Outputs[i].Node.Type) {
			return "output " + a.Outputs[i].Name + " has become " + b.Outputs[i].Name
		}
	}
	return ""
}
