package prune

import (
	"context"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/cpu"
	"github.com/ledge-run/ledge/runtime/compress/encode"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// Healable tells whether WriteHealed can write every tensor in its type: some are only
// read, and training changes all of them.
func (p *Plan) Healable() error {
	for i := range p.tensors {
		if t := &p.tensors[i]; !encode.Can(t.dtype) {
			return fmt.Errorf("tensor %s is %v, which nothing encodes, and healing changes it: prune a file of another type, or without healing", t.name, t.dtype)
		}
	}
	return nil
}

// Quantized is how many tensors of the file are quantised, which healing rounds again.
func (p *Plan) Quantized() (n int) {
	for i := range p.tensors {
		if p.tensors[i].dtype.Quantized() {
			n++
		}
	}
	return n
}

// WriteHealed writes what training has made of the file pruned, which Write has written:
// the same tensors in the same types and with the same metadata, but with the values of
// healed.
//
// A short training moves weights by less than half a step of their quantised type, so that
// the nearest codes are mostly those they had, and what was learnt is gone. So the values
// of quantised tensors stay on the steps they are on, and are moved by whole ones by
// chance, such that the mean is what was learnt (stochastic rounding; Gupta et al. 2015,
// "Deep Learning with Limited Numerical Precision"). The chances are the same in every run.
func (p *Plan) WriteHealed(ctx context.Context, pruned, healed *gguf.File, path string, o WriteOptions) error {
	tensors := slices.Clone(p.tensors)
	for i := range tensors {
		t := &tensors[i]
		for _, of := range []struct {
			f  *gguf.File
			to **gguf.Tensor
		}{{pruned, &t.pruned}, {healed, &t.healed}} {
			x, ok := of.f.Tensor(t.name)
			if !ok || !slices.Equal(x.Shape, t.shape) {
				return fmt.Errorf("%s: there is no tensor %s of %v, as what was pruned has it", of.f.Paths()[0], t.name, t.shape)
			}
			*of.to = x
		}
	}
	w, err := writer(ctx, p.file, tensors, p.values, p.squares, o)
	if err != nil {
		return err
	}
	return w.Save(ctx, path, o.Replace)
}

// reencoded is the healed tensor in the type that the source has it in.
func (t *tensor) reencoded(ctx context.Context, k *cpu.Kernels, squares []float32, threads int) ([]byte, error) {
	if t.healed.DType == t.dtype {
		return t.healed.Data, nil
	}
	columns := t.healed.RowLen()
	return t.recode(ctx, k, t.healed.NumRows(), columns, squares, threads, func() func(i int, y []float32) error {
		was := make([]float32, columns)
		return func(i int, y []float32) error {
			if err := t.healed.DequantizeRows(y, i, 1); err != nil || !t.dtype.Quantized() {
				return err
			}
			if err := t.pruned.DequantizeRows(was, i, 1); err != nil {
				return err
			}
			h := fnv.New64a()
			fmt.Fprint(h, t.name)
			step(y, was, group(t.dtype), rand.New(rand.NewPCG(h.Sum64(), uint64(i))))
			return nil
		}
	})
}

// group is how many values of a type share a scale.
func group(d dtype.DType) int {
	switch d {
	case dtype.Q2_K, dtype.Q3_K, dtype.Q6_K:
		return 16
	}
	return 32
}

// step replaces values by those that they were, moved by whole steps of their group, the
// mean of all chances being the values.
func step(y, was []float32, group int, rng *rand.Rand) {
	sorted := make([]float32, 0, group)
	for at := 0; at < len(y); at += group {
		y, was := y[at:min(at+group, len(y))], was[at:min(at+group, len(was))]
		sorted = append(sorted[:0], was...)
		slices.Sort(sorted)
		d := stepOf(sorted)
		if d == 0 {
			continue // one value: the encoder finds a scale
		}
		for i := range y {
			steps := float64(y[i]-was[i]) / d
			whole := math.Floor(steps)
			if rng.Float64() < steps-whole {
				whole++
			}
			y[i] = float32(float64(was[i]) + whole*d)
		}
	}
}

// stepOf is the least distance of values in order: the step of their codes, or a small
// multiple of it. What is less than a ten-thousandth of the greatest is round-off.
func stepOf(sorted []float32) float64 {
	n := len(sorted)
	most := max(math.Abs(float64(sorted[0])), math.Abs(float64(sorted[n-1])))
	least := 0.0
	for i := 1; i < n; i++ {
		if d := float64(sorted[i]) - float64(sorted[i-1]); d > 1e-4*most && (least == 0 || d < least) {
			least = d
		}
	}
	return least
}
