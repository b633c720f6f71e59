package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"

	"github.com/ledge-run/ledge/build/internal/synthmodel"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// chunkBytes are about those that one thread makes and writes at a time.
const chunkBytes = 1 << 20

// A chunk is a part of a tensor: whole blocks of a pool.
type chunk struct {
	pool       *pool
	at         int64 // in the file
	bytes      int
	tensor, nr uint64 // what its weights are drawn by
}

// A file is a model's file before it's written.
type file struct {
	head   []byte
	size   int64
	chunks []chunk
}

// newFile lays out the file of a model.
func newFile(s synthmodel.Shape, r recipe) (*file, error) {
	w := new(gguf.Writer)
	if err := s.SetMetadata(w, r.fileType); err != nil {
		return nil, err
	}
	tensors := s.Tensors()
	types := make([]dtype.DType, len(tensors))
	for i, t := range tensors {
		types[i] = dtype.F32
		if t.Matrix() {
			var layer int
			fmt.Sscanf(t.Name, "blk.%d.", &layer) // 0 where there's none, which typeOf doesn't mind
			types[i] = r.typeOf(t.Name, layer, s.Layers, s.Tied)
		}
		if err := w.AddFunc(t.Name, types[i], t.Shape, nil); err != nil {
			return nil, err
		}
	}
	head, offsets, size, err := w.Layout()
	if err != nil {
		return nil, err
	}
	f := &file{head: head, size: size}
	pools := poolSet{}
	for i, t := range tensors {
		p, err := pools.of(t, types[i])
		if err != nil {
			return nil, err
		}
		bytes, err := dtype.ByteSize(types[i], t.Shape)
		if err != nil {
			return nil, err
		}
		f.split(p, uint64(i), offsets[i], bytes)
	}
	return f, nil
}

// split appends the chunks of a tensor of some bytes at a place of the file.
func (f *file) split(p *pool, tensor uint64, at int64, bytes int) {
	size := max(1, chunkBytes/p.blockBytes) * p.blockBytes
	for nr, done := uint64(0), 0; done < bytes; nr, done = nr+1, done+size {
		f.chunks = append(f.chunks, chunk{p, at + int64(done), min(size, bytes-done), tensor, nr})
	}
}

// A poolSet has the pools of the types and columns of matrices.
type poolSet map[poolKey]*pool

type poolKey struct {
	d    dtype.DType
	cols int
}

func (ps poolSet) of(t synthmodel.Tensor, d dtype.DType) (*pool, error) {
	if !t.Matrix() { // a norm that leaves all as it is
		one := binary.LittleEndian.AppendUint32(nil, math.Float32bits(1))
		p := &pool{blockBytes: len(one)}
		for range poolSize {
			p.blocks = append(p.blocks, one...)
		}
		return p, nil
	}
	k := poolKey{d, t.Shape[1]}
	if ps[k] == nil {
		p, err := newPool(k.d, k.cols)
		if err != nil {
			return nil, err
		}
		ps[k] = p
	}
	return ps[k], nil
}

// write writes the file by several threads. What it writes does not depend on
// their number.
func (f *file) write(out io.WriterAt, threads int) error {
	if _, err := out.WriteAt(f.head, 0); err != nil {
		return err
	}
	var wg sync.WaitGroup
	var next atomic.Int64
	errs := make([]error, threads)
	for i := range threads {
		wg.Go(func() {
			var buffer []byte
			for {
				n := int(next.Add(1)) - 1
				if n >= len(f.chunks) {
					return
				}
				c := f.chunks[n]
				if cap(buffer) < c.bytes {
					buffer = make([]byte, c.bytes)
				}
				c.pool.fill(buffer[:c.bytes], rand.NewPCG(c.tensor, c.nr))
				if _, err := out.WriteAt(buffer[:c.bytes], c.at); err != nil {
					errs[i] = err
					next.Store(int64(len(f.chunks))) // the others end too
					return
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// writeFile writes a model to path, which appears when it is whole.
func writeFile(path string, s synthmodel.Shape, r recipe, threads int) error {
	f, err := newFile(s, r)
	if err != nil {
		return err
	}
	part := path + ".part"
	out, err := os.Create(part)
	if err != nil {
		return err
	}
	err = out.Truncate(f.size)
	if err == nil {
		err = f.write(out, threads)
	}
	if err = errors.Join(err, out.Close()); err == nil {
		err = os.Rename(part, path)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(part))
	}
	return err
}
