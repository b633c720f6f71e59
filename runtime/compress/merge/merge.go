// Package merge writes a model with low-rank adapters merged into its weights:
// W + scale B A, encoded again in the type that W had or in another.
//
// A quantised weight is decoded, changed and encoded anew, with the least error
// (package encode). What the type's steps are too coarse for is lost, and said: an
// adapter's changes are small against the weights, often smaller than a step of four
// bits. Without loss an adapter is kept beside its model.
package merge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"runtime"
	"slices"
	"sync"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/cpu"
	"github.com/ledge-run/ledge/runtime/compress/encode"
	"github.com/ledge-run/ledge/runtime/compress/quantize"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
	"github.com/ledge-run/ledge/runtime/weights/lora"
)

// Options of a merge.
type Options struct {
	Type     dtype.DType // of the weights that change; Invalid keeps theirs
	Threads  int         // 0 for all processors
	Progress func(done, total int64)
}

// Change is what became of a weight. Sums are of squares over all of its values.
type Change struct {
	Weight   string
	From, To dtype.DType
	Values   int64
	Weights  float64 // of W
	Changes  float64 // of scale B A
	Errors   float64 // of what is written against W + scale B A
}

// Lost is the size of the error against that of the change: 0 for none, 1 where as much
// was lost as was changed.
func (c Change) Lost() float64 { return ratio(c.Errors, c.Changes) }

// Size is the size of the change against that of the weight.
func (c Change) Size() float64 { return ratio(c.Changes, c.Weights) }

// Add sums changes of several weights up.
func (c *Change) Add(o Change) {
	c.Values += o.Values
	c.Weights += o.Weights
	c.Changes += o.Changes
	c.Errors += o.Errors
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return math.Sqrt(a / b)
}

// Merge is a merge to be written.
type Merge struct {
	base    *gguf.File
	set     *lora.Set
	o       Options
	kernels *cpu.Kernels
	changes []Change
	done    int64
	total   int64

	sizes quantize.Sizes // of the new file
}

// New prepares a merge of adapters into the model that they were joined for.
func New(base *gguf.File, set *lora.Set, o Options) (*Merge, error) {
	m := &Merge{base: base, set: set, o: o}
	if o.Threads <= 0 {
		m.o.Threads = runtime.GOMAXPROCS(0)
	}
	var err error
	if m.kernels, err = cpu.Select(""); err != nil {
		return nil, err
	}
	for _, w := range set.Weights() {
		t, err := m.source(w)
		if err != nil {
			return nil, err
		}
		to := m.typeOf(t)
		switch {
		case !t.DType.Computable():
			return nil, fmt.Errorf("merge: %s has type %v, which Ledge cannot compute with", w, t.DType)
		case !encode.Can(to):
			return nil, fmt.Errorf("merge: %s has type %v, which Ledge does not write: choose another for what changes, such as q8_0", w, to)
		case t.RowLen()%to.BlockLen() != 0:
			return nil, fmt.Errorf("merge: %s cannot be %v: its rows of %d values are no whole blocks of %d", w, to, t.RowLen(), to.BlockLen())
		}
		m.total += int64(t.NumElems())
	}
	return m, nil
}

// source is the tensor that a weight's change is added to.
func (m *Merge) source(weight string) (*gguf.Tensor, error) {
	t, ok := lora.Changed(m.base, weight)
	if !ok {
		return nil, fmt.Errorf("merge: the model has no tensor %q", weight)
	}
	return t, nil
}

func (m *Merge) typeOf(t *gguf.Tensor) dtype.DType {
	if m.o.Type != dtype.Invalid {
		return m.o.Type
	}
	return t.DType
}

// Changes are what became of the weights, once the file is written.
func (m *Merge) Changes() []Change { return m.changes }

// Write writes the merged model to path, which gets its name when it is whole.
func (m *Merge) Write(ctx context.Context, path string, replace bool) error {
	w, err := m.Writer(ctx)
	if err != nil {
		return err
	}
	return w.Save(ctx, path, replace)
}

// Writer makes the merged file, whose tensors are encoded as it is written.
func (m *Merge) Writer(ctx context.Context) (*gguf.Writer, error) {
	w := &gguf.Writer{}
	m.sizes = quantize.Sizes{}
	for key, value := range m.base.Whole() {
		if err := w.Set(key, value); err != nil {
			return nil, err
		}
	}
	for i := range m.base.Tensors() {
		t := &m.base.Tensors()[i]
		if err := m.add(ctx, w, t.Name, t); err != nil {
			return nil, err
		}
	}
	for _, name := range m.set.Weights() {
		if _, there := m.base.Tensor(name); there {
			continue
		}
		t, err := m.source(name) // tied: the file gets an output matrix of its own
		if err != nil {
			return nil, err
		}
		if err := m.add(ctx, w, name, t); err != nil {
			return nil, err
		}
	}
	if t, ok := m.untied(); ok {
		if err := m.add(ctx, w, output, t); err != nil {
			return nil, err
		}
	}
	values := quantize.TypeMetadata(m.base, &m.sizes)
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if err := w.Set(key, values[key]); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// The names of the weights that are one tensor in tied models.
const (
	embedding = "token_embd.weight"
	output    = "output.weight"
)

// untied is the output matrix of a tied model whose embedding changes: the embedding as it was, for an adapter of that changes
// the lookup alone.
func (m *Merge) untied() (*gguf.Tensor, bool) {
	_, changes := m.set.Adapter(embedding)
	_, added := m.set.Adapter(output)
	if _, there := m.base.Tensor(output); there || added || !changes {
		return nil, false
	}
	return m.base.Tensor(embedding)
}

// add adds the tensor of this name, made from t.
func (m *Merge) add(ctx context.Context, w *gguf.Writer, name string, t *gguf.Tensor) error {
	a, ok := m.set.Adapter(name)
	to := t.DType
	if ok {
		to = m.typeOf(t)
	}
	size, err := dtype.ByteSize(to, t.Shape)
	if err != nil {
		return fmt.Errorf("merge: %s: %w", name, err)
	}
	m.sizes[to] += int64(size)
	if !ok {
		return w.AddFunc(name, t.DType, t.Shape, func(out io.Writer) error {
			_, err := out.Write(t.Data)
			return errors.Join(err, t.Advise(gguf.DontNeed))
		})
	}
	return w.AddFunc(name, to, t.Shape, func(out io.Writer) error {
		d, err := newDelta(m.set, name, a)
		if err != nil {
			return err
		}
		c, err := m.encode(ctx, out, t, to, d)
		if err != nil {
			return err // package gguf names the tensor
		}
		c.Weight = name
		m.changes = append(m.changes, c)
		return t.Advise(gguf.DontNeed)
	})
}

// slabValues is how much is encoded before it is written, so that a tensor of any size
// takes little memory.
const slabValues = 4 << 20

func (m *Merge) encode(ctx context.Context, out io.Writer, t *gguf.Tensor, to dtype.DType, d *delta) (Change, error) {
	c := Change{From: t.DType, To: to}
	rows, cols := t.NumRows(), t.RowLen()
	size, err := to.RowBytes(cols)
	if err != nil {
		return c, err
	}
	per := max(1, slabValues/cols)
	data := make([]byte, min(per, rows)*size)
	for from := 0; from < rows; from += per {
		n := min(per, rows-from)
		parts := make([]Change, m.o.Threads)
		errs := make([]error, m.o.Threads)
		var wg sync.WaitGroup
		for id := range m.o.Threads { // each has rows of its own, so that sums do not depend on who was first
			lo, hi := id*n/m.o.Threads, (id+1)*n/m.o.Threads
			wg.Go(func() {
				parts[id], errs[id] = m.rows(ctx, data[lo*size:hi*size], t, to, d, from+lo, hi-lo)
			})
		}
		wg.Wait()
		for _, err := range errs {
			if err != nil {
				return c, err // the first will do
			}
		}
		for _, p := range parts {
			c.Add(p)
		}
		if _, err := out.Write(data[:n*size]); err != nil {
			return c, err
		}
		if m.done += int64(n * cols); m.o.Progress != nil {
			m.o.Progress(m.done, m.total)
		}
	}
	return c, nil
}

// rows encodes n rows from the row first on.
func (m *Merge) rows(ctx context.Context, dst []byte, t *gguf.Tensor, to dtype.DType, d *delta, first, n int) (Change, error) {
	var c Change
	e, err := encode.With(m.kernels, to)
	if err != nil {
		return c, err
	}
	cols := t.RowLen()
	row, change := make([]float32, cols), make([]float32, cols)
	size := len(dst) / max(1, n)
	for r := first; r < first+n; r++ {
		if err := context.Cause(ctx); err != nil {
			return c, err
		}
		if err := t.DequantizeRows(row, r, 1); err != nil {
			return c, err
		}
		d.row(change, r)
		for i, v := range change {
			c.Weights += float64(row[i]) * float64(row[i])
			c.Changes += float64(v) * float64(v)
			row[i] += v
		}
		out := dst[:size]
		dst = dst[size:]
		if err := e.Row(out, row, nil); err != nil {
			return c, fmt.Errorf("row %d: %w", r, err)
		}
		if err := dtype.Dequantize(to, change, out); err != nil {
			return c, err
		}
		for i, v := range change {
			diff := float64(v) - float64(row[i])
			c.Errors += diff * diff
		}
		c.Values += int64(cols)
	}
	return c, nil
}
