package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/selftest"
	"github.com/ledge-run/ledge/runtime/hub"
)

func (a *app) devicesCommand() *cli.Command {
	c := &cli.Command{
		Name:   "devices",
		Usage:  "show what there is to compute on, and what would be picked",
		Flags:  []cli.Flag{jsonFlag(), &cli.StringFlag{Name: "device", Usage: "`NAME` to ask for, as other commands would"}},
		Action: a.devices,
	}
	return describe(c, "ledge devices [--json]", `
Every backend of this build is asked for its devices, each device runs a self-test.
Backends other than the processor are tried in a process of their own, so that a
driver that crashes or hangs is only reported. The device with the highest score
that passes is picked; --device or LEDGE_DEVICE asks for another.`,
		`ledge devices`,
		`ledge devices --json | jq -r ".devices[] | select(.picked).name"`)
}

// deviceReport is a device, or a backend without one, in ledge devices.
type deviceReport struct {
	Name     string        `json:"name"`
	Backend  string        `json:"backend"`
	Found    bool          `json:"found"`
	Info     *backend.Info `json:"info,omitempty"`
	Tested   bool          `json:"tested"`
	Passed   bool          `json:"passed"`
	TestTime float64       `json:"test_seconds,omitempty"`
	Picked   bool          `json:"picked"`
	Reason   string        `json:"reason,omitempty"` // why there is none, why it failed, why it was picked or not
}

func (a *app) devices(c *cli.Context) error {
	if err := only(c, 0, ""); err != nil {
		return err
	}
	cfg, err := a.readConfig()
	if err != nil {
		return err
	}
	want := c.String("device")
	for _, d := range []string{a.getenv("LEDGE_DEVICE"), cfg.Device} {
		if want == "" {
			want = d
		}
	}
	reports := []deviceReport{}
	for _, d := range backend.Drivers() {
		reports = append(reports, a.probeDriver(c.Context, d)...)
	}
	reports = append(reports, missing(reports)...)
	if c.Context.Err() != nil {
		return context.Cause(c.Context)
	}
	picked := pick(reports, want)
	if c.Bool("json") {
		err = a.out.json(struct {
			Asked   string         `json:"asked,omitempty"`
			Devices []deviceReport `json:"devices"`
		}{want, reports}, true)
	} else {
		for _, r := range reports {
			a.printDevice(r)
		}
		err = a.out.flush()
	}
	if err == nil && !picked {
		return deviceError{fmt.Errorf("no device can be used%s", map[bool]string{true: "", false: ": " + want + " was asked for"}[want == "" || want == "auto"])}
	}
	return err
}

// missing reports the backends that this build leaves out.
func missing(have []deviceReport) []deviceReport {
	var out []deviceReport
	for _, name := range []string{"cuda", "gles", "npu", "opencl", "vulkan"} {
		if !slices.ContainsFunc(have, func(r deviceReport) bool { return r.Backend == name }) {
			out = append(out, deviceReport{Name: name, Backend: name, Reason: "not in this build"})
		}
	}
	return out
}

// pick marks the device that other commands would take: the best that passed,
// or the one that was asked for.
func pick(reports []deviceReport, want string) bool {
	if want == "auto" {
		want = ""
	}
	best := -1
	for i, r := range reports {
		switch {
		case !r.Passed:
		case want != "" && want != r.Name && want != r.Backend, want == "" && r.Info.Score <= 0:
		case best < 0 || r.Info.Score > reports[best].Info.Score:
			best = i
		}
	}
	for i := range reports {
		r := &reports[i]
		switch {
		case i == best && want != "":
			r.Picked, r.Reason = true, "asked for"
		case i == best:
			r.Picked, r.Reason = true, "best score"
		case !r.Passed: // has its reason
		case want != "" && want != r.Name && want != r.Backend:
			r.Reason = fmt.Sprintf("%q was asked for", want)
		case want == "" && r.Info.Score <= 0:
			r.Reason = "only used when asked for by name"
		default:
			r.Reason = "a better device was picked"
		}
	}
	return best >= 0
}

func (a *app) printDevice(r deviceReport) {
	mark := " "
	if r.Picked {
		mark = "*"
	}
	if !r.Found {
		fmt.Fprintf(a.out, "%s %-10s not found: %s\n", mark, r.Backend, oneLine(r.Reason))
		return
	}
	fmt.Fprintf(a.out, "%s %-10s %s\n", mark, r.Name, oneLine(r.Info.Description))
	if m := r.Info.Memory; m.Total > 0 {
		fmt.Fprintf(a.out, "             memory %s, %s free\n", hub.FormatBytes(int64(m.Total)), hub.FormatBytes(int64(m.Free)))
	}
	test := "not run"
	if r.Passed {
		test = fmt.Sprintf("passed in %.0f ms", 1000*r.TestTime)
	} else if r.Tested {
		test = "failed"
	}
	fmt.Fprintf(a.out, "             self-test %s; score %d; %s\n", test, r.Info.Score, oneLine(r.Reason))
	fmt.Fprintf(a.out, "             numerics %s\n", oneLine(r.Info.Numerics.String()))
	for _, q := range r.Info.Quirks {
		fmt.Fprintf(a.out, "             avoids: %s\n", oneLine(q))
	}
}

// testDriver finds and tests a driver's devices in this process.
func testDriver(ctx context.Context, d backend.Driver) []deviceReport {
	infos, err := d.Probe(ctx)
	if err != nil {
		return []deviceReport{{Name: d.Name, Backend: d.Name, Reason: err.Error()}}
	}
	if len(infos) == 0 {
		return []deviceReport{{Name: d.Name, Backend: d.Name, Reason: "no device"}}
	}
	var out []deviceReport
	for _, info := range infos {
		r := deviceReport{Name: info.Name, Backend: d.Name, Found: true, Info: &info}
		start := time.Now()
		if err := testDevice(ctx, d, &r); err != nil {
			r.Reason = err.Error()
		} else {
			r.Passed = true
		}
		r.TestTime = time.Since(start).Seconds()
		out = append(out, r)
	}
	return out
}

func testDevice(ctx context.Context, d backend.Driver, r *deviceReport) (err error) {
	dev, err := d.Open(ctx, r.Name, backend.Options{})
	if err != nil {
		return err
	}
	defer func() {
		if cerr := dev.Close(); err == nil {
			err = cerr
		}
	}()
	info := dev.Info()
	r.Info, r.Tested = &info, true
	if err := selftest.Run(ctx, dev); err != nil {
		return fmt.Errorf("self-test failed: %w", err)
	}
	return nil
}
