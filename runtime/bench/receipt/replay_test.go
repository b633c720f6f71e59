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

func TestRefutes(t *testing.T) {
	var got []string
	for _, v := range []receipt.Verdict{receipt.Same, receipt.Better, receipt.Worse, receipt.Differs, receipt.Incomparable, receipt.Missing} {
		got = append(got, fmt.Sprintf("%s %v", v, v.Refutes()))
	}
	if want := "[same false better false worse true differs true not to compare false not run true]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
}
