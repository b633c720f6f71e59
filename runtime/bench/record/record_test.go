package record_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/ledge-run/ledge/runtime/bench/record"
)

// TestRoundTrip: a record says the same after it was written and read.
func TestRoundTrip(t *testing.T) {
	r := record.Record{
		Version: record.Version, Suite: record.Suite{Name: "s", SHA256: "00"}, Case: "c", Round: 2, Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Settings: record.Settings{Threads: 2, Env: map[string]string{"LEDGE_CPU": "avx2"}, Quality: &record.Quality{Text: "t", Context: 512}},
		Before:   record.Condition{Clocks: map[string]float64{"cpu0": 3000.5}},
		Ceilings: &record.Ceilings{ReadGBs: 30},
		Runs: []record.Run{
			{Engine: record.Engine{Name: record.Ledge}, Figures: map[string]record.Figure{record.Decode: {Unit: "tokens/s", Samples: []float64{3, 1, 2}}},
				Output: &record.Output{Prompt: "p", Tokens: 4}},
			{Engine: record.Engine{Name: "llama.cpp"}, Failure: "exit status 3"},
		},
		Disturbed: []string{"throttled"},
	}
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var back record.Record
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(r, back) {
		t.Errorf("read back\n%+v, was\n%+v", back, r)
	}
	run, ok := back.Of(record.Ledge)
	if v, has := run.Value(record.Decode); !ok || !has || v != 2 {
		t.Errorf("decode is %v, %v", v, has)
	}
	if s := run.Figures[record.Decode].Samples; s[0] != 3 {
		t.Errorf("the median put the samples into the order %v", s)
	}
	if peer, ok := back.Of("llama.cpp"); !ok || peer.Failure == "" {
		t.Errorf("the peer's run is %+v", peer)
	}
	if _, ok := back.Of("none"); ok {
		t.Error("there is a run of an engine that did not run")
	}
	if _, has := run.Value(record.KL); has {
		t.Error("a figure that was not measured has a value")
	}
}
