package backend

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/nearest"
)

// Driver finds and opens the devices of one backend.
type Driver struct {
	Name string

	// Probe lists the devices. An error says why there are none: a library
	// that is missing, a build without the backend.
	Probe func(ctx context.Context) ([]Info, error)

	// Open opens the device that Probe listed under this name.
	Open func(ctx context.Context, name string, o Options) (Device, error)

	// Foreign, if set, marks a driver that calls code of others.
	Foreign *Foreign
}

var (
	mu      sync.Mutex
	drivers = map[string]Driver{}
)

// Register makes a driver known; packages call it from init. A name registered
// twice is a programming error and panics.
func Register(d Driver) {
	mu.Lock()
	defer mu.Unlock()
	if _, ok := drivers[d.Name]; ok || d.Name == "" {
		panic(fmt.Sprintf("backend: driver %q registered twice or without a name", d.Name))
	}
	drivers[d.Name] = d
}

// Absent is the driver of a backend that a build leaves out, because it needs cgo: it
// says which build has it.
func Absent(name string) Driver {
	err := errors.New("not in this build: build/build.sh")
	return Driver{
		Name:  name,
		Probe: func(context.Context) ([]Info, error) { return nil, err },
		Open:  func(context.Context, string, Options) (Device, error) { return nil, err },
	}
}

// Drivers lists the registered drivers by name.
func Drivers() []Driver {
	mu.Lock()
	defer mu.Unlock()
	out := make([]Driver, 0, len(drivers))
	for _, d := range drivers {
		out = append(out, d)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

// Candidate is a device, or a driver without devices, and what was decided.
type Candidate struct {
	Driver string    `json:"driver"`
	Info   *Info     `json:"info,omitempty"` // nil if the driver has no device
	Reason string    `json:"reason"`         // why there is none, why it was refused, or why it was picked
	Picked bool      `json:"picked"`
	Tested bool      `json:"tested"`        // the self-test ran, now or lately
	Passed bool      `json:"passed"`        // and passed
	When   time.Time `json:"when,omitzero"` // of a trial that was not now

	proof *Proof // of a driver that was proven
}

// Choice says what to select.
type Choice struct {
	// Device names a device or a driver ("vulkan0", "vulkan"); "" or "auto"
	// picks the best that works.
	Device  string
	Options Options
	Types   []dtype.DType // weight types that will be used

	// Test proves a device in this process before it is trusted
	// (backend/selftest); nil skips it.
	Test func(ctx context.Context, d Device) error

	// Prove is asked about drivers that call code of others, before any of it is
	// loaded; several at once. A device that passed there is not tested again. Nil
	// tries them in this process like all others.
	Prove func(ctx context.Context, d Driver, t Trial) Verdict
}

// Select probes every driver, tests devices from the highest score down and
// opens the first that passes. The candidates tell what was found and why each
// was taken or not. A device asked for by name that is missing or fails is an
// error, never silently another device.
func Select(ctx context.Context, c Choice) (Device, []Candidate, error) {
	want := c.Device
	if want == "auto" {
		want = ""
	}
	cands := candidates(ctx, &c, want)
	if err := ctx.Err(); err != nil {
		return nil, cands, err
	}
	sort.SliceStable(cands, func(i, j int) bool { return score(cands[i]) > score(cands[j]) })
	var picked Device
	var failed []error
	for i := range cands {
		k := &cands[i]
		if k.Info == nil {
			continue
		}
		asked := want == k.Info.Name || want == k.Driver
		switch {
		case k.Reason != "": // refused before
			if asked {
				failed = append(failed, fmt.Errorf("%s: %s", k.Info.Name, k.Reason))
			}
			continue
		case picked != nil:
			k.Reason = "a better device was picked"
			continue
		case want != "" && !asked:
			k.Reason = askedFor(want)
			continue
		case want == "" && k.Info.Score <= 0:
			k.Reason = "only used when asked for by name"
			continue
		}
		dev, err := openTested(ctx, k, c)
		if err != nil {
			k.Reason = err.Error()
			failed = append(failed, fmt.Errorf("%s: %w", k.Info.Name, err))
			continue
		}
		picked, k.Picked, k.Reason = dev, true, "best score"
		if want != "" {
			k.Reason = "asked for"
		}
	}
	if picked != nil {
		return picked, cands, nil
	}
	return nil, cands, deviceError{noDevice(want, cands, failed)}
}

// ErrNoDriver says that this build has no driver of a name.
var ErrNoDriver = errors.New("no such backend in this build")

// Open opens a device that a driver lists, untested: for those that are not
// chosen but needed beside the one that is.
func Open(ctx context.Context, driver, device string, o Options) (Device, error) {
	mu.Lock()
	drv, ok := drivers[driver]
	mu.Unlock()
	if !ok {
		return nil, fmt.Errorf("%s: %w", driver, ErrNoDriver)
	}
	return drv.Open(ctx, device, o)
}

func askedFor(want string) string { return fmt.Sprintf("%q was asked for", want) }

// candidates lists what every driver has. Drivers that call code of others are
// asked side by side: each may take until its time limit.
func candidates(ctx context.Context, c *Choice, want string) []Candidate {
	all := Drivers()
	lists := make([][]Candidate, len(all))
	var wg sync.WaitGroup
	for i, d := range all {
		switch {
		case d.Foreign == nil || c.Prove == nil:
			lists[i] = probe(ctx, d)
		case want != "" && !strings.HasPrefix(want, d.Name):
			lists[i] = []Candidate{{Driver: d.Name, Reason: askedFor(want)}}
		default:
			wg.Go(func() { lists[i] = proven(d.Name, c.prove(ctx, d, want)) })
		}
	}
	wg.Wait()
	return slices.Concat(lists...)
}

func probe(ctx context.Context, d Driver) []Candidate {
	infos, err := d.Probe(ctx)
	if err != nil {
		return []Candidate{{Driver: d.Name, Reason: err.Error()}}
	}
	var out []Candidate
	for i := range infos {
		out = append(out, Candidate{Driver: d.Name, Info: &infos[i]})
	}
	return out
}

// proven makes candidates of a verdict.
func proven(driver string, v Verdict) []Candidate {
	if len(v.Devices) == 0 {
		return []Candidate{{Driver: driver, Reason: v.Reason, When: v.When}}
	}
	var out []Candidate
	for i := range v.Devices {
		p := &v.Devices[i]
		k := Candidate{Driver: driver, Info: &p.Info, Tested: true, Passed: p.Passed, Reason: p.Reason, When: v.When, proof: p}
		if p.Untested {
			k.Tested, k.Passed, k.When, k.proof = false, false, time.Time{}, nil
		} else if p.Passed {
			k.Reason = ""
		} else if k.Reason == "" {
			k.Reason = "self-test failed"
		}
		out = append(out, k)
	}
	return out
}

func openTested(ctx context.Context, k *Candidate, c Choice) (Device, error) {
	mu.Lock()
	drv := drivers[k.Driver]
	mu.Unlock()
	dev, err := drv.Open(ctx, k.Info.Name, c.Options)
	if err != nil {
		k.Passed = false
		return nil, err
	}
	info := dev.Info()
	if k.proof != nil {
		said := k.proof.Info
		if sameDevice(unproven(said), info) {
			if said.Varies {
				dev, info = varying{dev}, info.AsProven(true)
			}
			k.Info = &info
			return dev, nil
		}
		k.Tested, k.Passed, k.When = false, false, time.Time{} // another device than the one that was tried
	}
	k.Info = &info
	if c.Test == nil {
		return dev, nil
	}
	k.Tested = true
	if err := c.Test(ctx, dev); err != nil {
		return nil, errors.Join(fmt.Errorf("self-test failed: %w", err), dev.Close())
	}
	k.Passed = true
	return dev, nil
}

// unproven is a device's description as the device itself gives it.
func unproven(i Info) Info {
	i.Varies = false
	return i
}

func score(c Candidate) int {
	if c.Info == nil {
		return -1
	}
	return c.Info.Score
}

func noDevice(want string, cands []Candidate, failed []error) error {
	if len(failed) > 0 {
		return fmt.Errorf("no device could be used: %w", errors.Join(failed...))
	}
	var why []string
	for _, c := range cands {
		if c.Info != nil {
			continue
		}
		if want == c.Driver || want != "" && strings.TrimRight(want, "0123456789") == c.Driver {
			return fmt.Errorf("device %q is not here: %s", want, c.Reason)
		}
		why = append(why, c.Driver+": "+c.Reason)
	}
	if want == "" && len(why) > 0 {
		return fmt.Errorf("no device: %s", strings.Join(why, "; "))
	}
	if want == "" {
		return errors.New("no device: no backend in this build found one")
	}
	return unknown(want, cands)
}

// known are the backends that Ledge has besides the processor's, whatever a build links in.
var known = []string{"cuda", "gles", "opencl", "vulkan"}

// unknown is the error of a name that no device has: a number too high, a backend that the
// program lacks, or a slip of the finger.
func unknown(want string, cands []Candidate) error {
	const all = "ledge devices lists what works"
	name := strings.TrimRight(want, "0123456789")
	var its, names []string
	for _, c := range cands {
		if c.Driver == name && c.Info != nil {
			its = append(its, c.Info.Name)
		}
		if !slices.Contains(names, c.Driver) {
			names = append(names, c.Driver)
		}
	}
	slices.Sort(names)
	backends := strings.Join(names, ", ")
	switch {
	case its != nil:
		return fmt.Errorf("no device %q; %s has %s; %s", want, name, strings.Join(its, ", "), all)
	case slices.Contains(known, name) && !slices.Contains(names, name):
		return fmt.Errorf("no device %q; backends of this program: %s; it was built with -tags static, or a Go program does not import github.com/ledge-run/ledge/backend/all", want, backends)
	}
	return fmt.Errorf("no device %q%s; backends of this build: %s; %s", want, meant(name, names), backends, all)
}

// meant is which backend a mistyped name may mean. Who asks for a gpu or an npu means no
// backend by that name, least of all the cpu.
func meant(name string, backends []string) string {
	if len(name) == 3 && strings.HasSuffix(strings.ToLower(name), "pu") {
		return ""
	}
	return nearest.Hint(name, append([]string{"auto"}, backends...))
}
