// Package sched joins the work of several sequences into batches. Every
// sequence is a [Stream]; its owner asks for tokens to be run and waits, and
// whatever waits at the same time runs together: one token each of those that
// generate, and chunks of prompts that are still being read. A stream's results
// do not depend on what it is batched with (see backend.Numerics).
//
// # Who runs next
//
// The queue holds the waiting streams, the one served longest ago first. A
// batch takes single tokens before prompts, so that generating streams go on
// while a prompt is read, and then limits the rows of prompts, so that each
// step stays short. Two streams that read different things (candidates, full
// rows) cannot share a batch, except that who reads the best candidate takes it from
// among several where others need those. A stream that a batch had to leave out is the
// first of a later one: nobody waits forever.
//
// # When a device breaks
//
// A stream knows its tokens, so what the cache has lost can be read again: the
// runner may replace a device that failed (see Limits.Recover), and every stream
// then runs its tokens anew before what it was asked for. Streams that wait do
// so at once, one after the other, so that the later ones find their common
// beginnings in the cache again; others when they are next used.
package sched

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/runtime/kvcache"
)

// Want says what a stream reads of the tokens it runs.
type Want uint8

const (
	Nothing Want = iota
	Best         // the last token's best candidate
	Top          // the last token's best candidates
	Full         // the last token's logits
	All          // every token's logits: see Stream.RunAll
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
	IDs       []int32   // Best, Top: Count for each row
	Logits    []float32 // Best, Top: Count for each row; Full, All: the rows
	LogSumExp []float32 // Top
	Hidden    []float32
	Count     int
}

// Limits bound a batch.
type Limits struct {
	Rows    int // of a batch
	Mixed   int // rows of prompts beside single tokens; 0 for Rows
	Seqs    int // sequences of a batch
	AllRows int // rows of a batch that reads All
	Tokens  int // of a sequence: the context
	Vocab   int // token ids lie below; logits of a row

	// Recover, if set, is asked after a run or a copy of pages has failed,
	// unless that was given up. It either returns the error that the streams
	// of the batch get, or nil: then everything can be run again, on an empty
	// cache (kvcache.Cache.Lose). Its context is that of the run.
	Recover func(ctx context.Context, err error) error
}

// Scheduler runs batches on one goroutine.
type Scheduler struct {
	limits Limits
	run    func(context.Context, *Batch) error
	cache  *kvcache.Cache
	wake   chan struct{} // capacity 1: something below has changed
	over   chan struct{}
	ctx    context.Context // cancelled by Close
	cancel context.CancelFunc

	mu     sync.Mutex // guards what follows
	queue  []*Stream  // the one served longest ago first
	epoch  uint64     // streams of this epoch are expected back soon
	active int        // their number
	closed bool

	// of the loop
	batch  Batch
	picked []pick
	reader *Stream // that reads lost tokens in this batch
	broken *Stream // for which no page could be copied
	why    error
	timer  *time.Timer
}

type pick struct {
	st    *Stream
	n     int  // tokens of it in this batch
	last  bool // they are its last
	alone bool // all of them are read
	row   int  // index in Rows of its first, -1
}

// ErrClosed is returned to streams of a scheduler that was closed.
var ErrClosed = errors.New("the model was closed")

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

// New starts a scheduler over a cache. run executes a batch; it is called from
// one goroutine. The context it gets ends when nobody waits for the batch any
// more.
func New(cache *kvcache.Cache, l Limits, run func(context.Context, *Batch) error) *Scheduler {
	if l.Mixed <= 0 {
		l.Mixed = l.Rows
	}
	l.AllRows = min(l.AllRows, l.Rows)
	s := &Scheduler{limits: l, run: run, cache: cache, epoch: 1, timer: time.NewTimer(time.Hour),
		wake: make(chan struct{}, 1), over: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	go s.loop()
	return s
}

// Close ends the loop, cutting a run short; waiting streams get ErrClosed. It
// may be called more than once.
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

func (s *Scheduler) loop() {
	defer close(s.over)
	defer s.timer.Stop()
	for {
		s.mu.Lock()
		waiting, missing, closed := len(s.queue), s.missing(), s.closed
		s.mu.Unlock()
		switch {
		case closed:
			s.failAll()
			return
		case waiting == 0:
			<-s.wake
			continue
		case missing:
			s.linger()
		}
		s.step()
	}
}

// gather is how long a batch waits for streams that are generating but have
// not asked for their next token yet: they are choosing it.
const gather = 300 * time.Microsecond

// missing says that an active stream is not in the queue.
func (s *Scheduler) missing() bool { return len(s.queue) < s.active }

// linger waits a moment until all active streams are in the queue. Those that
// are not, such as one whose reader is slow, are not waited for again until
// they come back.
func (s *Scheduler) linger() {
	s.timer.Reset(gather)
	for {
		select {
		case <-s.timer.C:
			s.mu.Lock()
			s.epoch++
			s.active = 0
			for _, st := range s.queue {
				s.activate(st)
			}
			s.mu.Unlock()
			return
		case <-s.wake:
			s.mu.Lock()
			enough := !s.missing() || s.closed
			s.mu.Unlock()
			if enough {
				s.timer.Stop()
				return
			}
		}
	}
}

// activate notes that st is expected back after its run. s.mu is held, as for
// all that follows.
func (s *Scheduler) activate(st *Stream) {
	if st.epoch != s.epoch {
		st.epoch = s.epoch
		s.active++
	}
}

func (s *Scheduler) pause(st *Stream) {
	if st.epoch == s.epoch {
		st.epoch = 0
		s.active--
		s.signal()
	}
}

func (s *Scheduler) failAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.queue {
		st.finish(ErrClosed)
	}
	s.queue = nil
}

// step runs one batch.
func (s *Scheduler) step() {
	s.mu.Lock()
	s.compose()
	s.mu.Unlock()
	if s.broken != nil && !s.copyFailed() {
		return
	}
	if len(s.picked) == 0 {
		return
	}
	err := s.run(runContext{s}, &s.batch)
	if err != nil {
		if err = s.recovered(err); err == nil {
			s.again()
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.picked {
		s.deliver(p, err)
	}
}

// copyFailed deals with the failed copy of a page. It says no if the batch is
// to be composed anew; else the stream has got its error and the others can run.
func (s *Scheduler) copyFailed() bool {
	st, err := s.broken, s.recovered(s.why)
	s.broken, s.why = nil, nil
	if err == nil {
		s.again()
		s.mu.Lock()
		s.queue = append(s.queue, st)
		s.mu.Unlock()
		return false
	}
	s.mu.Lock()
	s.fail(st, err)
	s.mu.Unlock()
	return true
}

// recovered asks for another device after a failure; nil says that there is one.
func (s *Scheduler) recovered(err error) error {
	ctx := runContext{s}
	if s.limits.Recover == nil || ctx.Err() != nil {
		return err
	}
	return s.limits.Recover(ctx, err)
}

// again puts the streams of a batch that was not run back to the head of the
// queue.
func (s *Scheduler) again() {
	s.mu.Lock()
	defer s.mu.Unlock()
	var first []*Stream
	for _, p := range s.picked {
		s.unlend(p)
		first = append(first, p.st)
	}
	s.queue = append(first, s.queue...)
}

// unlend gives a stream that reads all rows its own buffer back.
func (s *Scheduler) unlend(p pick) {
	if st, b := p.st, &s.batch; p.alone {
		st.Logits, b.Logits = b.Logits, st.spare
		st.spare = nil
	}
}

// deliver gives a stream the result of its part of the batch. One that has
// tokens left goes to the end of the queue.
func (s *Scheduler) deliver(p pick, err error) {
	st, b := p.st, &s.batch
	s.unlend(p)
	if err != nil {
		s.fail(st, err)
		return
	}
	again := min(st.behind(), p.n) // tokens that were read before
	st.seq.Advance(p.n)
	st.tokens = append(st.tokens, st.todo[:p.n-again]...)
	st.todo = st.todo[p.n-again:]
	if again > 0 && st.behind() == 0 {
		st.Keep() // for others that begin alike
	}
	if !p.last {
		s.queue = append(s.queue, st)
		return
	}
	if p.row >= 0 {
		st.read(b, p.row, s.limits.Vocab)
	}
	st.finish(nil)
}

// fail ends a stream's call.
func (s *Scheduler) fail(st *Stream, err error) {
	if s.closed {
		err = ErrClosed
	}
	if e := st.ctx.Err(); e != nil {
		err = e // it may have ended the run
	}
	st.finish(err)
}

// Stats are figures of a scheduler.
type Stats struct {
	Pages, FreePages int
}

// Stats gives the state of the cache.
func (s *Scheduler) Stats() Stats { return Stats{s.cache.Pages(), s.cache.Free()} }

// drop takes streams off the queue whose owners have given up.
func (s *Scheduler) drop() {
	s.queue = slices.DeleteFunc(s.queue, func(st *Stream) bool {
		err := st.ctx.Err()
		if err != nil {
			st.finish(err)
		}
		return err != nil
	})
}
