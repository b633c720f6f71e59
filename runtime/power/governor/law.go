package governor

// least is the effort that is always left: nothing stops for good without an error.
const least = 0.05

// law is a proportional and integral control of the effort (see the package's
// documentation). The zero value with its constants set is at full effort.
type law struct {
	p, k    float64
	first   float64 // the integral at the beginning
	horizon float64 // s
	window  int     // readings that the slope is taken from
	rise    float64 // the integral grows by no larger error than this

	started  bool
	integral float64
	past     []sample
}

type sample struct{ at, x float64 } // s

func powerLaw() law { return law{p: .3, k: .5, first: 1, rise: 1} }

func heatLaw() law { return law{p: .05, k: .0015, first: .3, rise: 1, horizon: 4, window: 7} }

// next gives the effort after a reading x at a time in s, for a goal in the same unit.
func (l *law) next(at, x, goal, scale float64) float64 {
	if !l.started {
		l.started, l.integral = true, l.first
	}
	dt := 0.0
	if n := len(l.past); n > 0 {
		dt = min(max(at-l.past[n-1].at, 0), 5) // after a pause in the readings not all at once
	}
	l.past = append(l.past, sample{at, x})
	if n := len(l.past) - max(l.window, 1); n > 0 {
		l.past = append(l.past[:0], l.past[n:]...)
	}
	e := (goal - x - l.horizon*max(0, l.slope())) / scale
	if u := l.integral + l.p*e; !(u >= 1 && e > 0) && !(u <= least && e < 0) {
		l.integral = within(l.integral + l.k*min(e, l.rise)*dt)
	}
	return within(l.integral + l.p*e)
}

// slope is how fast the readings rise, by least squares.
func (l *law) slope() float64 {
	if len(l.past) < 3 {
		return 0
	}
	var t, x float64
	for _, s := range l.past {
		t, x = t+s.at/float64(len(l.past)), x+s.x/float64(len(l.past))
	}
	var above, below float64
	for _, s := range l.past {
		above += (s.at - t) * (s.x - x)
		below += (s.at - t) * (s.at - t)
	}
	if below <= 0 {
		return 0
	}
	return above / below
}

// forget drops the readings, as after a time without any.
func (l *law) forget() { l.past = l.past[:0] }

func within(u float64) float64 { return min(max(u, least), 1) }

// split shares an effort between threads and pauses: the threads that runs get on
// average, at least half of them, and the share of the time that is work.
func split(u float64, threads int) (mean, duty float64) {
	if threads < 2 {
		return float64(threads), u
	}
	mean = max(u*float64(threads), float64((threads+1)/2))
	return mean, min(1, u*float64(threads)/mean)
}
