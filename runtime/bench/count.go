package bench

import (
	"fmt"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/runtime/engine"
)

// TokenCost is what a decoded token costs on the chosen device, by the device's
// own accounting: means over the tokens of a test.
type TokenCost struct {
	Device        string  `json:"device"`
	Counted       bool    `json:"counted"` // the device counts; else the rest is 0
	Layers        int     `json:"layers"`  // on the device
	Submissions   float64 `json:"submissions"`
	Dispatches    float64 `json:"dispatches"`
	PerLayer      float64 `json:"dispatches_per_layer"`
	ReadBacks     float64 `json:"read_backs"`
	ReadBackBytes float64 `json:"read_back_bytes"`
	Traffic       float64 `json:"traffic_bytes"`  // moved by the kernels
	Streamed      float64 `json:"streamed_bytes"` // weights and cache that were read, each byte once
	Ratio         float64 `json:"traffic_ratio"`  // of the two: 1 is the least possible; 0 if nothing was streamed
}

// costOf divides counts among tokens.
func costOf(m *engine.Model, c backend.Counters, counted bool, tokens int) *TokenCost {
	p := m.Places()[0]
	cost := &TokenCost{Device: p.Device, Layers: p.Layers, Counted: counted && tokens > 0}
	if !cost.Counted {
		return cost
	}
	each := func(n int64) float64 { return float64(n) / float64(tokens) }
	cost.Submissions, cost.Dispatches = each(c.Submissions), each(c.Dispatches)
	cost.ReadBacks, cost.ReadBackBytes = each(c.ReadBacks), each(c.ReadBackBytes)
	cost.Traffic, cost.Streamed = each(c.Traffic), each(c.Streamed)
	if p.Layers > 0 {
		cost.PerLayer = cost.Dispatches / float64(p.Layers)
	}
	if c.Streamed > 0 {
		cost.Ratio = float64(c.Traffic) / float64(c.Streamed)
	}
	return cost
}

// String is the cost in two lines.
func (c *TokenCost) String() string {
	if !c.Counted {
		return fmt.Sprintf("%s counts nothing", c.Device)
	}
	return fmt.Sprintf("%s: %.2f submissions, %.2f dispatches (%.2f for each of %d layers), %.2f read-backs of %.0f bytes together;\n"+
		"%.3f MB moved, %.3f times the %.3f MB of weights and cache that must be read", c.Device, c.Submissions, c.Dispatches, c.PerLayer, c.Layers,
		c.ReadBacks, c.ReadBackBytes, c.Traffic/1e6, c.Ratio, c.Streamed/1e6)
}
