package prune

import (
	"context"
	"fmt"
	"slices"

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

// WriteHealed writes what training has made of the plan's file: the same tensors in the
// same types and with the same metadata, but with the values of healed, which has a
// tensor of the same name and shape for each.
func (p *Plan) WriteHealed(ctx context.Context, healed *gguf.File, path string, o WriteOptions) error {
	tensors := slices.Clone(p.tensors)
	for i := range tensors {
		t := &tensors[i]
		h, ok := healed.Tensor(t.name)
		if !ok || !slices.Equal(h.Shape, t.shape) {
			return fmt.Errorf("%s: there is no tensor %s of %v, as what was pruned has it", healed.Paths()[0], t.name, t.shape)
		}
		t.healed = h
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
	return t.recode(ctx, k, t.healed, span(0, t.healed.NumRows()), span(0, t.healed.RowLen()), squares, threads)
}
