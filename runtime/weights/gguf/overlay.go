package gguf

import (
	"fmt"
	"slices"

	"github.com/ledge-run/ledge/graph/dtype"
)

// With is the file with other data in some of its tensors: each has the name of one
// of f, a type and data of its own, and the shape of the one that it stands for. What
// is not replaced is f's, which must stay open; closing the result closes nothing.
func (f *File) With(tensors ...Tensor) (*File, error) {
	g := &File{version: f.version, keys: f.keys, values: f.values, byName: f.byName, tensors: slices.Clone(f.tensors)}
	for _, t := range tensors {
		i, ok := f.byName[t.Name]
		if !ok {
			return nil, fmt.Errorf("gguf: no tensor %s to replace", quote(t.Name))
		}
		t.Shape, t.part, t.offset = f.tensors[i].Shape, nil, 0
		if n, err := dtype.ByteSize(t.DType, t.Shape); err != nil || n != len(t.Data) {
			return nil, fmt.Errorf("gguf: tensor %s: %d bytes of data are not %v %v", quote(t.Name), len(t.Data), t.DType, t.Shape)
		}
		g.tensors[i] = t
	}
	return g, nil
}
