package sampler

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Candidates are what a device reads out instead of a full row of logits.
type Candidates struct {
	// IDs are the tokens with the highest logits, each once. At equal logits
	// at the cut, any of the tokens may be among them.
	IDs []int32
	// Logits belong to IDs, highest first, before any stage.
	Logits []float32
	// LogSumExp is ln of the sum of e^logit over the whole row, correct to
	// 1e-5 plus float32 rounding. NaN if not known: more settings then need
	// the full row.
	LogSumExp float32
	// Vocab is the length of the full row.
	Vocab int
}

// lseError is how far LogSumExp may be off, beyond its rounding to float32.
const lseError = 1e-5

// SampleCandidates chooses a token like Sample does from the full row. If the
// candidates leave the outcome open, needFull is true, nothing has been drawn,
// and the caller passes the full row to Sample. The package comment lists the
// settings for which that happens.
func (s *Sampler) SampleCandidates(c Candidates) (tok Token, needFull bool, err error) {
	if c.Vocab != s.vocab {
		return Token{}, false, fmt.Errorf("sampler: candidates from a vocabulary of %d tokens, not %d", c.Vocab, s.vocab)
	}
	if len(c.IDs) != len(c.Logits) || len(c.IDs) == 0 || len(c.IDs) > c.Vocab {
		return Token{}, false, fmt.Errorf("sampler: %d candidate ids with %d logits, of %d tokens", len(c.IDs), len(c.Logits), c.Vocab)
	}
	for _, id := range c.IDs {
		if err := s.checkID(id); err != nil {
			return Token{}, false, fmt.Errorf("sampler: candidates: %w", err)
		}
	}
	if err := s.ready(); err != nil {
		return Token{}, false, err
	}
	if !s.startCandidates(c) {
		return Token{}, true, nil
	}
	tok, err = s.draw()
	if errors.Is(err, errNeedFull) {
		return Token{}, true, nil
	}
	return tok, false, err
}

// SampleBest chooses a token like Sample does from the full row, given the token with
// the row's highest logit, of equal ones the lowest id. needFull is true where Readout
// asks for more than ReadoutArgmax, and for a row that Sample refuses: then nothing
// has been drawn, and the caller passes the full row to Sample.
func (s *Sampler) SampleBest(id int32, logit float32) (tok Token, needFull bool, err error) {
	if err := s.checkID(id); err != nil {
		return Token{}, false, fmt.Errorf("sampler: the best token: %w", err)
	}
	if !s.greedy() || !(logit > negInf && logit <= math.MaxFloat32) {
		return Token{}, true, nil
	}
	s.drawn++
	return Token{ID: id}, false, nil
}

// greedy says that the token with the highest logit is always chosen.
func (s *Sampler) greedy() bool {
	return s.constraint == nil && len(s.plan) == 1 && s.plan[0] == StageTemperature && s.params.Temperature == 0
}

// startCandidates makes the candidates the current set; false if only the full
// row can tell what to do.
func (s *Sampler) startCandidates(c Candidates) bool {
	items := s.itemBuf[:0]
	closed := len(c.IDs) == c.Vocab
	for i, l := range c.Logits {
		switch {
		case l == negInf:
			closed = true // and so is all that follows
		case !(l <= math.MaxFloat32):
			return false // NaN or +Inf: Sample says what is wrong
		default:
			items = append(items, makeItem(c.IDs[i], l))
		}
	}
	s.itemBuf = items
	slices.Sort(items)
	t := &s.cur
	*t = tokens{items: items, sorted: len(items), scale: 1}
	if len(items) == 0 {
		return false
	}
	if closed && len(items) <= canonicalSize {
		return true
	}
	// The candidates with the lowest logit may tie with tokens not seen.
	last := min(len(items), canonicalSize) - 1
	t.open = true
	t.floor = items[last].logit()
	for last >= 0 && items[last].logit() == t.floor {
		last--
	}
	t.items, t.sorted = items[:last+1], last+1
	t.ref = float64(c.LogSumExp)
	t.tailLo, t.tailHi = 0, math.Inf(1)
	if lse := t.ref; lse-lse == 0 { // finite
		seen := 0.0
		for _, it := range t.items {
			seen += t.mass(it)
		}
		tol := lseError + math.Abs(lse)*0x1p-23
		if hi := 1 + tol - seen; hi >= 0 {
			t.tailLo = max(0, 1-tol-seen)
			t.tailHi = min(hi, float64(c.Vocab-len(t.items))*t.floorMass())
		}
	} else {
		t.ref = float64(items[0].logit())
	}
	return true
}

// A Readout is what a sampler wants of a row of logits.
type Readout int

const (
	ReadoutArgmax     Readout = iota // the token with the highest logit; of equals the lowest id
	ReadoutCandidates                // Candidates, and seldom the full row
	ReadoutFull                      // the full row, always
)

func (r Readout) String() string {
	switch r {
	case ReadoutArgmax:
		return "argmax"
	case ReadoutCandidates:
		return "candidates"
	}
	return "full"
}

// Readout says what to read out for n candidates. It changes only with
// SetConstraint.
func (s *Sampler) Readout(n int) Readout {
	if s.greedy() {
		return ReadoutArgmax
	}
	if n >= s.vocab {
		return ReadoutCandidates
	}
	for _, st := range s.plan {
		switch st {
		case StageTopK:
			if s.params.TopK < n {
				return ReadoutCandidates
			}
			return ReadoutFull
		case StageTypical, StageTopNSigma:
			return ReadoutFull
		case StageTemperature:
			if s.params.Temperature == 0 {
				return ReadoutCandidates
			}
		case StageTopP, StageMinP:
			return ReadoutCandidates
		}
	}
	return ReadoutFull
}
