package sampler

import (
	cryptorand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/bits"
	"slices"
)

// A Token is a chosen token, or one of a list of likely ones.
type Token struct {
	ID int32 `json:"id"`
	// Logprob is the natural logarithm of the token's probability. From
	// Sampler's methods it is that under the distribution the token was drawn
	// from, after all stages (so 0 when greedy); from TopLogprobs and Logprob
	// it is the model's own.
	Logprob float32 `json:"logprob"`
}

// A Sampler chooses tokens for one sequence. It is not safe for concurrent use.
type Sampler struct {
	params      Params
	vocab       int
	seed        uint64
	plan        []Stage
	bias        []adjustment // by id
	lnMinP      float64
	breakers    breakerSet
	breakersSet bool
	constraint  Constraint

	drawn   uint64  // tokens drawn
	history []int32 // the accepted tokens that the penalties can look at

	// Scratch of one draw.
	cur     tokens
	rowBuf  []float32
	itemBuf []item
	distBuf []item
	adj     []adjustment
	slot    []int32 // by id: place in adj + 1; nil when no stage adjusts
	z       []int32
	allowed []uint64
}

// New returns a sampler for a vocabulary of 1 to 2^20 tokens. It keeps its own
// copy of the parameters.
func New(p Params, vocab int) (*Sampler, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if vocab < 1 || vocab > maxVocab {
		return nil, fmt.Errorf("sampler: the vocabulary has %d tokens: it must be 1 to %d", vocab, maxVocab)
	}
	p.LogitBias = maps.Clone(p.LogitBias)
	p.Order = slices.Clone(p.Order)
	p.DRY.SequenceBreakers = slices.Clone(p.DRY.SequenceBreakers)
	s := &Sampler{params: p, vocab: vocab, seed: p.Seed, plan: p.plan()}
	if p.MinP > 0 {
		s.lnMinP = ln(p.MinP)
	}
	for _, id := range biasIDs(p.LogitBias) {
		if err := s.checkID(id); err != nil {
			return nil, fmt.Errorf("sampler: logit_bias: %w", err)
		}
		s.bias = append(s.bias, adjustment{id: id, bias: p.LogitBias[id]})
	}
	if s.adjusts() {
		s.slot = make([]int32, vocab)
	}
	if s.seed == RandomSeed && !p.FixedSeed {
		var b [8]byte
		if _, err := cryptorand.Read(b[:]); err != nil {
			return nil, fmt.Errorf("sampler: choosing a seed: %w", err)
		}
		s.seed = binary.LittleEndian.Uint64(b[:])
	}
	return s, nil
}

func (s *Sampler) adjusts() bool {
	return slices.ContainsFunc(s.plan, func(st Stage) bool {
		return st == stageBias || st == StagePenalties || st == StageDRY
	})
}

// Params returns the settings that New was given.
func (s *Sampler) Params() Params {
	p := s.params
	p.LogitBias = maps.Clone(p.LogitBias)
	p.Order = slices.Clone(p.Order)
	p.DRY.SequenceBreakers = slices.Clone(p.DRY.SequenceBreakers)
	return p
}

// Seed returns the seed in use: Params.Seed, or the one chosen for RandomSeed.
func (s *Sampler) Seed() uint64 { return s.seed }

// Sample chooses a token from a full row of logits, one per token of the
// vocabulary. It does not write to the row, and does not accept the token: see
// Accept. On an error nothing has been drawn.
func (s *Sampler) Sample(logits []float32) (Token, error) {
	if err := s.start(logits); err != nil {
		return Token{}, err
	}
	return s.draw()
}

// Distribution appends to dst the tokens that Sample could choose from these
// logits in this state, with their probabilities as logarithms, the most
// likely first. Nothing is drawn; XTC is decided as the next Sample will.
func (s *Sampler) Distribution(dst []Token, logits []float32) ([]Token, error) {
	if err := s.start(logits); err != nil {
		return dst, err
	}
	if err := s.run(drawsAt(s.seed, s.drawn)); err != nil {
		return dst, err
	}
	t := &s.cur
	s.toItems()
	t.sort(len(t.items))
	z := t.total()
	for _, it := range t.items {
		dst = append(dst, Token{it.id(), s.logprob(it, z)})
	}
	return dst, nil
}

// start makes the row the current set.
func (s *Sampler) start(logits []float32) error {
	if len(logits) != s.vocab {
		return fmt.Errorf("sampler: %d logits for a vocabulary of %d tokens", len(logits), s.vocab)
	}
	s.cur = tokens{row: logits, scale: 1}
	return s.ready()
}

func (s *Sampler) ready() error {
	if !s.breakersSet && len(s.params.DRY.SequenceBreakers) > 0 && slices.Contains(s.plan, StageDRY) {
		return errors.New("sampler: dry.sequence_breakers are set, but not as tokens: call SetDRYBreakers")
	}
	return nil
}

// draw runs the stages on the current set and draws from what is left: the
// first token, in order of falling probability, at which the running sum of
// weights exceeds a uniform number below their total.
func (s *Sampler) draw() (Token, error) {
	d := drawsAt(s.seed, s.drawn)
	if err := s.run(d); err != nil {
		return Token{}, err
	}
	s.drawn++
	t := &s.cur
	if len(t.items) == 1 && t.row == nil {
		return Token{ID: t.items[0].id()}, nil
	}
	top := t.best().logit()
	z := t.total()
	r, _ := bits.Mul64(d.draw, z)
	var cum uint64
	for i := 0; ; i++ {
		it, ok := s.at(i)
		if !ok {
			return Token{}, errors.New("sampler: internal error: the weights do not reach their sum")
		}
		if cum += weight(t.x(it, top)); cum > r {
			return Token{it.id(), s.logprob(it, z)}, nil
		}
	}
}

// logprob returns ln(p) of an item of the current set, whose weights sum to z.
func (s *Sampler) logprob(it item, z uint64) float32 {
	return finite(s.cur.x(it, s.cur.best().logit()) - ln(float64(z)/weightOne))
}

// Accept records a generated token: for the penalties, DRY and the constraint.
func (s *Sampler) Accept(id int32) error {
	if err := s.checkID(id); err != nil {
		return fmt.Errorf("sampler: accept: %w", err)
	}
	if s.constraint != nil {
		if err := s.constraint.Accept(id); err != nil {
			return fmt.Errorf("sampler: the constraint refuses token %d: %w", id, err)
		}
	}
	s.remember(id)
	return nil
}

// AcceptPrompt records the prompt's tokens for the penalties and DRY. The
// constraint does not see them. On an error none is recorded.
func (s *Sampler) AcceptPrompt(ids []int32) error {
	for i, id := range ids {
		if err := s.checkID(id); err != nil {
			return fmt.Errorf("sampler: prompt token %d: %w", i, err)
		}
	}
	for _, id := range ids {
		s.remember(id)
	}
	return nil
}

func (s *Sampler) checkID(id int32) error {
	if id < 0 || int(id) >= s.vocab {
		return fmt.Errorf("token id %d is outside the vocabulary of %d tokens", id, s.vocab)
	}
	return nil
}

// remember appends to the history, which keeps what the longest window needs.
func (s *Sampler) remember(id int32) {
	need := 0
	for _, st := range s.plan {
		n := 0
		switch st {
		case StagePenalties:
			n = s.params.RepeatLastN
		case StageDRY:
			n = s.params.DRY.PenaltyLastN
		}
		if n < 0 {
			n = math.MaxInt
		}
		need = max(need, n)
	}
	if need == 0 {
		return
	}
	if len(s.history) >= need && len(s.history)-need >= need+256 {
		s.history = append(s.history[:0], s.history[len(s.history)-need:]...)
	}
	s.history = append(s.history, id)
}

// Reset forgets the history and starts the random numbers anew, with the same
// seed; the constraint, if any, is reset too.
func (s *Sampler) Reset() {
	s.drawn = 0
	s.history = s.history[:0]
	if s.constraint != nil {
		s.constraint.Reset()
	}
}

// Clone returns an independent sampler in the same state: it would draw the
// same tokens. A constraint is cloned with it.
func (s *Sampler) Clone() *Sampler {
	c := &Sampler{
		params: s.params, vocab: s.vocab, seed: s.seed, plan: s.plan, bias: s.bias, lnMinP: s.lnMinP,
		breakers: s.breakers, breakersSet: s.breakersSet,
		drawn: s.drawn, history: slices.Clone(s.history),
	}
	if s.slot != nil {
		c.slot = make([]int32, s.vocab)
	}
	if s.constraint != nil {
		c.SetConstraint(s.constraint.Clone())
	}
	return c
}
