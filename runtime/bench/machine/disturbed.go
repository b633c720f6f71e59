package machine

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ledge-run/ledge/runtime/bench/record"
)

// What may happen in a round before its figures count as disturbed.
const (
	mostOthers = 0.05 // processors that others keep busy, for each 4 of the machine
	mostSteal  = 0.03 // processors that the hypervisor takes away
	mostPages  = 256  // swapped in and out
	leastClock = 0.7  // of the highest clock, on the processor that ran fastest
)

// OnBattery is what Disturbed says of a machine that its battery feeds. It does not
// pass when a round is measured again.
const OnBattery = "on battery"

// Disturbed says what makes the figures of a round doubtful. used is the processor
// time of the benchmark itself, in seconds.
func Disturbed(before, after record.Condition, seconds, used float64) []string {
	var all []string
	say := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if n := int64(after.Throttles - before.Throttles); n > 0 {
		say("throttled: processors were slowed down for their heat %d times", n)
	}
	if len(after.Held) > 0 {
		say("throttled: held back are %s", strings.Join(after.Held, ", "))
	}
	if name, now, most := fastest(after); most > 0 && now < leastClock*most {
		say("throttled: %s ran at %.1f of %.1f GHz", name, now/1e3, most/1e3)
	}
	if pages := after.Swapped - before.Swapped; pages >= mostPages {
		say("swapping: %d pages", pages)
	}
	if seconds > 0 && before.BusyCPU > 0 {
		// The clock of /proc/stat is coarse: less than nothing is nothing.
		others := max(0, after.BusyCPU-before.BusyCPU-used) / seconds
		if most := mostOthers * max(1, float64(cores(after))/4); others > most {
			say("other processes used %.2f processors", others)
		}
		if steal := max(0, after.StealCPU-before.StealCPU) / seconds; steal > mostSteal {
			say("the hypervisor took %.2f processors away", steal)
		}
	}
	if before.Mode != after.Mode {
		say("the power mode changed from %s to %s", before.Mode, after.Mode)
	}
	if before.Charge > 0 && before.Plugged != after.Plugged {
		say("the mains were plugged in or out")
	} else if after.Charge > 0 && !after.Plugged {
		say(OnBattery)
	}
	return all
}

// Passing reports whether a round's disturbances may be gone when it is measured
// again.
func Passing(disturbed []string) bool {
	return slices.ContainsFunc(disturbed, func(s string) bool { return s != OnBattery })
}

// cores is how many processors a condition knows of, 1 if it does not say.
func cores(c record.Condition) int { return max(1, len(c.Clocks)) }

// fastest is the processor with the highest part of its clock.
func fastest(c record.Condition) (name string, now, most float64) {
	best := math.Inf(-1)
	for n, v := range c.Clocks {
		if limit := c.Limits[n]; strings.HasPrefix(n, "cpu") && limit > 0 && v/limit > best {
			best, name, now, most = v/limit, n, v, limit
		}
	}
	return name, now, most
}

// Watch looks at the clocks while a round runs: at its end processors rest.
type Watch struct {
	r    *Reader
	stop chan struct{}
	done sync.WaitGroup
	most map[string]float64
	n    int
}

// Watch begins to look; End must be called.
func (r *Reader) Watch() *Watch {
	w := &Watch{r: r, stop: make(chan struct{}), most: map[string]float64{}}
	if now, limits := r.clocks(); len(now) == 0 || len(limits) == 0 {
		return w
	}
	w.done.Go(func() {
		t := time.NewTicker(200 * time.Millisecond)
		defer t.Stop()
		for {
			select {
			case <-w.stop:
				return
			case <-t.C:
				now, _ := r.clocks()
				w.n++
				for name, mhz := range now {
					w.most[name] = max(w.most[name], mhz)
				}
			}
		}
	})
	return w
}

// End stops looking and puts the highest clocks into the condition of a round's end.
// Few looks may have missed them: then there are none.
func (w *Watch) End(c *record.Condition) {
	close(w.stop)
	w.done.Wait()
	const enough = 5
	for name, mhz := range w.most {
		if w.n >= enough {
			c.Clocks[name] = max(c.Clocks[name], mhz)
		}
	}
	if w.n < enough {
		for name := range w.most {
			delete(c.Clocks, name)
		}
	}
}
