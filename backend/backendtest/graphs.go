package backendtest

import (
	"embed"
	"fmt"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/graph/graphtest"
)

// randomSeeds is how many random graphs each device runs. A test with -short
// runs a quarter.
const randomSeeds = 40

//go:embed testdata/*.txt
var regressions embed.FS

// testGraphs runs whole networks, built and fused: decoders of every
// architecture, random ones, and those that failed once.
func testGraphs(t *testing.T, dev backend.Device, share Share) {
	for i, d := range graphtest.Architectures() {
		if share >= Eighth && i%3 != 0 {
			continue
		}
		t.Run(d.Name, func(t *testing.T) { testGraph(t, dev, "arch "+d.Name, d.Must(), 1) })
	}
	files, err := regressions.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		t.Run(f.Name(), func(t *testing.T) {
			text, err := regressions.ReadFile("testdata/" + f.Name())
			if err != nil {
				t.Fatal(err)
			}
			g, err := graph.Parse(string(text))
			if err != nil {
				t.Fatal(err)
			}
			testGraph(t, dev, f.Name(), g, 1)
		})
	}
	n := uint64(randomSeeds) / uint64(share)
	for seed := range n {
		t.Run(fmt.Sprintf("seed%d", seed), func(t *testing.T) {
			testGraph(t, dev, fmt.Sprintf("seed %d", seed), graphtest.Random(seed), seed)
		})
	}
}

// testGraph compares a graph's results, as built and fused, with the reference's
// and with each other.
func testGraph(t *testing.T, dev backend.Device, key string, g *graph.Graph, seed uint64) {
	if why := unsupported(dev, g); why != "" {
		t.Skip(why)
	}
	specs := weightsFor(t, g, seed)
	steps := stepsFor(g)
	want := expected(t, "graph "+key, g, specs, steps)
	built := compile(t, dev, g, specs, false)
	fused := compile(t, dev, g, specs, true)
	bound := graphBound(built.lowered)
	check(t, built, steps, want, bound)
	if t.Failed() {
		t.Logf("as built; to keep it, put this into testdata:\n%s", g)
		return
	}
	check(t, fused, steps, want, bound)
	if t.Failed() {
		t.Logf("fused to:\n%s\nto keep it, put this into testdata:\n%s", fused.lowered, g)
	}
}

// graphBound is how far off a whole network's result may be: operations' errors
// add up, and norms of small values and soft-max magnify them.
func graphBound(lowered *graph.Graph) float64 {
	bound := 1e-6
	for _, s := range lowered.States {
		if s.DType != dtype.F32 {
			bound = max(bound, 1e-5)
		}
	}
	for _, n := range lowered.Nodes {
		bound = max(bound, 20*formatBound(n.Format))
	}
	return bound
}

// formatBound is the error that one operation may have: see the package comment.
func formatBound(format string) float64 {
	switch format {
	case "", "f32":
		return 1e-10
	case "f16":
		return 1e-5
	}
	return 5e-4
}

// stepsFor runs a graph with few rows, with one, with as many as it takes, and
// with several sequences that grow.
func stepsFor(g *graph.Graph) []step {
	T := g.Max.T
	if len(g.States) == 0 {
		steps := []step{prompt(T)}
		if T > 1 {
			steps = append(steps, prompt(1), prompt((T+1)/2))
		}
		return steps
	}
	first := (T + 1) / 2
	steps := []step{
		{segs: []seg{{0, 0, first}}},
		{segs: []seg{{0, first, 1}}},
		{segs: []seg{{1, 0, T}}},
	}
	at := first + 1
	if T >= 3 && g.Max.S >= 3 {
		steps = append(steps, step{segs: []seg{{0, at, 1}, {2, 0, T - 2}, {1, T, 1}}})
		at++
	}
	limit := g.Max.P * backend.PageTokens
	for range 2 { // fill pages
		n := min(T, limit-at)
		if n <= 0 {
			break
		}
		steps = append(steps, step{segs: []seg{{0, at, n}}})
		at += n
	}
	return steps
}
