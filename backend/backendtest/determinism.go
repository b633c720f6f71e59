package backendtest

import (
	"fmt"
	"math"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/graph/graphtest"
)

// ways are the same tokens of one sequence cut differently, some of them with
// other users in the batch.
func ways(total int) map[string][]step {
	alone := func(cuts ...int) []step {
		var s []step
		at := 0
		for _, n := range cuts {
			s = append(s, step{segs: []seg{{0, at, n}}})
			at += n
		}
		return append(s, step{segs: []seg{{0, at, total - at}}})
	}
	single := make([]int, total-1)
	for i := range single {
		single[i] = 1
	}
	var shared []step
	for at, n := 0, 0; at < total; at += n {
		n = min(11, total-at)
		shared = append(shared, step{segs: []seg{{1, at, 3}, {0, at, n}, {2, at, 1}}})
		// The others leave gaps behind them; nothing reads those but they.
	}
	return map[string][]step{
		"at once":     alone(),
		"one by one":  alone(single...),
		"chunks":      alone(7, 1, 16, 2),
		"with others": shared,
	}
}

// determinismGraphs are decoders whose every row is read out.
func determinismGraphs() []*graph.Graph {
	const total = 75
	var all []*graph.Graph
	for i, d := range graphtest.Architectures() {
		switch d.Name {
		case "llama-rope-llama3", "llama-rope-linear", "gemma2", "qwen2":
			continue // nothing that the others do not have
		}
		d.Max = graph.Limits{T: total, S: 3, R: total, P: 2}
		switch i % 3 {
		case 1:
			d.Types = []dtype.DType{dtype.Q8_0, dtype.Q4_0, dtype.Q4_1, dtype.Q5_0}
		case 2:
			d.Types = []dtype.DType{dtype.F16, dtype.BF16}
		}
		all = append(all, d.Must())
	}
	return all
}

// rowsOf runs steps and gives sequence 0's logits by position.
func rowsOf(m *machine, steps []step) ([][]float32, error) {
	var out [][]float32
	for _, s := range steps {
		s.read = nil
		row := int32(0)
		for _, g := range s.segs {
			if g.seq == 0 {
				for i := range g.rows {
					s.read = append(s.read, row+int32(i))
				}
			}
			row += int32(g.rows)
		}
		a, err := m.execute(s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s, err)
		}
		logits := a.Outputs[0].F32
		cols := len(logits) / len(s.read)
		for i := range s.read {
			out = append(out, logits[i*cols:(i+1)*cols])
		}
	}
	return out, nil
}

// testDeterminism: a row's value depends on its own inputs only, to the last
// bit, however the tokens are cut into batches.
func testDeterminism(t *testing.T, dev backend.Device, share Share) {
	for i, g := range determinismGraphs() {
		for _, fuse := range []bool{true, false} {
			if i > 2 && (!fuse || share > Whole) {
				continue // the same kernels again
			}
			name := g.Name
			if !fuse {
				name += "-built"
			}
			t.Run(name, func(t *testing.T) {
				if why := unsupported(dev, g); why != "" {
					t.Skip(why)
				}
				m := compile(t, dev, g, weightsFor(t, g, 3), fuse)
				all := ways(g.Max.T)
				want, err := rowsOf(m, all["at once"])
				if err != nil {
					t.Fatal(err)
				}
				for name, steps := range all {
					got, err := rowsOf(m, steps)
					if err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					for p := range want {
						if i := firstDifference(got[p], want[p]); i >= 0 {
							t.Errorf("%s: position %d differs from the run at once, first at logit %d: %v and %v (bits %08x, %08x)",
								name, p, i, got[p][i], want[p][i], math.Float32bits(got[p][i]), math.Float32bits(want[p][i]))
							break
						}
					}
				}
			})
		}
	}
}

func firstDifference(a, b []float32) int {
	if len(a) != len(b) {
		return 0
	}
	for i := range a {
		if math.Float32bits(a[i]) != math.Float32bits(b[i]) {
			return i
		}
	}
	return -1
}

// Same checks that devices of one numerics class, such as a processor with
// different numbers of threads, give the same bits.
func Same(t *testing.T, opens map[string]func() (backend.Device, error)) {
	results := map[string][][]float32{} // by class and graph
	for name, open := range opens {
		t.Run(name, func(t *testing.T) {
			dev := mustOpen(t, open)
			for _, g := range determinismGraphs() {
				if unsupported(dev, g) != "" {
					continue
				}
				m := compile(t, dev, g, weightsFor(t, g, 3), true)
				got, err := rowsOf(m, ways(g.Max.T)["with others"])
				if err != nil {
					t.Fatal(err)
				}
				key := fmt.Sprint(dev.Info().Numerics, g.Name)
				want, ok := results[key]
				if !ok {
					results[key] = got
					continue
				}
				for p := range want {
					if i := firstDifference(got[p], want[p]); i >= 0 {
						t.Errorf("%s, position %d, logit %d: %v, another device of the class %v gave %v", g.Name, p, i, got[p][i], dev.Info().Numerics, want[p][i])
						break
					}
				}
			}
		})
	}
}
