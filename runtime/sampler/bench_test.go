package sampler

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// go test -run '^$' -bench . ./runtime/sampler
func BenchmarkSample(b *testing.B) {
	for _, vocab := range []int{49_152, 262_144} {
		rows := make([][]float32, 8)
		rng := rand.New(rand.NewPCG(1, 2))
		for i := range rows {
			rows[i] = zipf(rng, vocab)
		}
		for _, c := range []struct {
			name string
			set  func(*Params)
		}{
			{"greedy", func(p *Params) { p.Temperature = 0 }},
			{"topk40-topp-temp", func(p *Params) { p.MinP = 0 }},
			{"default", func(p *Params) {}},
			{"penalties", func(p *Params) { p.RepeatPenalty = 1.1 }},
			{"topp", func(p *Params) { p.TopK, p.MinP = 0, 0 }},
			{"minp", func(p *Params) { p.TopK, p.TopP = 0, 1 }},
			{"typical", func(p *Params) { p.TopK, p.TopP, p.MinP, p.Typical = 0, 1, 0, 0.9 }},
			{"plain", func(p *Params) { p.TopK, p.TopP, p.MinP = 0, 1, 0 }},
			{"full-chain", func(p *Params) {
				p.RepeatPenalty, p.FrequencyPenalty, p.PresencePenalty = 1.1, 0.1, 0.1
				p.DRY.Multiplier, p.TopNSigma, p.Typical = 0.8, 3, 0.95
				p.XTC.Probability = 0.5
			}},
		} {
			b.Run(fmt.Sprintf("%d/%s", vocab, c.name), func(b *testing.B) {
				p := DefaultParams()
				p.Seed = 1
				p.DRY.SequenceBreakers = nil
				c.set(&p)
				s := mustNew(b, p, vocab)
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					tok, err := s.Sample(rows[i%len(rows)])
					if err == nil {
						err = s.Accept(tok.ID)
					}
					if err != nil {
						b.Fatal(err)
					}
					i++
				}
				b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N), "µs/token")
			})
		}
	}
}

func BenchmarkCandidates(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	c := readout(rng, zipf(rng, 262_144), 128)
	p := DefaultParams()
	p.RepeatPenalty = 1.1
	s := mustNew(b, p, c.Vocab)
	b.ReportAllocs()
	for b.Loop() {
		tok, needFull, err := s.SampleCandidates(c)
		if err == nil && !needFull {
			err = s.Accept(tok.ID)
		}
		if err != nil || needFull {
			b.Fatal(needFull, err)
		}
	}
}
