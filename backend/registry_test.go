package backend_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/null"
	"github.com/ledge-run/ledge/graph/graphtest"
)

// fake is a driver of null devices whose scores and faults are set by the test.
type fake struct {
	devices map[string]int   // name -> score
	probe   error            // instead of devices
	open    map[string]error // by device
	closed  []string
	probed  int
}

// device is a null device under a name and score of its own.
type device struct {
	*null.Device
	info backend.Info
	f    *fake
}

func (d *device) Info() backend.Info { return d.info }
func (d *device) Close() error {
	d.f.closed = append(d.f.closed, d.info.Name)
	return d.Device.Close()
}

// drivers registered by the tests; what each does is set anew by every test.
var fast, slow fake

func init() {
	for name, f := range map[string]*fake{"fast": &fast, "slow": &slow} {
		var foreign *backend.Foreign
		if name == "fast" { // without Choice.Prove it is a driver like others
			foreign = &backend.Foreign{Files: func() ([]string, error) { return []string{"libfast.so"}, nil }}
		}
		backend.Register(backend.Driver{
			Name:    name,
			Foreign: foreign,
			Probe: func(context.Context) ([]backend.Info, error) {
				f.probed++
				var all []backend.Info
				for n, score := range f.devices {
					all = append(all, backend.Info{Name: n, Backend: name, Score: score})
				}
				return all, f.probe
			},
			Open: func(_ context.Context, n string, o backend.Options) (backend.Device, error) {
				if err := f.open[n]; err != nil {
					return nil, err
				}
				return &device{null.New(null.Options{Name: n}), backend.Info{Name: n, Backend: name, Score: f.devices[n], Description: fmt.Sprint("opened with ", o.Threads)}, f}, nil
			},
		})
	}
}

func TestSelect(t *testing.T) {
	broken := func(names ...string) func(context.Context, backend.Device) error {
		return func(_ context.Context, d backend.Device) error {
			for _, n := range names {
				if d.Info().Name == n {
					return errors.New("2+2=5")
				}
			}
			return nil
		}
	}
	for _, c := range []struct {
		name        string
		setup       func()
		choice      backend.Choice
		want        string // the device picked, or "error: text"
		reason      string // "device: text" that a candidate's reason has
		closedAgain string
	}{
		{"the best score", nil, backend.Choice{}, "fast0", "fast0: best score", ""},
		{"auto is the same", nil, backend.Choice{Device: "auto"}, "fast0", "slow0: a better device", ""},
		{"by device", nil, backend.Choice{Device: "slow0"}, "slow0", "fast0: \"slow0\" was asked for", ""},
		{"by driver", nil, backend.Choice{Device: "slow"}, "slow0", "slow0: asked for", ""},
		{"null by name", nil, backend.Choice{Device: "null"}, "null", "", ""},
		{"missing", nil, backend.Choice{Device: "gpu7"}, `error: no device "gpu7"; backends of this build: fast, null, slow; ledge devices lists what works`, "", ""},
		{"mistyped", nil, backend.Choice{Device: "solw"}, `error: no device "solw", did you mean slow?; backends of this build: fast, null, slow; ledge devices`, "", ""},
		{"mistyped with a number", nil, backend.Choice{Device: "Fasst0"}, `error: no device "Fasst0", did you mean fast?; backends`, "", ""},
		{"mistyped auto", nil, backend.Choice{Device: "atuo"}, `error: no device "atuo", did you mean auto?; backends`, "", ""},
		{"a number too high", func() { fast.devices = map[string]int{"fast0": 20} }, backend.Choice{Device: "fast7"}, `error: no device "fast7"; fast has fast0; ledge devices lists what works`, "", ""},
		{"a backend that is not linked in", nil, backend.Choice{Device: "vulkan"}, `error: no device "vulkan"; backends of this program: fast, null, slow; it was built with -tags static, or a Go program does not import github.com/ledge-run/ledge/backend/all`, "", ""},
		{"driver without devices", func() { fast.devices, fast.probe = nil, errors.New("libfast.so.1 is not installed") }, backend.Choice{Device: "fast"}, "error: libfast.so.1", ": libfast", ""},
		{"no driver has any", func() {
			fast.devices, fast.probe = nil, errors.New("no library")
			slow.devices, slow.probe = nil, errors.New("this processor lacks AVX9")
		}, backend.Choice{}, "error: slow: this processor lacks AVX9", "", ""},
		{"the rest without one driver", func() { fast.devices, fast.probe = nil, errors.New("no library") }, backend.Choice{}, "slow0", ": no library", ""},
		{"cannot be opened", func() { fast.open = map[string]error{"fast0": errors.New("busy")} }, backend.Choice{}, "slow0", "fast0: busy", ""},
		{"asked for, cannot be opened", func() { fast.open = map[string]error{"fast0": errors.New("busy")} }, backend.Choice{Device: "fast0"}, "error: busy", "", ""},
		{"fails its test", nil, backend.Choice{Test: broken("fast0")}, "slow0", "fast0: self-test failed: 2+2=5", "fast0"},
		{"asked for, fails its test", nil, backend.Choice{Device: "fast0", Test: broken("fast0")}, "error: self-test failed", "", "fast0"},
		{"all fail", nil, backend.Choice{Test: broken("fast0", "slow0")}, "error: no device could be used", "", ""},
		{"score 0 is never picked", func() { fast.devices, slow.devices = nil, map[string]int{"slow0": 0} }, backend.Choice{}, "error: no device", "slow0: only used when asked for", ""},
		{"score 0 by name", func() { slow.devices = map[string]int{"slow0": 0} }, backend.Choice{Device: "slow0"}, "slow0", "", ""},
		{"the second device of a driver", func() { fast.devices = map[string]int{"fast0": 20, "fast1": 30} }, backend.Choice{}, "fast1", "", ""},
		{"options reach the device", nil, backend.Choice{Options: backend.Options{Threads: 3}}, "fast0", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			fast = fake{devices: map[string]int{"fast0": 20}}
			slow = fake{devices: map[string]int{"slow0": 10}}
			if c.setup != nil {
				c.setup()
			}
			dev, cands, err := backend.Select(context.Background(), c.choice)
			if text, ok := strings.CutPrefix(c.want, "error: "); ok {
				if err == nil || !strings.Contains(err.Error(), text) {
					t.Fatalf("error %v, want %q in it", err, text)
				}
			} else if err != nil || dev.Info().Name != c.want {
				t.Fatalf("picked %v (%v), want %s", dev, err, c.want)
			}
			picked := 0
			for _, k := range cands {
				if k.Reason == "" {
					t.Errorf("no reason for %+v", k)
				}
				if k.Picked {
					picked++
					if k.Tested != (c.choice.Test != nil) || k.Tested != k.Passed {
						t.Errorf("%+v: tested and passed do not fit", k)
					}
				}
			}
			if (picked == 1) != (err == nil) {
				t.Errorf("%d candidates are marked as picked", picked)
			}
			if c.reason != "" {
				checkReason(t, cands, c.reason)
			}
			if got := strings.Join(append(fast.closed, slow.closed...), " "); c.closedAgain != "" && got != c.closedAgain {
				t.Errorf("closed: %q, want %q", got, c.closedAgain)
			}
			if c.choice.Options.Threads > 0 && dev.Info().Description != "opened with 3" {
				t.Errorf("the options were lost: %q", dev.Info().Description)
			}
		})
	}
}

func checkReason(t *testing.T, cands []backend.Candidate, want string) {
	t.Helper()
	name, text, _ := strings.Cut(want, ": ")
	for _, k := range cands {
		have := ""
		if k.Info != nil {
			have = k.Info.Name
		}
		if have == name && strings.Contains(k.Reason, text) {
			return
		}
	}
	t.Errorf("no candidate %q with reason %q in %+v", name, text, cands)
}

func TestRegister(t *testing.T) {
	for _, name := range []string{"", "fast"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("registering %q is no programming error", name)
				}
			}()
			backend.Register(backend.Driver{Name: name})
		}()
	}
	var names []string
	for _, d := range backend.Drivers() {
		names = append(names, d.Name)
	}
	if got := strings.Join(names, " "); got != "fast null slow" {
		t.Errorf("drivers %q", got)
	}
}

func TestErrors(t *testing.T) {
	err := fmt.Errorf("load: %w", &backend.ErrOutOfMemory{What: "weights", Need: 3 << 20, Have: 1 << 20})
	var oom *backend.ErrOutOfMemory
	if !errors.As(err, &oom) || err.Error() != "load: out of memory: weights needs 3.0 MiB, 1.0 MiB are free" {
		t.Errorf("%v", err)
	}
	if s := (&backend.ErrOutOfMemory{What: "x", Need: 1 << 20}).Error(); s != "out of memory: x needs 1.0 MiB" {
		t.Error(s)
	}
}

func TestWeightUses(t *testing.T) {
	d := graphtest.Architectures()[0]
	d.Tied, d.Bias, d.QKNorm, d.Factors = true, true, true, true
	uses := backend.WeightUses(d.Must())
	for name, want := range map[string]backend.Uses{
		"token_embd.weight":        backend.UseGather | backend.UseProduct,
		"blk.0.attn_q.weight":      backend.UseProduct,
		"blk.0.attn_q.bias":        backend.UseVector,
		"blk.0.attn_norm.weight":   backend.UseVector,
		"blk.1.attn_q_norm.weight": backend.UseVector,
		"rope_freqs.weight":        backend.UseVector,
		"output_norm.weight":       backend.UseVector,
	} {
		if uses[name] != want {
			t.Errorf("%s: uses %b, want %b", name, uses[name], want)
		}
	}
	if len(uses) != len(d.Must().Weights()) {
		t.Errorf("uses of %d weights, there are %d", len(uses), len(d.Must().Weights()))
	}
}
