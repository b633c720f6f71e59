package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strings"
)

// npy writes a float32 matrix in NumPy's format, version 1.0, row by row
// (numpy.lib.format describes it).
type npy struct {
	w    io.Writer
	left int // values still to come
	buf  []byte
}

// newNPY writes the header for a matrix of rows x columns.
func newNPY(w io.Writer, rows, columns int) (*npy, error) {
	head := fmt.Sprintf("{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }", rows, columns)
	const fixed = 10 // magic, version and length
	pad := 63 - (fixed+len(head))%64
	head += strings.Repeat(" ", pad) + "\n"
	start := append([]byte("\x93NUMPY\x01\x00"), 0, 0)
	binary.LittleEndian.PutUint16(start[8:], uint16(len(head)))
	if _, err := w.Write(append(start, head...)); err != nil {
		return nil, err
	}
	return &npy{w: w, left: rows * columns}, nil
}

func (n *npy) rows(values []float32) error {
	if n.left -= len(values); n.left < 0 {
		return fmt.Errorf("npy: %d values too many", -n.left)
	}
	n.buf = n.buf[:0]
	for _, v := range values {
		n.buf = binary.LittleEndian.AppendUint32(n.buf, math.Float32bits(v))
	}
	_, err := n.w.Write(n.buf)
	return err
}

func (n *npy) finish() error {
	if n.left != 0 {
		return fmt.Errorf("npy: %d values are missing", n.left)
	}
	return nil
}
