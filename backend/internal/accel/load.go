package accel

import (
	"context"
	"errors"
	"fmt"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/shader"
)

// weight is one loaded weight, in the forms its uses need.
type weight struct {
	spec   backend.WeightSpec
	pieces []shader.Piece // read as a matrix: in order of rows
	vector uint32         // read as a vector: float of the buffer of vectors
}

// weights are matrices in banks, each a buffer that kernels see at once, and
// float32 vectors in one buffer.
type weights struct {
	device  *device
	banks   []Buffer
	vectors Buffer
	byName  map[string]*weight // nil once closed
	bytes   int64
}

func (w *weights) Bytes() int64 { return w.bytes }

func (w *weights) Close() error {
	var all []interface{ Close() error }
	for _, b := range w.banks {
		all = append(all, b)
	}
	if w.vectors != nil {
		all = append(all, w.vectors)
	}
	w.banks, w.vectors, w.byName, w.bytes = nil, nil, nil, 0
	return w.device.release(all...)
}

// matrixAlign is where matrices begin in a bank, and vectors among the vectors:
// at multiples of so many uints.
const matrixAlign = 64

// layOut gives every weight its place and tells the size of each bank, and of
// all vectors, in uints.
func (d *device) layOut(specs []backend.WeightSpec) (all []*weight, banks []int, vectors int, err error) {
	most := d.limits.Range / 4
	for _, s := range specs {
		w := &weight{spec: s}
		all = append(all, w)
		if s.Uses&(backend.UseProduct|backend.UseGather) != 0 {
			if banks, err = w.place(d.limits.Features, banks, most); err != nil {
				return nil, nil, 0, fmt.Errorf("weight %q: %w", s.Name, err)
			}
		}
		if s.Uses&backend.UseVector != 0 {
			n, ok := dtype.Product(s.Shape)
			if !ok || n > most-vectors {
				return nil, nil, 0, fmt.Errorf("weight %q: %w", s.Name, &backend.ErrOutOfMemory{
					What: fmt.Sprintf("a vector of shape %v beside others of %d floats", s.Shape, vectors), Need: 4 * uint64(max(n, 0)), Have: uint64(4 * (most - vectors))})
			}
			w.vector = uint32(vectors)
			vectors = min(most, roundUp(vectors+n, matrixAlign))
		}
	}
	return all, banks, vectors, nil
}

// place puts a matrix into the last bank, or into new ones: a matrix larger than
// a bank is cut between rows, or tiles of them.
func (w *weight) place(f shader.Features, banks []int, most int) ([]int, error) {
	s := w.spec
	if len(s.Shape) != 2 {
		return nil, fmt.Errorf("a product needs a matrix, not shape %v", s.Shape)
	}
	if _, err := dtype.ByteSize(s.DType, s.Shape); err != nil {
		return nil, err
	}
	layout, ok := f.LayoutOf(s.DType)
	if !ok {
		return nil, fmt.Errorf("no kernel reads matrices of type %s", s.DType)
	}
	tile, each := layout.TileUints(s.Shape[1]), layout.TileRows()
	if tile > most {
		return nil, &backend.ErrOutOfMemory{What: "a row of a matrix in one buffer", Need: 4 * uint64(tile), Have: 4 * uint64(most)}
	}
	for done := 0; done < s.Shape[0]; {
		left := s.Shape[0] - done
		at := 0
		if n := len(banks); n > 0 {
			at = roundUp(banks[n-1], matrixAlign)
		}
		if len(banks) == 0 || most-at < layout.Uints(left, s.Shape[1]) && at > 0 {
			banks, at = append(banks, 0), 0
		}
		rows := min(left, (most-at)/max(1, tile)*each)
		w.pieces = append(w.pieces, shader.Piece{Layout: layout, Bank: len(banks) - 1, At: uint32(at), Rows: rows})
		banks[len(banks)-1] = at + layout.Uints(rows, s.Shape[1])
		done += rows
	}
	return banks, nil
}

// Load allocates all banks, then packs and uploads one weight after the other.
func (d *device) Load(ctx context.Context, spec backend.LoadSpec) (_ backend.Weights, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	all, banks, vectors, err := d.layOut(spec.Weights)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.info.Name, err)
	}
	w := &weights{device: d, byName: map[string]*weight{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Close())
		}
	}()
	for i, n := range banks {
		b, err := d.allocate(fmt.Sprintf("weights (bank %d of %d)", i+1, len(banks)), 4*n, Local)
		if err != nil {
			return nil, err
		}
		w.banks = append(w.banks, b)
		w.bytes += int64(b.Size())
	}
	if vectors > 0 {
		if w.vectors, err = d.allocate("the weights' vectors", 4*vectors, Local); err != nil {
			return nil, err
		}
		w.bytes += int64(w.vectors.Size())
	}
	u := uploader{weights: w, progress: spec.Progress}
	for _, x := range all {
		if err := u.load(ctx, x); err != nil {
			return nil, fmt.Errorf("loading %q: %w", x.spec.Name, err)
		}
		w.byName[x.spec.Name] = x
	}
	return w, nil
}
