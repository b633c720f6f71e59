package prune

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/ledge-run/ledge/graph"
)

// What layers are measured with.
const (
	layerChunk      = 256 // tokens, the second half of which counts
	angleChunks     = 32
	perplexedChunks = 8
)

// chooseLayers says which layers go.
func (p *Plan) chooseLayers(ctx context.Context) error {
	n := p.options.Layers
	if n > 0 {
		by := p.byAngle
		if p.options.LayersBy == ByPerplexity {
			by = p.byPerplexity
		}
		if err := by(ctx, n); err != nil {
			return err
		}
	}
	for _, l := range p.net.without(p.Removed) {
		p.Choices = append(p.Choices, Choice{Layer: l})
	}
	return nil
}

// runs are the layers at which a run of n may begin that can go: those after it must
// be of the kinds that are at their new places. The last n can always go.
func (n *network) runs(length int) (starts []int) {
	for at := 0; at+length <= n.info.Layers; at++ {
		if n.inPlace(n.without(span(at, length))) {
			starts = append(starts, at)
		}
	}
	return starts
}

func span(from, n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = from + i
	}
	return out
}

// byAngle removes the run whose input and output are at the smallest angle.
func (p *Plan) byAngle(ctx context.Context, n int) (err error) {
	layers, runs := p.net.info.Layers, p.net.runs(n)
	size := min(layerChunk, p.net.info.Context)
	t, err := newText(p.file, p.options.Text, size, angleChunks)
	if err != nil {
		return err
	}
	g, err := decoder(p.file, size, size/2)
	if err != nil {
		return err
	}
	xs, err := stream(g, layers)
	if err != nil {
		return err
	}
	g.Outputs = nil // no loss
	for l, x := range xs {
		g.Outputs = append(g.Outputs, graph.Output{Name: fmt.Sprint("x.", l), Node: x})
	}
	g.Prune(func(*graph.Node) bool { return false })
	probe, err := newProbe(ctx, p.file, g, p.options.Threads)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, probe.close()) }()
	sums, count := make([]float64, len(runs)), 0
	for c, chunk := range t.chunks {
		if err := probe.run(ctx, chunk.tokens, chunk.next); err != nil {
			return err
		}
		for i, at := range runs {
			before, after := probe.out[fmt.Sprint("x.", at)], probe.out[fmt.Sprint("x.", at+n)]
			width := len(before) / size
			for r := size - size/2; r < size; r++ {
				sums[i] += angle(before[r*width:(r+1)*width], after[r*width:(r+1)*width])
			}
		}
		count += size / 2
		p.options.Progress("layers", c+1, len(t.chunks))
	}
	best := 0
	for i := range sums {
		sums[i] /= float64(count)
		if sums[i]-sums[i] != 0 {
			return errors.New("the values between layers are no finite numbers: the file is damaged, or its metadata does not fit its weights")
		}
		if sums[i] < sums[best] {
			best = i
		}
	}
	p.Removed, p.Angles = span(runs[best], n), sums
	return nil
}

// angle between two vectors in turns of π, as Gromov et al. have it: 1/π arccos of the
// cosine.
func angle(a, b []float32) float64 {
	var ab, aa, bb float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		ab += x * y
		aa += x * x
		bb += y * y
	}
	if aa == 0 || bb == 0 {
		return 0.5
	}
	return math.Acos(max(-1, min(1, ab/math.Sqrt(aa*bb)))) / math.Pi
}

// byPerplexity removes one layer after the other, the one without which the text is
// most probable, of those that leave the others in places of their kinds, as the last
// one does.
func (p *Plan) byPerplexity(ctx context.Context, n int) (err error) {
	layers := p.net.info.Layers
	size := min(layerChunk, p.net.info.Context)
	t, err := newText(p.file, p.options.Text, size, perplexedChunks)
	if err != nil {
		return err
	}
	g, err := decoder(p.file, size, size/2)
	if err != nil {
		return err
	}
	adds, err := additions(g, layers)
	if err != nil {
		return err
	}
	gates := map[*graph.Node]string{}
	for l, nodes := range adds {
		for _, x := range nodes {
			gates[x] = layerGate(l)
		}
	}
	if g, err = gated(g, gates); err != nil {
		return err
	}
	probe, err := newProbe(ctx, p.file, g, p.options.Threads)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, probe.close()) }()
	set := func(l int, v float32) {
		x := probe.gates[layerGate(l)]
		for i := range x {
			x[i] = v
		}
	}
	start, err := probe.mean(ctx, t)
	if err != nil {
		return err
	}
	p.Losses = []float64{start}
	done, total := 0, 0
	for k := range n {
		total += layers - k
	}
	for range n {
		best, least := -1, math.Inf(1)
		for l := range layers {
			if slices.Contains(p.Removed, l) {
				continue
			}
			done++
			p.options.Progress("layers", done, total)
			if !p.net.inPlace(p.net.without(append(slices.Clone(p.Removed), l))) {
				continue
			}
			set(l, 0)
			loss, err := probe.mean(ctx, t)
			set(l, 1)
			if err != nil {
				return err
			}
			if loss < least {
				best, least = l, loss
			}
		}
		set(best, 0)
		p.Removed, p.Losses = append(p.Removed, best), append(p.Losses, least)
	}
	slices.Sort(p.Removed)
	return nil
}

func layerGate(l int) string { return fmt.Sprint("gate.layer.", l) }

// mean is the loss on the text.
func (p *probe) mean(ctx context.Context, t *text) (float64, error) {
	sum := 0.0
	for _, c := range t.chunks {
		if err := p.run(ctx, c.tokens, c.next); err != nil {
			return 0, err
		}
		l, err := p.loss()
		if err != nil {
			return 0, err
		}
		sum += l / float64(len(t.chunks))
	}
	return sum, nil
}
