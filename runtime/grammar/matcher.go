package grammar

import (
	"errors"
	"fmt"
	"slices"

	"github.com/ledge-run/ledge/runtime/sampler"
)

// Matcher follows one text. It is a sampler.Constraint, for one goroutine.
type Matcher struct {
	e     *Engine
	at    *config
	ended bool // by a token that ends a generation
	bytes int
}

var _ sampler.Constraint = (*Matcher)(nil)

// Matcher begins a text.
func (e *Engine) Matcher() *Matcher {
	m := &Matcher{e: e}
	m.Reset()
	return m
}

// Vocabulary is the one the matcher's tokens are of.
func (m *Matcher) Vocabulary() *Vocabulary { return m.e.v }

// errNoToken says that the grammar goes on with bytes of which the vocabulary has no
// token.
var errNoToken = errors.New("the vocabulary has no token that goes on as the grammar demands")

// Mask sets the bits of the tokens that may come next. Those that end a generation
// are among them only when the text is whole.
func (m *Matcher) Mask(allowed []uint64) error {
	e := m.e
	if need := (e.v.size + 63) / 64; len(allowed) < need {
		return fmt.Errorf("a mask of %d words for %d tokens: it needs %d", len(allowed), e.v.size, need)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	m.renew()
	if m.ended {
		setBits(allowed, e.v.end)
		return nil
	}
	e.mask(m.at, allowed)
	if !slices.ContainsFunc(allowed, func(w uint64) bool { return w != 0 }) {
		if m.at.complete {
			return errors.New("the text is complete, and the vocabulary has no token that ends a generation")
		}
		return fmt.Errorf("after byte %d %w", m.bytes, errNoToken)
	}
	return nil
}

// Accept goes on with a token. If it is not allowed, nothing changes.
func (m *Matcher) Accept(id int32) error {
	e := m.e
	if id < 0 || int(id) >= e.v.size {
		return fmt.Errorf("token %d is outside the grammar's vocabulary of %d", id, e.v.size)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	m.renew()
	if slices.Contains(e.v.end, id) {
		if !m.ended && !m.at.complete {
			return errors.New("the text cannot end here")
		}
		m.ended = true
		return nil
	}
	piece := e.v.pieces[id]
	if m.ended || len(piece) == 0 {
		return fmt.Errorf("token %d has no place here", id)
	}
	at := m.at
	for i, b := range piece {
		if at = e.step(at, b); at == nil {
			return fmt.Errorf("byte %d of the text may not be 0x%02x", m.bytes+i+1, b)
		}
	}
	m.at = at
	m.bytes += len(piece)
	return nil
}

// AcceptText goes on with a text, which need not be whole. If it is not allowed,
// nothing changes.
func (m *Matcher) AcceptText(text string) error {
	e := m.e
	e.mu.Lock()
	defer e.mu.Unlock()
	m.renew()
	if m.ended {
		return errors.New("the text has ended")
	}
	at := m.at
	for i := range len(text) {
		if at = e.step(at, text[i]); at == nil {
			return fmt.Errorf("byte %d of the text may not be 0x%02x", m.bytes+i+1, text[i])
		}
	}
	m.at = at
	m.bytes += len(text)
	return nil
}

// Complete says that the text may end here.
func (m *Matcher) Complete() bool { return m.ended || m.at.complete }

// Finished says that the text is whole and nothing may follow: generation can stop
// without asking the model.
func (m *Matcher) Finished() bool { return m.ended || m.at.complete && len(m.at.tops) == 0 }

// Narrow says that few tokens are allowed as a rule, so that a model's best ones
// are often not among them: whole rows of logits are worth reading.
func (m *Matcher) Narrow() bool { return true }

// Reset goes back to the beginning.
func (m *Matcher) Reset() {
	m.e.mu.Lock()
	defer m.e.mu.Unlock()
	m.at, m.ended, m.bytes = m.e.start, false, 0
}

// Clone gives a matcher at the same place.
func (m *Matcher) Clone() sampler.Constraint { c := *m; return &c }

// renew empties the engine's caches when they have grown too large, and finds the
// matcher's place in them.
func (m *Matcher) renew() {
	e := m.e
	if e.spent > e.budget {
		e.forget()
	}
	if m.at.epoch != e.epoch {
		m.at = e.intern(m.at.tops, m.at.complete)
	}
}
