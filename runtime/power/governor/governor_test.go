package governor

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ledge-run/ledge/runtime/power"
	"github.com/ledge-run/ledge/runtime/power/powertest"
)

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		u          float64
		threads    int
		mean, duty float64
	}{
		{1, 8, 8, 1}, {.9, 8, 7.2, 1}, {.5, 8, 4, 1}, {.25, 8, 4, .5}, {.05, 8, 4, .1}, {.5, 1, 1, .5}, {.5, 0, 0, .5}, {.5, 3, 2, .75}, {.75, 2, 1.5, 1}, {.25, 2, 1, .5},
	} {
		if mean, duty := split(c.u, c.threads); math.Abs(mean-c.mean) > 1e-9 || math.Abs(duty-c.duty) > 1e-9 {
			t.Errorf("effort %g of %d threads: %g, %g; want %g, %g", c.u, c.threads, mean, duty, c.mean, c.duty)
		}
	}
}

// TestFractions: runs get whole threads, whose mean is what the effort asks for.
func TestFractions(t *testing.T) {
	c := &clock{time.Unix(2e9, 0)}
	for _, u := range []float64{1, .97, .8, .625, .55, .5, .3} {
		g, _ := c.governor(t, Limits{Celsius: 100}, powertest.Machine("orin-nano"))
		g.loops[0].effort = u
		for range 200 {
			_ = c.run(g, time.Microsecond)
		}
		mean, _ := split(u, 4)
		if r := g.Report(); math.Abs(r.Threads-mean) > .02 || r.Fewest < int(mean) || r.Most > int(math.Ceil(mean)) {
			t.Errorf("effort %g: %d to %d, %g on average, want %g", u, r.Fewest, r.Most, r.Threads, mean)
		}
	}
}

func TestLimits(t *testing.T) {
	for _, l := range []Limits{{Watts: -1}, {Watts: 1e6}, {Celsius: 20}, {Celsius: 200}, {Celsius: -1}, {BatteryFloor: -1}, {BatteryFloor: 100}} {
		if _, err := New(Options{Limits: l, Meter: power.OpenAt(powertest.Machine("phone"))}); err == nil || !strings.HasPrefix(err.Error(), "a ") {
			t.Errorf("%+v: %v", l, err)
		}
	}
	if (Limits{}).Any() || !(Limits{Celsius: 70}).Any() {
		t.Error("Any")
	}
}

// TestNoSensor: a limit that nothing can watch is an error at the start.
func TestNoSensor(t *testing.T) {
	none := powertest.Parse("")
	locked := powertest.Machine("pc")
	locked.Lock("sys/class/powercap/intel-rapl:0/energy_uj", fs.ErrPermission)
	locked.Remove("sys/class/power_supply/BAT0/type")
	for name, c := range map[string]struct {
		files  *powertest.FS
		limits Limits
		kind   string
		say    string
	}{
		"power":       {none, Limits{Watts: 5}, Power, "VDD_IN: no ina3221 power monitor"},
		"locked":      {locked, Limits{Watts: 5}, Power, "RAPL package-0: /sys/class/powercap/intel-rapl:0/energy_uj: permission denied (root may read it)"},
		"temperature": {none, Limits{Celsius: 70}, Temperature, "no temperature can be read"},
		"battery":     {powertest.Machine("orin-nano"), Limits{BatteryFloor: 20}, Battery, "no battery"},
	} {
		_, err := New(Options{Limits: c.limits, Meter: power.OpenAt(c.files)})
		var none *SensorError
		if !errors.As(err, &none) || none.Limit != c.kind || !strings.Contains(err.Error(), c.say) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A card that computes is not covered by the processor's counter.
	g, err := New(Options{Limits: Limits{Watts: 5}, Meter: power.OpenAt(func() fs.FS {
		f := powertest.Machine("pc")
		f.Remove("sys/class/power_supply/BAT0/type")
		return f
	}())})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if err := g.Begin(false); err != nil {
		t.Error(err)
	}
	if err := g.Begin(true); err == nil || !strings.Contains(err.Error(), "RAPL package-0: it does not cover the device that computed") {
		t.Error(err)
	}
}

// clock is a time that waiting moves on.
type clock struct{ at time.Time }

func (c *clock) governor(t *testing.T, l Limits, files fs.FS) (*Governor, *[]string) {
	t.Helper()
	var notes []string
	g, err := New(Options{Limits: l, Meter: power.OpenAt(files), Note: func(s string) { notes = append(notes, s) }})
	if err != nil {
		t.Fatal(err)
	}
	g.now, g.sleep, g.restful = func() time.Time { return c.at }, func(d time.Duration) { c.at = c.at.Add(d) }, nil
	if err := g.Begin(false); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g, &notes
}

// run lets a model run for a while.
func (c *clock) run(g *Governor, took time.Duration) error {
	if _, err := g.Before(context.Background(), 4); err != nil {
		return err
	}
	c.at = c.at.Add(took)
	g.After(took)
	return nil
}

func TestBatteryFloor(t *testing.T) {
	files := powertest.Machine("phone")
	const capacity, usb = "sys/class/power_supply/battery/capacity", "sys/class/power_supply/usb/online"
	files.Set(capacity, "31")
	c := &clock{time.Unix(2e9, 0)}
	g, notes := c.governor(t, Limits{BatteryFloor: 20}, files)
	step := func() error { c.at = c.at.Add(batteries * period); return c.run(g, time.Millisecond) }
	for _, k := range []struct {
		percent string
		effort  float64
	}{{"31", 1}, {"25", 1}, {"23", .7}, {"21", .4}} {
		files.Set(capacity, k.percent)
		if err := step(); err != nil || g.effort() < k.effort-1e-9 || g.effort() > k.effort+1e-9 {
			t.Errorf("%s %%: %v, effort %g, want %g", k.percent, err, g.effort(), k.effort)
		}
	}
	files.Set(capacity, "20")
	var floor *FloorError
	if err := step(); !errors.As(err, &floor) || err.Error() != "the battery has 20 % left, and 20 % is its floor: connect a charger or lower the floor" {
		t.Error(err)
	}
	if err := c.run(g, time.Millisecond); !errors.As(err, &floor) {
		t.Error("it goes on: ", err)
	}
	if _, err := New(Options{Limits: Limits{BatteryFloor: 20}, Meter: power.OpenAt(files)}); !errors.As(err, &floor) {
		t.Error(err)
	}
	files.Set(usb, "1") // a charger comes
	if err := step(); err != nil || g.effort() != 1 {
		t.Error(err, g.effort())
	}
	files.Set(capacity, "apples")
	if err := step(); err != nil {
		t.Error(err)
	}
	if want := []string{"holding back: the battery has 23 %, its floor is 20 %",
		`the battery's charge cannot be read any more (battery battery: /sys/class/power_supply/battery/capacity holds "apples", which is no number): its floor is not watched`}; strings.Join(*notes, "|") != strings.Join(want, "|") {
		t.Errorf("%q", *notes)
	}
}

// TestPauses: short ones are saved up, long ones bounded, and idle time counts.
func TestPauses(t *testing.T) {
	c := &clock{time.Unix(2e9, 0)}
	g, _ := c.governor(t, Limits{Celsius: 100}, powertest.Machine("orin-nano"))
	g.loops[0].effort = .5 / 2 // half the threads, half the time
	_ = c.run(g, 0)
	spent := func(took time.Duration) time.Duration {
		before := g.Paused()
		if err := c.run(g, took); err != nil {
			t.Fatal(err)
		}
		if _, err := g.Before(context.Background(), 4); err != nil {
			t.Fatal(err)
		}
		return g.Paused() - before
	}
	g.looked = c.at.Add(time.Hour) // no reading changes the effort
	if d := spent(300 * time.Millisecond); d != 300*time.Millisecond {
		t.Errorf("%v after 300 ms", d)
	}
	for range 3 { // less than a millisecond each
		if d := spent(300 * time.Microsecond); d != 0 {
			t.Errorf("%v after 300 µs", d)
		}
	}
	if d := spent(300 * time.Microsecond); d < time.Millisecond || d > 2*time.Millisecond {
		t.Errorf("%v after 300 µs for the fourth time", d)
	}
	if d := spent(time.Minute); d != mostPause {
		t.Errorf("%v after a minute", d)
	}
	g.After(time.Second)
	c.at = c.at.Add(400 * time.Millisecond) // the user reads
	before := g.Paused()
	if _, err := g.Before(context.Background(), 4); err != nil || g.Paused()-before != 600*time.Millisecond {
		t.Error(err, g.Paused()-before)
	}
}

// TestCancel: a pause ends when nobody waits for what comes after it.
func TestCancel(t *testing.T) {
	c := &clock{time.Unix(2e9, 0)}
	g, _ := c.governor(t, Limits{Celsius: 100}, powertest.Machine("orin-nano"))
	g.debt = mostPause
	ctx, cancel := context.WithCancel(context.Background())
	n := 0
	sleep := g.sleep
	g.sleep = func(d time.Duration) {
		if n++; n == 3 {
			cancel()
		}
		sleep(d)
	}
	if _, err := g.Before(ctx, 4); !errors.Is(err, context.Canceled) || n != 3 {
		t.Errorf("%v after %d strides", err, n)
	}
}

// TestGauges: what real sensors' files give.
func TestGauges(t *testing.T) {
	files := powertest.Machine("orin-nano")
	c := &clock{time.Unix(2e9, 0)}
	g, notes := c.governor(t, Limits{Celsius: 60}, files)
	const tj = "sys/class/thermal/thermal_zone8/temp"
	files.Set(tj, "66000")
	for range 5 {
		c.at = c.at.Add(time.Second)
		_ = c.run(g, 10*time.Millisecond)
	}
	if r := g.Report(); !r.Held || len(r.Readings) != 1 || r.Readings[0].Most != 66 || r.Readings[0].Name != "tj-thermal" || !strings.Contains(r.String(), "66.0 °C at most (tj-thermal; limit 60)") {
		t.Errorf("%s", g.Report())
	}
	files.Remove(tj) // the others are cool
	c.at = c.at.Add(time.Second)
	_ = c.run(g, 10*time.Millisecond)
	if n := *notes; len(n) != 2 || !strings.HasPrefix(n[1], "tj-thermal cannot be read any more (it gives no temperature any more): going on at ") {
		t.Errorf("%q", n)
	}

	m := power.OpenAt(powertest.Machine("orin-nano"))
	w, err := watts(m, false)
	if err != nil {
		t.Fatal(err)
	}
	w.begin()
	time.Sleep(60 * time.Millisecond)
	if x, name, err := w.read(); err != nil || name != "VDD_IN" || x < 6.9 || x > 7.1 {
		t.Error(x, name, err)
	}
	w.end()
}

// TestPowerSensorFails: the source that the limit is of is not replaced by another.
func TestPowerSensorFails(t *testing.T) {
	files := powertest.Machine("orin-nano")
	w, err := watts(power.OpenAt(files), false)
	if err != nil {
		t.Fatal(err)
	}
	w.begin()
	time.Sleep(60 * time.Millisecond)
	files.Remove("sys/class/hwmon/hwmon1/curr1_input")
	if x, name, err := w.read(); err == nil || name != "VDD_IN" || !strings.Contains(err.Error(), "curr1_input: file does not exist") {
		t.Error(x, name, err)
	}
	files.Set("sys/class/hwmon/hwmon1/curr1_input", "1000")
	w.begin()
	time.Sleep(60 * time.Millisecond)
	if x, _, err := w.read(); err != nil || x < 4.9 || x > 5.1 {
		t.Error(x, err)
	}
	w.end()
}

// TestRest: sensors are left alone while there is nothing to do.
func TestRest(t *testing.T) {
	c := &clock{time.Unix(2e9, 0)}
	g, _ := c.governor(t, Limits{Celsius: 100}, powertest.Machine("orin-nano"))
	ends := 0
	g.loops[0].gauge.end = func() { ends++ }
	_ = c.run(g, time.Millisecond)
	g.doze() // too early
	if ends != 0 || !g.awake {
		t.Error("it sleeps beside work")
	}
	c.at = c.at.Add(restAfter)
	g.doze()
	if ends != 1 || g.awake {
		t.Error("it does not rest")
	}
	_ = c.run(g, time.Millisecond)
	if !g.awake {
		t.Error("it does not wake up")
	}
	if _, err := g.Before(context.Background(), 4); err != nil {
		t.Fatal(err)
	}
	c.at = c.at.Add(time.Minute) // within a long run
	g.doze()
	if ends != 1 {
		t.Error("it sleeps within a run")
	}
}

// TestConcurrent: reports are made from other goroutines (for the race detector).
func TestConcurrent(t *testing.T) {
	g, err := New(Options{Limits: Limits{Celsius: 100, Watts: 100}, Meter: power.OpenAt(powertest.Machine("orin-nano"))})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Begin(false); err != nil {
		t.Fatal(err)
	}
	var others sync.WaitGroup
	stop := make(chan struct{})
	others.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_ = g.Report().String()
				g.Paused()
				time.Sleep(100 * time.Microsecond)
			}
		}
	})
	for range 20 {
		if n, err := g.Before(context.Background(), 4); err != nil || n != 4 {
			t.Error(n, err)
		}
		time.Sleep(time.Millisecond)
		g.After(time.Millisecond)
	}
	close(stop)
	others.Wait()
	g.Close()
	g.Close()
}

// TestLive: this machine's own sensors, if it has any: half of the power that work
// takes is not exceeded for long.
func TestLive(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	m := power.Open()
	w, err := watts(m, false)
	if err != nil {
		t.Skip("no power is measured here: ", err)
	}
	spin := func(d time.Duration) {
		for end := time.Now().Add(d); time.Now().Before(end); {
		}
	}
	w.begin()
	time.Sleep(time.Second)
	idle, _, err := w.read()
	if err != nil {
		t.Skip("no power is measured here: ", err)
	}
	spin(time.Second)
	busy, name, err := w.read()
	w.end()
	if err != nil || busy < 1.2*idle {
		t.Skipf("%s: %.1f W idle, %.1f W busy, %v: others disturb", name, idle, busy, err)
	}
	limit := (idle + busy) / 2
	g, err := New(Options{Limits: Limits{Watts: limit}, Meter: m})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Begin(false); err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		if _, err := g.Before(context.Background(), 1); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		spin(20 * time.Millisecond)
		g.After(time.Since(start))
	}
	r := g.Report()
	t.Logf("%.1f W idle, %.1f W busy: %s", idle, busy, r)
	if !r.Held || r.Readings[0].Last > 1.1*limit {
		t.Errorf("the limit is %.1f W: %s", limit, r)
	}
}
