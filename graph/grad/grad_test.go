package grad_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/grad"
	"github.com/ledge-run/ledge/graph/graphtest"
)

const separator = "----\n"

// TestPasses: each file in testdata holds a graph and, below a line of dashes,
// what differentiation makes of it, or its error. The first line says what is
// asked for:
//
//	// of y by w x              grad.Of
//	// train [recompute] [chunks] [bf16] [w...] grad.Train, of all weights if none is named
//	// forward [chunks]         grad.Forward, of all weights
//	// update                   grad.Update with the parameters of grad.Train
//
// -update rewrites the second halves; read the difference before keeping it.
func TestPasses(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no files in testdata", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			before, after, _ := strings.Cut(string(text), separator)
			g, err := graph.Parse(before)
			if err != nil {
				t.Fatal(err)
			}
			was := g.String()
			got := differentiate(t, g, strings.Fields(strings.SplitN(before, "\n", 2)[0])[1:])
			if g.String() != was {
				t.Fatalf("the pass changed its input:\n%s", graphtest.Diff(was, g.String()))
			}
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

// differentiate does what the words ask for and gives the new graph as text.
func differentiate(t *testing.T, g *graph.Graph, words []string) string {
	var out *graph.Graph
	var err error
	switch words[0] {
	case "of":
		out, err = grad.Of(g, words[1], words[3:]...)
	case "train":
		o := grad.Options{}
		words = words[1:]
		if len(words) > 0 && words[0] == "recompute" {
			o.Recompute, words = true, words[1:]
		}
		if len(words) > 0 && words[0] == "chunks" {
			o.Chunks, words = true, words[1:]
		}
		if len(words) > 0 && words[0] == "bf16" {
			o.Round, words = words[0], words[1:]
		}
		if len(words) > 0 {
			o.Train = func(name string) bool { return strings.Contains(" "+strings.Join(words, " ")+" ", " "+name+" ") }
		}
		out, _, err = grad.Train(g, o)
	case "forward":
		out, err = grad.Forward(g, grad.Options{Chunks: len(words) > 1 && words[1] == "chunks"})
	case "update":
		_, params, e := grad.Train(g, grad.Options{})
		if e != nil {
			t.Fatal(e)
		}
		out, err = grad.Update("update", params, grad.AdamW{Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Decay: 0.1, Clip: 1})
	default:
		t.Fatalf("%q asks for nothing known", words)
	}
	if err != nil {
		return "error: " + err.Error() + "\n"
	}
	return out.String()
}
