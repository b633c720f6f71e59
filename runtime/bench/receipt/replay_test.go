package receipt_test

import (
	"fmt"
	"testing"

	"github.com/ledge-run/ledge/runtime/bench/receipt"
	"github.com/ledge-run/ledge/runtime/bench/record"
)

// round is a round of case "c" with one figure of each kind.
func round(decode, load float64, output string, change ...func(*record.Record)) record.Record {
	r := record.Record{Case: "c", Model: record.Model{SHA256: "m"},
		Machine: record.Machine{Devices: []record.Device{{Name: "cpu", Numerics: "avx512.1"}}},
		Runs: []record.Run{
			{Engine: record.Engine{Name: "peer"}, Figures: map[string]record.Figure{record.Decode: {Samples: []float64{1e6}}}},
			{Engine: record.Engine{Name: record.Ledge}, Output: &record.Output{Tokens: 8, SHA256: output}, Figures: map[string]record.Figure{
				record.Decode: {Unit: "tokens/s", Samples: []float64{decode}}, record.Load: {Unit: "s", Samples: []float64{load}, Lower: true}}},
		}}
	for _, f := range change {
		f(&r)
	}
	return r
}

func TestCompare(t *testing.T) {
	base := []record.Record{round(100, 1, "a"), round(110, 1, "a"), round(90, 1, "a")}
	disturbed := func(r *record.Record) { r.Disturbed = []string{"swapping"} }
	failed := func(r *record.Record) {
		r.Runs = []record.Run{{Engine: record.Engine{Name: record.Ledge}, Failure: "exit status 1"}}
	}
	for _, c := range []struct {
		name                 string
		now                  []record.Record
		output, decode, load receipt.Verdict
		why                  string
	}{
		{"the same", base, "same", "same", "same", ""},
		{"within", []record.Record{round(91, 1.09, "a")}, "same", "same", "same", ""},
		{"slower", []record.Record{round(89, 1, "a")}, "same", "worse", "same", ""},
		{"loads slower", []record.Record{round(100, 1.2, "a")}, "same", "same", "worse", ""},
		{"better", []record.Record{round(120, 0.5, "a")}, "same", "better", "better", ""},
		{"another text", []record.Record{round(100, 1, "b")}, "differs", "same", "same", "8 tokens then, 8 now"},
		{"another processor", []record.Record{round(50, 1, "b", func(r *record.Record) { r.Machine.Devices[0].Numerics = "neon.1" })},
			"not to compare", "worse", "same", "avx512.1 then, neon.1 now: equal outputs are promised within one class of numerics"},
		{"another file", []record.Record{round(100, 1, "b", func(r *record.Record) { r.Model.SHA256 = "n" })}, "not to compare", "same", "same", "another model file"},
		{"crashed", []record.Record{round(0, 0, "", failed)}, "not run", "not run", "not run", "exit status 1"},
		{"not run", nil, "not run", "not run", "not run", ""},
		{"all disturbed", []record.Record{round(50, 1, "a", disturbed)}, "same", "not to compare", "same", ""},
		{"some disturbed", []record.Record{round(50, 1, "a", disturbed), round(100, 1, "a")}, "same", "same", "same", ""},
	} {
		got := map[string]receipt.Finding{}
		for _, f := range receipt.Compare(base, c.now, 0.1) {
			if f.Case != "c" {
				t.Errorf("%s: %+v", c.name, f)
			}
			got[f.What] = f
		}
		if len(got) != 3 || got["output"].Verdict != c.output || got[record.Decode].Verdict != c.decode || got[record.Load].Verdict != c.load || got["output"].Why != c.why {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

// TestCompareMachines: what another machine does slower, or cannot measure, is no
// contradiction.
func TestCompareMachines(t *testing.T) {
	gb := func(n int64) func(*record.Record) { return func(r *record.Record) { r.Machine.Memory = n << 30 } }
	cuda := func(description string) func(*record.Record) {
		return func(r *record.Record) {
			r.Runs[1].Devices = []record.Device{{Name: "cuda0", Description: description, Numerics: "cuda/x:sm_87:1"}}
		}
	}
	failed := func(r *record.Record) { r.Runs[1].Failure, r.Runs[1].Figures = "exit status 1", nil }
	energy := func(r *record.Record) {
		for _, f := range []string{record.Joules, record.PeakMemory, record.Prefill} {
			r.Runs[1].Figures[f] = record.NewFigure(f, 3)
		}
	}
	slow := func(change ...func(*record.Record)) record.Record { return round(50, 1, "a", change...) }
	for _, c := range []struct {
		name     string
		was, now record.Record
		what     string
		want     receipt.Verdict
		why      string
	}{
		{"same machine", round(100, 1, "a", gb(8)), slow(gb(8)), record.Decode, receipt.Worse, ""},
		{"the kernel keeps more", round(100, 1, "a", gb(32)), slow(gb(31)), record.Decode, receipt.Worse, ""},
		{"less memory", round(100, 1, "a", gb(8)), slow(gb(4)), record.Decode, receipt.Incomparable, "another machine: memory of 8.6 GB then, 4.3 GB now"},
		{"processor", round(100, 1, "a"), slow(func(r *record.Record) { r.Machine.CPU = "N100" }), record.Decode, receipt.Incomparable, "another machine: processor unknown then, N100 now"},
		{"cores", round(100, 1, "a"), slow(func(r *record.Record) { r.Machine.Cores = 4 }), record.Decode, receipt.Incomparable, "another machine: cores 0 then, 4 now"},
		{"board", round(100, 1, "a"), slow(func(r *record.Record) { r.Machine.Board = "Pi" }), record.Decode, receipt.Incomparable, "another machine: board unknown then, Pi now"},
		{"power mode", round(100, 1, "a"), slow(func(r *record.Record) { r.Machine.Mode = "7W" }), record.Decode, receipt.Incomparable, "another machine: power mode unknown then, 7W now"},
		{"graphics card", round(100, 1, "a", cuda("A")), slow(cuda("B")), record.Decode, receipt.Incomparable, "another machine: device A then, B now"},
		{"faster elsewhere", round(100, 1, "a"), round(200, 1, "a", func(r *record.Record) { r.Machine.CPU = "N100" }), record.Decode, receipt.Better, ""},
		{"no sensor", round(100, 1, "a", energy), round(100, 1, "a"), record.Joules, receipt.Incomparable, "this machine gives no such figure: no sensor of energy"},
		{"no count", round(100, 1, "a", energy), round(100, 1, "a"), record.PeakMemory, receipt.Incomparable, "this machine gives no such figure: no count of memory"},
		{"a speed that is missing", round(100, 1, "a", energy), round(100, 1, "a"), record.Prefill, receipt.Missing, ""},
		{"failed", round(100, 1, "a", energy), round(100, 1, "a", failed), record.Joules, receipt.Missing, "exit status 1"},
		{"turned round", round(100, 1, "a", func(r *record.Record) {
			f := r.Runs[1].Figures[record.Decode]
			f.Lower = true
			r.Runs[1].Figures[record.Decode] = f
		}), slow(), record.Decode, receipt.Incomparable, "the receipt has it in another unit or direction"},
	} {
		check(t, c.name, receipt.Compare([]record.Record{c.was}, []record.Record{c.now}, 0.1), c.what, c.want, c.why)
	}
}

// check looks for one finding.
func check(t *testing.T, name string, all []receipt.Finding, what string, want receipt.Verdict, why string) {
	t.Helper()
	for _, f := range all {
		if f.What == what {
			if f.Verdict != want || f.Why != why {
				t.Errorf("%s: %+v, want %s because %q", name, f, want, why)
			}
			return
		}
	}
	t.Errorf("%s: no finding of %s: %+v", name, what, all)
}

// TestCompareExact: figures of quality have no tolerance, and need one class of
// numerics as outputs do.
func TestCompareExact(t *testing.T) {
	quality := func(x float64) func(*record.Record) {
		return func(r *record.Record) { r.Runs[1].Figures[record.Perplexity] = record.NewFigure(record.Perplexity, x) }
	}
	on := func(name, class string) func(*record.Record) {
		return func(r *record.Record) {
			r.Settings.Device = "cuda"
			r.Machine.Devices = []record.Device{{Name: "cpu", Numerics: "avx512.1"}, {Name: name, Numerics: class}}
		}
	}
	ran := func(devices ...record.Device) func(*record.Record) {
		return func(r *record.Record) { r.Runs[1].Devices = devices }
	}
	gpu := record.Device{Name: "cuda0", Numerics: "sm_87"}
	const promise = ": equal outputs are promised within one class of numerics"
	for _, c := range []struct {
		name     string
		was, now func(*record.Record)
		to       float64
		want     receipt.Verdict
		why      string
	}{
		{"equal", nil, nil, 10, receipt.Same, ""},
		{"rounding", nil, nil, 10.000001, receipt.Same, ""},
		{"worse", nil, nil, 10.001, receipt.Differs, ""},
		{"better", nil, nil, 9.99, receipt.Differs, ""},
		{"a device by its kind", on("cuda0", "sm_87"), on("cuda0", "sm_87"), 10.1, receipt.Differs, ""},
		{"two GPUs", on("cuda0", "sm_87"), on("cuda0", "sm_90"), 10.1, receipt.Incomparable, "sm_87 then, sm_90 now" + promise},
		{"another kind", on("cudax", "sm_87"), on("cudax", "sm_87"), 10.1, receipt.Incomparable, "the receipt does not say of which class of numerics its device was"},
		{"unknown now", on("cuda0", "sm_87"), on("vulkan0", "x"), 10.1, receipt.Incomparable, "this machine's class of numerics is not known"},
		{"what the run says", ran(gpu), ran(record.Device{Name: "cuda0", Numerics: "sm_90"}), 10.1, receipt.Incomparable, "sm_87 then, sm_90 now" + promise},
		{"what the run says is equal", ran(gpu), ran(gpu), 10.1, receipt.Differs, ""},
		{"nothing said", ran(record.Device{Name: "ov", Numerics: "::"}), ran(gpu), 10, receipt.Incomparable, "the receipt does not say of which class of numerics its device was"},
		{"a second device", ran(gpu), ran(gpu, record.Device{Name: "cpu"}), 10.1, receipt.Incomparable, "sm_87 then, sm_87 + cpu of  now" + promise},
	} {
		nothing := func(*record.Record) {}
		if c.was == nil {
			c.was, c.now = nothing, nothing
		}
		all := receipt.Compare([]record.Record{round(100, 1, "a", quality(10), c.was)}, []record.Record{round(100, 1, "b", quality(c.to), c.now)}, 0.1)
		check(t, c.name, all, record.Perplexity, c.want, c.why)
		if output := c.want; output == receipt.Incomparable {
			check(t, c.name, all, "output", output, c.why)
		}
	}
}

// TestNewest: rounds of an earlier program or other settings are another measurement.
func TestNewest(t *testing.T) {
	program := func(sum string) func(*record.Record) { return func(r *record.Record) { r.Runs[1].Engine.SHA256 = sum } }
	threads := func(n int) func(*record.Record) { return func(r *record.Record) { r.Settings.Threads = n } }
	peerOnly := func(r *record.Record) { r.Runs = r.Runs[:1] }
	all := []record.Record{round(10, 1, "a", program("old")), round(100, 1, "a", program("new")), round(10, 1, "a", program("new"), threads(2)),
		round(11, 1, "a", program("old")), round(102, 1, "a", program("new")), round(1, 1, "", peerOnly)}
	some := receipt.Newest(all)
	if len(some) != 2 || some[0].Runs[1].Figures[record.Decode].Samples[0] != 100 || some[1].Runs[1].Figures[record.Decode].Samples[0] != 102 {
		t.Errorf("%+v", some)
	}
	for _, f := range receipt.Compare(all, all, 0.1) {
		if f.What == record.Decode && f.Was != 101 {
			t.Errorf("%+v", f)
		}
	}
}

func TestRefutes(t *testing.T) {
	var got []string
	for _, v := range []receipt.Verdict{receipt.Same, receipt.Better, receipt.Worse, receipt.Differs, receipt.Incomparable, receipt.Missing} {
		got = append(got, fmt.Sprintf("%s %v", v, v.Refutes()))
	}
	if want := "[same false better false worse true differs true not to compare false not run true]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
}
