package sched

import (
	"context"
	"slices"
	"time"

	"github.com/ledge-run/ledge/backend"
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
	if st := s.queue[0]; st.passed {
		n := s.take(st, prompts)
		if !st.single() {
			prompts -= n
		}
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

func (st *Stream) single() bool { return len(st.todo) == 1 }

// take adds up to room rows of st to the batch, if it fits in there, and returns
// how many. A stream for which there is no page left ends with that error.
func (s *Scheduler) take(st *Stream, room int) int {
	b := &s.batch
	alone := st.want == All
	if alone {
		room = s.limits.Rows
	}
	n := min(room, len(st.todo))
	if n <= 0 || len(b.Segments) == s.limits.Seqs || alone && len(s.picked) > 0 || b.Want == All {
		return 0
	}
	last := n == len(st.todo)
	reads := last && st.want != Nothing
	if reads && b.Want != Nothing && b.Want != st.want {
		if n == 1 {
			return 0 // it goes into a later batch
		}
		n, last, reads = n-1, false, false
	}
	st.taken = true
	if err := st.seq.Reserve(n); err != nil {
		st.finish(err)
		return 0
	}
	p := pick{st: st, n: n, last: last, row: -1}
	start, first := st.seq.Len(), len(b.Tokens)
	b.Segments = append(b.Segments, backend.Segment{Seq: len(b.Segments), Start: start, Rows: n, Pages: st.seq.Pages()})
	b.Tokens = append(b.Tokens, st.todo[:n]...)
	for i := range n {
		b.Positions = append(b.Positions, int32(start+i))
	}
	if reads {
		p.row, b.Want = len(b.Rows), st.want
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
	for _, p := range c.s.picked {
		if err = p.st.ctx.Err(); err == nil {
			return nil
		}
	}
	return err
}

var _ context.Context = runContext{}
