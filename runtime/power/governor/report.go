package governor

import (
	"fmt"
	"strings"
	"time"
)

// Report is what a governor has done since it was made.
type Report struct {
	Held   bool          // work was held back
	Busy   time.Duration // in runs
	Paused time.Duration // between them
	Effort float64       // now
	Least  float64       // that there was; 0: no reading yet

	Fewest, Most int     // processor threads that runs got; 0: they have none
	Threads      float64 // on average

	Readings []Reading

	of   int // threads that the last run could have had
	runs int // that have threads
}

// Reading is what was measured of a limit.
type Reading struct {
	Limit string // Power, Temperature or Battery
	Name  string // of the sensor, at the last reading
	Unit  string
	Bound float64 // the limit
	Last  float64
	Mean  float64
	Most  float64
	count int
}

func (r *Report) take(use, of int) {
	if r.of = of; use == 0 {
		return
	}
	if r.Fewest == 0 {
		r.Fewest = use
	}
	r.Fewest, r.Most = min(r.Fewest, use), max(r.Most, use)
	r.runs++
	r.Threads += (float64(use) - r.Threads) / float64(r.runs)
}

func (r *Report) reading(limit string, x float64, name string, bound float64, unit string) {
	if r.Least == 0 {
		r.Least = 1
	}
	for i := range r.Readings {
		if k := &r.Readings[i]; k.Limit == limit {
			k.count++
			k.Name, k.Last, k.Most = name, x, max(k.Most, x)
			k.Mean += (x - k.Mean) / float64(k.count)
			return
		}
	}
	r.Readings = append(r.Readings, Reading{limit, name, unit, bound, x, x, x, 1})
}

// Report gives what was done so far.
func (g *Governor) Report() Report {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.report
	r.Readings = append([]Reading(nil), r.Readings...)
	return r
}

// Paused is how long work was held up so far.
func (g *Governor) Paused() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.report.Paused
}

// String is the report on one line.
func (r Report) String() string {
	var parts []string
	if total := r.Busy + r.Paused; total > 0 {
		parts = append(parts, fmt.Sprintf("paused %.2f of %.2f s", r.Paused.Seconds(), total.Seconds()))
	}
	switch {
	case r.Most == 0:
	case r.Fewest == r.Most:
		parts = append(parts, fmt.Sprintf("%d threads", r.Most))
	default:
		parts = append(parts, fmt.Sprintf("%d to %d threads (%.1f on average)", r.Fewest, r.Most, r.Threads))
	}
	for _, k := range r.Readings {
		switch k.Limit {
		case Power:
			parts = append(parts, fmt.Sprintf("%s %.1f W on average, %.1f at most (limit %g)", k.Name, k.Mean, k.Most, k.Bound))
		case Temperature:
			parts = append(parts, fmt.Sprintf("%.1f °C at most (%s; limit %g)", k.Most, k.Name, k.Bound))
		case Battery:
			parts = append(parts, fmt.Sprintf("battery %.0f %% (floor %g)", k.Last, k.Bound))
		}
	}
	return strings.Join(parts, ", ")
}
