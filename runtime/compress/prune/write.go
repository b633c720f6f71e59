package prune

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/cpu"
	"github.com/ledge-run/ledge/runtime/compress/encode"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// WriteOptions say how a plan is carried out.
type WriteOptions struct {
	Threads  int // 0 for all processors
	Replace  bool
	Progress func(done, total int64) // bytes, from the goroutine that writes; may be nil
}

// Write carries the plan out. The file gets its name when it is whole: see
// gguf.Writer.Save.
func (p *Plan) Write(ctx context.Context, path string, o WriteOptions) error {
	w, err := p.Writer(ctx, o)
	if err != nil {
		return err
	}
	return w.Save(ctx, path, o.Replace)
}

// Writer makes the new file, whose tensors are cut as it is written.
func (p *Plan) Writer(ctx context.Context, o WriteOptions) (*gguf.Writer, error) {
	return writer(ctx, p.file, p.tensors, p.values, p.squares, o)
}

// writer copies a file with other tensors and some values changed.
func writer(ctx context.Context, f *gguf.File, tensors []tensor, values map[string]any, squares map[string][]float32, o WriteOptions) (*gguf.Writer, error) {
	w := &gguf.Writer{}
	for key, value := range f.Whole() {
		if v, ok := values[key]; ok {
			value = v
		}
		if err := w.Set(key, value); err != nil {
			return nil, err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if _, there := f.Value(key); there {
			continue
		}
		if err := w.Set(key, values[key]); err != nil {
			return nil, err
		}
	}
	if o.Threads <= 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	k, err := cpu.Select("")
	if err != nil {
		return nil, err
	}
	done, total := int64(0), int64(0)
	for i := range tensors {
		n, err := dtype.ByteSize(tensors[i].dtype, tensors[i].shape)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", tensors[i].name, err)
		}
		total += int64(n)
	}
	for i := range tensors {
		t := &tensors[i]
		err := w.AddFunc(t.name, t.dtype, t.shape, func(out io.Writer) error {
			data, err := t.data(ctx, k, squares[t.from.Name], o.Threads)
			if err != nil {
				return err
			}
			_, err = out.Write(data)
			done += int64(len(data))
			if o.Progress != nil {
				o.Progress(done, total)
			}
			return errors.Join(err, t.from.Advise(gguf.DontNeed))
		})
		if err != nil {
			return nil, err
		}
	}
	return w, nil
}

// data is what stays of the tensor, byte for byte where no column goes or whole blocks
// do.
func (t *tensor) data(ctx context.Context, k *cpu.Kernels, squares []float32, threads int) ([]byte, error) {
	if t.healed != nil {
		return t.reencoded(ctx, k, squares, threads)
	}
	if t.rows == nil && t.columns == nil && t.zeros == nil {
		return t.from.Data, nil
	}
	if t.zeros != nil {
		return t.zeroed(ctx, k)
	}
	if len(t.from.Shape) == 1 { // a value for each row of a matrix
		size := t.dtype.BlockBytes()
		return gather(nil, t.from.Data, t.rows, size), nil
	}
	before, err := t.dtype.RowBytes(t.from.RowLen())
	if err != nil {
		return nil, err
	}
	if t.columns == nil {
		return gather(nil, t.from.Data, t.rows, before), nil
	}
	rows := t.rows
	if rows == nil {
		rows = span(0, t.from.NumRows())
	}
	if numbers, whole := blocks(t.columns, t.dtype.BlockLen()); whole {
		var data []byte
		for _, r := range rows {
			data = gather(data, t.from.Data[r*before:(r+1)*before], numbers, t.dtype.BlockBytes())
		}
		return data, nil
	}
	return t.recode(ctx, k, len(rows), len(t.columns), squares, threads, func() func(i int, y []float32) error {
		x := make([]float32, t.from.RowLen())
		return func(i int, y []float32) error {
			if err := t.from.DequantizeRows(x, rows[i], 1); err != nil {
				return err
			}
			for j, c := range t.columns {
				y[j] = x[c]
			}
			return nil
		}
	})
}

// gather appends the elements of these numbers.
func gather(dst, src []byte, numbers []int, size int) []byte {
	for _, n := range numbers {
		dst = append(dst, src[n*size:(n+1)*size]...)
	}
	return dst
}

// recode encodes rows anew, weighted by what their inputs are like: squares are those of
// the source, a column of it each. Every worker has a reader of its own, which gives the
// values of a row.
func (t *tensor) recode(ctx context.Context, k *cpu.Kernels, rows, columns int, squares []float32, threads int, reader func() func(row int, y []float32) error) ([]byte, error) {
	size, err := t.dtype.RowBytes(columns)
	if err != nil {
		return nil, err
	}
	var weights []float32
	if squares != nil && t.dtype.Quantized() {
		if weights = squares; t.columns != nil {
			weights = make([]float32, len(t.columns))
			for i, c := range t.columns {
				weights[i] = squares[c]
			}
		}
	}
	data := make([]byte, rows*size)
	err = encode.Parallel(k, t.dtype, threads, 1, rows, func(e *encode.Encoder, next func() (from, to int, ok bool)) error {
		read, y := reader(), make([]float32, columns)
		for {
			i, _, ok := next()
			if !ok {
				return nil
			}
			if err := context.Cause(ctx); err != nil {
				return err
			}
			if err := read(i, y); err != nil {
				return err
			}
			if err := e.Row(data[i*size:(i+1)*size], y, weights); err != nil {
				return fmt.Errorf("tensor %s, row %d: %w", t.name, i, err)
			}
		}
	})
	return data, err
}
