package backend_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph/dtype"
)

// TestProve: a driver of others' code is asked about before it is touched, and
// what was found out counts.
func TestProve(t *testing.T) {
	when := time.Now().Add(-time.Hour)
	fastInfo := backend.Info{Name: "fast0", Backend: "fast", Score: 20, Description: "opened with 0"}
	passed := backend.Verdict{Driver: "fast", When: when, Devices: []backend.Proof{{Info: fastInfo, Passed: true}}}
	for _, c := range []struct {
		name    string
		device  string
		verdict func() backend.Verdict
		want    string // the device picked, or "error: text"
		reason  string // "device: text" that a candidate's reason has
		asked   bool   // Prove
		tested  bool   // in this process
		note    string
	}{
		{name: "passed", verdict: func() backend.Verdict { return passed }, want: "fast0", reason: "fast0: best score", asked: true},
		{name: "passed, by driver", device: "fast", verdict: func() backend.Verdict { return passed }, want: "fast0", reason: "fast0: asked for", asked: true},
		{name: "another was asked for", device: "slow0", want: "slow0", reason: `: "slow0" was asked for`, tested: true},
		{name: "nothing is loaded for a slip of the finger", device: "fats0", want: `error: no device "fats0", did you mean fast?; backends of this build: fast, null, slow; ledge devices`},
		{name: "crashed", verdict: func() backend.Verdict { return backend.Verdict{Driver: "fast", Reason: "it crashed"} }, want: "slow0", reason: ": it crashed", asked: true, tested: true},
		{name: "crashed, asked for", device: "fast", verdict: func() backend.Verdict { return backend.Verdict{Driver: "fast", Reason: "it crashed"} }, want: `error: device "fast" is not here: it crashed`, asked: true},
		{name: "crashed, its device asked for", device: "fast0", verdict: func() backend.Verdict { return backend.Verdict{Driver: "fast", Reason: "it crashed"} }, want: `error: device "fast0" is not here: it crashed`, asked: true},
		{name: "wrong", verdict: func() backend.Verdict {
			return backend.Verdict{Driver: "fast", Devices: []backend.Proof{{Info: fastInfo, Reason: "2+2=5"}}}
		}, want: "slow0", reason: "fast0: 2+2=5", asked: true, tested: true},
		{name: "wrong, asked for", device: "fast0", verdict: func() backend.Verdict {
			return backend.Verdict{Driver: "fast", Devices: []backend.Proof{{Info: fastInfo, Reason: "2+2=5"}}}
		}, want: "error: fast0: 2+2=5", asked: true},
		{name: "refused without a reason", verdict: func() backend.Verdict {
			return backend.Verdict{Driver: "fast", Devices: []backend.Proof{{Info: fastInfo}}}
		}, want: "slow0", reason: "fast0: self-test failed", asked: true, tested: true},
		{name: "another device than the one that passed", verdict: func() backend.Verdict {
			v := passed
			other := fastInfo
			other.Description = "an older driver"
			v.Devices = []backend.Proof{{Info: other, Passed: true}}
			return v
		}, want: "fast0", asked: true, tested: true},
		{name: "varies", verdict: func() backend.Verdict {
			v := passed
			i := fastInfo
			i.Varies = true
			v.Devices = []backend.Proof{{Info: i, Passed: true}}
			return v
		}, want: "fast0", asked: true, note: backend.VariesNote},
		{name: "the second of its devices", verdict: func() backend.Verdict {
			v := passed
			better := fastInfo
			better.Name, better.Score = "fast1", 90
			v.Devices = []backend.Proof{{Info: better, Reason: "2+2=5"}, passed.Devices[0]}
			return v
		}, want: "fast0", reason: "fast1: 2+2=5", asked: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			fast = fake{devices: map[string]int{"fast0": 20}}
			slow = fake{devices: map[string]int{"slow0": 10}}
			var asked atomic.Int32
			tested := false
			choice := backend.Choice{
				Device: c.device, Types: []dtype.DType{dtype.Q4_K},
				Test: func(context.Context, backend.Device) error { tested = true; return nil },
				Prove: func(_ context.Context, d backend.Driver, trial backend.Trial) backend.Verdict {
					asked.Add(1)
					if d.Name != "fast" || len(trial.Types) != 1 {
						t.Errorf("asked about %s, %+v", d.Name, trial)
					}
					return c.verdict()
				},
			}
			dev, cands, err := backend.Select(context.Background(), choice)
			if text, ok := strings.CutPrefix(c.want, "error: "); ok {
				if err == nil || !strings.Contains(err.Error(), text) {
					t.Fatalf("error %v, want %q in it", err, text)
				}
			} else if err != nil || dev.Info().Name != c.want {
				t.Fatalf("picked %v (%v), want %s", dev, err, c.want)
			}
			if (asked.Load() == 1) != c.asked || asked.Load() > 1 || tested != c.tested {
				t.Errorf("asked %d times, tested %v", asked.Load(), tested)
			}
			if fast.probed > 0 {
				t.Error("the driver was probed in this process")
			}
			if c.reason != "" {
				checkReason(t, cands, c.reason)
			}
			for _, k := range cands {
				if k.Reason == "" || k.Picked && (!k.Tested || !k.Passed) {
					t.Errorf("%+v", k)
				}
			}
			if err == nil && (dev.Info().Note != c.note || dev.Info().Varies != (c.note != "")) {
				t.Errorf("%+v", dev.Info())
			}
		})
	}
}

// TestProveEnds: a trial that was given up is no refusal.
func TestProveEnds(t *testing.T) {
	fast = fake{devices: map[string]int{"fast0": 20}}
	slow = fake{devices: map[string]int{"slow0": 10}}
	ctx, cancel := context.WithCancel(context.Background())
	_, _, err := backend.Select(ctx, backend.Choice{Prove: func(context.Context, backend.Driver, backend.Trial) backend.Verdict {
		cancel()
		return backend.Verdict{Driver: "fast", Reason: "given up"}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
