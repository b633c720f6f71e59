package prune

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/grad"
	"github.com/ledge-run/ledge/runtime/compress/imatrix"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// What heads and channels are measured with.
const (
	partChunk      = 128 // tokens
	activityChunks = 64
	gradientChunks = 32
)

// scores are those of the parts of a layer: the least go.
type scores struct{ groups, channels []float64 }

// chooseParts says which heads and channels of the layers that stay go.
func (p *Plan) chooseParts(ctx context.Context) error {
	o := p.options
	if o.Groups == 0 && o.Channels == 0 {
		return nil
	}
	var all []scores
	var err error
	if o.PartsBy == ByGradient {
		all, err = p.byGradient(ctx)
	} else {
		all, err = p.byActivation(ctx)
	}
	if err != nil {
		return err
	}
	for i := range p.Choices {
		c := &p.Choices[i]
		s := all[c.Layer]
		for _, x := range slices.Concat(s.groups, s.channels) {
			if x-x != 0 {
				return fmt.Errorf("the scores of layer %d are no finite numbers: the file is damaged, or its metadata does not fit its weights", c.Layer)
			}
		}
		if o.Groups > 0 {
			c.keptGroups, c.Groups = best(s.groups, p.net.info.KVHeads-o.Groups, 1)
		}
		if o.Channels > 0 {
			unit := 1
			if o.WholeBlocks {
				unit = p.net.unit
			}
			c.keptChannels, c.Channels = best(s.channels, p.keptChannels(), unit)
		}
	}
	return nil
}

// best keeps the n parts of the highest scores, in their order, in runs of unit; of
// equals the first. What is left over at the end of the last run goes.
func best(scores []float64, n, unit int) (kept, gone []int) {
	runs := make([]int, len(scores)/unit)
	sums := make([]float64, len(runs))
	for i := range runs {
		runs[i] = i
		for _, s := range scores[i*unit : (i+1)*unit] {
			sums[i] += s
		}
	}
	slices.SortStableFunc(runs, func(a, b int) int { return cmp.Compare(sums[b], sums[a]) })
	keep := make([]bool, len(scores))
	for _, r := range runs[:n/unit] {
		for i := range unit {
			keep[r*unit+i] = true
		}
	}
	for i, k := range keep {
		if k {
			kept = append(kept, i)
		} else {
			gone = append(gone, i)
		}
	}
	return kept, gone
}

// down and out name the matrices whose columns are channels and heads.
func down(layer int) string { return fmt.Sprintf("blk.%d.ffn_down.weight", layer) }
func out(layer int) string  { return fmt.Sprintf("blk.%d.attn_output.weight", layer) }

// byActivation scores parts by what they add.
func (p *Plan) byActivation(ctx context.Context) ([]scores, error) {
	m := p.options.Matrix
	if m == nil {
		var err error
		if m, err = inputs(ctx, p.file, p.options.Text, p.options.Threads, p.net.info.Context, p.options.Progress); err != nil {
			return nil, err
		}
	}
	p.squares = map[string][]float32{}
	all := make([]scores, p.net.info.Layers)
	for l := range all {
		for _, name := range []string{out(l), down(l)} {
			t, ok := p.file.Tensor(name)
			if !ok {
				return nil, fmt.Errorf("the model has no tensor %s", name)
			}
			w, ok, err := m.Weights(name, t.RowLen(), 1)
			if err != nil {
				return nil, err
			}
			if !ok {
				return nil, fmt.Errorf("the importance matrix has nothing about %s: measure one with ledge imatrix, or let this be measured with a text", name)
			}
			p.squares[name] = w
			columns, err := columnSquares(t)
			if err != nil {
				return nil, err
			}
			for j := range columns {
				columns[j] *= float64(w[j])
			}
			if name == out(l) {
				all[l].groups = p.net.groupSums(columns)
			} else {
				all[l].channels = columns
			}
		}
	}
	return all, nil
}

// inputs measures the mean squares of the inputs of every matrix.
func inputs(ctx context.Context, f *gguf.File, text string, threads, context int, progress func(stage string, done, of int)) (*imatrix.Matrix, error) {
	if text == "" {
		return nil, errors.New("a text or an importance matrix is needed to measure with")
	}
	paths := f.Paths()
	if len(paths) == 0 {
		return nil, errors.New("prune: the model is not in a file: give an importance matrix")
	}
	return imatrix.Collect(ctx, paths[0], text, engine.Options{Threads: threads}, imatrix.Options{
		Chunks: activityChunks, ChunkSize: min(partChunk, context),
		Progress: func(done, of int) { progress("activations", done, of) },
	})
}

// columnSquares are the sums of the squares of a matrix's columns.
func columnSquares(t *gguf.Tensor) ([]float64, error) {
	sums, row := make([]float64, t.RowLen()), make([]float32, t.RowLen())
	for r := range t.NumRows() {
		if err := t.DequantizeRows(row, r, 1); err != nil {
			return nil, err
		}
		for i, v := range row {
			sums[i] += float64(v) * float64(v)
		}
	}
	return sums, t.Advise(gguf.DontNeed)
}

// groupSums adds up the columns of attn_output that belong to a key-value head.
func (n *network) groupSums(columns []float64) []float64 {
	sums, width := make([]float64, n.info.KVHeads), n.perGroup()*n.info.ValueDim
	for i, c := range columns {
		sums[i/width] += c
	}
	return sums
}

// byGradient scores parts by the change of the loss when they go, to first order.
func (p *Plan) byGradient(ctx context.Context) (_ []scores, err error) {
	layers, size := p.net.info.Layers, min(partChunk, p.net.info.Context)
	t, err := newText(p.file, p.options.Text, size, gradientChunks)
	if err != nil {
		return nil, err
	}
	g, err := decoder(p.file, size, size)
	if err != nil {
		return nil, err
	}
	gates := map[*graph.Node]string{}
	var by []string
	for l := range layers {
		for _, name := range []string{out(l), down(l)} {
			n, err := product(g, name)
			if err != nil {
				return nil, err
			}
			gates[n.In[0]] = "gate." + name
			by = append(by, "gate."+name)
		}
	}
	if g, err = gated(g, gates); err != nil {
		return nil, err
	}
	if g, err = grad.Of(g, "loss", by...); err != nil {
		return nil, err
	}
	probe, err := newProbe(ctx, p.file, g, p.options.Threads)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, probe.close()) }()
	all := make([]scores, layers)
	for l := range all {
		all[l] = scores{make([]float64, p.net.info.KVHeads), make([]float64, p.net.info.FeedForward)}
	}
	for c, chunk := range t.chunks {
		if err := probe.run(ctx, chunk.tokens, chunk.next); err != nil {
			return nil, err
		}
		if _, err := probe.loss(); err != nil {
			return nil, err
		}
		for l := range all {
			for i, s := range p.net.groupSums(float64s(probe.out["d.gate."+out(l)])) {
				all[l].groups[i] += math.Abs(s) / float64(len(t.chunks))
			}
			for i, s := range probe.out["d.gate."+down(l)] {
				all[l].channels[i] += math.Abs(float64(s)) / float64(len(t.chunks))
			}
		}
		p.options.Progress("gradients", c+1, len(t.chunks))
	}
	return all, nil
}

func float64s(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}
