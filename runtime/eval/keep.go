package eval

import (
	"context"
	"fmt"
	"iter"
	"math"

	"github.com/ledge-run/ledge/runtime/engine"
)

// Kept is a reference in memory: a model's log-probabilities of a text, for many
// comparisons that the model itself need not be open for.
type Kept struct {
	rows  []float32 // positions by vocabulary
	vocab int
}

// KeptBytes is the memory that a text's log-probabilities take.
func KeptBytes(t Text, vocab int) int { return 4 * t.Chunks() * scored(t.Size) * vocab }

// Keep reads a text with a model and keeps what it predicts.
func Keep(ctx context.Context, m *engine.Model, t Text, progress func(done, of int)) (*Kept, error) {
	k := &Kept{rows: make([]float32, 0, KeptBytes(t, m.Vocab())/4), vocab: m.Vocab()}
	for c := range t.Chunks() {
		for row, err := range (ModelReference{m}).logProbs(ctx, t, c, m.Vocab()) {
			if err != nil {
				return nil, err
			}
			k.rows = append(k.rows, row...)
		}
		if progress != nil {
			progress(c+1, t.Chunks())
		}
	}
	return k, nil
}

func (k *Kept) floor() float32 { return float32(math.Inf(-1)) }

func (k *Kept) logProbs(_ context.Context, t Text, chunk, vocab int) iter.Seq2[[]float32, error] {
	return func(yield func([]float32, error) bool) {
		n := scored(t.Size)
		if vocab != k.vocab || (chunk+1)*n*vocab > len(k.rows) {
			yield(nil, fmt.Errorf("the reference has %d positions of %d log-probabilities: it was kept of another text or model", len(k.rows)/k.vocab, k.vocab))
			return
		}
		for i := chunk * n; i < (chunk+1)*n; i++ {
			if !yield(k.rows[i*vocab:(i+1)*vocab], nil) {
				return
			}
		}
	}
}
