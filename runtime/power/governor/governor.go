package governor

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ledge-run/ledge/runtime/power"
)

// Limits are what a machine is to stay within; 0 is no limit.
type Limits struct {
	Watts        float64 // mean power
	Celsius      float64 // highest temperature
	BatteryFloor float64 // percent
}

// Any reports whether there is a limit.
func (l Limits) Any() bool { return l != Limits{} }

// Check reports limits that make no sense.
func (l Limits) Check() error {
	switch {
	case !(l.Watts >= 0 && l.Watts <= 10e3):
		return fmt.Errorf("a limit of %g W: it must be above 0 and at most 10000", l.Watts)
	case !(l.Celsius == 0 || l.Celsius >= 30 && l.Celsius <= 120):
		return fmt.Errorf("a limit of %g °C: it must be 30 to 120", l.Celsius)
	case !(l.BatteryFloor >= 0 && l.BatteryFloor <= 99):
		return fmt.Errorf("a battery floor of %g %%: it must be above 0 and at most 99", l.BatteryFloor)
	}
	return nil
}

// Which of the limits.
const (
	Power       = "power"
	Temperature = "temperature"
	Battery     = "battery"
)

// SensorError is a limit that nothing on the machine can watch.
type SensorError struct {
	Limit string // Power, Temperature or Battery
	Err   error  // what there is not, and why
}

func (e *SensorError) Error() string {
	return fmt.Sprintf("the limit of the %s cannot be kept, there is no sensor for it: %v", e.Limit, e.Err)
}

// Unwrap gives the cause.
func (e *SensorError) Unwrap() error { return e.Err }

// FloorError ends work because the battery has reached its floor.
type FloorError struct{ Percent, Floor float64 }

func (e *FloorError) Error() string {
	return fmt.Sprintf("the battery has %.0f %% left, and %.0f %% is its floor: connect a charger or lower the floor", e.Percent, e.Floor)
}

// Options of a governor.
type Options struct {
	Limits Limits
	Meter  *power.Meter // nil: that of this machine

	// Note is told what the user should know, each thing once: that work is held back,
	// that a sensor failed, that a limit cannot be kept. It is called by whoever runs
	// the model, between runs, and must not call the governor. May be nil.
	Note func(text string)

	Period time.Duration // between readings; 0: a second. The charge is read every tenth time
}

// How often is looked, and how long is waited.
const (
	period     = time.Second // between readings,
	batteries  = 10          // and so many between those of the charge
	stride     = 20 * time.Millisecond
	leastPause = time.Millisecond // what is less is added to the next
	mostPause  = 10 * time.Second // after one run
	restAfter  = 2 * time.Second  // without work sensors are not read
	taper      = 5.0              // percent above the floor from which on work slows down
	taperLeast = .25
	giveUp     = 30 * time.Second // at the least effort and above the limit: it cannot be kept
)

// Governor holds work back. Before and After are called by one goroutine at a time;
// the other methods by any.
type Governor struct {
	limits Limits
	meter  *power.Meter
	note   func(string)
	period time.Duration
	now    func() time.Time
	sleep  func(time.Duration)
	begun  time.Time

	mu      sync.Mutex
	loops   []*loop // of power and temperature
	floor   *FloorError
	charged time.Time // last reading of the charge
	cap     float64   // of the effort, by the charge
	looked  time.Time // last reading
	awake   bool
	working bool
	rest    *time.Timer
	restful func(d time.Duration, f func()) *time.Timer // time.AfterFunc; tests have none
	share   float64                                     // of a thread, that the next run has over
	debt    time.Duration                               // to be waited
	ended   time.Time                                   // of the last run
	report  Report
	told    map[string]bool
}

// New makes a governor, and fails with a *SensorError if the machine has no sensor for
// a limit, or with a *FloorError if the battery is at its floor already. Which device
// computes is told by Begin.
func New(o Options) (*Governor, error) {
	if err := o.Limits.Check(); err != nil {
		return nil, err
	}
	g := &Governor{limits: o.Limits, meter: o.Meter, note: o.Note, period: o.Period, now: time.Now, sleep: time.Sleep, restful: time.AfterFunc, cap: 1, told: map[string]bool{}}
	if g.meter == nil {
		g.meter = power.Open()
	}
	if g.note == nil {
		g.note = func(string) {}
	}
	if g.period <= 0 {
		g.period = period
	}
	g.begun = g.now()
	g.report.Effort = 1
	var err error
	if o.Limits.Watts > 0 {
		if _, err = watts(g.meter, false); err != nil {
			_, err = watts(g.meter, true)
		}
		if err != nil {
			return nil, &SensorError{Power, err}
		}
	}
	if o.Limits.Celsius > 0 {
		if _, err := celsius(g.meter); err != nil {
			return nil, &SensorError{Temperature, err}
		}
	}
	if o.Limits.BatteryFloor > 0 {
		if _, err := g.meter.Charge(); err != nil {
			return nil, &SensorError{Battery, err}
		}
		if g.charge(); g.floor != nil {
			return nil, g.floor
		}
	}
	return g, nil
}

// Begin tells, before work and when it moves to another device, whether a card
// computes: its power is then what counts. Without a sensor for it the error is a
// *SensorError.
func (g *Governor) Begin(card bool) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, l := range g.loops {
		l.gauge.end()
	}
	g.loops, g.awake = nil, false
	if g.limits.Watts > 0 {
		s, err := watts(g.meter, card)
		if err != nil {
			return &SensorError{Power, err}
		}
		g.loops = append(g.loops, newPowerLoop(g.limits.Watts, s))
	}
	if g.limits.Celsius > 0 {
		s, err := celsius(g.meter)
		if err != nil {
			return &SensorError{Temperature, err}
		}
		g.loops = append(g.loops, newHeatLoop(g.limits.Celsius, s))
	}
	return nil
}

// Before is called before a run that may have so many processor threads (0: it has
// none of its own). It waits as long as it must and gives the threads to take. It ends
// early with ctx, and with a *FloorError when the battery is at its floor.
func (g *Governor) Before(ctx context.Context, threads int) (use int, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	g.working = true
	if !g.ended.IsZero() {
		g.debt -= max(0, now.Sub(g.ended)) // it was idle anyway
	}
	g.wake(now)
	began := now
	defer func() {
		g.report.Paused += now.Sub(began)
		if err != nil { // there is no run
			g.pause(now)
		}
	}()
	for {
		g.look(now)
		if g.floor != nil {
			return 0, g.floor
		}
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if g.debt < leastPause {
			break
		}
		g.mu.Unlock() // Report goes on
		g.sleep(min(g.debt, stride))
		g.mu.Lock()
		after := g.now()
		g.debt -= after.Sub(now)
		now = after
	}
	mean, _ := split(g.effort(), threads)
	g.share += mean
	use = min(max(int(g.share+1e-9), 1), threads)
	g.share = min(max(g.share-float64(use), 0), 1)
	g.report.take(use, threads)
	return use, nil
}

// After is called after a run, with how long it took.
func (g *Governor) After(took time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pause(g.now())
	g.report.Busy += took
	_, duty := split(g.effort(), g.report.of)
	owed := time.Duration(float64(took) * (1/duty - 1))
	g.debt = min(max(g.debt, 0)+owed, mostPause)
}

// pause notes that nothing runs from now on.
func (g *Governor) pause(now time.Time) {
	g.working, g.ended = false, now
	switch {
	case g.rest != nil:
		g.rest.Reset(restAfter)
	case g.restful != nil:
		g.rest = g.restful(restAfter, g.doze)
	}
}

// effort is the least that a limit asks for.
func (g *Governor) effort() float64 {
	u := g.cap
	for _, l := range g.loops {
		u = min(u, l.effort)
	}
	return u
}

// wake begins to read.
func (g *Governor) wake(now time.Time) {
	if g.awake {
		return
	}
	g.awake, g.looked = true, now
	for _, l := range g.loops {
		l.gauge.begin()
		l.law.forget()
	}
}

// doze stops reading while there is nothing to do.
func (g *Governor) doze() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.working || !g.awake || g.now().Sub(g.ended) < restAfter/2 {
		return
	}
	g.awake = false
	for _, l := range g.loops {
		l.gauge.end()
	}
}

// Close stops reading.
func (g *Governor) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.rest != nil {
		g.rest.Stop()
	}
	g.awake = false
	for _, l := range g.loops {
		l.gauge.end()
	}
}

// look reads what is due.
func (g *Governor) look(now time.Time) {
	if g.limits.BatteryFloor > 0 && now.Sub(g.charged) >= batteries*g.period {
		g.charge()
	}
	if now.Sub(g.looked) < g.period {
		return
	}
	g.looked = now
	for _, l := range g.loops {
		g.turn(l, now)
	}
	g.report.Effort = g.effort()
	g.report.Least = min(g.report.Least, g.report.Effort)
}

// tell passes a note on, unless it was told.
func (g *Governor) tell(key, format string, args ...any) {
	if !g.told[key] {
		g.told[key] = true
		g.note(fmt.Sprintf(format, args...))
	}
}
