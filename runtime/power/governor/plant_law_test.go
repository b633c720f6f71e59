package governor

import (
	"math"
	"strings"
	"testing"
	"time"
)

const second = time.Second

// over is the longest time, in s, that the mean of ten seconds was above a bound.
func (p *plant) over(bound float64, of func(point) float64) float64 {
	longest, run := 0.0, 0.0
	for i := range p.trace {
		mean, n := 0.0, 0.0
		for j := max(0, i-9); j <= i; j++ {
			mean, n = mean+of(p.trace[j]), n+1
		}
		step := p.trace[i].at
		if i > 0 {
			step -= p.trace[i-1].at
		}
		if mean/n > bound {
			run += step
		} else {
			run = 0
		}
		longest = max(longest, run)
	}
	return longest
}

// TestPower: the mean comes down within seconds and stays just below the limit.
func TestPower(t *testing.T) {
	for name, c := range map[string]struct {
		p     *plant
		limit float64
	}{"board, 10 W": {board(), 10}, "board, 8 W": {board(), 8}, "board, 5.5 W": {board(), 5.5}, "phone, 4 W": {phone(), 4}, "phone, 2 W": {phone(), 2}} {
		g, notes := governed(c.p, Limits{Watts: c.limit})
		c.p.work(t, g, 300*second)
		if s := c.p.over(c.limit, ofWatts); s > 25 { // the first ten seconds weigh as long
			t.Errorf("%s: %.0f s above the limit", name, s)
		}
		mean, _, most := c.p.between(30, 300, ofWatts)
		if mean < .94*c.limit || mean > c.limit || most > 1.4*c.limit {
			t.Errorf("%s: %.2f W on average, %.2f at most", name, mean, most)
		}
		if r := g.Report(); !r.Held || r.Paused <= 0 && r.Fewest == r.Most || len(*notes) != 1 || !strings.HasPrefix((*notes)[0], "holding back: VDD_IN is at ") {
			t.Errorf("%s: %+v, %q", name, r, *notes)
		}
	}
	// Where the limit is far away nothing happens.
	p := board()
	g, notes := governed(p, Limits{Watts: 15, Celsius: 100})
	p.work(t, g, 300*second)
	free := board()
	free.work(t, nil, 300*second)
	if r := g.Report(); r.Paused != 0 || r.Held || r.Fewest != 6 || len(*notes) != 0 || p.tokens != free.tokens {
		t.Errorf("%+v, %q, %d tokens, %d without a governor", r, *notes, p.tokens, free.tokens)
	}
}

// TestThreadsFirst: fewer threads save power and hardly speed, so they go before any
// pause is made.
func TestThreadsFirst(t *testing.T) {
	p := board()
	g, _ := governed(p, Limits{Watts: 10})
	p.work(t, g, 300*second)
	r := g.Report()
	if _, speed, _ := p.between(30, 300, ofSpeed); speed < .72*12.5 || r.Paused != 0 || r.Fewest != 3 || r.Threads < 3.5 {
		t.Errorf("%.1f tokens/s of 12.5 at 10 of 12 W; %s", speed, r)
	}
}

// TestDisturbed: when others draw power work gives way, and comes back after them.
func TestDisturbed(t *testing.T) {
	p := board()
	p.other = func(at time.Duration) float64 {
		if at > 100*second && at < 200*second {
			return 2
		}
		return 0
	}
	g, _ := governed(p, Limits{Watts: 9})
	p.work(t, g, 300*second)
	before, _, _ := p.between(60, 100, ofSpeed)
	during, _, _ := p.between(115, 200, ofSpeed)
	after, _, _ := p.between(220, 300, ofSpeed)
	if mean, _, _ := p.between(115, 200, ofWatts); mean > 9 || mean < 8.4 || during > .85*before || after < .95*before {
		t.Errorf("%.2f W; %.1f, %.1f, %.1f tokens/s", mean, before, during, after)
	}
}

// TestHeat: the true temperature of the die, which no sensor shows, never passes the
// limit by a degree, and settles just below it.
func TestHeat(t *testing.T) {
	for name, c := range map[string]struct {
		p     *plant
		limit float64
	}{"board, 80 °C": {board(), 80}, "board, 70 °C": {board(), 70}, "board, 60 °C": {board(), 60}, "phone, 60 °C": {phone(), 60}, "phone, 45 °C": {phone(), 45}} {
		g, notes := governed(c.p, Limits{Celsius: c.limit})
		c.p.work(t, g, 1500*second)
		_, _, most := c.p.between(0, 1500, ofDie)
		if most > c.limit+1 {
			t.Errorf("%s: overshoots to %.1f °C", name, most)
		}
		mean, low, high := c.p.between(900, 1500, ofDie)
		if mean < c.limit-2.5 || mean > c.limit || high-low > 3 {
			t.Errorf("%s: settles at %.1f °C (%.1f to %.1f)", name, mean, low, high)
		}
		if len(*notes) != 1 || !strings.HasPrefix((*notes)[0], "holding back: cpu-thermal is at ") {
			t.Errorf("%s: %q", name, *notes)
		}
		// The limit costs no more speed than it must: what the plant allows is known.
		if allowed := (c.limit - c.p.ambient) / (c.p.dieR + c.p.sinkR); allowed < c.p.idle+c.p.dynamic {
			if got, _, _ := c.p.between(900, 1500, ofWatts); got < .9*allowed {
				t.Errorf("%s: %.2f W, %.2f are allowed", name, got, allowed)
			}
		}
	}
}

// TestWarmerAir: the air warms up by 12 °C.
func TestWarmerAir(t *testing.T) {
	p := board()
	g, _ := governed(p, Limits{Celsius: 70})
	for p.at < 2000*second {
		p.work(t, g, p.at+10*second)
		p.ambient = 25 + 12*min(1, max(0, (p.at-600*second).Seconds()/300))
	}
	if _, _, most := p.between(0, 2000, ofDie); most > 71 {
		t.Errorf("%.1f °C", most)
	}
	if mean, _, _ := p.between(1500, 2000, ofDie); mean < 67.5 || mean > 70 {
		t.Errorf("settles at %.1f °C", mean)
	}
}

// TestBoth: the narrower limit counts.
func TestBoth(t *testing.T) {
	p := board()
	g, notes := governed(p, Limits{Watts: 9, Celsius: 70})
	p.work(t, g, 1500*second)
	if w, _, _ := p.between(60, 250, ofWatts); w > 9 || w < 8.4 { // while it is cool
		t.Errorf("%.2f W", w)
	}
	mean, _, most := p.between(900, 1500, ofDie)
	if w, _, _ := p.between(900, 1500, ofWatts); w > 9 || most > 71 || mean < 67.5 {
		t.Errorf("%.2f W, %.1f °C, at most %.1f", w, mean, most)
	}
	if len(*notes) != 2 {
		t.Errorf("%q", *notes)
	}
}

// TestSensorFails: work goes on at the last safe effort, and says so.
func TestSensorFails(t *testing.T) {
	p := board()
	p.fails = func(at time.Duration) bool { return at > 800*second && at < 1000*second }
	g, notes := governed(p, Limits{Celsius: 70})
	p.work(t, g, 1500*second)
	_, low, high := p.between(803, 999, ofEffort)
	before, _, _ := p.between(700, 800, ofEffort)
	if low != high || math.Abs(high-before) > .15 {
		t.Errorf("effort %.2f to %.2f while the sensor failed, %.2f before", low, high, before)
	}
	if _, _, most := p.between(800, 1500, ofDie); most > 72 {
		t.Errorf("%.1f °C", most)
	}
	if mean, _, _ := p.between(1300, 1500, ofDie); mean < 67.5 || mean > 70 {
		t.Errorf("settles at %.1f °C after the sensor came back", mean)
	}
	if len(*notes) != 3 || !strings.HasPrefix((*notes)[1], "cpu-thermal cannot be read any more (/sys/x: no such device): going on at ") || (*notes)[2] != "cpu-thermal can be read again" {
		t.Errorf("%q", *notes)
	}
	// One that fails above the limit: then the effort of the last reading within it.
	p = board()
	p.fails = func(at time.Duration) bool { return at > 3*second }
	g, _ = governed(p, Limits{Watts: 8})
	p.work(t, g, 60*second)
	if u := g.Report().Effort; u > .85 {
		t.Errorf("goes on at %.2f", u)
	}
}

// TestUnreachable: a limit below what the machine draws by itself is told, and work
// goes on slowly.
func TestUnreachable(t *testing.T) {
	p := board()
	g, notes := governed(p, Limits{Watts: 3})
	p.work(t, g, 200*second)
	if n := len(*notes); n != 2 || !strings.HasPrefix((*notes)[1], "the limit of 3 W cannot be kept: VDD_IN is at 4.") {
		t.Errorf("%q", *notes)
	}
	if u := g.Report(); u.Effort != least || u.Least != least {
		t.Errorf("%+v", u)
	}
	if _, speed, _ := p.between(100, 200, ofSpeed); speed <= 0 {
		t.Error("nothing is done any more")
	}
}
