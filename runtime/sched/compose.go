package sched

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/runtime/kvcache"
)

// compose moves streams from the queue into the batch.
func (s *Scheduler) compose() {
	b := &s.batch
	*b = Batch{Tokens: b.Tokens[:0], Positions: b.Positions[:0], Rows: b.Rows[:0], Segments: b.Segments[:0],
		IDs: b.IDs, Logits: b.Logits, LogSumExp: b.LogSumExp, Hidden: b.Hidden}
	s.picked = s.picked[:0]
	s.drop()
	if len(s.queue) == 0 {
		return
	}
	s.pickReader()
	singles := 0
	for _, st := range s.queue {
		if st.single() {
			singles++
		}
	}
	prompts := s.limits.Rows // rows left for them
	if singles > 0 {
		prompts = min(prompts-min(singles, s.limits.Seqs, prompts-1), s.limits.Mixed)
	}
	for _, st := range s.queue {
		if !st.passed || st.behind() > 0 && st != s.reader {
			continue
		}
		n := s.take(st, prompts)
		if !st.single() {
			prompts -= n
		}
		break
	}
	for _, st := range s.queue {
		if st.single() && !st.taken {
			s.take(st, s.limits.Rows-len(b.Tokens))
		}
	}
	for _, st := range s.queue {
		if !st.single() && !st.taken {
			prompts -= s.take(st, min(prompts, s.limits.Rows-len(b.Tokens)))
		}
	}
	s.queue = slices.DeleteFunc(s.queue, func(st *Stream) bool {
		gone := st.taken
		st.taken, st.passed = false, !gone
		return gone
	})
}

// pickReader chooses the one stream that may read lost tokens in this batch: one
// that is at it already, or else the first.
func (s *Scheduler) pickReader() {
	for {
		s.reader = s.firstReader()
		st := s.reader
		if st == nil || st.seq.Len() > 0 {
			return
		}
		// Its beginning may have been read again already, by another.
		if seq := s.cache.Find(st.tokens, 1); seq != nil {
			st.seq.Close()
			st.seq = seq
		}
		if st.left() > 0 {
			return
		}
		// All of it was, and nothing else is asked for: it is being saved.
		s.queue = slices.DeleteFunc(s.queue, func(q *Stream) bool { return q == st })
		st.finish(nil)
	}
}

func (s *Scheduler) firstReader() (first *Stream) {
	for _, st := range s.queue {
		switch {
		case st.behind() == 0:
		case st.seq.Len() > 0:
			return st
		case first == nil:
			first = st
		}
	}
	return first
}

// behind is how many of the stream's tokens the cache has lost.
func (st *Stream) behind() int { return len(st.tokens) - st.seq.Len() }

// left is how many tokens are to be run: those that were lost, and those asked for.
func (st *Stream) left() int { return st.behind() + len(st.todo) }

func (st *Stream) single() bool { return st.left() == 1 }

// take adds up to room rows of st to the batch, if it fits in there, and returns
// how many. A stream for which there is no page left ends with that error.
func (s *Scheduler) take(st *Stream, room int) int {
	b := &s.batch
	behind := st.behind()
	if behind > 0 && st != s.reader || s.broken != nil {
		return 0
	}
	todo := len(st.todo)
	if st.want == All && behind > 0 {
		todo = 0 // first what was lost
	}
	alone := st.want == All && behind == 0
	if alone {
		room = s.limits.Rows
	}
	n := min(room, behind+todo)
	if n <= 0 || len(b.Segments) == s.limits.Seqs || alone && len(s.picked) > 0 || b.Want == All {
		return 0
	}
	last := n == st.left()
	reads := last && st.want != Nothing
	both, together := join(b.Want, st.want)
	if reads && !together {
		if n == 1 {
			return 0 // it goes into a later batch
		}
		n, last, reads = n-1, false, false
	}
	st.taken = true
	if err := st.seq.Reserve(n); err != nil {
		s.noRoom(st, err)
		return 0
	}
	p := pick{st: st, n: n, last: last, alone: alone, row: -1}
	start, first := st.seq.Len(), len(b.Tokens)
	b.Segments = append(b.Segments, backend.Segment{Seq: len(b.Segments), Start: start, Rows: n, Pages: st.seq.Pages()})
	again := min(n, behind)
	b.Tokens = append(b.Tokens, st.tokens[start:start+again]...)
	b.Tokens = append(b.Tokens, st.todo[:n-again]...)
	for i := range n {
		b.Positions = append(b.Positions, int32(start+i))
	}
	if reads {
		p.row, b.Want = len(b.Rows), both
		if !alone {
			first = len(b.Tokens) - 1
		}
		for i := first; i < len(b.Tokens); i++ {
			b.Rows = append(b.Rows, int32(i))
		}
	}
	if alone { // the rows are large: they go straight where they belong
		st.spare, b.Logits = b.Logits, st.Logits
	}
	s.picked = append(s.picked, p)
	return n
}

// join is what a batch reads for two streams, if it can read for both.
func join(a, b Want) (Want, bool) {
	switch {
	case a == b || a == Nothing:
		return b, true
	case a == Best && b == Top || a == Top && b == Best:
		return Top, true
	}
	return a, false
}

// noRoom ends a stream's call for want of pages. If one could not be copied, the
// device is to blame: see copyFailed.
func (s *Scheduler) noRoom(st *Stream, err error) {
	var full *kvcache.ErrFull
	if errors.As(err, &full) {
		st.finish(err)
		return
	}
	s.broken, s.why = st, err
}

// runContext ends when the scheduler is closed or all streams of the batch have
// been given up. Making one for each batch would allocate.
type runContext struct{ s *Scheduler }

func (c runContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (c runContext) Value(any) any               { return nil }

// Done is closed by Close, or, for a batch of one stream, with its context.
func (c runContext) Done() <-chan struct{} {
	if p := c.s.picked; len(p) == 1 && p[0].st.ctx.Done() != nil {
		return p[0].st.ctx.Done()
	}
	return c.s.ctx.Done()
}

func (c runContext) Err() error {
	if err := c.s.ctx.Err(); err != nil {
		return err
	}
	var err error
	if len(c.s.picked) == 0 && c.s.broken != nil {
		return c.s.broken.ctx.Err()
	}
	for _, p := range c.s.picked {
		if err = p.st.ctx.Err(); err == nil {
			return nil
		}
	}
	return err
}

var _ context.Context = runContext{}
