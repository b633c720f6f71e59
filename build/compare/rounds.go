package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"
)

// plan says how much is measured.
type plan struct {
	rounds int
	slow   bool          // measure cases too that take minutes a round
	budget time.Duration // start no round that would not end within it; 0 for no limit
}

// fileHash names a build of ledge.
func fileHash(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil))[:12], nil
}

// wanted is how many rounds a case still needs: disturbed ones are repeated, but
// not for ever.
func (p plan) wanted(c *benchCase, done []record) int {
	n := p.rounds
	if c.once {
		n = 1
		if !p.slow {
			return 0
		}
	}
	if len(done) >= 2*n {
		return 0
	}
	quiet := 0
	for i := range done {
		if !done[i].disturbed() {
			quiet++
		}
	}
	return max(0, n-quiet)
}

// next is the case whose turn it is: the first of those with the fewest rounds,
// so that a case's rounds are spread over time.
func (p plan) next(all []benchCase, j *journal, build string, skip map[string]bool) (c *benchCase, done int) {
	for i := range all {
		rounds := j.of(all[i].id, build)
		if skip[all[i].id] || p.wanted(&all[i], rounds) == 0 {
			continue
		}
		if c == nil || len(rounds) < done {
			c, done = &all[i], len(rounds)
		}
	}
	return c, done
}

// measure runs rounds until all are there or the budget is used up, and says how
// many are left. Cases whose programs or models are missing are left out, by
// name.
func measure(ctx context.Context, p plan, progs *programs, all []benchCase, j *journal, commit string, log io.Writer) (left int, err error) {
	build, err := fileHash(progs.ledge)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	skip := map[string]bool{}
	first := true
	for {
		c, n := p.next(all, j, build, skip)
		if c == nil {
			return 0, nil
		}
		if p.budget > 0 && !first && time.Since(began)+expected(j, c) > p.budget {
			for i := range all {
				if !skip[all[i].id] {
					left += p.wanted(&all[i], j.of(all[i].id, build))
				}
			}
			return left, nil
		}
		r, err := round(ctx, progs, c, n)
		if isMissing(err) {
			fmt.Fprintf(log, "%s: left out: %v\n", c.id, err)
			skip[c.id] = true
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("%s: %w", c.id, err)
		}
		r.Build, r.Commit = build, commit
		if err := j.add(*r); err != nil {
			return 0, err
		}
		first = false
		fmt.Fprintln(log, line(c, r, n))
	}
}

// expected is how long a round of a case takes: as long as the last one.
func expected(j *journal, c *benchCase) time.Duration {
	for i := len(j.records) - 1; i >= 0; i-- {
		if r := &j.records[i]; r.Case == c.id {
			return time.Duration(r.Seconds * float64(time.Second))
		}
	}
	return 30 * time.Second
}

// line is what the log says of a round.
func line(c *benchCase, r *record, n int) string {
	s := fmt.Sprintf("%s round %d:", c.id, n+1)
	for _, row := range c.rows {
		a, b := r.Ledge[row.figure], r.Rival[row.figure]
		s += fmt.Sprintf(" %s %.3g/%.3g = %.2f", row.figure, a, b, a/b)
	}
	s += fmt.Sprintf(", read %.1f GB/s, %.0f s", r.Read, r.Seconds)
	if r.disturbed() {
		s += fmt.Sprintf(", disturbed (others %.2f, steal %.2f)", r.Others, r.Steal)
	}
	return s
}

// round measures a case once: the ceilings, one engine, the other, the ceilings
// again. Which is first alternates.
func round(ctx context.Context, p *programs, c *benchCase, n int) (*record, error) {
	r := &record{Case: c.id, Peer: c.peerName, Time: time.Now().UTC().Truncate(time.Second), Load: loadAverage()}
	var err error
	if r.Facts, err = factsIn(ctx, p, c); err != nil {
		return nil, err
	}
	if err := fill(ctx, p, c); err != nil {
		return nil, err
	}
	r.Machine.CPU, _ = processorInfo()
	r.Machine.Cores = runtime.NumCPU()
	own := ownTime()
	before, known := processors()
	began := time.Now()
	read, dots, level, err := ceilingsOf(ctx, p, c.threads)
	if err != nil {
		return nil, err
	}
	r.Machine.Level = level
	ours := func() (err error) { r.Ledge, err = c.ledge(ctx, p, c); return err }
	theirs := func() (err error) { r.Rival, err = c.peer(ctx, p, c); return err }
	order := []func() error{ours, theirs}
	r.First = "ledge"
	if n%2 == 1 {
		order[0], order[1], r.First = theirs, ours, "peer"
	}
	for _, f := range order {
		if err := f(); err != nil {
			return nil, err
		}
	}
	_, r.MHz = processorInfo()
	read2, dots2, _, err := ceilingsOf(ctx, p, c.threads)
	if err != nil {
		return nil, err
	}
	r.Read, r.Dots = (read+read2)/2, max(dots, dots2)
	r.Seconds = time.Since(began).Seconds()
	if after, ok := processors(); ok && known {
		r.Others, r.Steal = disturbance(before, after, ownTime()-own)
	}
	return r, nil
}
