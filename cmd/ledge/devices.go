package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/trust"
	"github.com/ledge-run/ledge/runtime/hub"
	"github.com/ledge-run/ledge/runtime/power"
)

func (a *app) devicesCommand() *cli.Command {
	c := &cli.Command{
		Name:  "devices",
		Usage: "show what there is to compute on, and what would be picked",
		Flags: []cli.Flag{jsonFlag(),
			&cli.StringFlag{Name: "device", Usage: "`NAME` to ask for, as other commands would"},
			&cli.BoolFlag{Name: "retry", Usage: "try every driver again, whatever verdict is kept"},
			quietFlag(),
		},
		Action: a.devices,
	}
	return describe(c, "ledge devices [--retry] [--json]", `
Every backend of this build is asked for its devices, each device runs a self-test.
Backends other than the processor are tried in a process of their own, so that a
driver that crashes or hangs is only reported. The verdict is kept, for all commands,
until the driver or Ledge's kernels change: a week at most, a day if it was refused;
--retry tries again now. The device with the highest score that passes is picked;
--device or LEDGE_DEVICE asks for another.`,
		`ledge devices`,
		`ledge devices --retry`,
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
	When     time.Time     `json:"when,omitzero"`         // of the trial, if it was one in another process
	Age      float64       `json:"age_seconds,omitempty"` // of its verdict
	Types    []string      `json:"types,omitempty"`       // weight types of models it was tried with
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
	for _, v := range a.verdicts(c.Context, c.Bool("retry")) {
		reports = append(reports, reportsOf(v)...)
	}
	reports = append(reports, missing(reports)...)
	if c.Context.Err() != nil {
		return context.Cause(c.Context)
	}
	picked := pick(reports, want)
	if c.Bool("json") {
		err = a.out.JSON(struct {
			Asked   string         `json:"asked,omitempty"`
			Devices []deviceReport `json:"devices"`
			Board   *power.Board   `json:"board,omitempty"`
		}{want, reports, readBoard()}, true)
	} else {
		for _, r := range reports {
			a.printDevice(r)
		}
		if b := readBoard(); b != nil {
			a.printBoard(*b)
		}
		err = a.out.Flush()
	}
	if err == nil && !picked {
		return deviceError{fmt.Errorf("no device can be used%s", map[bool]string{true: "", false: ": " + want + " was asked for"}[want == "" || want == "auto"])}
	}
	return err
}

// missing reports the backends that this build leaves out, or every one does.
func missing(have []deviceReport) []deviceReport {
	var out []deviceReport
	for _, name := range []string{"cuda", "gles", "npu", "opencl", "vulkan"} {
		if !slices.ContainsFunc(have, func(r deviceReport) bool { return r.Backend == name }) {
			why := "not in this build"
			if name == "npu" {
				why = "no build has it yet"
			}
			out = append(out, deviceReport{Name: name, Backend: name, Reason: why})
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

// verdicts is how the drivers did: Ledge's own now, others as kept or in a process
// of their own, side by side.
func (a *app) verdicts(ctx context.Context, retry bool) []backend.Verdict {
	p := a.prover()
	p.Retry, p.Hint = retry, "" // the age is shown beside
	drivers := backend.Drivers()
	all := make([]backend.Verdict, len(drivers))
	var wg sync.WaitGroup
	for i, d := range drivers {
		if d.Foreign != nil {
			wg.Go(func() { all[i] = p.Prove(ctx, d, backend.Trial{Asked: true}) })
			continue
		}
		all[i] = trust.Try(ctx, d, backend.Trial{}, nil)
		all[i].When = time.Time{}
	}
	wg.Wait()
	return all
}

func reportsOf(v backend.Verdict) []deviceReport {
	age := 0.0
	if !v.When.IsZero() {
		age = max(0, time.Since(v.When).Seconds())
	}
	if len(v.Devices) == 0 {
		return []deviceReport{{Name: v.Driver, Backend: v.Driver, Reason: v.Reason, When: v.When, Age: age}}
	}
	var out []deviceReport
	for _, p := range v.Devices {
		info := p.Info.AsProven(p.Info.Varies)
		out = append(out, deviceReport{
			Name: info.Name, Backend: v.Driver, Found: true, Info: &info, Tested: !p.Untested, Passed: p.Passed, Reason: p.Reason,
			TestTime: p.Seconds, When: v.When, Age: age, Types: v.Types,
		})
	}
	return out
}

// ago says when a verdict was found, if not now.
func (r *deviceReport) ago() string {
	if age := time.Duration(r.Age * float64(time.Second)); age >= time.Minute {
		return trust.Age(age)
	}
	return ""
}

// took is a time in seconds as one reads it.
func took(seconds float64) string {
	if seconds < 1 {
		return fmt.Sprintf("%.0f ms", 1000*seconds)
	}
	return fmt.Sprintf("%.1f s", seconds)
}

func (a *app) printDevice(r deviceReport) {
	mark := " "
	if r.Picked {
		mark = "*"
	}
	if !r.Found {
		how := "not found"
		if !r.When.IsZero() {
			how = "not used"
		}
		if ago := r.ago(); ago != "" {
			how += ", tried " + ago
		}
		fmt.Fprintf(a.out, "%s %-10s %s: %s\n", mark, r.Backend, how, oneLine(r.Reason))
		return
	}
	fmt.Fprintf(a.out, "%s %-10s %s\n", mark, r.Name, oneLine(r.Info.Description))
	line := func(format string, args ...any) {
		fmt.Fprintf(a.out, "             %s\n", oneLine(fmt.Sprintf(format, args...)))
	}
	software := r.Info.Kind == backend.CPU && !r.Info.Processor()
	if software {
		line("a software driver: it computes on the processor, more slowly than cpu does")
	}
	if m := r.Info.Memory; m.Total > 0 {
		shared := ""
		switch {
		case software:
			shared = " of the processor's"
		case m.Unified && !r.Info.Processor():
			shared = ", the processor's own"
		}
		free := ""
		if m.Free > 0 && r.ago() == "" { // what was free when a verdict was found says nothing
			free = fmt.Sprintf(", %s free", hub.FormatBytes(int64(m.Free)))
		}
		line("memory %s%s%s", hub.FormatBytes(int64(m.Total)), shared, free)
	}
	if len(r.Info.Features) > 0 {
		line("features %s", strings.Join(r.Info.Features, ", "))
	}
	for _, q := range r.Info.Quirks {
		line("avoids %s", q)
	}
	ago := r.ago()
	if ago != "" {
		ago = ", " + ago
	}
	if r.Passed {
		line("self-test passed in %s%s; score %d; %s", took(r.TestTime), ago, r.Info.Score, r.Reason)
	} else {
		line("not used%s: %s", ago, r.Reason)
	}
	line("numerics %s", r.Info.Numerics)
	if r.Info.Note != "" {
		line("note: %s", r.Info.Note)
	}
}
