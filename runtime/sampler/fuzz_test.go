package sampler

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"testing"
)

// FuzzSample feeds settings as JSON and logits as bytes: New refuses, or the
// sampler gives a token with a logit, or an error that draws nothing.
func FuzzSample(f *testing.F) {
	row := func(v ...float32) (b []byte) {
		for _, x := range v {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
		}
		return b
	}
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, p := range []string{
		`{}`, `{"temperature":0}`, `{"temperature":5e-324,"top_k":0,"top_p":1,"min_p":0}`,
		`{"top_k":0,"typical_p":0.5,"top_n_sigma":1,"xtc":{"probability":1,"threshold":0.1}}`,
		`{"repeat_penalty":1e6,"frequency_penalty":-1e6,"repeat_last_n":-1,"logit_bias":{"0":3e38,"1":-3e38}}`,
		`{"dry":{"multiplier":3e38,"base":3e38,"allowed_length":0,"penalty_last_n":-1,"sequence_breakers":null}}`,
		`{"samplers":["temperature","xtc","penalties","top_p"],"temperature":1e-30,"presence_penalty":1,"top_p":0}`,
	} {
		f.Add(p, row(1, 2, 3, 4, 5), uint8(3))
		f.Add(p, row(nan, -inf, 0, inf, 3e38), uint8(5))
		f.Add(p, row(nan, -3e38, 3e38, -inf, -0), uint8(2))
		f.Add(p, row(7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7), uint8(12))
	}
	f.Fuzz(func(t *testing.T, settings string, raw []byte, shown uint8) {
		p := DefaultParams()
		p.Seed = 1
		if json.Unmarshal([]byte(settings), &p) != nil || len(raw) < 4 || len(raw) > 4096 {
			return
		}
		logits := make([]float32, len(raw)/4)
		for i := range logits {
			logits[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		}
		s, err := New(p, len(logits))
		if err != nil {
			return
		}
		if err := s.SetDRYBreakers([][]int32{{0}}); err != nil {
			t.Fatal(err)
		}
		for range 8 {
			if n := min(int(shown), len(logits)); n > 0 {
				fuzzCandidates(t, s, logits, n)
			}
			before := s.drawn
			tok, err := s.Sample(logits)
			if err != nil {
				if s.drawn != before {
					t.Fatal("an error draws")
				}
				return
			}
			if l := logits[tok.ID]; !(l > negInf && l <= math.MaxFloat32) || !(tok.Logprob <= 1e-6) {
				t.Fatalf("token %v with logit %v", tok, l)
			}
			if err := s.Accept(tok.ID); err != nil {
				t.Fatal(err)
			}
			if dist, err := s.Distribution(nil, logits); err != nil || len(dist) == 0 {
				t.Fatalf("%d tokens, %v", len(dist), err)
			}
		}
		_, _ = TopLogprobs(nil, logits, int(shown))
	})
}

// fuzzCandidates compares the n best candidates with the row, and passes the
// row's beginning as if it were candidates: nonsense that must not panic.
func fuzzCandidates(t *testing.T, s *Sampler, logits []float32, n int) {
	items := selectTop(nil, logits, n)
	c := Candidates{Vocab: len(logits), LogSumExp: float32(math.NaN())}
	for _, it := range items {
		c.IDs, c.Logits = append(c.IDs, it.id()), append(c.Logits, it.logit())
	}
	if lse, err := LogSumExp(logits); err == nil {
		c.LogSumExp = float32(lse)
	}
	if len(items) > 0 && !(c.Logits[0] > math.MaxFloat32) {
		twin, other := s.Clone(), s.Clone()
		tok, needFull, err := twin.SampleCandidates(c)
		want, wantErr := other.Sample(logits)
		if !needFull && (tok != want || (err == nil) != (wantErr == nil)) {
			t.Fatalf("candidates %v give %v, %v; the row %v gives %v, %v", c, tok, err, logits, want, wantErr)
		}
	}
	junk := Candidates{Vocab: len(logits), LogSumExp: logits[0], Logits: logits[:n], IDs: make([]int32, n)}
	for i := range junk.IDs {
		junk.IDs[i] = int32(i / 2)
	}
	_, _, _ = s.Clone().SampleCandidates(junk)
}
