package main

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"io/fs"
	"maps"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/ledge-run/ledge/runtime/bench"
	"github.com/ledge-run/ledge/runtime/power"
	"github.com/ledge-run/ledge/runtime/power/powertest"
)

// tenWatts is a machine whose processor draws 10 W, as its counter says, and whose battery
// gives 15 W.
type tenWatts time.Time

func (t tenWatts) Open(name string) (fs.File, error) {
	const (
		battery = "sys/class/power_supply/BAT0/"
		thermal = "sys/class/thermal/"
	)
	files := powertest.TenWatts(t).Files()
	maps.Copy(files, fstest.MapFS{
		battery + "type":                        {Data: []byte("Battery\n")},
		battery + "status":                      {Data: []byte("Discharging\n")},
		battery + "power_now":                   {Data: []byte("15000000\n")},
		thermal + "thermal_zone0/type":          {Data: []byte("x86_pkg_temp\n")},
		thermal + "thermal_zone0/temp":          {Data: []byte("61500\n")},
		thermal + "cooling_device0/type":        {Data: []byte("Processor\n")},
		thermal + "cooling_device0/cur_state":   {Data: []byte("1\n")},
		thermal + "cooling_device0/max_state":   {Data: []byte("3\n")},
		"sys/devices/system/cpu/cpu0/not/there": {},
	})
	return files.Open(name)
}

// withMeter gives commands the sensors of another machine.
func withMeter(t *testing.T, root fs.FS) {
	before := openMeter
	t.Cleanup(func() { openMeter = before })
	openMeter = func() *power.Meter { return power.OpenAt(root) }
}

func TestPower(t *testing.T) {
	withMeter(t, tenWatts(time.Now()))
	out := must(t, "power", "-i", "1")
	for _, want := range []string{"RAPL package-0: the processor's package, counter\n", "15.00 W  battery BAT0: the whole machine, sampled every 1 s\n", "VDD_IN: no ina3221",
		"NVML: ", "x86_pkg_temp 61.5\n", "slowed             Processor 1 of 3\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("ledge power has no %q:\n%s", want, out)
		}
	}
	r := decode[powerReport](t, must(t, "power", "--json", "-i", "0.2"))
	if len(r.Sources) != 2 || r.Sources[0].Watts < 5 || r.Sources[0].Watts > 20 || r.Seconds < .15 || len(r.Absent) != 2 || len(r.Temperatures) != 1 || r.Time == "" {
		t.Errorf("%+v", r)
	}
	withMeter(t, fstest.MapFS{})
	if out := must(t, "power", "-i", "0.1"); !strings.Contains(out, "power         n/a\n") || !strings.Contains(out, "RAPL: no package domain") || !strings.Contains(out, "no thermal zone") {
		t.Error(out)
	}
	for _, i := range []string{"0", "-1", "NaN", "1e9"} {
		refused(t, exitUsage, "0.1 to 3600", "power", "-i="+i)
	}
	refused(t, exitUsage, "", "power", "more")
}

// TestWatch: it goes on until it is interrupted.
func TestWatch(t *testing.T) {
	c := program(t, "power", "--watch", "-i", "0.1", "--json")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(out)
	for range 3 {
		var r powerReport
		if err := d.Decode(&r); err != nil || r.Seconds <= 0 || len(r.Sources)+len(r.Absent) == 0 {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Skip("no interrupts here: ", err)
	}
	_, _ = io.Copy(io.Discard, out)
	if code := exitOf(c.Wait()); code != exitInterrupted {
		t.Errorf("exit code %d", code)
	}
}

func TestEnergyOfCommands(t *testing.T) {
	m := golden(t, "llama-gqa")
	run := []string{"run", "-m", m, "--raw", "-n", "8", "--seed", "7", "-t", "1", "--stats", "the other"}
	args := []string{"bench", "-m", m, "-p", "16", "-n", "4", "-t", "1", "-r", "2", "-o"}

	withMeter(t, tenWatts(time.Now()))
	if r := ledge(run...); r.code != 0 || !strings.Contains(r.err, "energy    prompt ") || !strings.Contains(r.err, "energy    generate ") ||
		!strings.Contains(r.err, "(RAPL package-0: the processor's package, counter)\n") || !strings.Contains(r.err, " J/token, ") {
		t.Errorf("%+v", r)
	}
	if out := must(t, append(args, "table")...); strings.Contains(out, "n/a") || strings.Count(out, "energy RAPL package-0: the processor's package, counter\n") != 1 || !strings.Contains(out, "|   J/token |     tok/J |\n") {
		t.Error(out)
	}
	for _, r := range decode[[]bench.Result](t, must(t, append(args, "json")...)) {
		if r.JoulesPerToken == nil || *r.JoulesPerToken <= 0 || r.Energy == nil || len(r.Energy.Sources) != 2 {
			t.Errorf("%+v", r)
		}
	}
	check := func(joules bool) {
		t.Helper()
		rows, err := csv.NewReader(strings.NewReader(must(t, append(args, "csv")...))).ReadAll()
		if err != nil || len(rows) != 3 {
			t.Fatal(rows, err)
		}
		found := 0
		for i, name := range rows[0] {
			switch name {
			case "joules_per_token", "tokens_per_joule", "avg_watts", "energy_source":
				if found++; (rows[1][i] != "") != joules {
					t.Errorf("%s is %q", name, rows[1][i])
				}
			case "energy":
				t.Error("CSV has an object")
			}
		}
		if found != 4 {
			t.Errorf("columns %q", rows[0])
		}
	}
	check(true)

	withMeter(t, fstest.MapFS{})
	if r := ledge(run...); r.code != 0 || strings.Count(r.err, "energy ") != 1 || !strings.Contains(r.err, "energy    n/a: VDD_IN: ") {
		t.Errorf("%+v", r)
	}
	if out := must(t, append(args, "table")...); strings.Count(out, "|       n/a |       n/a |\n") != 2 || strings.Count(out, "\nenergy n/a: VDD_IN: no ina3221") != 1 {
		t.Error(out)
	}
	check(false)
}

func TestFigure(t *testing.T) {
	for want, v := range map[string]float64{"n/a": 0, "0.412": .41234, "12.3": 12.34, "1234": 1234, "1.20e-05": .000012} {
		if got := figure(&v); got != want {
			t.Errorf("%g is %s, want %s", v, got, want)
		}
	}
	if got := figure(nil); got != "n/a" {
		t.Error(got)
	}
}
