package sampler

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// The draws follow the distribution: chi-square at the 0.1 % level, over a
// fixed seed, against exact probabilities.
func TestChiSquare(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 9))
	row := make([]float32, 64)
	for i := range row {
		row[i] = float32(1.2 * rng.NormFloat64())
	}
	for name, set := range map[string]func(*Params){
		"plain":    func(*Params) {},
		"hot":      func(p *Params) { p.Temperature = 2.5 },
		"top-k":    func(p *Params) { p.TopK, p.Temperature = 20, 0.8 },
		"top-p":    func(p *Params) { p.TopP = 0.8 },
		"xtc half": func(p *Params) { p.XTC = XTC{0.5, 0.03} },
	} {
		p := off()
		set(&p)
		s := mustNew(t, p, len(row))
		n := 60_000.0
		if name == "plain" || name == "xtc half" {
			n = 200_000
		}
		counts := make([]float64, len(row))
		for range int(n) {
			tok, err := s.Sample(row)
			if err != nil {
				t.Fatal(err)
			}
			counts[tok.ID]++
		}
		// The expected distribution: of XTC's two outcomes, their mixture.
		expect := make([]float64, len(row))
		for _, prob := range []float64{0, 1} {
			q := p
			share := 1.0
			if p.XTC.Probability > 0 {
				q.XTC.Probability, share = prob, 0.5
			} else if prob == 1 {
				continue
			}
			for i, v := range reference(q, row) {
				expect[i] += share * v
			}
		}
		chi, df := 0.0, -1.0
		for i, e := range expect {
			if e == 0 {
				if counts[i] > 0 {
					t.Errorf("%s: token %d is drawn, but excluded", name, i)
				}
				continue
			}
			chi += (counts[i] - n*e) * (counts[i] - n*e) / (n * e)
			df++
		}
		// Wilson and Hilferty's approximation of the 99.9 % point.
		limit := df * math.Pow(1-2/(9*df)+3.09*math.Sqrt(2/(9*df)), 3)
		if chi > limit {
			t.Errorf("%s: chi-square %.1f with %.0f degrees of freedom, limit %.1f", name, chi, df, limit)
		}
		t.Logf("%s: chi-square %.1f, %.0f degrees of freedom, limit %.1f", name, chi, df, limit)
	}
}

// reference computes top-k, top-p, XTC (if its probability is 1) and
// temperature plainly in float64.
func reference(p Params, row []float32) []float64 {
	order := make([]int, len(row))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		if row[a] > row[b] {
			return -1
		}
		return 1
	})
	if p.TopK > 0 {
		order = order[:p.TopK]
	}
	softmax := func(temp float64) []float64 {
		q, z := make([]float64, len(row)), 0.0
		for _, i := range order {
			q[i] = math.Exp(float64(row[i]) / temp)
			z += q[i]
		}
		for i := range q {
			q[i] /= z
		}
		return q
	}
	if p.TopP < 1 {
		q, cum := softmax(1), 0.0
		for n, i := range order {
			if cum += q[i]; cum >= p.TopP {
				order = order[:n+1]
				break
			}
		}
	}
	if p.XTC.Probability == 1 {
		q, n := softmax(1), 0
		for n < len(order) && q[order[n]] >= p.XTC.Threshold {
			n++
		}
		order = order[max(n-1, 0):]
	}
	return softmax(p.Temperature)
}
