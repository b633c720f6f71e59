package pool

import (
	"context"
	"sync"
	"time"
)

// crowd decides how many workers a Run gets while other programs want the
// processors, too. A worker whose processor is taken holds all others up at every
// barrier; of two workers beside one busy program, the system may even put both on
// one processor, where they take turns. Then one alone is several times faster.
//
// So Runs in which workers wait much are a reason to try with one less. Whichever
// is faster stays, and from time to time the other is tried again. How many
// workers there are changes no result.
type crowd struct {
	mu    sync.Mutex
	limit int           // workers; 0: as many as are wished for
	more  pace          // with all
	less  pace          // with limit
	slow  int           // Runs in a row in which workers waited much
	until time.Time     // no change before
	hold  time.Duration // how long the next decision stands: longer each time that trying was no use
}

// pace is how long recent Runs of the same size took.
type pace struct {
	size uint64
	runs int
	d    time.Duration
}

func (p *pace) add(size uint64, d time.Duration) {
	if p.size != size {
		*p = pace{size: size}
	}
	if p.runs++; p.runs == 1 {
		p.d = d
	} else {
		p.d += (d - p.d) / 4
	}
}

const (
	leastHold = 50 * time.Millisecond
	mostHold  = time.Second // a try costs some 20 ms
	fewRuns   = 3           // make a pace
)

// allow says how many of n workers to take.
func (c *crowd) allow(n int, now time.Time) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.limit == 0 || c.limit >= n:
		return n
	case now.Before(c.until):
		return c.limit
	}
	return c.limit + 1
}

// judge takes in that a Run of n workers, of want wished for, took d, of which the
// worker that waited most waited for waited. Runs of one size do about the same
// work.
func (c *crowd) judge(n, want int, size uint64, d, waited time.Duration, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	much := waited*10*time.Duration(n) > 7*d // undisturbed, it is a few hundredths
	if n > 1 && much {
		c.slow++
	} else {
		c.slow = 0
	}
	switch {
	case c.limit == 0 || n < c.limit: // as many as were wished for
		c.more.add(size, d)
		if c.slow >= fewRuns && !now.Before(c.until) {
			c.limit, c.slow, c.less = n-1, 0, pace{}
			c.wait(now)
		}
	case n == c.limit:
		c.less.add(size, d)
		switch {
		case c.slow >= fewRuns: // not enough yet
			c.limit, c.slow, c.less = n-1, 0, pace{}
			c.wait(now)
		case c.slow == 0 && c.less.runs == fewRuns && c.less.size == c.more.size && c.less.d > c.more.d: // it was no use
			c.limit = 0
			c.wait(now)
		}
	default: // a try with one more
		if faster := d < c.less.d*19/20; c.less.size == size && faster || c.less.size != size && !much {
			c.hold = 0
			c.until = now
			c.more, c.less = pace{}, pace{}
			if c.limit = n; n >= want {
				c.limit = 0
			}
		} else {
			c.wait(now)
		}
	}
}

// wait lets a decision stand for a while.
func (c *crowd) wait(now time.Time) {
	c.hold = min(max(2*c.hold, leastHold), mostHold)
	c.until = now.Add(c.hold)
}

// RunUpTo is Run on as many workers as pay, at most threads: fewer while other
// programs hold processors that this Run's workers would wait for. Runs of the
// same size are taken to be the same work.
func (p *Pool) RunUpTo(ctx context.Context, threads int, size uint64, fn func(*Worker)) error {
	if threads == 0 {
		threads = automatic()
	}
	if threads < 2 {
		return p.Run(ctx, threads, fn)
	}
	n := p.crowd.allow(threads, time.Now())
	if n > 1 {
		return p.run(ctx, n, trial{threads, size}, fn)
	}
	t0 := time.Now()
	if err := p.run(ctx, n, trial{}, fn); err != nil {
		return err
	}
	now := time.Now()
	p.crowd.judge(n, threads, size, now.Sub(t0), 0, now)
	return nil
}

// trial is a Run that tells crowd how it went: of how many workers wished for, and
// of which size. The zero value is any other Run.
type trial struct {
	want int
	size uint64
}
