package run

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/train/step"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// rounds reports whether a step, counted from 1, reads the weights rounded.
func (p *plan) rounds(step int) bool { return p.r.Round != nil && step >= p.r.Round.FromStep }

// round is the type that a matrix is trained for.
func (p *plan) round(weight string) (dtype.DType, bool) { return p.r.Round.Type, true }

// begin makes the trainer, or another in its place if that is of the other kind: one
// that reads the weights rounded, or one that does not.
func (x *running) begin(ctx context.Context, rounded bool) error {
	if x.trainer != nil && x.rounded == rounded {
		return nil
	}
	built, err := x.net.Model.Decoder(x.plan.model(rounded))
	if err != nil {
		return err
	}
	x.built = built
	if err := x.checkTargets(); err != nil {
		return err
	}
	t, err := step.New(ctx, x.o.Device, built, x.net.Open, x.plan.step())
	if err != nil {
		return err
	}
	if x.trainer != nil {
		if err := x.trainer.Close(); err != nil {
			return fmt.Errorf("%w (and %w)", err, t.Close())
		}
	}
	x.trainer, x.rounded = t, rounded
	return nil
}

// switchRounding changes to the trainer that the next step needs: it goes on from the
// state of the one before.
func (x *running) switchRounding(ctx context.Context) error {
	rounded := x.plan.rounds(x.trainer.Taken() + 1)
	if rounded == x.rounded {
		return nil
	}
	state := x.trainer.State()
	values := map[string][]byte{}
	for _, t := range state.Tensors {
		n, err := t.Bytes()
		if err != nil {
			return err
		}
		values[t.Name] = make([]byte, n)
		if err := x.trainer.ReadTensor(t.Name, values[t.Name]); err != nil {
			return err
		}
	}
	if err := x.begin(ctx, rounded); err != nil {
		return err
	}
	x.o.Note(fmt.Sprintf("from step %d on, weights are read rounded to %s", state.Step+1, x.plan.r.Round.Type))
	return x.trainer.SetState(state, true, func(t step.Tensor, dst []byte) error {
		copy(dst, values[t.Name])
		return nil
	})
}

// asF32 is a file as a model sees it that is to be trained rounded: with matrices in
// float32.
type asF32 struct{ *gguf.File }

func (f asF32) TensorType(name string) (dtype.DType, []int, bool) {
	t, ok := f.Tensor(name)
	if !ok {
		return dtype.Invalid, nil, false
	}
	if !t.DType.Computable() {
		return t.DType, t.Shape, true // which the model refuses
	}
	return dtype.F32, t.Shape, true
}

// dequantized opens a file's weights in float32.
func dequantized(f *gguf.File) step.Open {
	return func(w backend.WeightSpec) ([]byte, func(), error) {
		t, ok := f.Tensor(w.Name)
		if !ok {
			return nil, nil, fmt.Errorf("the file has no tensor %q", w.Name)
		}
		x, err := t.Dequantize()
		if err != nil {
			return nil, nil, err
		}
		var b bytes.Buffer
		err = binary.Write(&b, binary.LittleEndian, x)
		return b.Bytes(), func() {}, err
	}
}
