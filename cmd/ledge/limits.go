package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/cmd/internal/console"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/power/governor"
)

const catLimits = "LIMITS OF THE MACHINE"

// limitFlags hold generation back.
func limitFlags() []cli.Flag {
	return []cli.Flag{
		&cli.Float64Flag{Name: "max-watts", Usage: "stay below `W` watts on average, by pauses and fewer threads", Category: catLimits},
		&cli.Float64Flag{Name: "max-temp", Usage: "stay below `C` °C at the machine's hottest sensor", Category: catLimits},
		&cli.Float64Flag{Name: "battery-floor", Usage: "slow down near `PERCENT` of the battery and end there, unless a charger is connected", Category: catLimits},
	}
}

// lookEvery is how often limits are looked at; 0 is the governor's own. Tests have no time.
var lookEvery time.Duration

// flagOf is the flag of a limit.
var flagOf = map[string]string{governor.Power: "--max-watts", governor.Temperature: "--max-temp", governor.Battery: "--battery-floor"}

// limit has a model held back as the flags of limitFlags say.
func (a *app) limit(c *cli.Context, o *engine.Options) error {
	l := governor.Limits{Watts: c.Float64("max-watts"), Celsius: c.Float64("max-temp"), BatteryFloor: c.Float64("battery-floor")}
	for _, name := range []string{"max-watts", "max-temp", "battery-floor"} {
		if c.IsSet(name) && !(c.Float64(name) > 0) {
			return usagef("--%s %g: it must be above 0", name, c.Float64(name))
		}
	}
	if err := l.Check(); err != nil {
		return usagef("%s", err)
	}
	if !l.Any() {
		return nil
	}
	if a.tell == nil {
		a.tell = a.noteBeside
	}
	g, err := governor.New(governor.Options{Limits: l, Meter: openMeter(), Note: func(text string) { a.tell(text) }, Period: lookEvery})
	if err != nil {
		return ofLimit(err)
	}
	a.governor, o.Pacer = g, g
	return nil
}

// ofLimit is an error of a governor with the flag that it is about.
func ofLimit(err error) error {
	var none *governor.SensorError
	var floor *governor.FloorError
	switch {
	case errors.As(err, &none):
		return limitError{fmt.Errorf("%s: no sensor: %w; ledge power lists what there is", flagOf[none.Limit], none.Err)}
	case errors.As(err, &floor):
		return limitError{fmt.Errorf("%s: %w", flagOf[governor.Battery], floor)}
	}
	return err
}

// noteBeside is a note while an answer's text stands on the terminal's line. Whoever
// writes that text waits meanwhile.
func (a *app) noteBeside(text string) {
	if a.out.MidLine() && console.IsTerminal(a.stderr) && !a.quiet {
		fmt.Fprintln(a.stderr)
	}
	a.note("note: %s", text)
}

// limitStats says how a generation was held back; more: others came before it.
func (a *app) limitStats(u engine.Usage, more bool) {
	if a.governor == nil {
		return
	}
	text := a.governor.Report().String()
	if more {
		text = fmt.Sprintf("paused %.2f s in this answer; in all: %s", u.Paused.Seconds(), text)
	}
	fmt.Fprintf(a.stderr, "limits    %s\n", oneLine(text))
}
