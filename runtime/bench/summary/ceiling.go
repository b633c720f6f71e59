package summary

import (
	"math"

	"github.com/ledge-run/ledge/runtime/bench/record"
)

// A roofline (Williams, Waterman and Patterson, "Roofline: an insightful visual
// performance model for multicore architectures", 2009) needs of a case the
// operations and the bytes of one token.

// Bytes are what a token of the case must at least read from memory: a token that
// is generated reads the weights, with other sequences sharing them, and the cache
// of all positions before it; one of a prompt reads its part of weights that the
// whole prompt shares. 0 if the model's sizes are not known.
func Bytes(m record.Model, s record.Settings, figure string) float64 {
	if m.TokenBytes <= 0 {
		return 0
	}
	if figure == record.Prefill {
		return float64(m.TokenBytes) / float64(max(1, s.Prompt))
	}
	// Of the positions by which the cache grows meanwhile half count.
	positions := int64(s.Depth + s.Gen/2)
	cache := float64(m.CacheBytes) * float64(positions)
	if beyond := positions - m.Window; m.Window > 0 && beyond > 0 {
		cache -= float64(m.LocalBytes) * float64(beyond)
	}
	return float64(m.TokenBytes)/float64(max(1, s.Parallel)) + cache
}

// Operations are the multiplications and additions of a token; 0 if not known.
func Operations(m record.Model, figure string) float64 {
	if figure == record.Prefill {
		return float64(m.PromptOps)
	}
	return float64(m.TokenOps)
}

// Share is the part of its ceiling that a throughput in a round reaches; NaN if
// there is no ceiling to compare with. The ceilings are the processor's: where Ledge
// computed on another device, asked to or not, there is none.
func Share(r *record.Record, figure string, value float64) float64 {
	if r.Ceilings == nil || elsewhere(r) {
		return math.NaN()
	}
	switch figure {
	case record.Decode:
		if b := Bytes(r.Model, r.Settings, figure); known(b) && known(r.Ceilings.ReadGBs) {
			return value * b / (r.Ceilings.ReadGBs * 1e9)
		}
	case record.Prefill:
		if n := Operations(r.Model, figure); known(n) && known(r.Ceilings.DotGOPS) {
			return value * n / (r.Ceilings.DotGOPS * 1e9)
		}
	}
	return math.NaN()
}
