package accel

import "time"

// Quiet says when what makes no step for a time limit is given up: after two halves of it, one
// after the other. A process that was stopped for longer (Ctrl-Z, a container that is paused)
// finds its timer over when it goes on, and the driver no further: one silent half says nothing.
type Quiet struct {
	Half   time.Duration // Over is to be asked after each
	seen   int64         // steps
	silent bool          // since the half before
}

// NewQuiet begins now, after so many steps. Functions that keep the limit themselves are
// to be the first to find it over: the halves are a little more.
func NewQuiet(limit time.Duration, steps int64) Quiet {
	return Quiet{Half: (limit+limit/8)/2 + 25*time.Millisecond, seen: steps}
}

// Over is asked after each half, with the steps so far.
func (q *Quiet) Over(steps int64) bool {
	if steps != q.seen {
		q.seen, q.silent = steps, false
		return false
	}
	was := q.silent
	q.silent = true
	return was
}

// Turns is in how many parts of the limit an API's function waits that takes one itself:
// what a process is stopped for uses up one part, and not the limit.
const Turns = 16

// Patience is the time limit of who asks again and again whether something is over. A pause
// between two questions counts as one of the Turns at most: the process was stopped, and
// what it waits for perhaps as well.
type Patience struct {
	last time.Time
	used time.Duration
}

// NewPatience begins now.
func NewPatience(now time.Time) Patience { return Patience{last: now} }

// Over is asked after each question that says no.
func (p *Patience) Over(limit time.Duration) bool {
	now := time.Now()
	p.used += min(now.Sub(p.last), max(limit/Turns, 100*time.Millisecond))
	p.last = now
	return p.used > limit
}
