package main

import (
	"fmt"
	"time"

	"github.com/ledge-run/ledge/cmd/internal/console"
)

// stages shows how far the stages of long work are, and how long each still takes.
type stages struct {
	bar  *console.Progress
	left *timeLeft
}

func (a *app) newStages() stages { return stages{a.newProgress(), newTimeLeft()} }

// show tells how much of a stage is done, and of what; the time that is left goes behind it.
func (s stages) show(stage string, fraction float64, format string, args ...any) {
	s.bar.Show(stage, fraction, fmt.Sprintf(format, args...)+s.left.text(stage, fraction))
}

func (s stages) done() { s.bar.Done() }

// fraction is how much of something is done.
func fraction[T int | int64](done, of T) float64 { return float64(done) / float64(of) }

// timeLeft estimates how long a stage still takes by how long it took so far.
type timeLeft struct {
	stage string
	start time.Time
	from  float64 // fraction when it was first seen
	now   func() time.Time
}

func newTimeLeft() *timeLeft { return &timeLeft{now: time.Now} }

// text is ", 3m20s left", or nothing while that cannot be told.
func (t *timeLeft) text(stage string, fraction float64) string {
	if t.start.IsZero() || stage != t.stage {
		t.stage, t.start, t.from = stage, t.now(), fraction
	}
	spent, part := t.now().Sub(t.start), fraction-t.from
	if spent < 2*time.Second || part < 0.005 || fraction >= 1 {
		return ""
	}
	left := time.Duration(float64(spent) * (1 - fraction) / part)
	return fmt.Sprintf(", %s left", left.Round(time.Second))
}
