// Package sched joins the work of several sequences into batches. Every
// sequence is a [Stream]; its owner asks for tokens to be run and waits, and
// whatever waits at the same time runs together: one token each of those that
// generate, and chunks of prompts that are still being read. A stream's results
// do not depend on what it is batched with (see backend.Numerics).
package sched

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/runtime/kvcache"
)

// Want says what a stream reads of the tokens it runs.
type Want uint8

const (
	Nothing Want = iota
	Top          // the last token's best candidates
	Full         // the last token's logits
	All          // every token's logits, through Stream.Each
	Hidden       // the last token's final hidden row
)

// Batch is one run. Its slices are used again after it.
type Batch struct {
	Tokens    []int32
	Positions []int32
	Rows      []int32 // rows read out, in the order of Segments that read
	Segments  []backend.Segment
	Want      Want // Nothing, or what all rows read

	// Results, for len(Rows) rows, filled in by the runner.
	IDs       []int32   // Top: Count for each row
	Logits    []float32 // Top: Count for each row; Full, All: the rows
	LogSumExp []float32 // Top
	Hidden    []float32
	Count     int
}

// Limits bound a batch.
type Limits struct {
	Rows    int // of a batch
	Reads   int // rows read out by streams that want their last
	AllRows int // rows of a batch that reads All
	Pages   int // of a sequence
	Vocab   int
}

// Scheduler runs batches on one goroutine.
type Scheduler struct {
	limits Limits
	run    func(context.Context, *Batch) error

	mu     sync.Mutex // guards all below, and the cache
	cache  *kvcache.Cache
	queue  []*Stream
	wake   chan struct{} // capacity 1
	open   int           // streams that are generating: they will come back soon
	closed bool
	over   chan struct{}
	cancel context.CancelFunc
	ctx    context.Context
	batch  Batch
	picked []pick
}

type pick struct {
	st   *Stream
	n    int  // tokens of it in this batch
	last bool // they are its last
	row  int  // index in Rows of its first, -1
}

// ErrClosed is returned to streams of a scheduler that was closed.
var ErrClosed = errors.New("the model was closed")

// New starts a scheduler over a cache. run executes a batch; it is called from
// one goroutine.
func New(cache *kvcache.Cache, l Limits, run func(context.Context, *Batch) error) *Scheduler {
	s := &Scheduler{limits: l, run: run, cache: cache, wake: make(chan struct{}, 1), over: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	go s.loop()
	return s
}

// Close ends the loop; waiting streams get ErrClosed.
func (s *Scheduler) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.signal()
	<-s.over
}

func (s *Scheduler) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// gather is how long a batch waits for streams that are generating but have
// not asked for their next token yet: they are choosing it.
const gather = 300 * time.Microsecond

func (s *Scheduler) loop() {
	defer close(s.over)
	for {
		s.mu.Lock()
		waiting, all, closed := len(s.queue), s.open, s.closed
		s.mu.Unlock()
		switch {
		case closed:
			s.failAll(ErrClosed)
			return
		case waiting == 0:
			<-s.wake
			continue
		case waiting < all:
			s.linger(all)
		}
		s.step()
	}
}

// linger waits a moment until n streams wait.
func (s *Scheduler) linger(n int) {
	timeout := time.NewTimer(gather)
	defer timeout.Stop()
	for {
		select {
		case <-timeout.C:
			return
		case <-s.wake:
			s.mu.Lock()
			enough := len(s.queue) >= n || s.closed
			s.mu.Unlock()
			if enough {
				return
			}
		}
	}
}

func (s *Scheduler) failAll(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.queue {
		st.finish(err)
	}
	s.queue = nil
}

// step runs one batch.
func (s *Scheduler) step() {
	s.mu.Lock()
	ctx := s.compose()
	s.mu.Unlock()
	if len(s.picked) == 0 {
		return
	}
	err := s.run(ctx, &s.batch)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.picked {
		s.deliver(p, err)
	}
}

// compose picks streams from the queue and fills in the batch: first those
// with one token left, then the others in the order they came, as far as there
// is room. All that read at their end read the same thing.
func (s *Scheduler) compose() context.Context {
	b := &s.batch
	*b = Batch{Tokens: b.Tokens[:0], Positions: b.Positions[:0], Rows: b.Rows[:0], Segments: b.Segments[:0],
		IDs: b.IDs, Logits: b.Logits, LogSumExp: b.LogSumExp, Hidden: b.Hidden}
	s.picked = s.picked[:0]
	s.drop()
	room := s.limits.Rows
	for _, single := range []bool{true, false} {
		for _, st := range s.queue {
			if (len(st.todo) == 1) != single || room == 0 {
				continue
			}
			if n := s.take(st, room); n > 0 {
				room -= n
			} else if n < 0 {
				return s.picked[0].st.ctx // a stream that reads all runs alone
			}
		}
	}
	if len(s.picked) == 1 {
		return s.picked[0].st.ctx
	}
	return s.ctx
}

// drop takes streams off the queue whose owners have given up.
func (s *Scheduler) drop() {
	kept := s.queue[:0]
	for _, st := range s.queue {
		if err := st.ctx.Err(); err != nil {
			st.finish(err)
		} else {
			kept = append(kept, st)
		}
	}
	s.queue = kept
}

// take adds rows of st to the batch and returns how many; -1 if the batch is
// full because of it.
func (s *Scheduler) take(st *Stream, room int) int {
	b := &s.batch
	alone := st.want == All
	if alone && len(s.picked) > 0 || b.Want == All {
		return 0
	}
	n := min(room, len(st.todo))
	if alone {
		n = min(n, s.limits.AllRows)
	}
	last := n == len(st.todo)
	reads := last && st.want != Nothing && !alone
	if reads && (b.Want != Nothing && b.Want != st.want || len(b.Rows) == s.limits.Reads) {
		return 0 // it goes into a later batch
	}
	if err := st.seq.Reserve(n); err != nil {
		s.remove(st)
		st.finish(err)
		return 0
	}
	p := pick{st: st, n: n, last: last, row: -1}
	start := st.seq.Len()
	b.Segments = append(b.Segments, backend.Segment{Seq: len(b.Segments), Start: start, Rows: n, Pages: st.seq.Pages()})
	for i := range n {
		if alone {
			b.Rows = append(b.Rows, int32(len(b.Tokens)))
		}
		b.Tokens = append(b.Tokens, st.todo[i])
		b.Positions = append(b.Positions, int32(start+i))
	}
	switch {
	case alone:
		p.row, b.Want = 0, All
	case reads:
		p.row, b.Want = len(b.Rows), st.want
		b.Rows = append(b.Rows, int32(len(b.Tokens)-1))
	}
	s.picked = append(s.picked, p)
	if alone {
		return -1
	}
	return n
}

func (s *Scheduler) remove(st *Stream) {
	for i, x := range s.queue {
		if x == st {
			s.queue = append(s.queue[:i:i], s.queue[i+1:]...)
			return
		}
	}
}

// deliver gives a stream the result of its part of the batch.
func (s *Scheduler) deliver(p pick, err error) {
	st, b := p.st, &s.batch
	if err != nil {
		s.remove(st)
		st.finish(err)
		return
	}
	st.seq.Advance(p.n)
	st.tokens = append(st.tokens, st.todo[:p.n]...)
	st.todo = st.todo[p.n:]
	if p.row >= 0 {
		switch b.Want {
		case Top:
			st.IDs = append(st.IDs[:0], b.IDs[p.row*b.Count:(p.row+1)*b.Count]...)
			st.Logits = append(st.Logits[:0], b.Logits[p.row*b.Count:(p.row+1)*b.Count]...)
			st.LogSumExp = b.LogSumExp[p.row]
		case Full:
			v := s.limits.Vocab
			st.Logits = append(st.Logits[:0], b.Logits[p.row*v:(p.row+1)*v]...)
		case All:
			if err := st.each(len(st.tokens)-p.n, b.Logits[:p.n*s.limits.Vocab]); err != nil {
				s.remove(st)
				st.finish(err)
				return
			}
		case Hidden:
			d := len(b.Hidden) / len(b.Rows)
			st.Hidden = append(st.Hidden[:0], b.Hidden[p.row*d:(p.row+1)*d]...)
		}
	}
	if p.last {
		s.remove(st)
		st.finish(nil)
	}
}

// Stats are figures of a scheduler.
type Stats struct {
	Pages, FreePages int
}

// Stats gives the state of the cache.
func (s *Scheduler) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{s.cache.Pages(), s.cache.Free()}
}

// ErrTooLong reports a sequence that would be longer than the context.
type ErrTooLong struct {
	Tokens int // of the sequence
	Limit  int
	Advice string // what to do about it, may be empty
}

func (e *ErrTooLong) Error() string {
	text := fmt.Sprintf("%d tokens do not fit the context of %d", e.Tokens, e.Limit)
	if e.Advice != "" {
		text += ": " + e.Advice
	}
	return text
}
