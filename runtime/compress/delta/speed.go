package delta

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ledge-run/ledge/runtime/bench"
	"github.com/ledge-run/ledge/runtime/bench/stats"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/hub"
)

// Speed is what ledge bench measures in a test, the median of the turns.
type Speed struct {
	Test            string    `json:"test"` // pp256, tg32
	TokensPerSecond float64   `json:"tokens_per_second"`
	Turns           []float64 `json:"turns"`
	JoulesPerToken  *float64  `json:"joules_per_token,omitempty"` // mean of the turns; nil if nothing measures it
	EnergySource    string    `json:"energy_source,omitempty"`
}

const (
	readTokens  = 256
	writeTokens = 32

	// Turns are taken until there are nine; less than three only where they take long.
	mostTurns = 9
	someTurns = 3
	enough    = 10 * time.Second // for some turns
	long      = 40 * time.Second // for fewer
)

// speed decides whether speed is measured; why is the reason why not.
func (o *Options) speed(ctx context.Context, r *Report) (yes bool, why string) {
	switch {
	case o.Speed == NoSpeed:
		return false, "it was not asked for"
	case o.Speed == AlwaysSpeed, o.Text != "", o.Task != nil:
		return true, ""
	}
	free := freeMemory(ctx, o.Engine)
	if need := r.Before.Bytes + r.After.Bytes; free > 0 && uint64(need) > free/2 {
		return false, fmt.Sprintf("the models take %s together, more than half of the %s of memory that are free", hub.FormatBytes(need), hub.FormatBytes(int64(free)))
	}
	return true, ""
}

// freeMemory is what the device that would be chosen has; 0 if that is unknown.
func freeMemory(ctx context.Context, o engine.Options) uint64 {
	found, err := engine.Devices(ctx, o)
	if err != nil {
		return 0 // opening a model tells
	}
	for _, c := range found {
		if c.Picked && c.Info != nil {
			return c.Info.Memory.Free
		}
	}
	return 0
}

// turns lets the models take turns, so that what else the machine does befalls both.
func (o *Options) turns(ctx context.Context, r *Report, sides [2]*Model, models [2]*engine.Model) error {
	most := min(models[0].Options.Context, models[1].Options.Context)
	tests := []bench.Test{{Prompt: min(readTokens, most)}, {Gen: min(writeTokens, most)}}
	var rates, joules [2][2][]float64
	var sources [2][2]string
	why := ""
	start := time.Now()
	for turn := range mostTurns {
		if spent := time.Since(start); turn >= someTurns && spent > enough || turn > 0 && spent > long {
			break
		}
		for t, test := range tests {
			for i, m := range models {
				b, err := bench.RunMetered(ctx, m, test, 1, o.Meter, nil)
				if err != nil {
					return err
				}
				rates[i][t] = append(rates[i][t], b.AvgTs)
				if b.JoulesPerToken == nil {
					why = b.EnergyNote
				} else {
					joules[i][t] = append(joules[i][t], *b.JoulesPerToken)
					sources[i][t] = b.EnergySource
				}
			}
		}
		o.Progress("speed", turn+1, mostTurns)
	}
	for i, side := range sides {
		for t, at := range []**Speed{&side.Prefill, &side.Decode} {
			s := &Speed{Test: tests[t].String(), TokensPerSecond: stats.Median(rates[i][t]), Turns: rates[i][t]}
			if j := joules[i][t]; len(j) == len(s.Turns) { // all of them or none
				mean := 0.0
				for _, v := range j {
					mean += v / float64(len(j))
				}
				s.JoulesPerToken, s.EnergySource = &mean, sources[i][t]
			}
			*at = s
		}
	}
	if why != "" {
		r.absent("energy", strings.TrimSpace(why))
	}
	return nil
}

// Ratio is how much faster after is than before: the median of the turns' own ratios,
// since what slows the machine down for a while befalls a turn of both.
func Ratio(before, after *Speed) float64 {
	n := min(len(before.Turns), len(after.Turns))
	if n == 0 {
		return 0
	}
	ratios := make([]float64, n)
	for i := range ratios {
		ratios[i] = after.Turns[i] / before.Turns[i]
	}
	return stats.Median(ratios)
}
