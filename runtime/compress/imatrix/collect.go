package imatrix

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"github.com/ledge-run/ledge/runtime/engine"
)

// Options of a measurement. The zero value takes the whole text in chunks of
// DefaultChunk tokens, as llama-imatrix does.
type Options struct {
	ChunkSize int    // tokens of a chunk
	Chunks    int    // at most so many; 0 for all of the text
	Output    bool   // also of the output matrix, and of the embedding where that is the output
	Dataset   string // the text's name, for the file
	Progress  func(done, of int)
}

// DefaultChunk is the number of tokens of a chunk.
const DefaultChunk = 512

// batch bounds the rows whose inputs are kept at once: see engine.Tap.
const batch = 128

// Collect runs the text through the model of a file, on the CPU, and returns the
// matrix.
func Collect(ctx context.Context, path, text string, eo engine.Options, o Options) (*Matrix, error) {
	if o.ChunkSize == 0 {
		o.ChunkSize = DefaultChunk
	}
	if o.ChunkSize < 16 {
		return nil, fmt.Errorf("chunks of %d tokens are too small: at least 16 are needed", o.ChunkSize)
	}
	c := &collector{m: &Matrix{Entries: map[string]*Entry{}, ChunkSize: o.ChunkSize}, output: o.Output, sums: map[string]*sums{}}
	if o.Dataset != "" {
		c.m.Datasets = []string{filepath.Base(o.Dataset)}
	}
	eo.Device, eo.Context, eo.Batch, eo.Sequences, eo.PackCache, eo.Share = "cpu", o.ChunkSize, min(batch, o.ChunkSize), 1, nil, false
	eo.Tap, eo.GPULayers = c.see, nil
	model, err := engine.Open(ctx, path, eo)
	if err != nil {
		return nil, err
	}
	err = c.run(ctx, model, text, o)
	if cerr := model.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, err
	}
	return c.matrix()
}

func (c *collector) run(ctx context.Context, m *engine.Model, text string, o Options) error {
	tokens := m.Encode(text, true, false)
	chunks := len(tokens) / o.ChunkSize
	if chunks == 0 {
		return fmt.Errorf("the text has %d tokens, a chunk %d: give a longer text, or smaller chunks", len(tokens), o.ChunkSize)
	}
	if o.Chunks > 0 {
		chunks = min(chunks, o.Chunks)
	}
	for i := range chunks {
		chunk := append([]int32(nil), tokens[i*o.ChunkSize:(i+1)*o.ChunkSize]...)
		if m.Tokenizer.AddsBOS() {
			chunk[0] = m.Tokenizer.BOS()
		}
		var err error
		if o.Output {
			err = m.Logits(ctx, chunk, func(int, []float32) error { return nil }) // else no row reaches it
		} else {
			err = m.Feed(ctx, chunk)
		}
		if err != nil {
			return err
		}
		c.m.Chunks++
		if o.Progress != nil {
			o.Progress(i+1, chunks)
		}
	}
	return nil
}

// collector adds up what the tap shows, in float64: a text is many rows.
type collector struct {
	m      *Matrix
	output bool
	sums   map[string]*sums
}

// sums are shared by the weights that have the same input.
type sums struct {
	squares, sums []float64
	rows          int64
	weights       []string
}

func (c *collector) see(weights []string, x []float32, cols int) {
	key := weights[0]
	s := c.sums[key]
	if s == nil {
		s = &sums{squares: make([]float64, cols), sums: make([]float64, cols), weights: weights}
		c.sums[key] = s
	}
	for ; len(x) >= cols; x = x[cols:] {
		sq, su := s.squares[:cols], s.sums[:cols]
		for i, v := range x[:cols] {
			d := float64(v)
			sq[i] += d * d
			su[i] += d
		}
		s.rows++
	}
}

// inBlock tells whether a weight is one of the layers'.
func inBlock(name string) bool { return strings.HasPrefix(name, "blk.") }

func (c *collector) matrix() (*Matrix, error) {
	for _, s := range c.sums {
		for _, name := range s.weights {
			if !inBlock(name) && !c.output {
				continue
			}
			e := &Entry{Squares: make([]float32, len(s.squares)), Sums: make([]float32, len(s.sums)), Counts: []int64{s.rows}}
			for i, v := range s.squares {
				if math.IsNaN(v) || v > math.MaxFloat32 {
					return nil, fmt.Errorf("the inputs of %s are no finite numbers: the file is damaged, or its metadata does not fit its weights", name)
				}
				e.Squares[i], e.Sums[i] = float32(v), float32(s.sums[i])
			}
			c.m.Entries[name] = e
		}
	}
	return c.m, nil
}
