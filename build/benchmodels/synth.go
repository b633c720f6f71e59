package main

import (
	"bufio"
	"encoding/binary"
	"io"
	"math"
	"math/rand/v2"

	"github.com/ledge-run/ledge/build/internal/synthmodel"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// mostlyF16 is llama.cpp's number of a file whose matrices are F16.
const mostlyF16 = 1

// writeSynth writes a model of normally distributed F16 weights, the same each
// time. Products keep the scale of their inputs, so activations stay finite; the
// text that comes out is noise.
func writeSynth(path string, s synthmodel.Shape) error {
	var w gguf.Writer
	if err := s.SetMetadata(&w, mostlyF16); err != nil {
		return err
	}
	seed := uint64(0)
	for _, t := range s.Tensors() {
		if !t.Matrix() {
			if err := w.Add(t.Name, dtype.F32, t.Shape, ones(t.Shape[0])); err != nil {
				return err
			}
			continue
		}
		seed++
		rng := rand.New(rand.NewPCG(seed, 0x6c65646765))
		rows, cols := t.Shape[0], t.Shape[1]
		err := w.AddFunc(t.Name, dtype.F16, t.Shape, func(out io.Writer) error {
			return writeNormal(out, rng, rows*cols, 1/math.Sqrt(float64(cols)))
		})
		if err != nil {
			return err
		}
	}
	return writeFile(path, &w)
}

// ones are the factors of a norm that has none.
func ones(n int) []byte {
	b := make([]byte, 4*n)
	for i := range n {
		binary.LittleEndian.PutUint32(b[4*i:], math.Float32bits(1))
	}
	return b
}

// writeNormal writes n F16 values of a normal distribution around 0: each is one
// of 65,536 quantiles, drawn evenly.
func writeNormal(out io.Writer, rng *rand.Rand, n int, deviation float64) error {
	var quantiles [1 << 16]uint16
	for i := range quantiles {
		p := (float64(i) + 0.5) / float64(len(quantiles))
		quantiles[i] = dtype.F32ToF16(float32(deviation * math.Sqrt2 * math.Erfinv(2*p-1)))
	}
	b := bufio.NewWriterSize(out, 1<<20)
	var buf [8]byte
	for n > 0 {
		bits := rng.Uint64()
		k := min(4, n)
		for i := range k {
			binary.LittleEndian.PutUint16(buf[2*i:], quantiles[uint16(bits>>(16*i))])
		}
		if _, err := b.Write(buf[:2*k]); err != nil {
			return err
		}
		n -= k
	}
	return b.Flush()
}
