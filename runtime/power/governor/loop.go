package governor

import (
	"errors"
	"math"
	"time"
)

// loop is one controlled limit.
type loop struct {
	what, unit string
	limit      float64
	goal       float64
	gauge      gauge
	law        law

	most    float64 // measured
	effort  float64
	safe    float64 // effort of the last reading within the limit
	failing bool
	above   time.Time // since when it is above at the least effort
}

func newPowerLoop(limit float64, s gauge) *loop {
	return &loop{what: Power, unit: "W", limit: limit, goal: .97 * limit, gauge: s, law: powerLaw(), effort: 1, safe: 1}
}

func newHeatLoop(limit float64, s gauge) *loop {
	return &loop{what: Temperature, unit: "°C", limit: limit, goal: limit - 1, gauge: s, law: heatLaw(), effort: 1, safe: 1}
}

// turn reads one limit's sensor and follows its law.
func (g *Governor) turn(l *loop, now time.Time) {
	x, name, err := l.gauge.read()
	if err == nil && (math.IsNaN(x) || math.IsInf(x, 0)) {
		err = errors.New("it gives no number")
	}
	if err != nil {
		l.effort = min(l.effort, l.safe)
		l.law.forget()
		l.failing = true
		g.told[l.what+" back"] = false
		g.tell(l.what+" failed", "%s cannot be read any more (%v): going on at %.0f %% of the speed", name, err, 100*l.effort)
		return
	}
	if l.failing {
		l.failing = false
		l.law.integral = l.effort // from there, without a jump
		g.tell(l.what+" back", "%s can be read again", name)
		g.told[l.what+" failed"] = false
	}
	l.most = max(l.most, x)
	scale := 1.0
	if l.what == Power {
		scale = max(l.most, l.limit)
	}
	l.effort = l.law.next(now.Sub(g.begun).Seconds(), x, l.goal, scale)
	if x <= l.limit {
		l.safe = l.effort
	}
	g.report.reading(l.what, x, name, l.limit, l.unit)
	if l.effort < .97 {
		g.report.Held = true
		g.tell(l.what+" held", "holding back: %s is at %.1f %s, the limit is %g %s", name, x, l.unit, l.limit, l.unit)
	}
	if l.effort > least || x <= l.limit {
		l.above = time.Time{}
	} else if l.above.IsZero() {
		l.above = now
	} else if now.Sub(l.above) >= giveUp {
		g.tell(l.what+" above", "the limit of %g %s cannot be kept: %s is at %.1f %s with hardly any work done (%.0f %% of the speed)", l.limit, l.unit, name, x, l.unit, 100*least)
	}
}

// charge reads the battery.
func (g *Governor) charge() {
	g.charged = g.now()
	c, err := g.meter.Charge()
	if err != nil {
		g.tell("battery failed", "the battery's charge cannot be read any more (%v): its floor is not watched", err)
		return
	}
	g.told["battery failed"] = false
	floor := g.limits.BatteryFloor
	g.report.reading(Battery, c.Percent, "the battery", floor, "%")
	g.floor, g.cap = nil, 1
	switch left := c.Percent - floor; {
	case c.Plugged:
	case left <= 0:
		g.floor = &FloorError{c.Percent, floor}
	case left < taper:
		g.cap = taperLeast + (1-taperLeast)*left/taper
		g.report.Held = true
		g.tell("battery held", "holding back: the battery has %.0f %%, its floor is %.0f %%", c.Percent, floor)
	}
}
