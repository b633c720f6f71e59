package main

import (
	"fmt"
	"slices"

	"github.com/ledge-run/ledge/runtime/bench"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/power"
)

// openMeter finds what this machine measures; tests bring the files of others.
var openMeter = power.Open

// energyOf is the energy of a generation, its prompt apart.
type energyOf struct {
	run          *power.Run
	beside       bool
	prompt, rest power.Energy
}

func startEnergy(m *engine.Model) *energyOf {
	return &energyOf{run: openMeter().Start(), beside: bench.Beside(m)}
}

// answer tells that the prompt was read: the first token is there.
func (e *energyOf) answer() { e.prompt = e.run.SoFar() }

// stop ends the measurement; without an answer all of it was the prompt's.
func (e *energyOf) stop() {
	all := e.run.Stop()
	if e.prompt.Seconds == 0 {
		e.prompt = all
	}
	e.rest = all.Since(e.prompt)
}

// energyStats prints the energy of a generation on standard error, each token's
// as its speed is: the first token is the prompt's.
func (a *app) energyStats(e *energyOf, u engine.Usage) {
	say := func(what string, spent power.Energy, tokens int) error {
		m, err := spent.Main(e.beside)
		if err == nil && tokens > 0 {
			joules, each := m.PerToken(tokens)
			fmt.Fprintf(a.stderr, "energy    %s %.2f J, %s J/token, %s tok/J, %.1f W (%s)\n", what, m.Joules, figure(&joules), figure(&each), m.Watts, m)
		}
		return err
	}
	errs := []error{say("prompt", e.prompt, u.PromptTokens-u.CachedTokens), say("generate", e.rest, u.GeneratedTokens-1)}
	if errs[0] != nil && errs[1] != nil {
		fmt.Fprintf(a.stderr, "energy    n/a: %s\n", oneLine(errs[1].Error()))
	} else if errs[1] != nil && u.GeneratedTokens > 1 {
		fmt.Fprintf(a.stderr, "energy    generate n/a: %s\n", oneLine(errs[1].Error()))
	}
}

// benchEnergy says below a table where its energy comes from, or why there is none:
// once, if that is the same for all.
func (a *app) benchEnergy(results []bench.Result) {
	var lines []string
	for _, r := range results {
		line := "n/a: " + r.EnergyNote
		if r.JoulesPerToken != nil {
			line = power.Measured{Name: r.EnergySource, Covers: r.EnergyCovers, Method: r.EnergyMethod}.String()
		}
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	for _, l := range lines {
		fmt.Fprintf(a.out, "\nenergy %s\n", oneLine(l))
	}
}

// figure is a number with three digits that count, or n/a.
func figure(v *float64) string {
	switch {
	case v == nil || *v <= 0:
		return "n/a"
	case *v >= 100:
		return fmt.Sprintf("%.0f", *v)
	case *v >= .001:
		return fmt.Sprintf("%.3g", *v)
	}
	return fmt.Sprintf("%.2e", *v)
}
