package imatrix

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// Writer makes the GGUF file of a matrix.
func (m *Matrix) Writer() (*gguf.Writer, error) {
	w := &gguf.Writer{}
	datasets := m.Datasets
	if datasets == nil {
		datasets = []string{}
	}
	for _, p := range []struct {
		key   string
		value any
	}{{keyType, "imatrix"}, {keyDatasets, datasets}, {keyChunks, uint32(m.Chunks)}, {keyChunkSize, uint32(m.ChunkSize)}} {
		if err := w.Set(p.key, p.value); err != nil {
			return nil, err
		}
	}
	for _, name := range m.Names() {
		e := m.Entries[name]
		matrices := len(e.Counts)
		counts := make([]float32, matrices)
		for i, n := range e.Counts {
			counts[i] = float32(n)
		}
		shape := []int{matrices, len(e.Squares) / matrices}
		for _, t := range []struct {
			suffix string
			shape  []int
			values []float32
		}{{suffixSquares, shape, e.Squares}, {suffixCounts, []int{matrices, 1}, counts}, {suffixSums, shape, e.Sums}} {
			if t.values == nil {
				continue
			}
			data := make([]byte, 4*len(t.values))
			if err := dtype.Quantize(dtype.F32, data, t.values); err != nil {
				return nil, err
			}
			if err := w.Add(name+t.suffix, dtype.F32, t.shape, data); err != nil {
				return nil, err
			}
		}
	}
	return w, nil
}

// WriteLegacy writes the format before GGUF, which older programs read: see
// parseLegacy. Of an entry of several matrices it has the means alone.
func (m *Matrix) WriteLegacy(out io.Writer) error {
	le := binary.LittleEndian
	text := func(b []byte, s string) []byte { return append(le.AppendUint32(b, uint32(len(s))), s...) }
	b := le.AppendUint32(nil, uint32(len(m.Entries)))
	for _, name := range m.Names() {
		e := m.Entries[name]
		most := int64(0)
		for _, n := range e.Counts {
			most = max(most, n)
		}
		size := int64(max(m.ChunkSize, 1))
		chunks := (most + size - 1) / size
		b = le.AppendUint32(text(b, name), uint32(chunks))
		b = le.AppendUint32(b, uint32(len(e.Squares)))
		for i, v := range e.Squares {
			n := e.Counts[i/(len(e.Squares)/len(e.Counts))]
			if n == 0 {
				v, n = 1, 1
			}
			b = le.AppendUint32(b, math.Float32bits(v/float32(n)*float32(chunks)))
		}
	}
	dataset := ""
	if len(m.Datasets) > 0 {
		dataset = m.Datasets[len(m.Datasets)-1]
	}
	if _, err := out.Write(text(le.AppendUint32(b, uint32(m.Chunks)), dataset)); err != nil {
		return fmt.Errorf("imatrix: write: %w", err)
	}
	return nil
}
