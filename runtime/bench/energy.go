package bench

import (
	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/power"
)

// EnergyFigures are the energy of a test by one source: power.Energy.Main says by
// which. Llama-bench has none. Figures are nil, null in JSON, if nothing was
// measured; the note says why.
type EnergyFigures struct {
	JoulesPerToken *float64 `json:"joules_per_token"` // of the tokens of all repetitions and sequences
	TokensPerJoule *float64 `json:"tokens_per_joule"`
	AvgWatts       *float64 `json:"avg_watts"`
	EnergySource   string   `json:"energy_source"` // VDD_IN, RAPL package-0, ...
	EnergyCovers   string   `json:"energy_covers"` // module, package, card or machine
	EnergyMethod   string   `json:"energy_method"` // "counter", "sampled every 50 ms"
	EnergyNote     string   `json:"energy_note"`

	// Energy has all sources.
	Energy *power.Energy `json:"energy,omitempty"`
}

// figuresOf divides energy among tokens.
func figuresOf(m *engine.Model, e power.Energy, tokens int) EnergyFigures {
	f := EnergyFigures{Energy: &e}
	main, err := e.Main(Beside(m))
	if err != nil {
		f.EnergyNote = err.Error()
		return f
	}
	joules, each := main.PerToken(tokens)
	f.JoulesPerToken, f.TokensPerJoule, f.AvgWatts = &joules, &each, &main.Watts
	f.EnergySource, f.EnergyCovers, f.EnergyMethod = main.Name, main.Covers, main.Method
	return f
}

// Beside reports whether a model computes outside the processor's package: on a
// card with memory of its own.
func Beside(m *engine.Model) bool {
	d := m.Device()
	return d.Kind != backend.CPU && !d.Memory.Unified
}
