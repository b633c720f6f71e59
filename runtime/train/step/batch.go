package step

import (
	"fmt"

	"github.com/ledge-run/ledge/backend"
)

// batch is a part as a run takes it.
type batch struct {
	segments          []backend.Segment
	tokens, positions []int32
	rows, labels      []int32   // of tokens that have a label
	weights           []float32 // of rows
	counts            []float32 // of rows: weights over all parts' sum
	key               [2]int32
	losses            []float32
}

// prepare checks parts and lays them out. total is the sum of all weights.
func (t *Trainer) prepare(p *program, step int, parts []Part) (batches []*batch, total float64, err error) {
	for i := range parts {
		b, err := layOut(&parts[i])
		if err == nil {
			m := p.graph.Max
			if len(b.tokens) > m.T || len(b.rows) > m.R || len(b.segments) > m.S {
				err = fmt.Errorf("%d tokens, %d with labels, in %d documents: the graph is made for at most %d, %d and %d",
					len(b.tokens), len(b.rows), len(b.segments), m.T, m.R, m.S)
			}
		}
		if err != nil {
			return nil, 0, fmt.Errorf("train: part %d: %w", i, err)
		}
		// Every part of every step drops other elements.
		b.key = [2]int32{t.o.Seed ^ int32(uint32(i)*0x9e3779b9), int32(step)}
		for _, w := range b.weights {
			total += float64(w)
		}
		batches = append(batches, b)
	}
	if !(total > 0) {
		return nil, 0, fmt.Errorf("train: the weights of the tokens with labels add up to %g: nothing can be learnt", total)
	}
	return batches, total, nil
}

func layOut(p *Part) (*batch, error) {
	b := &batch{tokens: p.Tokens}
	if len(p.Tokens) == 0 {
		return nil, fmt.Errorf("has no tokens")
	}
	if len(p.Labels) != len(p.Tokens) || p.Weights != nil && len(p.Weights) != len(p.Tokens) {
		return nil, fmt.Errorf("%d tokens with %d labels and %d weights", len(p.Tokens), len(p.Labels), len(p.Weights))
	}
	lengths := p.Lengths
	if lengths == nil {
		lengths = []int{len(p.Tokens)}
	}
	for i, n := range lengths {
		if n <= 0 || n > len(p.Tokens)-len(b.positions) {
			return nil, fmt.Errorf("document %d has %d tokens of the %d that are left", i, n, len(p.Tokens)-len(b.positions))
		}
		b.segments = append(b.segments, backend.Segment{Seq: i, Rows: n})
		for at := range n {
			b.positions = append(b.positions, int32(at))
		}
	}
	if len(b.positions) != len(p.Tokens) {
		return nil, fmt.Errorf("documents have %d tokens in all, the part has %d", len(b.positions), len(p.Tokens))
	}
	for i, l := range p.Labels {
		w := float32(1)
		if p.Weights != nil {
			w = p.Weights[i]
		}
		if l < 0 || w == 0 {
			continue
		}
		b.rows, b.labels, b.weights = append(b.rows, int32(i)), append(b.labels, l), append(b.weights, w)
	}
	return b, nil
}

// count says what each row counts of all parts.
func (b *batch) count(total float64) {
	b.counts = make([]float32, len(b.weights))
	for i, w := range b.weights {
		b.counts[i] = float32(float64(w) / total)
	}
}

// loss is what the batch adds to the mean.
func (b *batch) loss() float64 {
	sum := 0.0
	for i, l := range b.losses {
		sum += float64(b.counts[i]) * float64(l)
	}
	return sum
}
