package pool

import (
	"context"
	"testing"
	"time"
)

// simulate runs crowd for a time on a machine where a Run of n workers takes what
// cost says, and gives the share of the time that Runs of each number took.
func simulate(c *crowd, start time.Time, total time.Duration, want int, cost func(n int) (d, waited time.Duration)) (share map[int]float64, runs int) {
	share = map[int]float64{}
	for now := start; now.Sub(start) < total; runs++ {
		n := c.allow(want, now)
		d, waited := cost(n)
		now = now.Add(d)
		c.judge(n, want, 1, d, waited, now)
		share[n] += float64(d) / float64(total)
	}
	return share, runs
}

func TestCrowd(t *testing.T) {
	const ms = time.Millisecond
	even := func(n int) (d, waited time.Duration) { return 4 * ms / time.Duration(n), 40 * time.Microsecond }
	for _, c := range []struct {
		name   string
		want   int
		cost   func(n int) (d, waited time.Duration)
		n      int     // the number most of the time
		atMost float64 // of the time for all others
	}{
		{"quiet", 2, even, 2, 0},
		{"one of two processors taken: both workers on the other", 2, func(n int) (time.Duration, time.Duration) {
			if n == 2 {
				return 17 * ms, 8 * ms
			}
			return 3 * ms, 0
		}, 1, 0.08},
		{"one of four processors taken", 4, func(n int) (time.Duration, time.Duration) {
			if n == 4 {
				return 9 * ms, 7 * ms
			}
			return even(n)
		}, 3, 0.08},
		{"two of four processors taken", 4, func(n int) (time.Duration, time.Duration) {
			if n > 2 {
				return 9 * ms, 7 * ms
			}
			return even(n)
		}, 2, 0.08},
		{"many workers that wait much, but are worth it", 8, func(n int) (time.Duration, time.Duration) {
			d := 4*ms/time.Duration(n) + ms/10
			return d, d * 15 / 100
		}, 8, 0.15},
		{"much waiting, but the second worker is worth it", 2, func(n int) (time.Duration, time.Duration) {
			d, _ := even(n)
			return d, d / 2
		}, 2, 0.08},
	} {
		share, _ := simulate(&crowd{}, time.Now(), 20*time.Second, c.want, c.cost)
		if rest := 1 - share[c.n]; rest > c.atMost+0.02 {
			t.Errorf("%s: time shares %.2v, want %d workers for all but %.2f", c.name, share, c.n, c.atMost)
		}
	}
}

// When the other program is gone, all workers are back within a second or so.
func TestCrowdRecovers(t *testing.T) {
	const ms = time.Millisecond
	c, now := &crowd{}, time.Now()
	taken := func(n int) (time.Duration, time.Duration) {
		if n > 1 {
			return 15 * ms, 10 * ms
		}
		return 3 * ms, 0
	}
	simulate(c, now, 10*time.Second, 4, taken)
	if n := c.allow(4, now.Add(10*time.Second)); n > 2 {
		t.Fatalf("%d workers beside programs that take all others' processors", n)
	}
	now = now.Add(10 * time.Second)
	free := func(n int) (time.Duration, time.Duration) { return 4 * ms / time.Duration(n), 0 }
	simulate(c, now, mostHold+100*ms, 4, free)
	if n := c.allow(4, now.Add(mostHold+100*ms)); n != 4 {
		t.Errorf("%d workers a second after the others were gone", n)
	}
}

// The workers of a Run know how long they waited, and RunUpTo acts on it.
func TestRunUpTo(t *testing.T) {
	p := newPool()
	sizes := map[int]int{}
	slow := true
	fn := func(w *Worker) {
		if w.ID == 0 {
			sizes[w.N]++
		}
		if w.N == 2 && slow {
			if w.ID == 1 {
				time.Sleep(3 * time.Millisecond) // its processor is away
			}
			w.Barrier()
		}
	}
	for range 20 {
		if err := p.RunUpTo(context.Background(), 2, 1, fn); err != nil {
			t.Fatal(err)
		}
	}
	if sizes[1] < 10 || sizes[2] < fewRuns {
		t.Errorf("runs by number of workers: %v", sizes)
	}
	slow = false
	for end := time.Now().Add(3 * mostHold); time.Now().Before(end); time.Sleep(time.Millisecond) {
		clear(sizes)
		err := p.RunUpTo(context.Background(), 2, 2, fn) // of another size: no pace to compare with
		if err != nil {
			t.Fatal(err)
		}
		if sizes[2] > 0 {
			return
		}
	}
	t.Error("the second worker was never tried again")
}
