package sampler

import (
	"fmt"
	"math"
	"slices"
)

// RandomSeed as Params.Seed lets New choose a seed; Sampler.Seed tells it.
const RandomSeed uint64 = 0xFFFFFFFF

// Params are the settings of a Sampler. To read them from JSON with llama.cpp's
// defaults for what is missing, unmarshal into the value of DefaultParams.
type Params struct {
	// Temperature divides the logits; 0 takes the most likely token, and of
	// equally likely ones that with the lowest id. As in llama.cpp, it is chosen
	// from those that the stages before leave, of which Typical and XTC may remove
	// the most likely.
	Temperature float64 `json:"temperature"`
	// TopK keeps the K most likely tokens; 0 or less is off.
	TopK int `json:"top_k"`
	// TopP keeps the fewest most likely tokens whose probabilities reach P
	// (nucleus sampling, Holtzman et al. 2020); 1 is off.
	TopP float64 `json:"top_p"`
	// MinP keeps tokens at least P times as likely as the most likely one
	// (Nguyen et al. 2024); 0 is off.
	MinP float64 `json:"min_p"`
	// Typical keeps the tokens whose surprise lies closest to the entropy
	// until their probabilities reach P (locally typical sampling, Meister et
	// al. 2023); 1 is off.
	Typical float64 `json:"typical_p"`
	// TopNSigma keeps tokens whose logit lies within N standard deviations of
	// the highest (Tang et al. 2024); 0 or less is off.
	TopNSigma float64 `json:"top_n_sigma"`
	XTC       XTC     `json:"xtc"`

	// RepeatPenalty divides the positive and multiplies the negative logits of
	// tokens among the last RepeatLastN (Keskar et al. 2019); 1 is off.
	RepeatPenalty float64 `json:"repeat_penalty"`
	// RepeatLastN is how far back the three penalties look: 0 is off, -1 all.
	RepeatLastN int `json:"repeat_last_n"`
	// FrequencyPenalty is subtracted once per occurrence; 0 is off.
	FrequencyPenalty float64 `json:"frequency_penalty"`
	// PresencePenalty is subtracted once if the token occurs; 0 is off.
	PresencePenalty float64 `json:"presence_penalty"`
	DRY             DRY     `json:"dry"`

	// LogitBias is added to the logits of single tokens before anything else;
	// -Inf forbids a token.
	LogitBias map[int32]float32 `json:"logit_bias,omitempty"`

	// Seed of the random numbers; RandomSeed (the default) has New choose one.
	Seed uint64 `json:"seed"`

	// FixedSeed says that Seed is meant, also if it is RandomSeed's number. In JSON that
	// is always llama.cpp's "none".
	FixedSeed bool `json:"-"`

	// Order lists the stages in the order in which they apply; empty means
	// DefaultOrder. A stage that is not listed is off, except that Temperature
	// 0 always takes the most likely of the tokens left.
	Order []Stage `json:"samplers,omitempty"`
}

// XTC ("exclude top choices", by p-e-w) removes, with some probability, all
// but the least likely of the tokens that reach the threshold.
type XTC struct {
	Probability float64 `json:"probability"` // how often it applies; 0 is off
	Threshold   float64 `json:"threshold"`   // probability of a viable choice; above 0.5 is off
}

// DRY ("don't repeat yourself", by p-e-w) lowers the logits of tokens that
// would continue a sequence already in the history: by
// Multiplier * Base^(length - AllowedLength) when the repeated sequence has
// reached AllowedLength tokens. Sequences do not extend across a breaker.
type DRY struct {
	Multiplier    float64 `json:"multiplier"` // 0 is off
	Base          float64 `json:"base"`
	AllowedLength int     `json:"allowed_length"`
	PenaltyLastN  int     `json:"penalty_last_n"` // how far back it looks: 0 is off, -1 all
	// SequenceBreakers are texts. Turn them into tokens by DRYBreakers and
	// hand these to Sampler.SetDRYBreakers.
	SequenceBreakers []string `json:"sequence_breakers"`
}

// A Stage is one transformation; the names are llama.cpp's.
type Stage string

const (
	StagePenalties   Stage = "penalties"
	StageDRY         Stage = "dry"
	StageTopNSigma   Stage = "top_n_sigma"
	StageTopK        Stage = "top_k"
	StageTypical     Stage = "typ_p"
	StageTopP        Stage = "top_p"
	StageMinP        Stage = "min_p"
	StageXTC         Stage = "xtc"
	StageTemperature Stage = "temperature"

	stageBias Stage = "logit_bias" // always first
)

// DefaultOrder returns llama.cpp's order.
func DefaultOrder() []Stage {
	return []Stage{
		StagePenalties, StageDRY, StageTopNSigma, StageTopK, StageTypical,
		StageTopP, StageMinP, StageXTC, StageTemperature,
	}
}

// DefaultParams returns llama.cpp's defaults.
func DefaultParams() Params {
	return Params{
		Temperature:   0.8,
		TopK:          40,
		TopP:          0.95,
		MinP:          0.05,
		Typical:       1,
		TopNSigma:     -1,
		XTC:           XTC{Threshold: 0.1},
		RepeatPenalty: 1,
		RepeatLastN:   64,
		DRY: DRY{
			Base:             1.75,
			AllowedLength:    2,
			PenaltyLastN:     64,
			SequenceBreakers: []string{"\n", ":", "\"", "*"},
		},
		Seed: RandomSeed,
	}
}

// Validate returns nil, or an error that names the first field out of range,
// by its JSON name, with its value and what it may be.
func (p *Params) Validate() error {
	for _, f := range []struct {
		name   string
		value  float64
		lo, hi float64
		reason string
	}{
		{"temperature", p.Temperature, 0, math.MaxFloat32, "0 (greedy) or more, finite"},
		{"top_p", p.TopP, 0, 1, "0 to 1 (1 is off)"},
		{"min_p", p.MinP, 0, 1, "0 to 1 (0 is off)"},
		{"typical_p", p.Typical, 0, 1, "0 to 1 (1 is off)"},
		{"top_n_sigma", p.TopNSigma, -math.MaxFloat32, math.MaxFloat32, "finite (0 or less is off)"},
		{"xtc.probability", p.XTC.Probability, 0, 1, "0 to 1 (0 is off)"},
		{"xtc.threshold", p.XTC.Threshold, 0, 1, "0 to 1 (above 0.5 is off)"},
		{"repeat_penalty", p.RepeatPenalty, 1e-6, 1e6, "1e-6 to 1e6 (1 is off)"},
		{"frequency_penalty", p.FrequencyPenalty, -1e6, 1e6, "-1e6 to 1e6 (0 is off)"},
		{"presence_penalty", p.PresencePenalty, -1e6, 1e6, "-1e6 to 1e6 (0 is off)"},
		{"dry.multiplier", p.DRY.Multiplier, 0, math.MaxFloat32, "0 (off) or more, finite"},
	} {
		if !(f.value >= f.lo && f.value <= f.hi) { // also refuses NaN
			return fmt.Errorf("sampler: %s is %v: it must be %s", f.name, f.value, f.reason)
		}
	}
	if p.XTC.Probability > 0 && p.XTC.Threshold == 0 {
		return fmt.Errorf("sampler: xtc.threshold is 0 while xtc.probability is %v: it must be above 0", p.XTC.Probability)
	}
	if p.RepeatLastN < -1 {
		return fmt.Errorf("sampler: repeat_last_n is %d: it must be -1 (all), 0 (off) or more", p.RepeatLastN)
	}
	if p.DRY.PenaltyLastN < -1 {
		return fmt.Errorf("sampler: dry.penalty_last_n is %d: it must be -1 (all), 0 (off) or more", p.DRY.PenaltyLastN)
	}
	if b := p.DRY.Base; math.IsNaN(b) || p.DRY.Multiplier > 0 && !(b >= 1 && b <= math.MaxFloat32) {
		return fmt.Errorf("sampler: dry.base is %v: it must be 1 or more, finite", b)
	}
	if p.DRY.AllowedLength < 0 {
		return fmt.Errorf("sampler: dry.allowed_length is %d: it must be 0 or more", p.DRY.AllowedLength)
	}
	for _, id := range biasIDs(p.LogitBias) {
		if b := float64(p.LogitBias[id]); id < 0 || math.IsNaN(b) || math.IsInf(b, 1) {
			return fmt.Errorf("sampler: logit_bias of token %d is %v: the id must be 0 or more, the bias finite or -Inf", id, b)
		}
	}
	known := DefaultOrder()
	for i, st := range p.Order {
		if !slices.Contains(known, st) {
			return fmt.Errorf("sampler: samplers[%d] is %q: it must be one of %v", i, st, known)
		}
		if slices.Contains(p.Order[:i], st) {
			return fmt.Errorf("sampler: samplers[%d] is %q, which is listed before: each stage may be listed once", i, st)
		}
	}
	return nil
}

func biasIDs(bias map[int32]float32) []int32 {
	ids := make([]int32, 0, len(bias))
	for id := range bias {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// plan returns the stages that can change the outcome, in order.
func (p *Params) plan() []Stage {
	order := p.Order
	if len(order) == 0 {
		order = DefaultOrder()
	}
	var plan []Stage
	if len(p.LogitBias) > 0 {
		plan = append(plan, stageBias)
	}
	for _, st := range order {
		if p.active(st) {
			plan = append(plan, st)
		}
	}
	if p.Temperature > 0 {
		return plan
	}
	// Greedy. Top-k, top-p, min-p and top-n-sigma always keep the most likely
	// token, so they matter only ahead of a stage that can make it another.
	if !slices.Contains(plan, StageTemperature) {
		plan = append(plan, StageTemperature)
	}
	last := len(plan)
	for last > 0 && !plan[last-1].moves() {
		last--
	}
	return append(plan[:last:last], StageTemperature)
}

// moves reports whether the stage can change which token is the most likely.
func (st Stage) moves() bool {
	switch st {
	case StageTopK, StageTopP, StageMinP, StageTopNSigma, StageTemperature:
		return false
	}
	return true
}

func (p *Params) active(st Stage) bool {
	switch st {
	case StagePenalties:
		return p.RepeatLastN != 0 && (p.RepeatPenalty != 1 || p.FrequencyPenalty != 0 || p.PresencePenalty != 0)
	case StageDRY:
		return p.DRY.Multiplier > 0 && p.DRY.PenaltyLastN != 0
	case StageTopNSigma:
		return p.TopNSigma > 0
	case StageTopK:
		return p.TopK > 0
	case StageTypical:
		return p.Typical < 1
	case StageTopP:
		return p.TopP < 1
	case StageMinP:
		return p.MinP > 0
	case StageXTC:
		return p.XTC.Probability > 0 && p.XTC.Threshold <= 0.5
	case StageTemperature:
		return p.Temperature != 1
	}
	return false
}
