package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/runtime/power"
)

func (a *app) powerCommand() *cli.Command {
	c := &cli.Command{
		Name:  "power",
		Usage: "show what the machine measures of its power and heat",
		Flags: []cli.Flag{jsonFlag(),
			&cli.BoolFlag{Name: "watch", Aliases: []string{"w"}, Usage: "go on until interrupted; with --json an object on each line"},
			&cli.Float64Flag{Name: "interval", Aliases: []string{"i"}, Value: 1, Usage: "measure for `SECONDS`"},
			quietFlag(),
		},
		Action: a.power,
	}
	return describe(c, "ledge power [--watch] [-i SECONDS] [--json]", `
Watts are means over the interval: of energy counters (RAPL), power monitors (VDD_IN
and other rails of a Jetson, hwmon) and batteries that discharge. What is not there is
named with the reason; parts are not added up. Below stand the temperatures, clocks, the
battery, and what is slowed down now or was in the interval. docs/power.md says what is
measured on which machine.`,
		`ledge power`,
		`ledge power --watch -i 5`,
		`ledge power --watch --json | jq -c ".sources[] | [.name, .watts]"`)
}

// powerReport is the output of ledge power --json.
type powerReport struct {
	Time string `json:"time"` // of the end, RFC 3339, UTC
	power.Energy
	power.Heat
	// Throttled counts how often processors were slowed down in the interval; Slowed
	// says by what the machine was.
	Throttled uint64   `json:"throttled"`
	Slowed    []string `json:"slowed,omitempty"`

	Mode   string             `json:"mode,omitempty"`
	Clocks []power.NamedClock `json:"clocks,omitempty"`
	Counts []power.Count      `json:"counts,omitempty"`
	Limits []power.Limit      `json:"limits,omitempty"`
	Charge *power.Charge      `json:"charge,omitempty"`
	Unread []power.Absent     `json:"unread,omitempty"` // what is there and cannot be read

	state power.State
}

func (a *app) power(c *cli.Context) error {
	if err := only(c, 0, ""); err != nil {
		return err
	}
	seconds := c.Float64("interval")
	if !(seconds >= .1 && seconds <= 3600) {
		return usagef("-i %g: it must be 0.1 to 3600 seconds", seconds)
	}
	interval, watch := time.Duration(seconds*float64(time.Second)), c.Bool("watch")
	meter := openMeter()
	run := meter.Start()
	defer func() { run.Stop() }()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for before := meter.State(); ; {
		select {
		case <-c.Context.Done():
			return context.Cause(c.Context)
		case <-tick.C:
		}
		// A source that failed may be back: each interval begins anew.
		e := run.Stop()
		if watch {
			run = meter.Start()
		}
		r := reportOf(e, before, meter.State())
		before = r.state
		err := a.printPower(r, c.Bool("json"), watch)
		if err != nil || !watch {
			return err
		}
	}
}

// reportOf is the report of an interval.
func reportOf(e power.Energy, before, after power.State) powerReport {
	r := powerReport{
		Time: time.Now().UTC().Format(time.RFC3339), Energy: e, Heat: after.Heat, Slowed: power.Between(before, after).Slowed,
		Mode: after.Mode, Clocks: after.Clocks, Counts: after.Counts, Limits: after.Limits, Charge: after.Charge, Unread: after.Absent, state: after,
	}
	if n := after.Throttles; n > before.Throttles {
		r.Throttled = n - before.Throttles
	}
	return r
}

func (a *app) printPower(r powerReport, asJSON, watch bool) error {
	if asJSON {
		return a.out.JSON(r, !watch)
	}
	if watch {
		fmt.Fprintln(a.out, r.Time)
	}
	_, none := r.Main(false)
	for _, m := range r.Sources {
		fmt.Fprintf(a.out, "%-8s %8.2f W  %s\n", "power", m.Watts, oneLine(m.String()))
	}
	if none != nil && len(r.Sources) == 0 {
		fmt.Fprintf(a.out, "%-8s      n/a\n", "power")
	}
	for _, b := range r.Absent {
		fmt.Fprintf(a.out, "%-8s           %s\n", "absent", oneLine(b.String()))
	}
	var warm []string
	for _, t := range r.Temperatures {
		warm = append(warm, fmt.Sprintf("%s %.1f", t.Name, t.Celsius))
	}
	fmt.Fprintf(a.out, "%-8s           %s\n", "heat, °C", oneLine(cmp.Or(strings.Join(warm, ", "), "n/a: no thermal zone can be read")))
	line := func(what string, parts []string) {
		if len(parts) > 0 {
			fmt.Fprintf(a.out, "%-8s           %s\n", what, oneLine(strings.Join(parts, ", ")))
		}
	}
	var clocks []string
	for _, c := range r.Clocks {
		clocks = append(clocks, c.Name+" "+c.String())
	}
	line("clocks", clocks)
	if c := r.Charge; c != nil {
		status := "on the mains"
		if !c.Plugged {
			status = "not on the mains"
		}
		line("battery", []string{fmt.Sprintf("%.0f %%", c.Percent), status})
	}
	slowed := r.Held
	for _, s := range r.Slowed {
		if !strings.HasSuffix(s, ", before") && !strings.HasSuffix(s, ", after") && !strings.HasSuffix(s, ", before and after") { // Held has those
			slowed = append(slowed, s)
		}
	}
	line("slowed", slowed)
	return a.out.Flush()
}
