package record_test

import (
	"testing"

	"github.com/ledge-run/ledge/runtime/bench/record"
)

// TestAlike: what makes rounds count apart, and what does not.
func TestAlike(t *testing.T) {
	a := func() record.Record {
		return record.Record{Case: "c", Settings: record.Settings{Threads: 2}, Model: record.Model{SHA256: "m"},
			Machine: record.Machine{Arch: "arm64", CPU: "A76", Cores: 4, Board: "Pi 5", Memory: 8e9}}
	}
	for name, c := range map[string]struct {
		change func(*record.Record)
		want   bool
	}{
		"nothing":         {func(r *record.Record) {}, true},
		"a round":         {func(r *record.Record) { r.Round, r.Seconds, r.Machine.Kernel, r.Suite.SHA256 = 7, 3, "6.2", "x" }, true},
		"no variables":    {func(r *record.Record) { r.Settings.Env = map[string]string{} }, true},
		"a kernel's part": {func(r *record.Record) { r.Machine.Memory -= 1e8 }, true},
		"no name":         {func(r *record.Record) { r.Machine.CPU = record.UnknownCPU }, true},
		"case":            {func(r *record.Record) { r.Case = "d" }, false},
		"settings":        {func(r *record.Record) { r.Settings.Repeat = 2 }, false},
		"model":           {func(r *record.Record) { r.Model.SHA256 = "n" }, false},
		"variables":       {func(r *record.Record) { r.Env = map[string]string{"OMP_NUM_THREADS": "1"} }, false},
		"processor":       {func(r *record.Record) { r.Machine.CPU = "A72" }, false},
		"cores":           {func(r *record.Record) { r.Machine.Cores = 2 }, false},
		"board":           {func(r *record.Record) { r.Machine.Board = "Pi 4" }, false},
		"architecture":    {func(r *record.Record) { r.Machine.Arch = "arm" }, false},
		"memory":          {func(r *record.Record) { r.Machine.Memory = 4e9 }, false},
	} {
		x, y := a(), a()
		c.change(&y)
		if x.Alike(&y) != c.want || y.Alike(&x) != c.want {
			t.Errorf("%s: alike is %v", name, !c.want)
		}
	}
}

// TestDevice: what ran counts, not what was asked for.
func TestDevice(t *testing.T) {
	of := func(asked string, ran ...string) *record.Record {
		r := &record.Record{Settings: record.Settings{Device: asked}, Runs: []record.Run{{Engine: record.Engine{Name: record.Ledge}}}}
		for _, d := range ran {
			r.Runs[0].Devices = append(r.Runs[0].Devices, record.Device{Name: d})
		}
		return r
	}
	for _, c := range []struct {
		r      *record.Record
		device string
		on     bool
	}{
		{of(""), "", true}, {of("cpu"), "cpu", true}, {of("cuda"), "cuda", false},
		{of("", "cpu"), "cpu", true}, {of("", "vulkan0"), "vulkan0", false}, {of("", "cpu", "vulkan0"), "cpu", false}, {of("cuda", "cuda0"), "cuda0", false},
	} {
		if d, on := c.r.Device(), c.r.OnProcessor(); d != c.device || on != c.on {
			t.Errorf("%+v: %q, %v", c.r, d, on)
		}
	}
}
