package sampler

import (
	"fmt"
	"math"
)

// LogSumExp returns ln of the sum of e^logit over a row, or an error for a row
// that is all NaN or -Inf, or has a +Inf. NaN counts as -Inf.
func LogSumExp(logits []float32) (float64, error) {
	top := maxLogit(logits)
	if err := checkTop(top); err != nil {
		return 0, err
	}
	if top == negInf {
		return 0, fmt.Errorf("sampler: %w: every logit is NaN or -Inf", ErrBadLogits)
	}
	sum := 0.0
	for _, l := range logits {
		sum += exp(float64(l) - float64(top)) // 0 for NaN
	}
	return float64(top) + ln(sum), nil
}

// Logprob returns the model's own log-probability of a token: before any
// stage, at temperature 1.
func Logprob(logits []float32, id int32) (float32, error) {
	if id < 0 || int(id) >= len(logits) {
		return 0, fmt.Errorf("sampler: token id %d is outside the row of %d logits", id, len(logits))
	}
	lse, err := LogSumExp(logits)
	if err != nil {
		return 0, err
	}
	if l := logits[id]; l > negInf {
		return float32(float64(l) - lse), nil
	}
	return negInf, nil
}

// TopLogprobs appends to dst the n most likely tokens (fewer if the row has
// not as many) with the model's own log-probabilities, the most likely first.
func TopLogprobs(dst []Token, logits []float32, n int) ([]Token, error) {
	lse, err := LogSumExp(logits)
	if err != nil {
		return dst, err
	}
	if n <= 0 {
		return dst, nil
	}
	t := tokens{scale: 1}
	if n <= heapMax {
		t.items = selectTop(make([]item, 0, n), logits, n)
		t.sorted = len(t.items)
	} else {
		t.items = selectAbove(nil, logits, math.Inf(-1))
		t.sort(n)
		t.items = t.items[:min(n, len(t.items))]
	}
	for _, it := range t.items {
		dst = append(dst, Token{it.id(), float32(float64(it.logit()) - lse)})
	}
	return dst, nil
}

// TopLogprobs is like the function, for at most as many tokens as there are
// candidates; the probabilities are as exact as LogSumExp.
func (c Candidates) TopLogprobs(dst []Token, n int) []Token {
	for i := range min(n, len(c.IDs), len(c.Logits)) {
		dst = append(dst, Token{c.IDs[i], c.Logits[i] - c.LogSumExp})
	}
	return dst
}
