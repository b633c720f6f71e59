package ledge

import (
	"context"
	"io"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/ledge-run/ledge/runtime/engine"
)

// Session is one conversation with a model. Its tokens stay in the cache from
// one generation to the next. It does one thing at a time (a second gives
// [ErrBusy]); Close may be called from anywhere at any time.
type Session struct {
	m *Model
	s *engine.Session

	mu     sync.Mutex
	busy   bool
	closed bool
	cancel context.CancelCauseFunc // of the generation in progress
	usage  Usage
}

// NewSession starts a session. It takes no memory before it generates.
func (m *Model) NewSession() *Session { return &Session{m: m, s: m.m.NewSession()} }

// Token is one generated token.
type Token struct {
	ID int32

	// Text is what becomes visible with the token: whole characters, often
	// less or more than the token's own text, sometimes nothing.
	Text string

	// Logprob is the natural logarithm of the probability that the model gave
	// the token, before sampling settings; set if Logprobs asked for it.
	Logprob float32
	Top     []TokenLogprob // the likeliest tokens at this place, best first
}

// TokenLogprob is a token with the natural logarithm of its probability.
type TokenLogprob struct {
	ID      int32
	Logprob float32
}

// Reason says why a generation ended.
type Reason string

// The reasons.
const (
	ReasonStop    Reason = "stop"    // the model ended it, or a stop string came
	ReasonLength  Reason = "length"  // MaxTokens
	ReasonContext Reason = "context" // the context is full
	ReasonCancel  Reason = "cancel"  // the caller ended it
	ReasonLimit   Reason = "limit"   // the battery is at its floor: see WithLimits
	ReasonError   Reason = "error"
)

// Usage are the figures of a session's last generation.
type Usage struct {
	PromptTokens    int
	CachedTokens    int // of the prompt, found in the cache
	GeneratedTokens int
	PromptTime      time.Duration // reading what was not cached, to the first logits
	GenerateTime    time.Duration // from the first token to the last
	Paused          time.Duration // of both, that WithLimits held the model up
	Seed            uint64        // in use: gives the same tokens again
	Reason          Reason        // "" while it is running
}

// Generate continues prompt, the whole text of the session so far, token by
// token. The generation runs while the caller iterates and ends when it stops,
// when ctx is cancelled, or for one of the reasons in Usage. An error is the
// last element.
//
// Errors: [ErrEmptyPrompt], [*ContextError], [ErrCacheFull], [ErrBusy],
// [ErrSessionClosed], [ErrClosed], [ErrDeviceLost], [ErrBattery], the context's own, and those
// of settings that are out of range. After an error the session can be used
// again: what had been run stays in its cache.
func (s *Session) Generate(ctx context.Context, prompt string, opts ...GenerateOption) iter.Seq2[Token, error] {
	return s.run(ctx, opts, func(*generation) ([]int32, error) { return s.m.m.EncodePrompt(prompt, false), nil })
}

// GenerateTokens is [Session.Generate] for a prompt given as tokens, which are
// taken as they are.
func (s *Session) GenerateTokens(ctx context.Context, prompt []int32, opts ...GenerateOption) iter.Seq2[Token, error] {
	return s.run(ctx, opts, func(*generation) ([]int32, error) { return prompt, nil })
}

// Chat answers a conversation, given in full, in the form of the model's chat
// template (ChatML if it has none). The answer's tokens are streamed as by
// [Session.Generate], with the same errors and those of the template.
func (s *Session) Chat(ctx context.Context, messages []Message, opts ...GenerateOption) iter.Seq2[Token, error] {
	return s.run(ctx, opts, func(g *generation) ([]int32, error) { return s.m.chatPrompt(messages, g) })
}

func (s *Session) run(ctx context.Context, opts []GenerateOption, prompt func(*generation) ([]int32, error)) iter.Seq2[Token, error] {
	return func(yield func(Token, error) bool) {
		if err := checkContext(ctx); err != nil {
			yield(Token{}, err)
			return
		}
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		if err := s.begin(cancel); err != nil {
			yield(Token{}, err)
			return
		}
		defer s.end()
		s.setUsage(engine.Usage{})
		g := newGeneration(opts)
		err := g.check(s.m.info.Vocab)
		var tokens []int32
		if err == nil {
			tokens, err = prompt(g)
		}
		if err != nil {
			s.setUsage(engine.Usage{Reason: engine.ReasonError})
			yield(Token{}, wrap(err))
			return
		}
		s.setUsage(engine.Usage{PromptTokens: len(tokens)}) // all that is known until the first token
		for p, err := range s.s.Generate(ctx, tokens, g.set) {
			s.setUsage(s.s.Usage())
			if err != nil {
				if s.isClosed() {
					err = ErrSessionClosed
				}
				yield(Token{}, wrap(err))
				return
			}
			if !yield(g.token(p), nil) {
				break
			}
		}
		s.setUsage(s.s.Usage())
	}
}

// begin claims the session.
func (s *Session) begin(cancel context.CancelCauseFunc) error {
	if err := s.m.check(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return ErrSessionClosed
	case s.busy:
		return ErrBusy
	}
	s.busy, s.cancel = true, cancel
	return nil
}

// end gives the session back, and finishes what Close began.
func (s *Session) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy, s.cancel = false, nil
	if s.closed {
		s.s.Close()
	}
}

func (s *Session) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

func (s *Session) setUsage(u engine.Usage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.usage = Usage{
		PromptTokens: u.PromptTokens, CachedTokens: u.CachedTokens, GeneratedTokens: u.GeneratedTokens,
		PromptTime: u.PromptTime, GenerateTime: u.GenerateTime, Paused: u.Paused, Seed: u.Seed, Reason: Reason(u.Reason),
	}
}

// Usage are the figures of the last generation, or of the one in progress: while
// that reads its prompt, PromptTokens alone. It may be called at any time.
func (s *Session) Usage() Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.usage
}

// Tokens are those in the session's cache: what was read and generated so far,
// except for the last token of an answer, which nothing has been asked of yet.
func (s *Session) Tokens() ([]int32, error) {
	if err := s.begin(nil); err != nil {
		return nil, err
	}
	defer s.end()
	return slices.Clone(s.s.Tokens()), nil
}

// Fork makes a second session that goes on from the same place. They share
// the cache up to there.
func (s *Session) Fork() (*Session, error) {
	if err := s.begin(nil); err != nil {
		return nil, err
	}
	defer s.end()
	return &Session{m: s.m, s: s.s.Fork()}, nil
}

// Save writes the session's cache, so that a later Load, also in another
// process, need not read the text again. It is some 10 to 100 KiB for every
// token, and can be loaded by the same model, opened in the same way on the
// same kind of device.
func (s *Session) Save(w io.Writer) error {
	if err := s.begin(nil); err != nil {
		return err
	}
	defer s.end()
	return wrap(s.s.Save(w))
}

// Load replaces the session's cache by what Save wrote. Damaged data, and data
// of another model, are refused and leave the session as it was; so there must
// be room for both, or the session be new.
//
// Errors: [ErrCacheFull], [ErrBusy], [ErrSessionClosed], [ErrClosed].
func (s *Session) Load(r io.Reader) error {
	if err := s.begin(nil); err != nil {
		return err
	}
	defer s.end()
	return wrap(s.s.Load(r))
}

// Close ends the session, and a generation in progress with
// [ErrSessionClosed]. Its cache is given back, but what it has read stays known
// to later sessions while there is room. Closing it again does nothing.
func (s *Session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if s.busy {
		if s.cancel != nil {
			s.cancel(ErrSessionClosed)
		}
		return nil // end does the rest
	}
	s.s.Close()
	return nil
}
