package cpu

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/cpu/pool"
	"github.com/ledge-run/ledge/graph/dtype"
	kernels "github.com/ledge-run/ledge/kernels/cpu"
)

// weight is one loaded weight, in the forms its uses need.
type weight struct {
	spec    backend.WeightSpec
	packed  *kernels.Matrix // product, and gather if packed for a product
	raw     []byte          // gather only: the file's bytes
	vector  []float32       // read element by element
	release func()          // of raw
}

type weights struct {
	memory memory
	vector int64
	byName map[string]*weight
}

func (w *weights) Bytes() int64 { return int64(len(w.memory.bytes)) + w.vector }

func (w *weights) Close() error {
	for _, x := range w.byName {
		if x.release != nil {
			x.release()
			x.release = nil
		}
	}
	m := w.memory
	w.memory, w.byName = memory{}, nil
	return m.free()
}

// Load packs matrices for products into one block of memory, all workers
// sharing each, and gives the file's bytes back at once. A matrix whose rows
// are only looked up stays where it is.
func (d *device) Load(ctx context.Context, spec backend.LoadSpec) (backend.Weights, error) {
	w := &weights{byName: map[string]*weight{}}
	total := 0
	for _, s := range spec.Weights {
		if s.Uses&backend.UseProduct != 0 {
			size, err := d.packedSize(s)
			if err != nil {
				return nil, err
			}
			total += roundUp(size, align)
		}
	}
	var err error
	if w.memory, err = allocate("weights", total); err != nil {
		return nil, err
	}
	free, done := w.memory.bytes, int64(0)
	for _, s := range spec.Weights {
		if err := ctx.Err(); err != nil {
			return nil, errors.Join(err, w.Close())
		}
		x := &weight{spec: s}
		w.byName[s.Name] = x
		n, used, err := d.loadOne(ctx, x, free)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("loading %q: %w", s.Name, err), w.Close())
		}
		free = free[used:]
		w.vector += int64(4 * len(x.vector))
		if done += n; spec.Progress != nil {
			spec.Progress(done)
		}
	}
	return w, nil
}

func (d *device) packedSize(s backend.WeightSpec) (int, error) {
	if len(s.Shape) != 2 {
		return 0, fmt.Errorf("weight %q: a product needs a matrix, not shape %v", s.Name, s.Shape)
	}
	return d.k.Layout().PackedSize(s.DType, s.Shape[0], s.Shape[1])
}

// loadOne fills in x. It returns the bytes read from the file and those taken
// of free.
func (d *device) loadOne(ctx context.Context, x *weight, free []byte) (read int64, used int, err error) {
	s := x.spec
	data, release, err := s.Open()
	if err != nil {
		return 0, 0, err
	}
	keep := false
	defer func() {
		if !keep {
			release()
		}
	}()
	if size, err := dtype.ByteSize(s.DType, s.Shape); err != nil || len(data) != size {
		return 0, 0, fmt.Errorf("has %d bytes, want %d (%v)", len(data), size, err)
	}
	if s.Uses&backend.UseProduct != 0 {
		size, err := d.packedSize(s)
		if err != nil {
			return 0, 0, err
		}
		x.packed = &kernels.Matrix{DType: s.DType, Rows: s.Shape[0], Cols: s.Shape[1], Data: free[:size:size]}
		if err := d.pack(ctx, x.packed, data); err != nil {
			return 0, 0, err
		}
		used = roundUp(size, align)
	} else if s.Uses&backend.UseGather != 0 {
		x.raw, x.release, keep = data, release, true
	}
	if s.Uses&backend.UseVector != 0 {
		n, ok := dtype.Product(s.Shape)
		if !ok {
			return 0, 0, fmt.Errorf("shape %v is too large", s.Shape)
		}
		x.vector = make([]float32, n)
		if err := dtype.Dequantize(s.DType, x.vector, data); err != nil {
			return 0, 0, err
		}
	}
	return int64(len(data)), used, nil
}

// pack shares the row groups out in chunks, so that no worker holds the
// processor for long.
func (d *device) pack(ctx context.Context, m *kernels.Matrix, data []byte) error {
	const chunk = 8
	groups := m.Groups()
	var failed atomic.Pointer[error]
	err := d.pool.Run(ctx, d.threads, func(w *pool.Worker) {
		n := (groups + chunk - 1) / chunk
		for c := w.Next(n); c >= 0; c = w.Next(n) {
			if err := d.k.Layout().Pack(m.Data, m.DType, data, m.Rows, m.Cols, c*chunk, min(groups, (c+1)*chunk)); err != nil {
				failed.Store(&err)
			}
		}
	})
	if p := failed.Load(); p != nil {
		return *p
	}
	return err
}

// row writes row r of a looked-up matrix to dst.
func (x *weight) row(k *kernels.Kernels, dst []float32, r int) error {
	if x.packed != nil {
		k.GatherRow(dst, x.packed, r)
		return nil
	}
	size, err := x.spec.DType.RowBytes(len(dst))
	if err != nil {
		return err
	}
	return dtype.Dequantize(x.spec.DType, dst, x.raw[r*size:(r+1)*size])
}
