package sampler

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func off() Params {
	p := DefaultParams()
	p.Temperature, p.TopK, p.TopP, p.MinP, p.Seed = 1, 0, 1, 0, 1
	p.DRY.SequenceBreakers = nil
	return p
}

func mustNew(t testing.TB, p Params, vocab int) *Sampler {
	t.Helper()
	s, err := New(p, vocab)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// zipf returns logits that fall roughly as a language model's do.
func zipf(rng *rand.Rand, vocab int) []float32 {
	row := make([]float32, vocab)
	for i, rank := range rng.Perm(vocab) {
		row[i] = float32(18 - 2*math.Log(float64(rank)+1) + rng.NormFloat64())
	}
	return row
}

func TestPhiloxKnownAnswers(t *testing.T) {
	// From the known-answer tests of the authors' library, Random123.
	const f = 0xffffffff
	for _, c := range []struct {
		counter [4]uint32
		key     [2]uint32
		want    [4]uint32
	}{
		{want: [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{[4]uint32{f, f, f, f}, [2]uint32{f, f}, [4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{
			[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, [2]uint32{0xa4093822, 0x299f31d0},
			[4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1},
		},
	} {
		if got := philox(c.counter, c.key); got != c.want {
			t.Errorf("philox(%x, %x) = %x, want %x", c.counter, c.key, got, c.want)
		}
	}
}

func TestFunctions(t *testing.T) {
	for x := -699.0; x < 699; x += 0.37 {
		if e := exp(x)/math.Exp(x) - 1; math.Abs(e) > 1e-12 {
			t.Fatalf("exp(%g) is off by %g", x, e)
		}
	}
	for x := 1e-300; x < 1e300; x *= 1.7 {
		if e := ln(x) - math.Log(x); math.Abs(e) > 1e-15*math.Abs(math.Log(x))+1e-16 {
			t.Fatalf("ln(%g) is off by %g", x, e)
		}
	}
	for x := 0.0; x > -40; x -= 0.0137 {
		if d := float64(weight(x)) - math.Exp(x)*weightOne; math.Abs(d) > 1.5 {
			t.Fatalf("weight(%g) is off by %g", x, d)
		}
	}
}

// A hash of the drawn tokens, so that another platform or a change of the
// arithmetic shows.
func TestSameEverywhere(t *testing.T) {
	p := DefaultParams()
	p.Seed, p.TopK, p.RepeatPenalty, p.Typical = 7, 0, 1.1, 0.98
	p.XTC.Probability = 0.3
	s := mustNew(t, p, 3000)
	state := uint64(1)
	row := make([]float32, 3000)
	h := uint64(14695981039346656037)
	for range 300 {
		for i := range row { // logits from integers only
			state = state*6364136223846793005 + 1442695040888963407
			row[i] = float32(state>>44) / (1 << 16)
		}
		tok, err := s.Sample(row)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Accept(tok.ID); err != nil {
			t.Fatal(err)
		}
		h = (h ^ uint64(tok.ID)) * 1099511628211
		h = (h ^ uint64(math.Float32bits(tok.Logprob))) * 1099511628211
	}
	if want := uint64(0xbf49316da3f79008); h != want {
		t.Errorf("the tokens hash to %#x, want %#x", h, want)
	}
}

func TestGreedy(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	for _, c := range []struct {
		row  []float32
		want int32
	}{
		{[]float32{1, 3, 2, 3}, 1},
		{[]float32{nan, -5, nan, inf, -5}, 1},
		{[]float32{-2, float32(math.Copysign(0, -1)), 0}, 1},
		{[]float32{nan, inf, -math.MaxFloat32}, 2},
		{[]float32{0, 1, 2, 3, 4, 5, 6, 7, 8}, 8},
	} {
		p := DefaultParams()
		p.Temperature = 0
		for _, typical := range []float64{1, 0.999999} { // with and without the short cut
			p.Typical = typical
			tok, err := mustNew(t, p, len(c.row)).Sample(c.row)
			if err != nil || tok.ID != c.want || tok.Logprob != 0 {
				t.Errorf("%v, typical %g: %v, %v; want %d", c.row, typical, tok, err, c.want)
			}
		}
	}
}

// TestGreedyOfWhatIsLeft: as in llama.cpp, temperature 0 takes the best token that the
// stages before leave.
func TestGreedyOfWhatIsLeft(t *testing.T) {
	row := []float32{3, 2, 1.9, 1.8, 1.7, 1.6}
	for _, c := range []struct {
		change func(*Params)
		want   int32
	}{
		{func(p *Params) { p.TopK, p.TopP, p.MinP = 2, 0.5, 0.9 }, 0},
		{func(p *Params) { p.Typical = 0.1 }, 1}, // the best is less of a surprise than is expected
		{func(p *Params) { p.XTC = XTC{1, 0.1} }, 4},
		{func(p *Params) { p.LogitBias = map[int32]float32{0: -2} }, 1},
	} {
		p := off()
		p.Temperature = 0
		c.change(&p)
		if tok, err := mustNew(t, p, len(row)).Sample(row); err != nil || tok.ID != c.want {
			t.Errorf("%+v: %v, %v; want %d", p, tok, err, c.want)
		}
	}
}

func TestGreedyEqualsFullPlan(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for n := range 300 {
		row := zipf(rng, 700)
		if n%3 == 0 {
			for i := range row {
				row[i] = float32(math.Round(float64(row[i])))
			}
		}
		p := DefaultParams()
		p.Temperature, p.RepeatPenalty, p.RepeatLastN, p.TopNSigma = 0, 1.5, -1, 1
		p.LogitBias = map[int32]float32{int32(rng.IntN(700)): 3}
		if n%2 == 0 {
			p.Order = []Stage{StageTopK, StagePenalties, StageTopP, StageTemperature, StageMinP}
		}
		s := mustNew(t, p, 700)
		full := s.Clone()
		full.plan = append([]Stage{stageBias}, p.Order...)
		if p.Order == nil {
			full.plan = []Stage{stageBias, StagePenalties, StageTopNSigma, StageTopK, StageTopP, StageMinP, StageTemperature}
		}
		for range 5 {
			a, err1 := s.Sample(row)
			b, err2 := full.Sample(row)
			if a != b || err1 != nil || err2 != nil {
				t.Fatalf("case %d: %v %v, by the full plan %v %v", n, a, err1, b, err2)
			}
			if err := errors.Join(s.Accept(a.ID), full.Accept(a.ID)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestBadLogits(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	settings := map[string]func(*Params){
		"default":  func(*Params) {},
		"greedy":   func(p *Params) { p.Temperature = 0 },
		"plain":    func(p *Params) { *p = off() },
		"top_p":    func(p *Params) { p.TopK = 0 },
		"min_p":    func(p *Params) { p.TopK, p.TopP = 0, 1 },
		"sigma":    func(p *Params) { p.TopNSigma = 1 },
		"typical":  func(p *Params) { p.TopK, p.Typical = 0, 0.5 },
		"xtc":      func(p *Params) { p.TopK, p.TopP, p.MinP, p.XTC.Probability = 0, 1, 0, 1 },
		"big k":    func(p *Params) { p.TopK = 5000 },
		"penalise": func(p *Params) { p.RepeatPenalty, p.TopK = 2, 0 },
	}
	for name, set := range settings {
		p := DefaultParams()
		set(&p)
		s := mustNew(t, p, 6)
		if err := s.Accept(2); err != nil {
			t.Fatal(err)
		}
		for _, row := range [][]float32{
			{nan, nan, nan, nan, nan, nan},
			{-inf, -inf, -inf, -inf, -inf, -inf},
			{nan, -inf, nan, -inf, nan, -inf},
			{1, 2, inf, 0, 0, 0},
			{inf, inf, inf, inf, inf, inf},
		} {
			if tok, err := s.Sample(row); !errors.Is(err, ErrBadLogits) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %v gives %v, %v", name, row, tok, err)
			}
		}
		for range 50 {
			if tok, err := s.Sample([]float32{nan, -inf, nan, 1, -inf, 2}); err != nil || tok.ID != 3 && tok.ID != 5 {
				t.Errorf("%s: a row with two finite logits gives %v, %v", name, tok, err)
			}
		}
		if _, err := s.Sample(make([]float32, 5)); err == nil {
			t.Errorf("%s: a row of the wrong length passes", name)
		}
	}
}

func TestValidate(t *testing.T) {
	p := DefaultParams()
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	nan := math.NaN()
	for field, set := range map[string]func(*Params){
		"temperature":           func(p *Params) { p.Temperature = -0.1 },
		"top_p":                 func(p *Params) { p.TopP = 1.5 },
		"min_p":                 func(p *Params) { p.MinP = nan },
		"typical_p":             func(p *Params) { p.Typical = -1 },
		"top_n_sigma":           func(p *Params) { p.TopNSigma = math.Inf(1) },
		"xtc.probability":       func(p *Params) { p.XTC.Probability = 2 },
		"xtc.threshold":         func(p *Params) { p.XTC = XTC{Probability: 0.5} },
		"repeat_penalty":        func(p *Params) { p.RepeatPenalty = 0 },
		"repeat_last_n":         func(p *Params) { p.RepeatLastN = -2 },
		"frequency_penalty":     func(p *Params) { p.FrequencyPenalty = nan },
		"presence_penalty":      func(p *Params) { p.PresencePenalty = math.Inf(-1) },
		"dry.multiplier":        func(p *Params) { p.DRY.Multiplier = -1 },
		"dry.base":              func(p *Params) { p.DRY.Multiplier, p.DRY.Base = 1, 0.5 },
		"dry.allowed_length":    func(p *Params) { p.DRY.AllowedLength = -1 },
		"dry.penalty_last_n":    func(p *Params) { p.DRY.PenaltyLastN = -5 },
		"logit_bias of token 9": func(p *Params) { p.LogitBias = map[int32]float32{9: float32(nan)} },
		"samplers[1]":           func(p *Params) { p.Order = []Stage{StageTopK, StageTopK} },
		"samplers[0]":           func(p *Params) { p.Order = []Stage{"mirostat"} },
	} {
		p := DefaultParams()
		set(&p)
		err := p.Validate()
		if err == nil || !strings.HasPrefix(err.Error(), "sampler: "+field+" is ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", field, err)
		}
		if _, err := New(p, 100); err == nil {
			t.Errorf("%s: New accepts it", field)
		}
	}
	p.LogitBias = map[int32]float32{100: 1}
	if _, err := New(p, 100); err == nil {
		t.Error("a bias outside the vocabulary passes")
	}
	for _, vocab := range []int{0, -1, 1<<20 + 1} {
		if _, err := New(DefaultParams(), vocab); err == nil {
			t.Errorf("a vocabulary of %d passes", vocab)
		}
	}
}

func TestParamsJSON(t *testing.T) {
	p := DefaultParams()
	p.LogitBias = map[int32]float32{3: -1.5}
	p.Order = []Stage{StageTemperature, StageTopP}
	data, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var q Params
	if err := json.Unmarshal(data, &q); err != nil || !reflect.DeepEqual(p, q) {
		t.Errorf("%s reads back as %+v, %v", data, q, err)
	}
	r := DefaultParams()
	if err := json.Unmarshal([]byte(`{"top_k":7,"dry":{"multiplier":0.8}}`), &r); err != nil {
		t.Fatal(err)
	}
	want := DefaultParams()
	want.TopK, want.DRY.Multiplier = 7, 0.8
	if !reflect.DeepEqual(r, want) {
		t.Errorf("partial JSON gives %+v", r)
	}
}

func TestResetClone(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	p := DefaultParams() // a chosen seed
	p.RepeatPenalty, p.DRY.Multiplier, p.XTC.Probability, p.TopK = 1.2, 0.8, 0.5, 0
	s := mustNew(t, p, 500)
	if err := s.SetDRYBreakers(nil); err != nil {
		t.Fatal(err)
	}
	if other := mustNew(t, p, 500); other.Seed() == s.Seed() {
		t.Error("two samplers chose the same seed")
	}
	rows := make([][]float32, 40)
	for i := range rows {
		rows[i] = zipf(rng, 500)
	}
	run := func(s *Sampler, rows [][]float32) (ids []int32) {
		for _, row := range rows {
			before := slices.Clone(row)
			tok, err := s.Sample(row)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(before, row) {
				t.Fatal("Sample writes to the logits")
			}
			if err := s.Accept(tok.ID); err != nil {
				t.Fatal(err)
			}
			ids = append(ids, tok.ID)
		}
		return ids
	}
	first := run(s, rows[:20])
	c := s.Clone()
	rest := run(s, rows[20:])
	if got := run(c, rows[20:]); !slices.Equal(got, rest) {
		t.Error("the clone draws other tokens")
	}
	s.Reset()
	if got := run(s, rows); !slices.Equal(got, slices.Concat(first, rest)) {
		t.Error("after Reset other tokens are drawn")
	}
	p.Seed = s.Seed()
	again := mustNew(t, p, 500)
	if err := again.SetDRYBreakers(nil); err != nil {
		t.Fatal(err)
	}
	if got := run(again, rows); !slices.Equal(got, slices.Concat(first, rest)) {
		t.Error("the seed that was chosen gives other tokens")
	}
}

func TestHistoryIsBounded(t *testing.T) {
	p := off()
	p.RepeatPenalty, p.RepeatLastN = 1.5, 3
	s := mustNew(t, p, 1000)
	for i := range 5000 {
		if err := s.Accept(int32(i % 1000)); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.window(3); !slices.Equal(got, []int32{997, 998, 999}) || cap(s.history) > 2000 {
		t.Errorf("window %v, capacity %d", got, cap(s.history))
	}
	for _, id := range []int32{-1, 1000} {
		if s.Accept(id) == nil || s.AcceptPrompt([]int32{1, id}) == nil {
			t.Errorf("token %d is accepted", id)
		}
	}
}

// choices is a constraint: each position allows a set of tokens.
type choices struct {
	steps [][]int32
	at    int
	err   error
}

func (c *choices) Mask(allowed []uint64) error {
	for _, id := range c.steps[c.at%len(c.steps)] {
		allowed[id/64] |= 1 << (id % 64)
	}
	allowed[len(allowed)-1] |= 1 << 63 // beyond the vocabulary
	return c.err
}

func (c *choices) Accept(id int32) error {
	if !slices.Contains(c.steps[c.at%len(c.steps)], id) {
		return fmt.Errorf("token %d is not a choice", id)
	}
	c.at++
	return nil
}

func (c *choices) Reset()            { c.at = 0 }
func (c *choices) Clone() Constraint { d := *c; return &d }

func TestConstraint(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	all := make([]int32, 500)
	for i := range all {
		all[i] = int32(i)
	}
	c := &choices{steps: [][]int32{{7}, {3, 77, 499}, all[100:], all}}
	p := DefaultParams()
	s := mustNew(t, p, 500)
	s.SetConstraint(c)
	for i := range 200 {
		row := zipf(rng, 500)
		tok, err := s.Sample(row)
		if err != nil || !slices.Contains(c.steps[i%4], tok.ID) {
			t.Fatalf("step %d: %v, %v", i, tok, err)
		}
		if err := s.Accept(tok.ID); err != nil {
			t.Fatal(err)
		}
	}
	row := zipf(rng, 500)
	row[7] = float32(math.NaN())
	if _, err := s.Sample(row); !errors.Is(err, ErrNoneAllowed) {
		t.Errorf("the only token allowed is NaN: %v", err)
	}
	if s.Accept(8) == nil {
		t.Error("a forbidden token is accepted")
	}
	clone := s.Clone()
	if err := clone.Accept(7); err != nil || c.at != 200 {
		t.Errorf("the clone shares the constraint (%v)", err)
	}
	s.SetConstraint(&choices{steps: [][]int32{{}}})
	if _, err := s.Sample(row); !errors.Is(err, ErrNoneAllowed) {
		t.Errorf("nothing allowed: %v", err)
	}
	s.SetConstraint(&choices{steps: [][]int32{{1}}, err: errors.New("broken")})
	if _, err := s.Sample(row); err == nil || !strings.Contains(err.Error(), "broken") {
		t.Errorf("the constraint's error is lost: %v", err)
	}
	s.SetConstraint(nil)
	if _, err := s.Sample(row); err != nil {
		t.Error(err)
	}
	p.LogitBias = map[int32]float32{0: negInf, 1: negInf}
	if _, err := mustNew(t, p, 2).Sample([]float32{1, 2}); !errors.Is(err, ErrNoneAllowed) {
		t.Errorf("all tokens are biased away: %v", err)
	}
}

func TestLogprobs(t *testing.T) {
	row := []float32{1, float32(math.NaN()), 3, 2, negInf, 3}
	z := math.Exp(1) + 2*math.Exp(3) + math.Exp(2)
	want := []Token{{2, float32(3 - math.Log(z))}, {5, float32(3 - math.Log(z))}, {3, float32(2 - math.Log(z))}, {0, float32(1 - math.Log(z))}}
	for _, n := range []int{0, 1, 3, 4, 6, 5000} {
		got, err := TopLogprobs(nil, row, n)
		if err != nil || !slices.Equal(got, want[:min(n, 4)]) {
			t.Errorf("top %d: %v, %v", n, got, err)
		}
	}
	for _, w := range want {
		if got, err := Logprob(row, w.ID); got != w.Logprob || err != nil {
			t.Errorf("Logprob(%d) = %v, %v", w.ID, got, err)
		}
	}
	if got, err := Logprob(row, 1); got != negInf || err != nil {
		t.Errorf("a NaN logit: %v, %v", got, err)
	}
	if _, err := Logprob(row, 6); err == nil {
		t.Error("an id outside the row passes")
	}
	if _, err := TopLogprobs(nil, []float32{negInf}, 1); !errors.Is(err, ErrBadLogits) {
		t.Errorf("no finite logit: %v", err)
	}
	c := Candidates{IDs: []int32{2, 5}, Logits: []float32{3, 3}, LogSumExp: float32(math.Log(z)), Vocab: 6}
	if got := c.TopLogprobs(nil, 9); len(got) != 2 || math.Abs(float64(got[1].Logprob-want[1].Logprob)) > 1e-6 {
		t.Errorf("candidates: %v", got)
	}
}

func TestNoAllocation(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	row := zipf(rng, 5000)
	p := DefaultParams()
	p.RepeatPenalty, p.DRY.Multiplier, p.XTC.Probability, p.Typical, p.TopK = 1.1, 0.5, 0.5, 0.9, 0
	p.LogitBias = map[int32]float32{4: 1}
	s := mustNew(t, p, len(row))
	if err := s.SetDRYBreakers([][]int32{{1}, {2, 3}}); err != nil {
		t.Fatal(err)
	}
	all := make([]int32, 2000)
	for i := range all {
		all[i] = int32(i)
	}
	s.SetConstraint(&choices{steps: [][]int32{all}})
	step := func() {
		tok, err := s.Sample(row)
		if err == nil {
			err = s.Accept(tok.ID)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 1000 {
		step()
	}
	if n := testing.AllocsPerRun(200, step); n != 0 {
		t.Errorf("%g allocations per token", n)
	}
}
