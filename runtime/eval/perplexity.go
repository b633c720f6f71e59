// Package eval measures models.
package eval

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/ledge-run/ledge/runtime/engine"
)

// Perplexity is the result of a measurement.
type Perplexity struct {
	PPL    float64 `json:"ppl"`
	Stderr float64 `json:"stderr"` // standard error of PPL
	Tokens int     `json:"tokens"` // scored
	Chunks int     `json:"chunks"`
}

var errNoNumber = errors.New("the model computed no probability")

const damaged = "the file is damaged, or its metadata does not fit its weights"

// MeasurePerplexity follows llama.cpp's protocol, so that figures compare: the
// text's tokens are cut into chunks of size; each begins with the BOS token in
// place of its first if the model wants one, and its second half is scored.
// chunks of 0 takes all. Logits that are no numbers are an error, not a figure.
// progress, which may be nil, is told after each chunk.
func MeasurePerplexity(ctx context.Context, m *engine.Model, text string, size, chunks int, progress func(done, of int, so Perplexity)) (Perplexity, error) {
	t, err := NewText(m, text, size, chunks)
	if err != nil {
		return Perplexity{}, err
	}
	chunks = t.Chunks()
	var sum, squares float64
	count := 0
	var so Perplexity
	for c := range chunks {
		for logits, err := range t.rows(ctx, m, c) {
			if err != nil {
				return so, err
			}
			lp, err := logprob(logits, t.next(c, count%scored(size)))
			if errors.Is(err, errNoNumber) {
				return so, fmt.Errorf("%w for token %d of the text: %s", errNoNumber, count+1, damaged)
			}
			if err != nil {
				return so, err
			}
			sum -= float64(lp)
			squares += float64(lp) * float64(lp)
			count++
		}
		so = summary(sum, squares, count, c+1)
		if err := so.check(); err != nil {
			return so, err
		}
		if progress != nil {
			progress(c+1, chunks, so)
		}
	}
	return so, nil
}

// check refuses a perplexity that is beyond all numbers: JSON has no infinity.
func (p Perplexity) check() error {
	if !(p.PPL <= math.MaxFloat64 && p.Stderr <= math.MaxFloat64) {
		return fmt.Errorf("%w: the perplexity is beyond 1e308: %s", errNoNumber, damaged)
	}
	return nil
}

func summary(sum, squares float64, count, chunks int) Perplexity {
	n := float64(count)
	mean := sum / n
	p := Perplexity{PPL: math.Exp(mean), Tokens: count, Chunks: chunks}
	if variance := squares/n - mean*mean; count > 1 && variance > 0 {
		p.Stderr = math.Sqrt(variance/(n-1)) * p.PPL
	}
	return p
}
