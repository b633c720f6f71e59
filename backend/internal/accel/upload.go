package accel

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/shader"
)

// chunkUints is about how much is packed before it is written to the device.
const chunkUints = 1 << 20

// uploader brings weights from the file to the device, a chunk of rows at a time
// through one piece of memory.
type uploader struct {
	weights  *weights
	progress func(done int64)
	done     int64 // bytes of the file
	chunk    []uint32
	floats   []float32
}

func (u *uploader) load(ctx context.Context, x *weight) error {
	s := x.spec
	size, err := dtype.ByteSize(s.DType, s.Shape)
	if err != nil {
		return err
	}
	data, release, err := s.Open()
	if err != nil {
		return err
	}
	defer release()
	if len(data) != size {
		return fmt.Errorf("has %d bytes, want %d", len(data), size)
	}
	before := u.done
	if s.Uses&backend.UseVector != 0 {
		if err := u.vector(ctx, x, data); err != nil {
			return err
		}
	}
	at := 0 // byte of data
	for _, p := range x.pieces {
		n := len(data) / s.Shape[0] * p.Rows
		if err := u.piece(ctx, x, p, data[at:at+n], at); err != nil {
			return err
		}
		at += n
	}
	u.report(before + int64(size))
	return nil
}

func (u *uploader) report(done int64) {
	u.done = done
	if u.progress != nil {
		u.progress(done)
	}
}

// piece packs and writes rows whose bytes begin at from of the weight's.
func (u *uploader) piece(ctx context.Context, x *weight, p shader.Piece, data []byte, from int) error {
	k, drop := x.spec.Shape[1], x.spec.Drop
	tile, each := p.Layout.TileUints(k), p.Layout.TileRows()
	if tile == 0 || p.Rows == 0 {
		return nil
	}
	if len(data) < 4<<20 {
		drop = nil // the whole is given back soon enough
	}
	bytes, step, before := len(data)/p.Rows, max(1, chunkUints/tile)*each, u.done
	for r := 0; r < p.Rows; r += step {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(step, p.Rows-r)
		u.chunk = grow(u.chunk, p.Layout.Uints(n, k))
		if err := pack(p.Layout, u.chunk, x.spec.DType, data[r*bytes:(r+n)*bytes], n, k); err != nil {
			return err
		}
		if err := u.write(u.weights.banks[p.Bank], int(p.At)+r/each*tile, bytesOf(u.chunk)); err != nil {
			return err
		}
		if drop != nil {
			drop(from+r*bytes, from+(r+n)*bytes)
			u.report(before + int64((r+n)*bytes))
		}
	}
	return nil
}

// pack shares the rows of a chunk, or their tiles, out among the processors.
func pack(l shader.Layout, dst []uint32, d dtype.DType, src []byte, rows, k int) error {
	tile, each, bytes := l.TileUints(k), l.TileRows(), len(src)/rows
	tiles := (rows + each - 1) / each
	n := min(tiles, runtime.GOMAXPROCS(0))
	if len(dst) < 1<<14 {
		n = 1
	}
	errs := make([]error, n)
	var wait sync.WaitGroup
	for i := range n {
		lo, hi := tiles*i/n, tiles*(i+1)/n
		from, to := lo*each, min(rows, hi*each)
		wait.Go(func() { errs[i] = l.Pack(dst[lo*tile:hi*tile], d, src[from*bytes:to*bytes], to-from, k) })
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// vector writes a weight as float32.
func (u *uploader) vector(ctx context.Context, x *weight, data []byte) error {
	n, _ := dtype.Product(x.spec.Shape)
	if n == 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	u.floats = grow(u.floats, n)
	if err := dtype.Dequantize(x.spec.DType, u.floats, data); err != nil {
		return err
	}
	return u.write(u.weights.vectors, int(x.vector), bytesOf(u.floats))
}

// write writes bytes from a uint of a buffer on.
func (u *uploader) write(b Buffer, at int, data []byte) error {
	return u.weights.device.do(func() error { return b.Write(4*at, data) })
}

// uintsOf is the memory of 32-bit values as uints.
func uintsOf[T int32 | float32](x []T) []uint32 {
	if len(x) == 0 {
		return nil
	}
	return unsafe.Slice((*uint32)(unsafe.Pointer(&x[0])), len(x))
}

// floatsOf is the memory of uints as floats.
func floatsOf(x []uint32) []float32 {
	if len(x) == 0 {
		return nil
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(&x[0])), len(x))
}

// bytesOf is the memory of words as bytes. Devices are little-endian, and so is
// every host that they sit in.
func bytesOf[T uint32 | float32](x []T) []byte {
	if len(x) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), 4*len(x))
}

// wordsOf is the host's memory of a buffer as uints: buffers begin at multiples of
// four bytes.
func wordsOf(b []byte) ([]uint32, error) {
	if len(b) < 4 {
		return nil, nil
	}
	if uintptr(unsafe.Pointer(&b[0]))%4 != 0 {
		return nil, fmt.Errorf("a buffer's host memory lies at an odd address")
	}
	return unsafe.Slice((*uint32)(unsafe.Pointer(&b[0])), len(b)/4), nil
}

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }
