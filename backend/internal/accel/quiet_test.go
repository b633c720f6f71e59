package accel_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/ledge-run/ledge/backend/internal/accel"
)

// TestQuiet: two halves without a step in a row are the end, one says nothing.
func TestQuiet(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps []int64 // at the end of each half
		over  int     // after how many; 0 for never
	}{
		{"nothing", []int64{7, 7, 7}, 2},
		{"steps", []int64{8, 9, 10, 11}, 0},
		{"one silence", []int64{7, 8, 8, 9, 9, 10}, 0},
		{"two in a row, later", []int64{7, 8, 8, 8}, 4},
	} {
		q, over := accel.NewQuiet(8*time.Second, 7), 0
		for i, n := range c.steps {
			if q.Over(n) && over == 0 {
				over = i + 1
			}
		}
		if over != c.over {
			t.Errorf("%s: over after %d halves, want %d", c.name, over, c.over)
		}
		if whole := 2 * q.Half; whole < 9*time.Second || whole > 10*time.Second {
			t.Errorf("of 8 s, two halves are %v", whole)
		}
	}
}

// TestPatience: all the time counts between questions, but a long pause is one part.
func TestPatience(t *testing.T) {
	const limit = 16 * time.Second
	for _, c := range []struct {
		every, pause time.Duration // between questions, and once besides
		over         time.Duration
	}{
		{time.Millisecond, 0, limit}, {300 * time.Millisecond, 0, limit}, {time.Second, 0, limit},
		{100 * time.Millisecond, time.Hour, limit + time.Hour - time.Second}, {10 * time.Second, 0, 10 * limit},
	} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			p := accel.NewPatience(start)
			time.Sleep(c.pause)
			for !p.Over(limit) {
				time.Sleep(c.every)
			}
			if took := time.Since(start); took < c.over || took > c.over+2*c.every {
				t.Errorf("asked every %v, with a pause of %v, it is over after %v, want %v", c.every, c.pause, took, c.over)
			}
		})
	}
}
