package engine

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/ledge-run/ledge/runtime/grammar"
	"github.com/ledge-run/ledge/runtime/kvcache"
	"github.com/ledge-run/ledge/runtime/sampler"
	"github.com/ledge-run/ledge/runtime/sched"
)

// Settings of one generation.
type Settings struct {
	Sampler    sampler.Params
	MaxTokens  int // 0: until the model stops or the context is full
	Stop       []string
	Logprobs   int  // alternatives to report with every token
	Special    bool // show control tokens in the text
	IgnoreEOG  bool // go on after an end-of-generation token
	Constraint sampler.Constraint
	Grammar    *grammar.Grammar // what the text must be a word of; not with Constraint

	// Progress, if there is one, is told how many tokens of the prompt are read: those that
	// were cached, and then after every chunk but the last. It changes no bit.
	Progress func(tokens int)
}

// Piece is one generated token.
type Piece struct {
	ID      int32
	Text    string // what becomes visible with it: often a part of a word, sometimes nothing
	Logprob float32
	Top     []sampler.Token // the likeliest tokens, if Settings.Logprobs asked for them
}

// Reason says why a generation ended.
type Reason string

const (
	ReasonStop    Reason = "stop"    // the model ended it, or a stop string came
	ReasonLength  Reason = "length"  // MaxTokens
	ReasonContext Reason = "context" // the context is full
	ReasonCancel  Reason = "cancel"  // the caller ended it
	ReasonLimit   Reason = "limit"   // the machine reached a limit: its battery's floor (see Pacer)
	ReasonError   Reason = "error"
)

// Usage are the figures of one generation.
type Usage struct {
	PromptTokens    int
	CachedTokens    int // of the prompt, found in the cache
	GeneratedTokens int
	PromptTime      time.Duration // reading what was not cached, to the first logits
	GenerateTime    time.Duration // all tokens after the first
	Paused          time.Duration // of both, that a Pacer held the model up
	Seed            uint64
	Reason          Reason
}

// Session is one conversation with a model: a sequence whose tokens stay in
// the cache from one generation to the next. It is used by one goroutine at a
// time.
type Session struct {
	m      *Model
	stream *sched.Stream
	usage  Usage
	next   [1]int32 // the token to run; a slice made for each would be garbage
}

// NewSession starts a session.
func (m *Model) NewSession() *Session { return &Session{m: m} }

// Usage are the figures of the last generation.
func (s *Session) Usage() Usage { return s.usage }

// Tokens are those in the cache; do not change them.
func (s *Session) Tokens() []int32 {
	if s.stream == nil {
		return nil
	}
	return s.stream.Tokens()
}

// Close ends the session; its tokens stay known as a prefix for others.
func (s *Session) Close() {
	if s.stream != nil {
		s.stream.Close()
		s.stream = nil
	}
}

// Stream gives the session's stream, positioned so that only the rest of
// prompt must be run; at least its last token is left.
func (s *Session) prepare(prompt []int32) (rest []int32) {
	if s.stream == nil {
		s.stream = s.m.sched.NewStream(prompt)
	}
	n := min(kvcache.Common(s.stream.Tokens(), prompt), len(prompt)-1)
	s.stream.Truncate(n)
	return prompt[n:]
}

// ErrEmptyPrompt reports a prompt without a token.
var ErrEmptyPrompt = errors.New("the prompt is empty: give the model at least one character to go on from")

// CheckPrompt reports a prompt that does not fit the context.
func (m *Model) CheckPrompt(prompt []int32) error {
	if len(prompt) == 0 {
		return ErrEmptyPrompt
	}
	if len(prompt) >= m.Options.Context {
		return m.tooLong(prompt, "shorten the prompt, which needs room for an answer,")
	}
	return nil
}

// checkText reports a text that does not fit the context, which it may fill.
func (m *Model) checkText(text []int32) error {
	if len(text) == 0 {
		return ErrEmptyPrompt
	}
	if len(text) > m.Options.Context {
		return m.tooLong(text, "shorten the text,")
	}
	return nil
}

func (m *Model) tooLong(tokens []int32, advice string) error {
	return &sched.ErrTooLong{Tokens: len(tokens), Limit: m.Options.Context, Advice: fmt.Sprintf(
		"%s or ask for a larger context (the model was trained for %d)", advice, m.Network.Info().Context)}
}

// Generate continues prompt token by token. The sequence ends with the
// generation; an error is its last element. What was generated stays in the
// cache, so that a next prompt which begins alike is cheap.
func (s *Session) Generate(ctx context.Context, prompt []int32, set Settings) iter.Seq2[Piece, error] {
	return func(yield func(Piece, error) bool) {
		s.usage = Usage{PromptTokens: len(prompt)}
		defer func() { // also when the consumer panics
			if s.stream != nil {
				s.stream.Pause()
				s.stream.Keep() // sessions that begin alike need not wait for this one to be closed
			}
		}()
		err := s.generate(ctx, prompt, set, yield)
		switch {
		case err == nil:
		case errors.Is(err, errStopped):
			if s.usage.Reason == "" { // else it was the last token anyway
				s.usage.Reason = ReasonCancel
			}
		default:
			s.usage.Reason = ReasonError
			var held *heldUp
			if ctx.Err() != nil {
				s.usage.Reason, err = ReasonCancel, ctx.Err()
			} else if errors.As(err, &held) {
				s.usage.Reason = ReasonLimit
			}
			yield(Piece{}, err)
		}
	}
}

// errStopped says that the consumer of the iterator has stopped.
var errStopped = errors.New("stopped")

func (s *Session) generate(ctx context.Context, prompt []int32, set Settings, yield func(Piece, error) bool) error {
	if err := s.m.CheckPrompt(prompt); err != nil {
		return err
	}
	if err := s.m.constrain(&set); err != nil {
		return err
	}
	smp, err := s.m.newSampler(set, prompt)
	if err != nil {
		return err
	}
	s.usage.Seed = smp.Seed()
	rest := s.prepare(prompt)
	s.usage.CachedTokens = len(prompt) - len(rest)
	out := &output{s: s, set: set, yield: yield, text: newStopper(set.Stop), dec: s.m.Tokenizer.NewDecoder(set.Special)}
	want := wantOf(smp, set)
	start, paused := time.Now(), s.m.Paused()
	rest, err = s.readChunks(ctx, rest, set.Progress)
	if err == nil {
		err = s.stream.Run(ctx, rest, want)
	}
	s.usage.Paused = s.m.Paused() - paused
	if err != nil {
		return err
	}
	s.usage.PromptTime = time.Since(start)
	start = time.Now()
	for {
		tok, err := s.choose(ctx, smp, want)
		if err != nil {
			return err
		}
		if err := smp.Accept(tok.ID); err != nil {
			return err
		}
		s.usage.GeneratedTokens++
		if s.usage.GeneratedTokens > 1 {
			s.usage.GenerateTime = time.Since(start)
		}
		if done, err := out.token(tok); done || err != nil {
			return err
		}
		s.next[0] = tok.ID
		err = s.stream.Run(ctx, s.next[:], want)
		s.usage.Paused = s.m.Paused() - paused
		if err != nil {
			return err
		}
	}
}

// readChunks reads a prompt's rest up to its last chunk, if somebody is to be told of it:
// else the scheduler cuts it in the same way.
func (s *Session) readChunks(ctx context.Context, rest []int32, told func(tokens int)) ([]int32, error) {
	if told == nil {
		return rest, nil
	}
	told(s.usage.CachedTokens)
	for n := s.m.Options.Batch; len(rest) > n; rest = rest[n:] {
		if err := s.stream.Run(ctx, rest[:n], sched.Best); err != nil {
			return nil, err
		}
		told(s.usage.PromptTokens - len(rest) + n)
	}
	return rest, nil
}

func (m *Model) newSampler(set Settings, prompt []int32) (*sampler.Sampler, error) {
	smp, err := sampler.New(set.Sampler, m.Vocab())
	if err != nil {
		return nil, err
	}
	if set.Sampler.DRY.Multiplier > 0 {
		seqs, err := sampler.DRYBreakers(set.Sampler.DRY.SequenceBreakers, m.Tokenizer.Size(), m.pieceText, m.encodePlain)
		if err != nil {
			return nil, err
		}
		if err := smp.SetDRYBreakers(seqs); err != nil {
			return nil, err
		}
	}
	smp.SetConstraint(set.Constraint)
	return smp, smp.AcceptPrompt(prompt)
}

func (m *Model) pieceText(id int32) string { return string(m.Tokenizer.Piece(id, true)) }

func (m *Model) encodePlain(text string) ([]int32, error) { return m.Encode(text, false, false), nil }

// wantOf is what to read after every token. It depends on the settings alone,
// so that a batch's other sequences change nothing.
func wantOf(smp *sampler.Sampler, set Settings) sched.Want {
	readout := smp.Readout(topCount)
	narrow, ok := set.Constraint.(interface{ Narrow() bool })
	switch {
	case readout == sampler.ReadoutFull || set.Logprobs > 0 || ok && narrow.Narrow():
		return sched.Full
	case readout == sampler.ReadoutArgmax:
		return sched.Best
	}
	return sched.Top
}

// choose samples from what the last run read.
func (s *Session) choose(ctx context.Context, smp *sampler.Sampler, want sched.Want) (sampler.Token, error) {
	st := s.stream
	if want == sched.Full {
		return smp.Sample(st.Logits)
	}
	n := 0
	for n < len(st.IDs) && st.IDs[n] >= 0 { // a device fills up with -1 where rows hold NaN
		n++
	}
	if n == 0 {
		return sampler.Token{}, errors.New("the model computed no number (NaN): the file is damaged, or its metadata does not fit its weights")
	}
	var tok sampler.Token
	var full bool
	var err error
	if want == sched.Best {
		tok, full, err = smp.SampleBest(st.IDs[0], st.Logits[0])
	} else {
		tok, full, err = smp.SampleCandidates(sampler.Candidates{IDs: st.IDs[:n], Logits: st.Logits[:n], LogSumExp: st.LogSumExp, Vocab: s.m.Vocab()})
	}
	if err != nil || !full {
		return tok, err
	}
	// Seldom: the candidates leave the choice open. The last token is run
	// once more, for the whole row.
	at := st.Len() - 1
	last := []int32{st.Tokens()[at]}
	st.Rewind(at)
	if err := st.Run(ctx, last, sched.Full); err != nil {
		return tok, err
	}
	return smp.Sample(st.Logits)
}

// output turns tokens into pieces and knows when to end.
type output struct {
	s     *Session
	set   Settings
	yield func(Piece, error) bool
	text  *stopper
	dec   interface {
		Push(id int32) string
		Flush() string
	}
}

// token emits one token; done says that the generation is over.
func (o *output) token(tok sampler.Token) (done bool, err error) {
	u := &o.s.usage
	p := Piece{ID: tok.ID, Logprob: tok.Logprob}
	if o.set.Logprobs > 0 {
		logits := o.s.stream.Logits
		if p.Logprob, err = sampler.Logprob(logits, tok.ID); err != nil {
			return true, err
		}
		if p.Top, err = sampler.TopLogprobs(nil, logits, o.set.Logprobs); err != nil {
			return true, err
		}
	}
	eog := o.s.m.Tokenizer.IsEOG(tok.ID) && !o.set.IgnoreEOG
	switch {
	case eog:
		u.Reason = ReasonStop
		if o.set.Special {
			p.Text, _ = o.text.push(o.dec.Push(tok.ID))
		}
	default:
		var stopped bool
		if p.Text, stopped = o.text.push(o.dec.Push(tok.ID)); stopped {
			u.Reason = ReasonStop
		} else if done, ok := o.set.Constraint.(interface{ Finished() bool }); ok && done.Finished() {
			u.Reason = ReasonStop // nothing could follow but an end
		} else if o.set.MaxTokens > 0 && u.GeneratedTokens >= o.set.MaxTokens {
			u.Reason = ReasonLength
		} else if o.s.stream.Len()+1 >= o.s.m.Options.Context {
			u.Reason = ReasonContext
		}
	}
	if u.Reason != "" && !o.text.stopped {
		more, _ := o.text.push(o.dec.Flush())
		p.Text += more + o.text.flush()
	}
	if !o.yield(p, nil) {
		return true, errStopped
	}
	return u.Reason != "", nil
}
