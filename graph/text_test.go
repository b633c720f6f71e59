package graph_test

import (
	"strings"
	"testing"

	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/graphtest"
	"github.com/ledge-run/ledge/graph/pass"
)

// lowered gives a graph with everything that text can hold: fused operations,
// devices, kernels and formats, some of which need quotes.
func lowered(t *testing.T, g *graph.Graph) *graph.Graph {
	t.Helper()
	parts, err := pass.Compile(g, []pass.Target{{
		Name:     "gpu 0",
		Supports: func(*graph.Graph, *graph.Node) error { return nil },
		Lower:    func(_ *graph.Graph, n *graph.Node) (string, string) { return n.Op.String() + ".q8/f16", `q8 "x"` },
		Align:    4,
	}}, pass.Options{Layers: -1})
	if err != nil {
		t.Fatal(err)
	}
	return parts[0].Graph
}

func TestRoundTrip(t *testing.T) {
	var graphs []*graph.Graph
	for _, d := range graphtest.Architectures() {
		graphs = append(graphs, d.Must())
	}
	for seed := range uint64(150) {
		graphs = append(graphs, graphtest.Random(seed))
	}
	for _, g := range graphs {
		for _, g := range []*graph.Graph{g, lowered(t, g)} {
			text := g.String()
			back, err := graph.Parse(text)
			if err != nil {
				t.Fatalf("%s: %v\n%s", g.Name, err, text)
			}
			if again := back.String(); again != text {
				t.Fatalf("%s is not the same once read back:\n%s", g.Name, graphtest.Diff(text, again))
			}
		}
	}
}

// TestEveryOpInText: all operations and attributes print and read back.
func TestEveryOpInText(t *testing.T) {
	text := everything(t).String()
	graphtest.Golden(t, "everything.txt", text)
	for _, op := range graph.Ops() {
		if !strings.Contains(text, "= "+op.String()) {
			t.Errorf("%s does not occur", op)
		}
		back, err := graph.ParseOp(op.String())
		if err != nil || back != op {
			t.Errorf("ParseOp(%q) = %v, %v", op.String(), back, err)
		}
	}
	back, err := graph.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if d := graphtest.Diff(text, back.String()); d != "" {
		t.Error(d)
	}
	for _, bad := range []string{"", "op(0)", "op(99)", "Add", "unknown"} {
		if _, err := graph.ParseOp(bad); err == nil {
			t.Errorf("ParseOp(%q) is no error", bad)
		}
	}
}

func TestDOT(t *testing.T) {
	g := everything(t)
	dot := g.DOT()
	if !strings.HasPrefix(dot, "digraph ") || !strings.HasSuffix(dot, "}\n") || strings.Count(dot, "{") != strings.Count(dot, "}") {
		t.Errorf("not a whole graph:\n%s", dot)
	}
	for _, n := range g.Nodes {
		if !strings.Contains(dot, n.Op.String()) {
			t.Errorf("%s is missing", n)
		}
	}
}

// TestParseErrors: malformed text gives one line that names the place.
func TestParseErrors(t *testing.T) {
	const head = "graph \"g\" T=4 R=2\n"
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "is empty"},
		{"only comments", "// nothing\n\n", "is empty"},
		{"no first line", "%0 = input \"x\" : f32[T]", "line 1: the first line must be"},
		{"name without quotes", "graph g", `line 1: want a quoted name at "g"`},
		{"open quote", `graph "g`, "line 1: want a quoted name"},
		{"unknown limit", `graph "g" Q=4`, "line 1: Q=4: unknown name"},
		{"negative limit", `graph "g" T=-4`, `"-4" is no number`},
		{"limit too long", `graph "g" T=12345678901234567890`, "is no number"},
		{"rest", `graph "g" T=4 !`, `line 1: "!" is left over`},
		{"second graph", head + `graph "h"`, "line 2: a second graph"},
		{"state without name", head + `state paged`, "line 2: want a quoted name"},
		{"unknown state field", head + `state "s" paged colour=1`, "line 2: colour=1: unknown name"},
		{"unknown state type", head + `state "s" paged type=f17`, "line 2: type=f17"},
		{"unknown state kind", head + `state "s" spiral heads=1 key=1 value=1 type=f16`, `state "s": unknown kind "spiral"`},
		{"wrong number", head + "\n// note\n%1 = input \"x\" : f32[T]", "line 4: want node %0"},
		{"no equals", head + `%0 input "x" : f32[T]`, "line 2: want ="},
		{"unknown operation", head + `%0 = frobnicate() : f32[T]`, `line 2: graph: unknown operation "frobnicate"`},
		{"input without name", head + `%0 = input : f32[T]`, "line 2: want a quoted name"},
		{"no type", head + `%0 = input "x"`, "line 2: want : and a type"},
		{"unknown type", head + `%0 = input "x" : f31[T]`, "line 2: dtype"},
		{"no shape", head + `%0 = input "x" : f32`, "line 2: want a shape"},
		{"unknown dimension", head + `%0 = input "x" : f32[Q]`, "line 2: dtype: shape"},
		{"open shape", head + `%0 = input "x" : f32[T, 4`, "line 2: want a shape"},
		{"negative dimension", head + `%0 = input "x" : f32[-1]`, "line 2: dtype: shape"},
		{"too many dimensions", head + `%0 = input "x" : f32[1,1,1,1,1,1,1,1,1]`, "line 2: dtype: shape"},
		{"second name", head + `%0 = input "x" : f32[T] "y"`, `line 2: "\"y\"" is left over`},
		{"later node", head + "%0 = input \"x\" : f32[T, 4]\n%1 = silu(%1) : f32[T, 4]", `line 3: "%1" is no earlier node`},
		{"no node", head + "%0 = silu(x) : f32[T, 4]", `line 2: "x" is no earlier node`},
		{"no parenthesis", head + "%0 = silu : f32[T, 4]", "line 2: want ("},
		{"open parenthesis", head + "%0 = input \"x\" : f32[T, 4]\n%1 = silu(%0", "line 3: want , or )"},
		{"comma first", head + "%0 = input \"x\" : f32[T, 4]\n%1 = silu(, %0) : f32[T, 4]", "line 3: \"\" is no earlier node"},
		{"comma last", head + "%0 = input \"x\" : f32[T, 4]\n%1 = silu(%0,) : f32[T, 4]", "line 3: \"\" is no earlier node"},
		{"unknown attribute", head + "%0 = input \"x\" : f32[T, 4]\n%1 = scale(%0) farctor=2 : f32[T, 4]", "line 3: farctor=2: unknown attribute"},
		{"attribute of another operation", head + "%0 = input \"x\" : f32[T, 4]\n%1 = silu(%0) factor=2 : f32[T, 4]", "line 3: want : and a type"},
		{"attribute without value", head + "%0 = input \"x\" : f32[T, 4]\n%1 = scale(%0) factor= : f32[T, 4]", "line 3: factor="},
		{"not a number", head + "%0 = input \"x\" : f32[T, 4]\n%1 = scale(%0) factor=two : f32[T, 4]", "line 3: factor=two"},
		{"not a truth", head + "%0 = input \"x\" : f32[T, 4]\n%1 = weight \"w\" : f32[4, 4]\n%2 = fused_linear(%0, %1) segments=1 norm=perhaps : f32[T, 4]", "line 4: norm=perhaps"},
		{"bad permutation", head + "%0 = input \"x\" : f32[T, 4]\n%1 = transpose(%0) perm=[1,x] : f32[4, T]", "line 3: perm=[1,x]"},
		{"bad layer", head + `%0 = input "x" : f32[T] @x`, `line 2: "x" is no number`},
		{"unknown mark", head + `%0 = input "x" : f32[T] colour=red`, "line 2: colour=red: unknown name"},
		{"open quote at the end", head + `%0 = input "x" : f32[T] device="a`, "line 2: want a quoted name"},
		{"output of nothing", head + `output "y" %0`, `line 2: "%0" is no earlier node`},
		{"output without name", head + `output %0`, "line 2: want a quoted name"},
		{"output of an input", head + "%0 = input \"x\" : f32[T]\noutput \"y\" %0", `output "y": %0 input "x" is given`},
		{"wrong result", head + "%0 = input \"x\" : f32[T, 4]\n%1 = silu(%0) : f32[T, 5]", "%1 silu: has type f32[T, 5] but its inputs give f32[T, 4]"},
	} {
		g, err := graph.Parse(c.text)
		switch {
		case err == nil:
			t.Errorf("%s: is no error:\n%s", c.name, g)
		case !strings.Contains(err.Error(), c.want):
			t.Errorf("%s: error %q, want %q in it", c.name, err, c.want)
		case strings.Contains(err.Error(), "\n"):
			t.Errorf("%s: the error has more than one line: %q", c.name, err)
		}
	}
}

// FuzzParse: text gives a verified graph that prints and reads back the same, or
// an error; never a panic.
func FuzzParse(f *testing.F) {
	for _, d := range graphtest.Architectures() {
		f.Add(d.Must().String())
	}
	for seed := range uint64(20) {
		f.Add(graphtest.Random(seed).String())
	}
	f.Add("graph \"g\" T=4\n%0 = input \"x\" : f32[T, 4]\n%1 = transpose(%0) perm=[1,0] : f32[4, T] @0 \"l\" device=\"a b\"\noutput \"y\" %1\n")
	f.Add("graph \"\\xff\" P=0\nstate \"s\" ring heads=1 key=2 value=3 window=4 type=q8_0")
	f.Fuzz(func(t *testing.T, text string) {
		g, err := graph.Parse(text)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("an error of several lines: %q", err)
			}
			return
		}
		if err := graph.Verify(g); err != nil {
			t.Fatalf("Parse gave a graph that Verify refuses: %v", err)
		}
		out := g.String()
		back, err := graph.Parse(out)
		if err != nil {
			t.Fatalf("cannot read back:\n%s\n%v", out, err)
		}
		if again := back.String(); again != out {
			t.Fatalf("not the same once read back:\n%s", graphtest.Diff(out, again))
		}
		_ = g.DOT()
	})
}
