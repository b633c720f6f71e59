package main

import (
	"fmt"
	"time"
)

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
	if stage != t.stage {
		t.stage, t.start, t.from = stage, t.now(), fraction
	}
	spent, part := t.now().Sub(t.start), fraction-t.from
	if spent < 2*time.Second || part < 0.005 || fraction >= 1 {
		return ""
	}
	left := time.Duration(float64(spent) * (1 - fraction) / part)
	return fmt.Sprintf(", %s left", left.Round(time.Second))
}
