package cpu

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/cpu/pool"
	"github.com/ledge-run/ledge/backend/packcache"
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
	origin backend.Origin
	pack   backend.Pack    // where memory may be kept; nil for nowhere
	block  packcache.Block // what memory holds
}

func (w *weights) Bytes() int64 {
	n := w.vector
	if w.origin != backend.Shared {
		n += int64(len(w.memory.bytes))
	}
	return n
}

func (w *weights) Close() error {
	for _, x := range w.byName {
		if x.release != nil {
			x.release()
			x.release = nil
		}
	}
	m := w.memory
	w.memory, w.byName, w.pack = memory{}, nil, nil
	return m.free()
}

// Load brings matrices for products into one block of memory: as an earlier
// start packed them, if spec.Pack has that, else packed from the file, whose
// bytes are given back piece by piece. A matrix whose rows are only looked up
// stays where it is.
func (d *device) Load(ctx context.Context, spec backend.LoadSpec) (_ backend.Weights, err error) {
	w := &weights{byName: map[string]*weight{}, origin: backend.Packed, pack: spec.Pack}
	if w.block, err = d.describe(spec.Weights); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Close())
		}
	}()
	if w.pack != nil {
		if err := d.restore(ctx, w); err != nil {
			return nil, err
		}
	}
	if w.origin == backend.Packed && w.memory.bytes == nil {
		if w.memory, err = allocate("weights", w.block.Size); err != nil {
			return nil, err
		}
	}
	done, next := int64(0), 0
	for _, s := range spec.Weights {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		x := &weight{spec: s}
		w.byName[s.Name] = x
		if s.Uses&backend.UseProduct != 0 {
			it := w.block.Items[next]
			next++
			x.packed = &kernels.Matrix{DType: s.DType, Rows: s.Shape[0], Cols: s.Shape[1], Data: w.memory.bytes[it.Off : it.Off+it.Size : it.Off+it.Size]}
		}
		n, err := d.loadOne(ctx, x, w.origin == backend.Packed)
		if err != nil {
			return nil, fmt.Errorf("loading %q: %w", s.Name, err)
		}
		w.vector += int64(4 * len(x.vector))
		if done += n; spec.Progress != nil {
			spec.Progress(done)
		}
	}
	if w.pack != nil && w.pack.Share() {
		d.exchange(ctx, w)
	}
	return w, nil
}

// describe lays the packed forms of all matrices for products out in one block.
func (d *device) describe(specs []backend.WeightSpec) (packcache.Block, error) {
	b := packcache.Block{Layout: d.k.Layout().String(), Level: d.k.Level().String()}
	for _, s := range specs {
		if s.Uses&backend.UseProduct == 0 {
			continue
		}
		if len(s.Shape) != 2 {
			return b, fmt.Errorf("weight %q: a product needs a matrix, not shape %v", s.Name, s.Shape)
		}
		size, err := d.k.Layout().PackedSize(s.DType, s.Shape[0], s.Shape[1])
		if err != nil {
			return b, fmt.Errorf("weight %q: %w", s.Name, err)
		}
		b.Items = append(b.Items, packcache.Item{
			Name: s.Name, DType: s.DType.String(), Shape: s.Shape, Uses: uint8(s.Uses), Off: b.Size, Size: size,
		})
		b.Size += roundUp(size, align)
	}
	return b, nil
}

// loadOne fills in x, packing its matrix if that is asked for. It returns the
// bytes of the file that this was about.
func (d *device) loadOne(ctx context.Context, x *weight, pack bool) (int64, error) {
	s := x.spec
	size, err := dtype.ByteSize(s.DType, s.Shape)
	if err != nil {
		return 0, err
	}
	if x.packed != nil && !pack && s.Uses&backend.UseVector == 0 {
		return int64(size), nil // the file is not needed
	}
	data, release, err := s.Open()
	if err != nil {
		return 0, err
	}
	keep := false
	defer func() {
		if !keep {
			release()
		}
	}()
	if len(data) != size {
		return 0, fmt.Errorf("has %d bytes, want %d", len(data), size)
	}
	if x.packed != nil && pack {
		if err := d.pack(ctx, x.packed, data, s.Drop); err != nil {
			return 0, err
		}
	} else if x.packed == nil && s.Uses&backend.UseGather != 0 {
		x.raw, x.release, keep = data, release, true
	}
	if s.Uses&backend.UseVector != 0 {
		n, ok := dtype.Product(s.Shape)
		if !ok {
			return 0, fmt.Errorf("shape %v is too large", s.Shape)
		}
		x.vector = make([]float32, n)
		if err := dtype.Dequantize(s.DType, x.vector, data); err != nil {
			return 0, err
		}
	}
	return int64(len(data)), nil
}

// pack shares the row groups out in chunks. Chunks of a large matrix are about
// a mebibyte of the file, which is given back as soon as it is packed; in
// between, workers look up often enough to hold the processor for no long time.
func (d *device) pack(ctx context.Context, m *kernels.Matrix, data []byte, drop func(from, to int)) error {
	const step = 8 // groups packed at once
	groups := m.Groups()
	groupBytes := len(data) / max(1, m.Rows) * kernels.GroupRows
	chunk := step
	if large := 1 << 20; drop != nil && len(data) > 4*large {
		chunk = max(step, large/max(1, groupBytes))
	} else {
		drop = nil // the whole is given back soon enough
	}
	var failed atomic.Pointer[error]
	err := d.pool.Run(ctx, d.threads, func(w *pool.Worker) {
		n := (groups + chunk - 1) / chunk
		for c := w.Next(n); c >= 0; c = w.Next(n) {
			end := min(groups, (c+1)*chunk)
			for g := c * chunk; g < end; g += step {
				if err := d.k.Layout().Pack(m.Data, m.DType, data, m.Rows, m.Cols, g, min(end, g+step)); err != nil {
					failed.Store(&err)
				}
				w.Yield()
			}
			if drop != nil {
				drop(c*chunk*groupBytes, min(end*groupBytes, len(data)))
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

// WeightBytes is what Load takes for a weight: its packed form, and its elements
// if they are read one by one. What is only looked up stays in the file.
func (d *device) WeightBytes(s backend.WeightSpec) (int64, error) {
	size := 0
	if s.Uses&backend.UseProduct != 0 {
		b, err := d.describe([]backend.WeightSpec{s})
		if err != nil {
			return 0, err
		}
		size = b.Size
	}
	if s.Uses&backend.UseVector != 0 {
		n, ok := dtype.Product(s.Shape)
		if !ok {
			return 0, fmt.Errorf("weight %q: shape %v is too large", s.Name, s.Shape)
		}
		size += 4 * n
	}
	return int64(size), nil
}
