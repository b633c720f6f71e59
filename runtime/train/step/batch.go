package step

import (
	"fmt"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
)

// batch is a part as a run takes it.
type batch struct {
	segments          []backend.Segment
	tokens, positions []int32
	rows, labels      []int32   // of tokens that have a label
	weights           []float32 // of rows
	targets           []int32   // of rows, each as many
	probs             []float32 // of targets
	counts            []float32 // of rows: weights over all parts' sum
	key               [2]int32
	losses            []float32
}

// prepare checks parts and lays them out. total is the sum of all weights.
func (t *Trainer) prepare(p *program, step int, parts []Part) (batches []*batch, total float64, err error) {
	for i := range parts {
		b, err := layOut(&parts[i], targetsOf(p.graph))
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

// targetsOf is how many of a teacher's ids a graph asks for of each row; 0 without one.
func targetsOf(g *graph.Graph) int {
	for _, in := range g.Inputs() {
		if in.Name == "targets" {
			return in.Type.Shape[1].N
		}
	}
	return 0
}

// layOut lays a part out for a graph that asks for so many targets a row.
func layOut(p *Part, teacher int) (*batch, error) {
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
	soft := p.Targets
	if teacher > 0 {
		if err := checkSoft(p, teacher); err != nil {
			return nil, err
		}
	}
	at := 0 // of a label's targets
	for i, l := range p.Labels {
		w := float32(1)
		if p.Weights != nil {
			w = p.Weights[i]
		}
		if l < 0 {
			continue
		}
		if from := at; teacher > 0 {
			if at += teacher; w != 0 {
				b.targets, b.probs = append(b.targets, soft.IDs[from:at]...), append(b.probs, soft.Probs[from:at]...)
			}
		}
		if w != 0 {
			b.rows, b.labels, b.weights = append(b.rows, int32(i)), append(b.labels, l), append(b.weights, w)
		}
	}
	return b, nil
}

// checkSoft asks for targets that make a distribution for each label: k ids, none of
// them twice, with probabilities of which the sum is at most 1 but for rounding.
func checkSoft(p *Part, k int) error {
	soft, labels := p.Targets, 0
	for _, l := range p.Labels {
		if l >= 0 {
			labels++
		}
	}
	switch {
	case soft == nil:
		return fmt.Errorf("the graph learns from a teacher: the part must have targets, %d for each label", k)
	case soft.K != k || len(soft.IDs) != labels*k || len(soft.Probs) != labels*k:
		return fmt.Errorf("%d targets and %d probabilities, %d for each label: want %d for each of %d labels", len(soft.IDs), len(soft.Probs), soft.K, k, labels)
	}
	seen := make(map[int32]bool, k)
	for i := range labels {
		clear(seen)
		sum := 0.0
		for j, id := range soft.IDs[i*k : (i+1)*k] {
			q := float64(soft.Probs[i*k+j])
			if id < 0 && q == 0 {
				continue
			}
			if !(q >= 0) || id < 0 || seen[id] {
				return fmt.Errorf("target %d of label %d is id %d with probability %g: want ids that differ and probabilities from 0 to 1", j, i, id, q)
			}
			seen[id] = true
			sum += q
		}
		if !(sum <= 1+1e-4) {
			return fmt.Errorf("the targets of label %d have probabilities of %g in all, more than 1", i, sum)
		}
	}
	return nil
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
