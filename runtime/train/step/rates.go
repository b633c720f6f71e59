package step

import (
	"fmt"
	"math"
	"path"
)

// Schedule says the learning rate of every step. It is a value, so that it can be
// compared and written down.
type Schedule struct {
	Kind   string  `json:"kind"` // cosine, linear, constant
	Peak   float64 `json:"peak"`
	Floor  float64 `json:"floor"`  // where cosine and linear end
	Warmup int     `json:"warmup"` // steps over which the rate rises linearly from 0 to Peak
	Total  int     `json:"total"`  // step at which Floor is reached
}

// Kinds of schedules.
const (
	KindCosine   = "cosine"
	KindLinear   = "linear"
	KindConstant = "constant"
)

// Kinds lists them.
func Kinds() []string { return []string{KindCosine, KindLinear, KindConstant} }

// Cosine is a learning rate that rises linearly to peak over warmup steps, then falls
// to floor at step total along half a cosine (Loshchilov and Hutter, SGDR, 2017), and
// stays there.
func Cosine(peak, floor float64, warmup, total int) Schedule {
	return Schedule{KindCosine, peak, floor, warmup, total}
}

// Constant is a learning rate that does not change.
func Constant(rate float64) Schedule { return Schedule{Kind: KindConstant, Peak: rate} }

// Rate is the learning rate of a step, counted from 1.
func (s Schedule) Rate(step int) float64 {
	switch {
	case step <= s.Warmup:
		return s.Peak * float64(step) / float64(max(1, s.Warmup))
	case s.Kind == KindConstant:
		return s.Peak
	case step >= s.Total:
		return s.Floor
	}
	x := float64(step-s.Warmup) / float64(s.Total-s.Warmup)
	if s.Kind == KindLinear {
		return s.Peak + (s.Floor-s.Peak)*x
	}
	return s.Floor + (s.Peak-s.Floor)*(1+math.Cos(math.Pi*x))/2
}

// check refuses what gives no rate.
func (s Schedule) check() error {
	switch s.Kind {
	case KindCosine, KindLinear, KindConstant:
	case "":
		return fmt.Errorf("Options.Rate must say the learning rate")
	default:
		return fmt.Errorf("Options.Rate is of the kind %q: it must be one of %v", s.Kind, Kinds())
	}
	for _, r := range []float64{s.Peak, s.Floor} {
		// In float32, which is what the update computes with.
		if !finite(float64(float32(r))) || r < 0 {
			return fmt.Errorf("Options.Rate gives a learning rate of %g, want a finite number that is not negative", r)
		}
	}
	if s.Warmup < 0 || s.Total < 0 {
		return fmt.Errorf("Options.Rate has %d steps of warm-up and %d in all: want none below 0", s.Warmup, s.Total)
	}
	return nil
}

func (s Schedule) String() string {
	text := fmt.Sprintf("%s %g", s.Kind, s.Peak)
	if s.Kind != KindConstant {
		text += fmt.Sprintf(" to %g at step %d", s.Floor, s.Total)
	}
	if s.Warmup > 0 {
		text += fmt.Sprintf(", %d steps of warm-up", s.Warmup)
	}
	return text
}

// Group is a set of parameters with a learning rate of their own.
type Group struct {
	Weights string  `json:"weights"` // a pattern for their names, as path.Match has it: token_embd.*, *norm.weight
	Rate    float64 `json:"rate"`    // times that of the schedule; weight decay goes with it
}

// groupOf is the number of a weight's group, from 1, by the first pattern that fits;
// 0 is what none does.
func groupOf(groups []Group, weight string) int {
	for i, g := range groups {
		if ok, _ := path.Match(g.Weights, weight); ok { // checkGroups has seen the pattern
			return i + 1
		}
	}
	return 0
}

func checkGroups(groups []Group, params []string) error {
	for i, g := range groups {
		if _, err := path.Match(g.Weights, ""); err != nil {
			return fmt.Errorf("group %q: the pattern is malformed", g.Weights)
		}
		if !finite(float64(float32(g.Rate))) || g.Rate < 0 {
			return fmt.Errorf("group %q: its rate is %g times that of the others, want a finite number that is not negative", g.Weights, g.Rate)
		}
		used := false
		for _, p := range params {
			used = used || groupOf(groups, p) == i+1
		}
		if !used {
			return fmt.Errorf("group %q: no weight that is trained fits (or an earlier group has them all)", g.Weights)
		}
	}
	return nil
}
