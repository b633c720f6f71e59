package sampler

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// readout does what a device does: the n best, with any of those that tie at
// the cut, and a log-sum-exp that is off by up to its tolerance.
func readout(rng *rand.Rand, row []float32, n int) Candidates {
	ids := make([]int32, len(row))
	for i, id := range rng.Perm(len(row)) {
		ids[i] = int32(id)
	}
	slices.SortFunc(ids, func(a, b int32) int { return cmp.Compare(row[b], row[a]) })
	c := Candidates{IDs: ids[:min(n, len(ids))], Vocab: len(row)}
	for _, id := range c.IDs {
		c.Logits = append(c.Logits, row[id])
	}
	lse, err := LogSumExp(row)
	if err != nil {
		lse = math.Inf(-1)
	}
	c.LogSumExp = float32(lse + (2*rng.Float64()-1)*1e-5)
	return c
}

func randomParams(rng *rand.Rand, vocab, shown int) Params {
	pick := func(chance float64) bool { return rng.Float64() < chance }
	p := off()
	p.Seed = rng.Uint64()
	if pick(0.6) {
		p.TopK = 1 + rng.IntN(shown)
	}
	if pick(0.6) {
		p.TopP = rng.Float64()
	}
	if pick(0.4) {
		p.MinP = rng.Float64() * 0.3
	}
	if pick(0.15) {
		p.Typical = rng.Float64()
	}
	if pick(0.1) {
		p.TopNSigma = rng.Float64() * 3
	}
	if pick(0.3) {
		p.XTC = XTC{rng.Float64(), 0.3 * rng.Float64() * rng.Float64()}
	}
	if pick(0.8) {
		p.Temperature = float64(rng.IntN(5)) * 0.4
	}
	if pick(0.4) {
		p.RepeatLastN = rng.IntN(60) - 1
		p.RepeatPenalty = 0.8 + rng.Float64()
		p.FrequencyPenalty, p.PresencePenalty = 2*rng.Float64()-0.5, 2*rng.Float64()-0.5
	}
	if pick(0.3) {
		p.DRY = DRY{Multiplier: 2 * rng.Float64(), Base: 1 + rng.Float64(), AllowedLength: rng.IntN(3), PenaltyLastN: -1}
	}
	if pick(0.3) {
		p.LogitBias = map[int32]float32{}
		for range 1 + rng.IntN(5) {
			p.LogitBias[int32(rng.IntN(vocab))] = []float32{-100, negInf, -1, 0, 2, 6}[rng.IntN(6)]
		}
	}
	if pick(0.2) {
		p.Order = DefaultOrder()
		rng.Shuffle(len(p.Order), func(i, j int) { p.Order[i], p.Order[j] = p.Order[j], p.Order[i] })
		p.Order = p.Order[:1+rng.IntN(len(p.Order))]
	}
	return p
}

func TestCandidatesEqualSample(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	full, total := 0, 0
	for n := range 1500 {
		vocab := []int{60, 128, 300, 2000}[rng.IntN(4)]
		shown := []int{3, 20, 128, 128}[rng.IntN(4)]
		p := randomParams(rng, vocab, shown)
		s := mustNew(t, p, vocab)
		if rng.IntN(5) == 0 {
			c := &choices{steps: [][]int32{{}}}
			for id := range vocab {
				if rng.IntN(1+rng.IntN(40)) == 0 {
					c.steps[0] = append(c.steps[0], int32(id))
				}
			}
			s.SetConstraint(c)
		}
		if s.Readout(shown) == ReadoutArgmax && n%2 == 0 {
			continue
		}
		for range rng.IntN(40) { // a history of likely tokens
			if err := s.AcceptPrompt([]int32{int32(rng.IntN(min(vocab, 40)))}); err != nil {
				t.Fatal(err)
			}
		}
		for range 4 {
			row := zipf(rng, vocab)
			slices.SortFunc(row[:vocab/2], func(a, b float32) int { return int(b - a) }) // low ids are likelier
			switch rng.IntN(5) {
			case 0:
				for i := range row { // ties
					row[i] = float32(2 * math.Round(float64(row[i]/2)))
				}
			case 1:
				for i := range row {
					if rng.IntN(3) > 0 || i > 90 && n%2 == 0 {
						row[i] = negInf
					}
				}
			}
			twin := s.Clone()
			c := readout(rng, row, shown)
			if got, want := kept(s.Clone(), c, nil), kept(s.Clone(), c, row); got != nil && !slices.Equal(got, want) {
				t.Fatalf("case %d, vocabulary %d, %+v, plan %v: candidates leave %v, the row %v", n, vocab, p, s.plan, got, want)
			}
			tok, needFull, err := s.SampleCandidates(c)
			want, wantErr := twin.Sample(row)
			total++
			switch {
			case needFull:
				full++
				if err != nil || tok != (Token{}) || s.drawn == twin.drawn && wantErr == nil {
					t.Fatalf("case %d: needFull with %v, %v, drawn %d", n, tok, err, s.drawn)
				}
				if tok, err = s.Sample(row); tok != want || (err == nil) != (wantErr == nil) {
					t.Fatalf("case %d: Sample after needFull gives %v, %v, want %v, %v", n, tok, err, want, wantErr)
				}
			case (err == nil) != (wantErr == nil), err != nil && errors.Unwrap(err) != errors.Unwrap(wantErr), tok != want:
				t.Fatalf("case %d, vocabulary %d, %+v, plan %v: candidates give %v, %v; the row %v, %v", n, vocab, p, s.plan, tok, err, want, wantErr)
			case s.Readout(shown) == ReadoutFull && vocab > shown && s.constraint == nil && !slices.Contains(row, negInf):
				t.Fatalf("case %d: Readout says full, but candidates suffice: %v", n, s.plan)
			}
			if err == nil {
				if err := s.remembered(tok.ID); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	t.Logf("%d of %d draws needed the full row", full, total)
}

// TestCandidatesFarAway: where biases move tokens so far that their weights cannot be
// compared with those of the row, candidates either give what the row gives or ask for it.
func TestCandidatesFarAway(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 14))
	asked, total := 0, 0
	for n := range 4000 {
		const vocab = 300
		row := zipf(rng, vocab)
		p := off()
		p.Seed, p.TopP = rng.Uint64(), 0.05+0.9*rng.Float64()
		if n%2 == 0 {
			p.TopP, p.XTC = 1, XTC{1, 0.3 * rng.Float64()}
			p.TopK = 10 // after it
			p.Order = []Stage{StageXTC, StageTopK}
		}
		lift := []float32{50, 640, 700, 1000, 1e6, -650, -1000}[rng.IntN(7)]
		p.LogitBias = map[int32]float32{}
		if lift > 0 {
			for range 3 {
				p.LogitBias[int32(rng.IntN(vocab))] = lift + 3*rng.Float32()
			}
		} else { // all but one lie far below it, and that one is forbidden
			best := rng.IntN(vocab)
			row[best] = 20 - lift
			p.LogitBias[int32(best)] = negInf
		}
		s := mustNew(t, p, vocab)
		twin := s.Clone()
		tok, needFull, err := s.SampleCandidates(readout(rng, row, 128))
		want, wantErr := twin.Sample(row)
		total++
		switch {
		case needFull:
			asked++
		case err != nil || wantErr != nil || tok != want:
			t.Fatalf("case %d, %+v: candidates give %v, %v; the row %v, %v", n, p, tok, err, want, wantErr)
		}
	}
	if t.Logf("%d of %d draws needed the full row", asked, total); asked == total {
		t.Error("candidates are never enough")
	}
}

// kept returns what the stages leave of the row, or of the candidates if row is
// nil; nil if there is nothing, or the candidates don't suffice.
func kept(s *Sampler, c Candidates, row []float32) []item {
	if row != nil {
		s.cur = tokens{row: row, scale: 1}
	} else if !s.startCandidates(c) {
		return nil
	}
	if s.run(drawsAt(s.seed, s.drawn)) != nil {
		return nil
	}
	s.toItems()
	s.cur.sort(len(s.cur.items))
	return s.cur.items
}

// remembered accepts a token without asking the constraint.
func (s *Sampler) remembered(id int32) error { return s.AcceptPrompt([]int32{id}) }

// How often settings in common use need the full row.
func TestCandidatesSuffice(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*Params)
		max  float64 // share of draws that may need the row
	}{
		{"default", func(p *Params) {}, 0},
		{"greedy", func(p *Params) { p.Temperature = 0 }, 0},
		{"penalties", func(p *Params) { p.RepeatPenalty, p.FrequencyPenalty = 1.2, 0.3 }, 0},
		{"DRY", func(p *Params) { p.DRY.Multiplier, p.DRY.SequenceBreakers = 0.8, nil }, 0},
		{"XTC", func(p *Params) { p.XTC.Probability = 0.5 }, 0},
		{"top-p alone", func(p *Params) { p.TopK, p.MinP, p.TopP = 0, 0, 0.9 }, 0.05},
		{"min-p alone", func(p *Params) { p.TopK, p.TopP = 0, 1 }, 0},
		{"positive bias", func(p *Params) { p.LogitBias = map[int32]float32{5: 2} }, 0},
		{"plain", func(p *Params) { *p = off() }, 1},
	} {
		rng := rand.New(rand.NewPCG(21, 22))
		p := DefaultParams()
		c.set(&p)
		s := mustNew(t, p, 5000)
		full := 0
		const n = 100
		for range n {
			row := zipf(rng, 5000)
			for i := range row {
				row[i] *= 1.5
			}
			tok, needFull, err := s.SampleCandidates(readout(rng, row, 128))
			if needFull {
				full++
				tok, err = s.Sample(row)
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Accept(tok.ID); err != nil {
				t.Fatal(err)
			}
		}
		if full > int(c.max*n) || c.max == 1 && full < n {
			t.Errorf("%s: %d of %d draws needed the full row", c.name, full, n)
		}
		t.Logf("%-14s %s: %d of %d needed the full row", c.name, s.Readout(128), full, n)
	}
}

func TestBadCandidates(t *testing.T) {
	s := mustNew(t, DefaultParams(), 10)
	for i, c := range []Candidates{
		{IDs: []int32{1}, Logits: []float32{1}, Vocab: 9},
		{Vocab: 10},
		{IDs: []int32{1, 2}, Logits: []float32{1}, Vocab: 10},
		{IDs: []int32{10}, Logits: []float32{1}, Vocab: 10},
		{IDs: []int32{-1}, Logits: []float32{1}, Vocab: 10},
	} {
		if tok, needFull, err := s.SampleCandidates(c); err == nil || needFull {
			t.Errorf("case %d: %v, %v, %v", i, tok, needFull, err)
		}
	}
	nan := float32(math.NaN())
	for _, l := range []float32{nan, negInf, float32(math.Inf(1))} {
		_, needFull, err := s.SampleCandidates(Candidates{IDs: []int32{1, 2}, Logits: []float32{l, l}, Vocab: 10, LogSumExp: nan})
		if !needFull || err != nil {
			t.Errorf("logits of %v: %v, %v", l, needFull, err)
		}
	}
}

func ExampleSampler_SampleCandidates() {
	p := DefaultParams()
	p.Temperature = 0
	s, err := New(p, 32000)
	if err != nil {
		fmt.Println(err)
		return
	}
	fullRow := func() []float32 { return make([]float32, 32000) } // from the device
	c := Candidates{IDs: []int32{42, 7, 1999}, Logits: []float32{9.5, 8, 3}, LogSumExp: 9.9, Vocab: 32000}
	tok, needFull, err := s.SampleCandidates(c)
	if needFull {
		tok, err = s.Sample(fullRow())
	}
	fmt.Println(tok.ID, needFull, err)
	// Output: 42 false <nil>
}

// TestBestEqualsSample: the best of a row is chosen as Sample does it, or the row is
// asked for: where it has no number above -Inf or +Inf, and where settings want more.
func TestBestEqualsSample(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	rows := [][]float32{{1, 3, 2, 3}, {0, float32(math.Copysign(0, -1)), -1, -1}, {float32(math.Copysign(0, -1)), 0, 0, -1},
		{nan, -5, nan, -5}, {-inf, -inf, -3e38, nan}, {-inf, -inf, nan, -inf}, {1, inf, 2, inf}, {nan, nan, nan, nan}}
	penalties := off()
	penalties.Temperature, penalties.RepeatPenalty, penalties.RepeatLastN = 0, 1.1, 8
	bias := off()
	bias.Temperature, bias.LogitBias = 0, map[int32]float32{2: -1}
	for _, c := range []struct {
		p      Params
		greedy bool
	}{{DefaultParams(), false}, {greedyParams(DefaultParams()), true}, {greedyParams(off()), true}, {penalties, false}, {bias, false}} {
		for _, row := range rows {
			s, err := New(c.p, len(row))
			if err != nil {
				t.Fatal(err)
			}
			if got := s.Readout(2) == ReadoutArgmax; got != c.greedy {
				t.Errorf("%+v: reads the best alone: %v", c.p, got)
			}
			best, logit := int32(0), nan // where there is no number, any will do
			if it, ok := argmax(row); ok {
				best, logit = it.id(), it.logit()
			}
			want, wrong := s.Clone().Sample(row)
			got, full, err := s.SampleBest(best, logit)
			if full != (!c.greedy || wrong != nil) || err != nil || !full && (got != want || s.drawn != 1) || full && s.drawn != 0 {
				t.Errorf("%v, %+v: got %v, full row %v, %v, %d drawn; Sample gives %v, %v", row, c.p, got, full, err, s.drawn, want, wrong)
			}
		}
	}
	s, _ := New(greedyParams(off()), 4)
	s.SetConstraint(&choices{steps: [][]int32{{0, 1, 2, 3}}})
	if _, full, err := s.SampleBest(1, 1); !full || err != nil {
		t.Errorf("with a constraint: full row %v, %v", full, err)
	}
	for _, id := range []int32{-1, 4} {
		if _, _, err := s.SampleBest(id, 1); err == nil {
			t.Errorf("token %d of 4 was taken", id)
		}
	}
}

func greedyParams(p Params) Params {
	p.Temperature = 0
	return p
}
