package runner_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/bench/runner"
)

// TestChangedPeer: a peer that is asked in another way is measured again.
func TestChangedPeer(t *testing.T) {
	b := newBench(t)
	script := filepath.Join(b.dir, "script.py")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	const base = "models: m.gguf\nthreads: 1\nprompt: 4\nrounds: 1\npeers:\n  good: {command: [SELF, SCRIPT, --api-key=OPEN], env: {PLAY: good, A: b, SOME_TOKEN: OPEN}, figures: {prefill: {path: runs.*.read, scale: 1}}, version: v1}\n"
	n := 0
	step := func(what string, measured int, replace ...string) {
		t.Helper()
		n += measured
		text := strings.NewReplacer(append(replace, "SCRIPT", script)...).Replace(base)
		out, records, err := b.measure(text, nil)
		if err != nil || out.Measured != measured || len(records) != n || len(out.Failed) != 0 {
			t.Errorf("%s: %+v, %d records, %v; want %d measured, %d in all", what, out, len(records), err, measured, n)
		}
	}
	step("first", 1)
	step("again", 0)
	step("a comment", 0, "models:", "# new\nmodels:")
	step("a secret", 0, "OPEN", "sk-123")
	step("figures", 1, "runs.*.read", "runs.-1.read")
	step("scale", 1, "scale: 1", "scale: 2")
	step("variable", 1, "A: b", "A: c")
	step("version", 1, "v1", "v2")
	step("as at first", 0)
	write("two")
	step("script", 1)
}

// TestLeaks: neither folders nor secrets get into a journal.
func TestLeaks(t *testing.T) {
	b := newBench(t)
	t.Setenv("LEDGE_SOME_KEY", "sk-around")
	_, records, err := b.measure("models: m.gguf\nthreads: 1\ngen: 2\nrounds: 1\npeers:\n  leaky: {command: [SELF, '--model={model}', '{model}', --api-key, sk-of-the-suite], env: {PLAY: leaky}, figures: {decode: tps}}\n", nil)
	if err != nil || len(records) != 1 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	data, err := json.Marshal(records)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{b.dir, "sk-of-the-suite", "sk-around"} {
		if strings.Contains(string(data), bad) {
			t.Errorf("%s is in the record: %s", bad, data)
		}
	}
	run, _ := records[0].Of("leaky")
	if want := "runner.test: exit status 3: cannot read m.gguf with ***"; strings.TrimPrefix(run.Failure, "runner.test.exe") != want {
		t.Errorf("%q, want %q", run.Failure, want)
	}
	if env := records[0].Env; env["LEDGE_SOME_KEY"] != "***" || env["LEDGE_PACK_CACHE"] != "packed" || len(env) != 2 {
		t.Errorf("variables around: %q", env)
	}
}

// TestChosenDevice: the processor's ceilings are not those of a device that Ledge chose.
func TestChosenDevice(t *testing.T) {
	b := newBench(t)
	ceilings := 0
	_, records, err := b.measure("models: m.gguf\nthreads: 1\ngen: 2\nrounds: 2\nenv: {PLAY_WORKER: gpu}\n", func(o *runner.Options) {
		o.Progress = func(p runner.Progress) {
			if p.Engine == "ceilings" {
				ceilings++
			}
		}
	})
	if err != nil || len(records) != 2 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	for _, r := range records {
		if r.Ceilings != nil || r.Device() != "vulkan0" {
			t.Errorf("%+v", r)
		}
	}
	if ceilings != 1 { // before it was known
		t.Errorf("ceilings were measured %d times", ceilings)
	}
}

// TestBusy: what keeps processors busy does so from before the measurement until after
// it; else there is no figure.
func TestBusy(t *testing.T) {
	b := newBench(t)
	for play, want := range map[string]string{
		"dies": "what was to keep processors busy ended: runner.test: exit status 3: no processor to spare",
		"ends": "what was to keep processors busy ended: runner.test ended by itself",
		"late": "",
	} {
		t.Setenv("PLAY_WORKER", play)
		marker := filepath.Join(b.dir, play)
		t.Setenv("MARKER", marker)
		_, records, err := b.measure("models: m.gguf\nthreads: 1\nrounds: 1\njournal: "+play+".jsonl\npeers:\n  slow: {command: [SELF], env: {PLAY: slow}, figures: {decode: tps}}\n"+
			"  half: {command: [SELF], env: {PLAY: half}, figures: {decode: tps}}\ncases: [{gen: 2, busy: 1}]\n", nil)
		if err != nil || len(records) != 1 {
			t.Fatalf("%s: %d records, %v", play, len(records), err)
		}
		slow, _ := records[0].Of("slow")
		if got := strings.ReplaceAll(slow.Failure, ".exe", ""); got != want {
			t.Errorf("%s: %q, want %q", play, got, want)
		}
		half, _ := records[0].Of("half")
		if v, _ := half.Value(record.Kept); play == "late" && v != 0.5 {
			t.Errorf("late: %v, %+v", v, half)
		}
	}
}
