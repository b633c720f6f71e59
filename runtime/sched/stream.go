package sched

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/ledge-run/ledge/runtime/kvcache"
)

// Stream is one sequence. Its methods are called by one goroutine at a time;
// several streams run at once.
type Stream struct {
	s      *Scheduler
	seq    *kvcache.Seq // nil once closed
	tokens []int32      // of the sequence; the cache has them, or has lost them (see behind)
	done   chan error

	// of the call in progress
	ctx    context.Context
	todo   []int32
	want   Want
	epoch  uint64 // the scheduler's when it last expected the stream back
	passed bool   // a batch had no place for it
	taken  bool   // into the batch that is being composed
	spare  []float32

	// Results of the last Run, valid until the next.
	IDs       []int32   // Best: the id; Top: ids, best first
	Logits    []float32 // Best, Top: their logits; Full: the row; All: the rows
	LogSumExp float32   // Top
	Hidden    []float32
}

var (
	errStreamClosed = errors.New("sched: the stream was closed")
	errNoContext    = errors.New("sched: the context is nil")
)

// NewStream begins a sequence that is going to start with prompt: if an earlier
// stream began alike, its cached tokens are taken over. At least the last token
// of the prompt is left to be run, so that it can be read.
func (s *Scheduler) NewStream(prompt []int32) *Stream {
	st := &Stream{s: s, done: make(chan error, 1)}
	if len(prompt) > 1 {
		st.seq = s.cache.Find(prompt[:len(prompt)-1], 1)
	}
	if st.seq == nil {
		st.seq = s.cache.NewSeq()
	}
	st.tokens = slices.Clone(prompt[:st.seq.Len()])
	return st
}

// Len is the number of tokens that were run.
func (st *Stream) Len() int { return len(st.tokens) }

// Tokens are those that were run; do not change them.
func (st *Stream) Tokens() []int32 { return st.tokens }

// Limit is the most tokens the stream can hold.
func (st *Stream) Limit() int { return st.s.limits.Tokens }

// Run appends tokens, which must not change meanwhile, and reads what is wanted
// of them. A cancelled or failed run leaves the tokens that were finished in the
// cache; it can be repeated with the rest.
//
// Errors: ErrClosed, *ErrTooLong, *kvcache.ErrFull, the context's, or the
// runner's.
func (st *Stream) Run(ctx context.Context, tokens []int32, want Want) error {
	if len(tokens) == 0 {
		return nil
	}
	return st.run(ctx, tokens, want)
}

func (st *Stream) run(ctx context.Context, tokens []int32, want Want) error {
	s := st.s
	if want == All && len(tokens) > s.limits.AllRows {
		return fmt.Errorf("sched: %d tokens read in full, at most %d at once", len(tokens), s.limits.AllRows)
	}
	if ctx == nil {
		return errNoContext // the scheduler asks it on its own goroutine, where nobody can recover
	}
	if err := st.check(tokens); err != nil {
		return err
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	st.ctx, st.todo, st.want, st.passed = ctx, tokens, want, false
	s.activate(st)
	s.queue = append(s.queue, st)
	s.mu.Unlock()
	s.signal()
	return <-st.done
}

// check refuses tokens that would fail the whole batch.
func (st *Stream) check(tokens []int32) error {
	if st.seq == nil {
		return errStreamClosed
	}
	if n := st.Len() + len(tokens); n > st.Limit() {
		return &ErrTooLong{Tokens: n, Limit: st.Limit()}
	}
	for i, t := range tokens {
		if t < 0 || int(t) >= st.s.limits.Vocab {
			return fmt.Errorf("token %d is %d, outside the vocabulary of %d", i, t, st.s.limits.Vocab)
		}
	}
	return nil
}

// RunAll appends tokens and gives each the logits of all of them, in pieces:
// rows of the vocabulary's size for tokens first, first+1, ... of the stream,
// valid during the call. each may do what it likes except use the stream; its
// error ends the run.
func (st *Stream) RunAll(ctx context.Context, tokens []int32, each func(first int, logits []float32) error) error {
	if err := st.check(tokens); err != nil {
		return err
	}
	for len(tokens) > 0 {
		n, first := min(len(tokens), st.s.limits.AllRows), st.Len()
		if err := st.Run(ctx, tokens[:n], All); err != nil {
			return err
		}
		if err := each(first, st.Logits[:n*st.s.limits.Vocab]); err != nil {
			return err
		}
		tokens = tokens[n:]
	}
	return nil
}

func (st *Stream) finish(err error) {
	st.todo, st.ctx = nil, nil
	st.done <- err
}

// read copies what the stream wanted of a batch, from the given row on.
func (st *Stream) read(b *Batch, row, vocab int) {
	switch st.want {
	case Best: // the batch has it, or it is the first of Top's
		st.IDs = append(st.IDs[:0], b.IDs[row*b.Count])
		st.Logits = append(st.Logits[:0], b.Logits[row*b.Count])
	case Top:
		st.IDs = append(st.IDs[:0], b.IDs[row*b.Count:(row+1)*b.Count]...)
		st.Logits = append(st.Logits[:0], b.Logits[row*b.Count:(row+1)*b.Count]...)
		st.LogSumExp = b.LogSumExp[row]
	case Full:
		st.Logits = append(st.Logits[:0], b.Logits[row*vocab:(row+1)*vocab]...)
	case Hidden:
		d := len(b.Hidden) / len(b.Rows)
		st.Hidden = append(st.Hidden[:0], b.Hidden[row*d:(row+1)*d]...)
	}
}

// Pause says that the stream will not ask for tokens for a while, so that
// batches do not wait for it.
func (st *Stream) Pause() {
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	st.s.pause(st)
}

// Keep has the stream's tokens known as a prefix for later streams, while there is
// room: the stream goes on.
func (st *Stream) Keep() {
	if st.seq != nil {
		st.s.cache.Keep(st.seq.Fork(), st.tokens)
	}
}

// Truncate forgets all tokens from n on.
func (st *Stream) Truncate(n int) {
	if st.seq != nil {
		st.seq.Truncate(n)
		st.cut(n)
	}
}

// Rewind is Truncate for who runs the next token at once: the cache has room for it,
// whatever others do.
func (st *Stream) Rewind(n int) {
	if st.seq != nil {
		st.seq.Rewind(n)
		st.cut(n)
	}
}

func (st *Stream) cut(n int) { st.tokens = st.tokens[:max(0, min(n, len(st.tokens)))] }

// Fork makes a second stream with the same tokens; a closed one of a closed one.
func (st *Stream) Fork() *Stream {
	f := &Stream{s: st.s, tokens: slices.Clone(st.tokens), done: make(chan error, 1)}
	if st.seq != nil {
		f.seq = st.seq.Fork()
	}
	return f
}

// Save writes the stream's cache; model names the weights. What the cache has
// lost is run again before.
func (st *Stream) Save(w io.Writer, model string) error {
	if st.seq == nil {
		return errStreamClosed
	}
	if st.behind() > 0 {
		err := st.run(context.Background(), nil, Nothing)
		st.Pause()
		if err != nil {
			return err
		}
	}
	return st.seq.Save(w, model, st.tokens)
}

// Load replaces the stream's content by what Save wrote. On failure it is as
// before.
func (st *Stream) Load(r io.Reader, model string) error {
	if st.seq == nil {
		return errStreamClosed
	}
	seq, tokens, err := st.s.cache.Load(r, model)
	if err != nil {
		return err
	}
	fresh := Stream{s: st.s, seq: seq}
	if err := fresh.check(tokens); err != nil {
		seq.Close()
		return fmt.Errorf("loading a saved sequence: %w", err)
	}
	st.seq.Close()
	st.seq, st.tokens = seq, tokens
	return nil
}

// Close ends the stream; its tokens stay known as a prefix for later streams
// while there is room.
func (st *Stream) Close() {
	st.Pause()
	if st.seq != nil {
		st.s.cache.Keep(st.seq, st.tokens)
		st.seq, st.tokens = nil, nil
	}
}

// Discard ends the stream without remembering its tokens: for texts that
// nobody goes on from, which would push conversations out of the cache.
func (st *Stream) Discard() {
	st.Pause()
	if st.seq != nil {
		st.seq.Close()
		st.seq, st.tokens = nil, nil
	}
}
