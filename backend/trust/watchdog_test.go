package trust

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestWatchdog: it takes two silent halves of the limit in a row. A process that was stopped
// for longer than the limit is in the second one when it goes on.
func TestWatchdog(t *testing.T) {
	for _, c := range []struct {
		name  string
		heard []time.Duration // after the start
		over  time.Duration   // 0 for never
	}{
		{"silence", nil, 10 * time.Second},
		{"once", []time.Duration{4 * time.Second}, 14 * time.Second},
		{"in the second half", []time.Duration{9 * time.Second}, 19 * time.Second},
		{"just before each end", []time.Duration{9 * time.Second, 18 * time.Second, 27 * time.Second}, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			start, over := time.Now(), time.Duration(0)
			w := Watch(10*time.Second, func() { over = time.Since(start) })
			for _, at := range c.heard {
				time.Sleep(at - time.Since(start))
				w.Heard()
			}
			if c.over == 0 {
				w.Stop()
				w.Heard()
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			w.Stop()
			if over != c.over {
				t.Errorf("%s: over after %v, want %v", c.name, over, c.over)
			}
		})
	}
}
