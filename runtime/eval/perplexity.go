// Package eval measures models.
package eval

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/sampler"
)

// Perplexity is the result of a measurement.
type Perplexity struct {
	PPL    float64 `json:"ppl"`
	Stderr float64 `json:"stderr"` // standard error of PPL
	Tokens int     `json:"tokens"` // scored
	Chunks int     `json:"chunks"`
}

var errNoNumber = errors.New("the model computed no probability")

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
	score := func(logits []float32, token int32) error {
		lp, err := sampler.Logprob(logits, token)
		if errors.Is(err, sampler.ErrBadLogits) || err == nil && !(lp >= -math.MaxFloat32) {
			return fmt.Errorf("%w for token %d of the text: the file is damaged, or its metadata does not fit its weights", errNoNumber, count+1)
		}
		if err != nil {
			return err
		}
		sum -= float64(lp)
		squares += float64(lp) * float64(lp)
		count++
		return nil
	}
	var so Perplexity
	for c := range chunks {
		chunk := t.chunk(m, c)
		err := m.Logits(ctx, chunk, func(first int, logits []float32) error {
			v := m.Vocab()
			for i := range len(logits) / v {
				if at := first + i; at >= size/2 && at < size-1 {
					if err := score(logits[i*v:(i+1)*v], chunk[at+1]); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			return so, err
		}
		so = summary(sum, squares, count, c+1)
		if math.IsInf(so.PPL, 0) {
			return so, fmt.Errorf("%w: the perplexity is beyond 1e308: the file is damaged, or its metadata does not fit its weights", errNoNumber)
		}
		if progress != nil {
			progress(c+1, chunks, so)
		}
	}
	return so, nil
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
