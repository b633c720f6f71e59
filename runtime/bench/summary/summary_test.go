package summary_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/bench/summary"
)

func figure(unit string, lower bool, x ...float64) record.Figure {
	return record.Figure{Unit: unit, Samples: x, Lower: lower}
}

// round is a round of a case in which Ledge of a program and a peer decode.
func round(name, program string, ours, theirs float64, disturbed ...string) record.Record {
	r := record.Record{Case: name, Disturbed: disturbed, Settings: record.Settings{Threads: 1, Gen: 64, Depth: 68},
		Model:    record.Model{TokenBytes: 900, CacheBytes: 1, TokenOps: 50, PromptOps: 40},
		Ceilings: &record.Ceilings{ReadGBs: 1e-6, DotGOPS: 1e-6}} // 1,000 bytes and operations a second
	run := func(e record.Engine, v float64) {
		out := record.Run{Engine: e}
		if v == 0 {
			out.Failure = "exit status 3"
		} else {
			out.Figures = map[string]record.Figure{record.Decode: figure("tokens/s", false, v), "odd": figure("", true, 1)}
		}
		r.Runs = append(r.Runs, out)
	}
	run(record.Engine{Name: "peer", Version: "b1"}, theirs)
	run(record.Engine{Name: record.Ledge, SHA256: program}, ours)
	return r
}

// changed is a round that is not like the others.
func changed(change func(*record.Record)) record.Record {
	r := round("a", "p", 5, 1)
	change(&r)
	return r
}

// show writes a row shortly.
func show(rows []summary.Row) string {
	var b strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&b, "%s %s rounds=%d left=%d %v:", r.Case, r.Figure, r.Rounds, r.Left, r.Disturbed)
		for _, e := range r.Engines {
			fmt.Fprintf(&b, " %s%s=%.4g", e.Name, e.Version, e.Value.Median)
			if e.Ratio.N > 0 {
				fmt.Fprintf(&b, " ratio=%.4g(%.4g-%.4g)", e.Ratio.Median, e.Ratio.Low, e.Ratio.High)
			}
			if e.Share == e.Share {
				fmt.Fprintf(&b, " share=%.2f", e.Share)
			}
			if len(e.Failures) > 0 {
				fmt.Fprintf(&b, " failed=%v", e.Failures)
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestRows(t *testing.T) {
	for _, c := range []struct {
		name    string
		records []record.Record
		want    string
	}{
		// A ratio is taken within a round: 2, 2 and 4, though the medians' is 3.
		{"pairs", []record.Record{round("a", "p", 0.2, 0.1), round("a", "p", 0.3, 0.15), round("a", "p", 0.4, 0.1)},
			"a decode rounds=3 left=0 []: ledge=0.3 share=0.30 peerb1=0.1 ratio=2(2-4) share=0.10\na odd rounds=3 left=0 []: ledge=1 peerb1=1 ratio=1(1-1)\n"},
		{"one of three disturbed", []record.Record{round("a", "p", 1, 1), round("a", "p", 9, 1, "swapping"), round("a", "p", 1, 1)},
			"a decode rounds=2 left=1 []: ledge=1 share=1.00 peerb1=1 ratio=1(1-1) share=1.00\na odd rounds=2 left=1 []: ledge=1 peerb1=1 ratio=1(1-1)\n"},
		{"most disturbed", []record.Record{round("a", "p", 1, 1), round("a", "p", 2, 1, "x"), round("a", "p", 3, 1, "x", "y")},
			"a decode rounds=3 left=0 [x y]: ledge=2 share=2.00 peerb1=1 ratio=2(1-3) share=1.00\na odd rounds=3 left=0 [x y]: ledge=1 peerb1=1 ratio=1(1-1)\n"},
		{"an older program", []record.Record{round("a", "old", 5, 1), round("b", "old", 5, 1), round("a", "new", 1, 1)},
			"a decode rounds=1 left=0 []: ledge=1 share=1.00 peerb1=1 ratio=1(1-1) share=1.00\na odd rounds=1 left=0 []: ledge=1 peerb1=1 ratio=1(1-1)\n" +
				"b decode rounds=1 left=0 []: ledge=5 share=5.00 peerb1=1 ratio=5(5-5) share=1.00\nb odd rounds=1 left=0 []: ledge=1 peerb1=1 ratio=1(1-1)\n"},
		{"an older model, settings, machine and peer", []record.Record{
			changed(func(r *record.Record) { r.Model.SHA256 = "old" }), changed(func(r *record.Record) { r.Settings.Repeat = 9 }),
			changed(func(r *record.Record) { r.Machine.CPU = "other" }), changed(func(r *record.Record) { r.Runs[0].Engine.Config = "old" }),
			changed(func(r *record.Record) { r.Runs[0].Engine.SHA256 = "old" }), changed(func(r *record.Record) { r.Env = map[string]string{"OMP_NUM_THREADS": "1"} }),
			round("a", "p", 1, 1)},
			"a decode rounds=1 left=0 []: ledge=1 share=1.00 peerb1=1 ratio=1(1-1) share=1.00\na odd rounds=1 left=0 []: ledge=1 peerb1=1 ratio=1(1-1)\n"},
		{"the newest in the middle", []record.Record{round("a", "old", 5, 1), changed(func(r *record.Record) { r.Time = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }), round("a", "old", 7, 1)},
			"a decode rounds=1 left=0 []: ledge=5 share=5.00 peerb1=1 ratio=5(5-5) share=1.00\na odd rounds=1 left=0 []: ledge=1 peerb1=1 ratio=1(1-1)\n"},
		{"a peer that crashed once", []record.Record{round("a", "p", 1, 0), round("a", "p", 1, 2)},
			"a decode rounds=2 left=0 []: ledge=1 share=1.00 peerb1=2 ratio=0.5(0.5-0.5) share=2.00 failed=[exit status 3]\na odd rounds=2 left=0 []: ledge=1 peerb1=1 ratio=1(1-1) failed=[exit status 3]\n"},
		{"a peer that always crashed", []record.Record{round("a", "p", 1, 0)},
			"a decode rounds=1 left=0 []: ledge=1 share=1.00 peerb1=NaN failed=[exit status 3]\na odd rounds=1 left=0 []: ledge=1 peerb1=NaN failed=[exit status 3]\n"},
		{"nothing", nil, ""},
	} {
		if got := show(summary.Rows(c.records)); got != c.want {
			t.Errorf("%s:\n%swant\n%s", c.name, got, c.want)
		}
	}
}

func TestBytes(t *testing.T) {
	m := record.Model{TokenBytes: 1000, CacheBytes: 10, LocalBytes: 8, Window: 100, TokenOps: 7, PromptOps: 5}
	for _, c := range []struct {
		s      record.Settings
		figure string
		want   float64
	}{
		{record.Settings{Gen: 2}, record.Decode, 1010},
		{record.Settings{Gen: 2, Depth: 99}, record.Decode, 2000}, // the window, full
		{record.Settings{Gen: 2, Depth: 149}, record.Decode, 1000 + 150*2 + 100*8},
		{record.Settings{Parallel: 4, Depth: 10}, record.Decode, 350},
		{record.Settings{Prompt: 500}, record.Prefill, 2},
	} {
		if got := summary.Bytes(m, c.s, c.figure); got != c.want {
			t.Errorf("%s %+v: %v bytes, want %v", c.figure, c.s, got, c.want)
		}
	}
	if b := summary.Bytes(record.Model{CacheBytes: 1}, record.Settings{Depth: 9}, record.Decode); b != 0 {
		t.Errorf("an unknown model reads %v bytes", b)
	}
}

func TestShare(t *testing.T) {
	r := round("a", "p", 1, 1)
	for _, c := range []struct {
		figure string
		change func(*record.Record)
		want   float64
	}{
		{record.Decode, func(*record.Record) {}, 0.5},
		{record.Prefill, func(*record.Record) {}, 0.02},
		{record.Load, func(*record.Record) {}, math.NaN()},
		{record.Decode, func(r *record.Record) { r.Settings.Device = "vulkan0" }, math.NaN()},
		{record.Decode, func(r *record.Record) { // asked for nothing, and chosen
			r.Runs = []record.Run{{Engine: record.Engine{Name: record.Ledge}, Devices: []record.Device{{Name: "vulkan0"}}}}
		}, math.NaN()},
		{record.Decode, func(r *record.Record) { r.Ceilings = nil }, math.NaN()},
		{record.Decode, func(r *record.Record) { r.Ceilings = &record.Ceilings{} }, math.NaN()},
		{record.Prefill, func(r *record.Record) { r.Model = record.Model{} }, math.NaN()},
	} {
		one := r
		c.change(&one)
		got := summary.Share(&one, c.figure, 0.5)
		if got != c.want && !(got != got && c.want != c.want) {
			t.Errorf("%s: share %v, want %v", c.figure, got, c.want)
		}
	}
}
