package main

import (
	"encoding/json"
	"io/fs"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ledge-run/ledge/runtime/bench"
	"github.com/ledge-run/ledge/runtime/power/powertest"
)

// impatient has limits looked at all the time.
func impatient(t *testing.T) {
	before := lookEvery
	t.Cleanup(func() { lookEvery = before })
	lookEvery = time.Microsecond // before every run: tiny models take little more
}

// draining is a machine whose battery falls below 20 % when it has been read some times.
type draining struct {
	*powertest.FS
	left atomic.Int32
}

const capacityFile = "sys/class/power_supply/battery/capacity"

func drain(after int32) *draining {
	d := &draining{FS: powertest.Machine("phone")}
	d.left.Store(after)
	return d
}

func (d *draining) Open(name string) (fs.File, error) {
	if name == capacityFile && d.left.Add(-1) < 0 {
		d.Set(name, "19\n")
	}
	return d.FS.Open(name)
}

// TestLimitsSameText: a machine that is held back writes the same, and says so.
func TestLimitsSameText(t *testing.T) {
	m := golden(t, "llama-gqa")
	args := []string{"run", "-m", m, "--raw", "-n", "100", "--seed", "7", "-t", "2", "--ignore-eos", "the other"}
	want := must(t, args...)
	impatient(t)
	withMeter(t, powertest.Machine("phone"))
	r := ledge(append(args, "--max-temp", "60", "--battery-floor", "20", "--stats")...)
	if r.code != 0 || r.out != want {
		t.Errorf("%+v, want %q", r, want)
	}
	if strings.Count(r.err, "holding back") != 1 || !strings.Contains(r.err, "note: holding back: cpu-1-3-usr is at 81.9 °C, the limit is 60 °C\n") ||
		!strings.Contains(r.err, "\nlimits    paused ") || !strings.Contains(r.err, ", 81.9 °C at most (cpu-1-3-usr; limit 60)") || !strings.Contains(r.err, "battery 76 % (floor 20)") {
		t.Error(r.err)
	}
	j := decode[runResult](t, must(t, append(args, "--max-temp", "60", "--json")...))
	if j.Timings.Paused <= 0 || j.Timings.Threads < 1 || j.Text != strings.TrimSuffix(want, "\n") && j.Text != want {
		t.Errorf("%+v", j)
	}
	// Far from the limit nothing is said.
	if r := ledge(append(args, "--max-temp", "110")...); r.code != 0 || r.out != want || strings.Contains(r.err, "holding") {
		t.Errorf("%+v", r)
	}
	chat := ledgeIn("hello\n", "chat", "-m", m, "-n", "60", "--temp", "0", "--max-temp", "60", "--stats")
	if chat.code != 0 || !strings.Contains(chat.err, "limits    paused ") || !strings.Contains(chat.err, " s in this answer; in all: paused ") {
		t.Errorf("%+v", chat)
	}
	b := []string{"bench", "-m", m, "-p", "0", "-n", "100", "-t", "1", "-r", "5", "--max-temp", "60"}
	if out := must(t, b...); !strings.Contains(out, "\nlimits paused ") {
		t.Error(out)
	}
	for _, r := range decode[[]bench.Result](t, must(t, append(b, "-o", "json")...)) {
		if r.PausedNs <= 0 {
			t.Errorf("%s: %d ns", r.Test(), r.PausedNs)
		}
	}
}

// TestBatteryFloorEnds: what was generated stays, and the exit code is the limit's.
func TestBatteryFloorEnds(t *testing.T) {
	m := golden(t, "llama-gqa")
	args := []string{"run", "-m", m, "--raw", "-n", "0", "--seed", "7", "-t", "1", "--ignore-eos", "-b", "1", "--battery-floor", "20", "the other"}
	impatient(t)
	withMeter(t, drain(12))
	r := ledge(args...)
	if r.code != exitLimit || r.out == "" || !strings.HasSuffix(r.out, "\n") || !strings.Contains(r.err, "ledge: --battery-floor: the battery has 19 % left, and 20 % is its floor: connect a charger or lower the floor\n") {
		t.Errorf("%+v", r)
	}
	withMeter(t, drain(12))
	r = ledge(append(args, "--json")...)
	var j runResult
	if err := json.Unmarshal([]byte(r.out), &j); err != nil || r.code != exitLimit || j.Reason != "limit" || j.Text == "" || len(j.Tokens) == 0 {
		t.Errorf("%+v, %v", r, err)
	}
	withMeter(t, drain(12))
	r = ledgeIn("hello\nagain\n", "chat", "-m", m, "-b", "1", "--temp", "0", "--battery-floor", "20")
	if r.code != exitLimit || strings.Count(r.err, "its floor") != 1 {
		t.Errorf("%+v", r)
	}
	withMeter(t, drain(0)) // below the floor at the start
	refused(t, exitLimit, "--battery-floor: the battery has 19 % left", args...)
}

// TestNoSensorForLimit: what cannot be watched is an error at the start.
func TestNoSensorForLimit(t *testing.T) {
	m := golden(t, "llama-gqa")
	withMeter(t, powertest.Parse(""))
	for flag, say := range map[string]string{
		"--max-watts": "--max-watts: no sensor: VDD_IN: no ina3221", "--max-temp": "--max-temp: no sensor: no temperature can be read; ledge power lists what there is", "--battery-floor": "--battery-floor: no sensor: no battery; ledge power",
	} {
		refused(t, exitLimit, say, "run", "-m", m, flag, "50", "hello")
		refused(t, exitLimit, say, "bench", "-m", m, flag, "50")
	}
	withMeter(t, powertest.Machine("phone"))
	for _, wrong := range []string{"--max-watts=0", "--max-watts=-5", "--max-temp=0", "--max-temp=NaN", "--max-temp=5", "--battery-floor=100", "--battery-floor=-1", "--max-watts=1e9", "--max-watts=ten"} {
		refused(t, exitUsage, "", "run", "-m", m, wrong, "hello")
	}
}

func TestPowerOfMachines(t *testing.T) {
	for machine, say := range map[string][]string{
		"orin-nano": {"7.00 W  VDD_IN: the whole module", "cpu-thermal 49.3", "clocks             cpu0 1344 of 1497 MHz, cpu4 1344 of 1497 MHz, gpu 306 of 612 MHz, memory 2133 of 2133 MHz\n"},
		"pc":        {"battery            64 %, not on the mains\n", "slowed             gpu: pl1\n", "coretemp Package id 0 71.0"},
		"phone":     {"4.62 W  battery: the whole machine", "battery            76 %", "slowed             thermal-cpufreq-4 5 of 16\n", "gpu 545 of 818 MHz"},
	} {
		withMeter(t, powertest.Machine(machine))
		out := must(t, "power", "-i", "1.05")
		for _, want := range say {
			if !strings.Contains(out, want) {
				t.Errorf("%s has no %q:\n%s", machine, want, out)
			}
		}
		r := decode[powerReport](t, must(t, "power", "--json", "-i", "0.1"))
		if r.Mode == "" || len(r.Clocks) == 0 || len(r.Counts) == 0 || machine != "orin-nano" && r.Charge == nil || len(r.Absent) == 0 {
			t.Errorf("%s: %+v", machine, r)
		}
	}
}
