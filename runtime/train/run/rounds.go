package run

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/train/step"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

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
