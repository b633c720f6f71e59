package governor

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// plant is a machine: power and heat by equations, read through sensors with noise,
// steps and delay. It is its own clock.
type plant struct {
	at time.Duration

	threads int
	token   time.Duration // on all threads

	idle, dynamic      float64                        // W: without work, and what work on all threads adds
	ambient            float64                        // °C
	dieC, dieR         float64                        // J/K, K/W: from the die to the heat sink
	sinkC, sinkR       float64                        // to the air
	die, sink          float64                        // °C
	other              func(at time.Duration) float64 // W that somebody else draws
	noiseW, noiseC     float64                        // standard deviations of the sensors
	stepC              float64                        // of the temperature's sensor
	delay              time.Duration                  // of the temperature's sensor
	fails              func(at time.Duration) bool    // both sensors
	rng                *rand.Rand
	joules, lastJoules float64
	lastRead           time.Duration
	history            []float64 // temperatures every 10 ms, for the delay

	tokens int
	trace  []point
}

// point is what there was in a second.
type point struct {
	at                        float64 // s
	watts, die, effort, speed float64 // W on average, °C, share of full speed, tokens/s
	threads                   int
}

// board is about an Orin Nano with a small heat sink: at full speed it reaches 89 °C.
func board() *plant {
	return &plant{threads: 6, token: 80 * time.Millisecond, idle: 4, dynamic: 8, ambient: 25, dieC: 8, dieR: 1.2, sinkC: 45, sinkR: 4.1,
		die: 42, sink: 40, noiseW: .15, noiseC: .3, stepC: .5, delay: time.Second, rng: rand.New(rand.NewPCG(1, 2))}
}

// phone has no fan: heat leaves it slowly, its cores warm up at once.
func phone() *plant {
	return &plant{threads: 4, token: 120 * time.Millisecond, idle: 1.2, dynamic: 6, ambient: 25, dieC: 1.5, dieR: 4, sinkC: 120, sinkR: 7,
		die: 34, sink: 33, noiseW: .2, noiseC: .5, stepC: 1, delay: 2 * time.Second, rng: rand.New(rand.NewPCG(3, 4))}
}

// step lets time go by at a share of the dynamic power.
func (p *plant) step(d time.Duration, share float64) {
	const dt = 10 * time.Millisecond
	for d > 0 {
		h := min(d, dt)
		s := h.Seconds()
		watts := p.idle + share*p.dynamic
		if p.other != nil {
			watts += p.other(p.at)
		}
		flow := (p.die - p.sink) / p.dieR
		p.die += s * (watts - flow) / p.dieC
		p.sink += s * (flow - (p.sink-p.ambient)/p.sinkR) / p.sinkC
		p.joules += s * watts
		p.at += h
		for len(p.history) < int(p.at/dt) {
			p.history = append(p.history, p.die)
		}
		d -= h
	}
}

func (p *plant) now() time.Time { return time.Unix(1e9, 0).Add(p.at) }

var errGone = errors.New("/sys/x: no such device")

func (p *plant) failing() bool { return p.fails != nil && p.fails(p.at) }

// watts is the mean power since the last reading.
func (p *plant) watts() gauge {
	begin := func() { p.lastJoules, p.lastRead = p.joules, p.at }
	return gauge{begin, func() (float64, string, error) {
		took := (p.at - p.lastRead).Seconds()
		x := (p.joules-p.lastJoules)/took + p.noiseW*p.rng.NormFloat64()
		begin()
		if p.failing() {
			return 0, "VDD_IN", errGone
		}
		return x, "VDD_IN", nil
	}, func() {}}
}

func (p *plant) celsius() gauge {
	return gauge{func() {}, func() (float64, string, error) {
		if p.failing() {
			return 0, "cpu-thermal", errGone
		}
		x := p.die
		if n := len(p.history) - 1 - int(p.delay/(10*time.Millisecond)); n >= 0 {
			x = p.history[n]
		}
		x += p.noiseC * p.rng.NormFloat64()
		return math.Round(x/p.stepC) * p.stepC, "cpu-thermal", nil
	}, func() {}}
}

// governed is a governor of the plant.
func governed(p *plant, l Limits) (*Governor, *[]string) {
	var notes []string
	g := &Governor{limits: Limits{}, period: period, now: p.now, cap: 1, told: map[string]bool{}, note: func(s string) { notes = append(notes, s) }}
	g.sleep = func(d time.Duration) { p.step(d, 0) }
	g.begun = p.now()
	g.report.Effort = 1
	if l.Watts > 0 {
		g.loops = append(g.loops, newPowerLoop(l.Watts, p.watts()))
	}
	if l.Celsius > 0 {
		g.loops = append(g.loops, newHeatLoop(l.Celsius, p.celsius()))
	}
	return g, &notes
}

// work generates until a time, held back by g, nil for none. Memory is half of what a
// token waits for: fewer threads are not as much slower.
func (p *plant) work(t testing.TB, g *Governor, until time.Duration) {
	t.Helper()
	var second point
	begin, joules, tokens := p.at, p.joules, p.tokens
	for p.at < until {
		n := p.threads
		if g != nil {
			var err error
			if n, err = g.Before(context.Background(), p.threads); err != nil {
				t.Fatal(err)
			}
		}
		share := float64(n) / float64(p.threads)
		took := time.Duration(float64(p.token) * (.5 + .5/share))
		p.step(took, .2+.8*share)
		p.tokens++
		if g != nil {
			g.After(took)
		}
		if d := (p.at - begin).Seconds(); d >= 1 {
			second = point{at: p.at.Seconds(), watts: (p.joules - joules) / d, die: p.die, effort: 1, speed: float64(p.tokens-tokens) / d, threads: n}
			if g != nil {
				second.effort = g.Report().Effort
			}
			p.trace = append(p.trace, second)
			begin, joules, tokens = p.at, p.joules, p.tokens
		}
	}
}

// between are the mean and the extremes of a quantity within a time, in s.
func (p *plant) between(from, to float64, of func(point) float64) (mean, least, most float64) {
	least, most = math.Inf(1), math.Inf(-1)
	n := 0.0
	for _, x := range p.trace {
		if x.at >= from && x.at < to {
			v := of(x)
			mean, n = mean+v, n+1
			least, most = min(least, v), max(most, v)
		}
	}
	return mean / n, least, most
}

func ofWatts(p point) float64  { return p.watts }
func ofDie(p point) float64    { return p.die }
func ofEffort(p point) float64 { return p.effort }
func ofSpeed(p point) float64  { return p.speed }
