package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ledge-run/ledge/cmd/internal/console"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// stopped interrupts healings until it comes in the middle of one.
func stopped(t *testing.T, in func(string) string, heal func(out string, more ...string) []string) (out string) {
	t.Helper()
	for range 10 {
		out = in("out.gguf")
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			for ctx.Err() == nil {
				if st, err := os.Stat(filepath.Join(out+".heal", "log.jsonl")); err == nil && st.Size() > 0 {
					cancel(console.ErrInterrupted)
				}
				time.Sleep(time.Millisecond)
			}
		}()
		var stdout, stderr strings.Builder
		a := &app{out: console.NewOutput(&stdout), stderr: &stderr, getenv: os.Getenv}
		err := console.Execute(ctx, a.newCLI(), heal(out))
		code := exitCode(ctx, err)
		cancel(nil)
		<-done
		if code == exitInterrupted && strings.Contains(stderr.String(), "the same command goes on from there") {
			return out
		}
		if code != 0 && code != exitInterrupted {
			t.Fatalf("code %d, %v: %s", code, err, stderr.String())
		}
		for _, path := range []string{out, out + ".heal"} { // it came too late
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Fatal("no interrupt came in the middle")
	return ""
}

// TestPruneHeal: what is left of a quantised model comes nearer to it by healing, in the
// types that pruning leaves; stopped and gone on with it has the same bits, and the folder
// goes when all is done.
func TestPruneHeal(t *testing.T) {
	text, dir := calibration(t), t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	model, plain := in("model.gguf"), in("plain.gguf")
	must(t, "quantize", "-q", golden(t, "llama-gqa"), model, "Q8_0")
	source, err := os.ReadFile(model)
	if err != nil {
		t.Fatal(err)
	}
	args := func(out string, more ...string) []string {
		return append(append([]string{"prune", "--layers", "1", "--channels", "32", "-f", text, "--no-speed"}, more...), model, out)
	}
	heal := func(out string, more ...string) []string {
		return args(out, append(more, "--heal", text, "--heal-steps", "60", "--heal-rate", "1e-3")...)
	}
	must(t, args(plain, "-q")...)
	r := decode[pruneJSON](t, must(t, heal(in("whole.gguf"), "-q", "--json")...))
	h := r.Healing
	if h == nil || h.Steps != 60 || h.Rounded == 0 || h.Pruned == nil || h.Unrounded == nil || r.Quality == nil || !strings.Contains(r.Quality.On, "last third") {
		t.Fatalf("%+v %+v", r, h)
	}
	if was, is, float := h.Pruned.Quality.KL, r.Quality.KL, h.Unrounded.Quality.KL; !(is < 0.75*was) || !(is-float < 0.5*(was-float)) || is == float {
		t.Errorf("the divergence from the source was %g, and is %g; before it was rounded %g", was, is, float)
	}
	types := func(path string) map[string]dtype.DType {
		f, err := gguf.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		all := map[string]dtype.DType{}
		for _, x := range f.Tensors() {
			all[x.Name] = x.DType
		}
		return all
	}
	want, got := types(plain), types(in("whole.gguf"))
	for name, d := range want {
		if got[name] != d {
			t.Errorf("%s is %v, and %v where nothing was healed", name, got[name], d)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d tensors, %d where nothing was healed", len(got), len(want))
	}

	// Ctrl-C after a few steps: no file yet, and another healing does not go on there.
	out := stopped(t, in, heal)
	if _, err := os.Stat(out); err == nil {
		t.Error("there is a file of half a healing")
	}
	refused(t, 1, "of another healing", append([]string{"prune", "-q"}, heal(out, "--heads", "1")[1:]...)...)
	again := ledge(heal(out)...)
	for _, want := range []string{"healed: 60 steps of 512 tokens", "before pruned healed change", "rounded again: all "} {
		if again.code != 0 || !strings.Contains(strings.Join(strings.Fields(again.out), " "), strings.Join(strings.Fields(want), " ")) {
			t.Fatalf("no %q: code %d, %s %s", want, again.code, again.out, again.err)
		}
	}
	if !strings.Contains(again.err, "going on after step") {
		t.Errorf("it did not go on: %s", again.err)
	}
	one, err1 := os.ReadFile(in("whole.gguf"))
	two, err2 := os.ReadFile(out)
	if err1 != nil || err2 != nil || !bytes.Equal(one, two) {
		t.Errorf("stopped and gone on with it has other bits (%v, %v)", err1, err2)
	}
	if now, err := os.ReadFile(model); err != nil || !bytes.Equal(now, source) {
		t.Errorf("the source has changed (%v)", err)
	}
	if left, err := filepath.Glob(in("*")); err != nil || len(left) != 4 {
		t.Errorf("there are %v (%v)", left, err)
	}
}

func TestPruneHealUsage(t *testing.T) {
	model, text, dir := golden(t, "llama-gqa"), calibration(t), t.TempDir()
	out := filepath.Join(dir, "out.gguf")
	other := filepath.Join(dir, "other.txt")
	if err := os.WriteFile(other, []byte(strings.Repeat("What is the weather like in the garden at 7? ", 40)), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		say  string
		args []string
	}{
		{"a text is needed to heal with", []string{"--heal", ""}},
		{"a text is needed to heal with", []string{"--heal-steps", "10"}},
		{"there is no such file", []string{"--heal", text + "-not"}},
		{"it is a folder", []string{"--heal", dir}},
		{"--heal-steps 0", []string{"--heal", text, "--heal-steps", "0"}},
		{"must be above 0", []string{"--heal", text, "--heal-rate", "0"}},
		{"that is measured on", []string{"--heal", other, "--eval-file", other}},
	} {
		refused(t, exitUsage, c.say, append(append([]string{"prune", "--layers", "1", "-f", text}, c.args...), model, out)...)
	}
	refused(t, exitUsage, "fill the zeros again", "prune", "--zeros", "50%", "--heal", text, model, out)
	if err := os.Mkdir(out+".heal", 0o755); err != nil {
		t.Fatal(err)
	}
	refused(t, exitFailed, "not of a healing", "prune", "-q", "--layers", "1", "-f", text, "--heal", text, model, out)
}
