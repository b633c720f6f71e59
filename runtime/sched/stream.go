package sched

import (
	"context"
	"io"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/runtime/kvcache"
)

// Stream is one sequence. Its methods are called by one goroutine at a time;
// several streams run at once.
type Stream struct {
	s      *Scheduler
	seq    *kvcache.Seq
	tokens []int32 // stored in the cache
	active bool    // counted in Scheduler.open

	// of the call in progress
	ctx  context.Context
	todo []int32
	want Want
	each func(first int, logits []float32) error
	done chan error

	// Results of the last Run, valid until the next.
	IDs       []int32   // Top: ids, best first
	Logits    []float32 // Top: their logits; Full: the row
	LogSumExp float32   // Top
	Hidden    []float32
}

// NewStream begins a sequence that is going to start with prompt: if an earlier
// stream began alike, its cached tokens are taken over. At least the last token
// of the prompt is left to be run, so that it can be read.
func (s *Scheduler) NewStream(prompt []int32) *Stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := &Stream{s: s, done: make(chan error, 1)}
	if len(prompt) > 1 {
		st.seq = s.cache.Find(prompt[:len(prompt)-1], 1)
	}
	if st.seq == nil {
		st.seq = s.cache.NewSeq()
	}
	st.tokens = append(st.tokens, prompt[:st.seq.Len()]...)
	return st
}

// Len is the number of tokens in the cache.
func (st *Stream) Len() int { return len(st.tokens) }

// Tokens are those in the cache; do not change them.
func (st *Stream) Tokens() []int32 { return st.tokens }

// Limit is the most tokens the stream can hold.
func (st *Stream) Limit() int { return st.s.limits.Pages * backend.PageTokens }

// Run appends tokens and reads what is wanted of them. A cancelled run leaves
// the tokens that were finished in the cache.
func (st *Stream) Run(ctx context.Context, tokens []int32, want Want) error {
	return st.runEach(ctx, tokens, want, nil)
}

// RunAll appends tokens and gives each the logits of all of them, in pieces:
// rows of the vocabulary's size for tokens first, first+1, ... of the stream.
// each is called on the scheduler's goroutine and must not call the stream.
func (st *Stream) RunAll(ctx context.Context, tokens []int32, each func(first int, logits []float32) error) error {
	return st.runEach(ctx, tokens, All, each)
}

func (st *Stream) runEach(ctx context.Context, tokens []int32, want Want, each func(int, []float32) error) error {
	if len(tokens) == 0 {
		return nil
	}
	if st.Len()+len(tokens) > st.Limit() {
		return &ErrTooLong{Tokens: st.Len() + len(tokens), Limit: st.Limit()}
	}
	s := st.s
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	st.ctx, st.todo, st.want, st.each = ctx, tokens, want, each
	if !st.active {
		st.active = true
		s.open++
	}
	s.queue = append(s.queue, st)
	s.mu.Unlock()
	s.signal()
	return <-st.done
}

func (st *Stream) finish(err error) { st.done <- err }

// Pause says that the stream will not ask for tokens for a while, so that
// batches do not wait for it.
func (st *Stream) Pause() {
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	st.pause()
}

func (st *Stream) pause() {
	if st.active {
		st.active = false
		st.s.open--
	}
}

// Truncate forgets all tokens from n on.
func (st *Stream) Truncate(n int) {
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	st.seq.Truncate(n)
	st.tokens = st.tokens[:st.seq.Len()]
}

// Fork makes a second stream with the same tokens.
func (st *Stream) Fork() *Stream {
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	return &Stream{s: st.s, seq: st.seq.Fork(), tokens: append([]int32(nil), st.tokens...), done: make(chan error, 1)}
}

// Save writes the stream's cache; model names the weights.
func (st *Stream) Save(w io.Writer, model string) error {
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	return st.seq.Save(w, model, st.tokens)
}

// Load replaces the stream's content by what Save wrote.
func (st *Stream) Load(r io.Reader, model string) error {
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	seq, tokens, err := st.s.cache.Load(r, model)
	if err != nil {
		return err
	}
	st.seq.Close()
	st.seq, st.tokens = seq, tokens
	return nil
}

// Close ends the stream; its tokens stay known as a prefix for later streams
// while there is room.
func (st *Stream) Close() {
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	st.pause()
	if st.seq != nil {
		st.s.cache.Keep(st.seq, st.tokens)
		st.seq = nil
	}
}
