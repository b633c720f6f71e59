package gguf

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/ledge-run/ledge/graph/dtype"
)

// DefaultAlignment is the alignment of tensors in a file that does not say.
const DefaultAlignment = 32

// Writer collects metadata and tensors and writes them as a GGUF file, version
// 3. The zero value is an empty file. A Set of general.alignment (a uint32)
// chooses the alignment.
type Writer struct {
	keys    []string
	values  map[string]any
	tensors []pending
	names   map[string]bool
}

type pending struct {
	name  string
	dtype dtype.DType
	shape []int
	bytes int
	write func(io.Writer) error
}

// Set gives a key its value, in place of an earlier one. The value is of one of
// the types that File.Value returns.
func (w *Writer) Set(key string, value any) error {
	if key == "" || len(key) > maxName || !utf8.ValidString(key) {
		return fmt.Errorf("gguf: write: the key %s must have 1 to %d bytes of UTF-8", quote(key), maxName)
	}
	if key == keyAlignment {
		if _, err := alignment(map[string]any{key: value}); err != nil {
			return fmt.Errorf("gguf: write: %w", err)
		}
	}
	if _, err := appendValue(nil, value, 0); err != nil {
		return fmt.Errorf("gguf: write: key %s: %w", quote(key), err)
	}
	if w.values == nil {
		w.values = map[string]any{}
	}
	if _, ok := w.values[key]; !ok {
		w.keys = append(w.keys, key)
	}
	w.values[key] = value
	return nil
}

// Add adds a tensor. The shape is outermost first, as in Tensor; data has
// exactly its bytes, and is kept until the file is written.
func (w *Writer) Add(name string, d dtype.DType, shape []int, data []byte) error {
	err := w.AddFunc(name, d, shape, func(out io.Writer) error {
		_, err := out.Write(data)
		return err
	})
	if err != nil {
		return err
	}
	if want := w.tensors[len(w.tensors)-1].bytes; len(data) != want {
		w.tensors = w.tensors[:len(w.tensors)-1]
		delete(w.names, name)
		return fmt.Errorf("gguf: write: tensor %s: %d bytes of data, but %v %v has %d", quote(name), len(data), d, shape, want)
	}
	return nil
}

// AddFunc adds a tensor whose bytes are made only when the file is written, so
// that a model larger than memory can be converted. write is called once per
// WriteTo and must write exactly the tensor's bytes.
func (w *Writer) AddFunc(name string, d dtype.DType, shape []int, write func(io.Writer) error) error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("gguf: write: tensor %s: %w", quote(name), fmt.Errorf(format, args...))
	}
	if name == "" || len(name) > maxName || !utf8.ValidString(name) {
		return fail("a name has 1 to %d bytes of UTF-8", maxName)
	}
	if w.names[name] {
		return fail("there is one of that name already")
	}
	if _, ok := TypeID(d); !ok {
		return fail("the type %v does not exist in GGUF", d)
	}
	if len(shape) > maxDims || slices.ContainsFunc(shape, func(n int) bool { return n < 1 }) {
		return fail("the shape %v must have at most %d sizes, all positive", shape, maxDims)
	}
	if _, ok := dtype.Product(shape); !ok {
		return fail("the shape %v has more values than can be counted", shape)
	}
	size, err := dtype.ByteSize(d, shape)
	if err != nil {
		return fail("%w", err)
	}
	if w.names == nil {
		w.names = map[string]bool{}
	}
	w.names[name] = true
	w.tensors = append(w.tensors, pending{name, d, slices.Clone(shape), size, write})
	return nil
}

// Layout is for those who write tensors' data at its places on their own, several
// at a time, in place of WriteTo: it returns the file's bytes up to the first
// tensor's data, where the data of each tensor begins, in the order they were
// added, and the size of the file. What is between tensors is zeros.
func (w *Writer) Layout() (head []byte, offsets []int64, size int64, err error) {
	align := w.alignment()
	if head, err = w.header(align); err != nil {
		return nil, nil, 0, err
	}
	size = int64(len(head))
	for _, t := range w.tensors {
		offsets = append(offsets, size)
		size += int64(t.bytes + padding(t.bytes, align))
	}
	return head, offsets, size, nil
}

func (w *Writer) alignment() int {
	if n, ok := w.values[keyAlignment].(uint32); ok {
		return int(n)
	}
	return DefaultAlignment
}

// WriteTo writes the file. It does not close or flush out; the caller writes to
// a temporary file and renames it when all went well.
func (w *Writer) WriteTo(out io.Writer) (int64, error) {
	align := w.alignment()
	header, err := w.header(align)
	if err != nil {
		return 0, err
	}
	buffered := bufio.NewWriterSize(out, 64<<10) // tensors' data is larger, and passes
	count := &countingWriter{out: buffered}
	if _, err := count.Write(header); err != nil {
		return count.n, fmt.Errorf("gguf: write: %w", err)
	}
	for _, t := range w.tensors {
		start := count.n
		if err := t.write(count); err != nil {
			return count.n, fmt.Errorf("gguf: write: tensor %s: %w", quote(t.name), err)
		}
		if got := count.n - start; got != int64(t.bytes) {
			return count.n, fmt.Errorf("gguf: write: tensor %s: %d bytes written instead of %d", quote(t.name), got, t.bytes)
		}
		if _, err := count.Write(make([]byte, padding(t.bytes, align))); err != nil {
			return count.n, fmt.Errorf("gguf: write: %w", err)
		}
	}
	if err := buffered.Flush(); err != nil {
		return count.n, fmt.Errorf("gguf: write: %w", err)
	}
	return count.n, nil
}

// header is everything before the tensors' data, padded to the alignment.
func (w *Writer) header(align int) ([]byte, error) {
	le := binary.LittleEndian
	b := append([]byte(nil), magic...)
	b = le.AppendUint32(b, 3)
	b = le.AppendUint64(b, uint64(len(w.tensors)))
	b = le.AppendUint64(b, uint64(len(w.keys)))
	for _, key := range w.keys {
		b = appendString(b, key)
		var err error
		if b, err = appendValue(b, w.values[key], 0); err != nil {
			return nil, fmt.Errorf("gguf: write: key %s: %w", quote(key), err)
		}
	}
	offset := 0
	for _, t := range w.tensors {
		b = appendString(b, t.name)
		b = le.AppendUint32(b, uint32(len(t.shape)))
		for _, n := range slices.Backward(t.shape) {
			b = le.AppendUint64(b, uint64(n))
		}
		id, _ := TypeID(t.dtype)
		b = le.AppendUint32(b, id)
		b = le.AppendUint64(b, uint64(offset))
		if t.bytes > math.MaxInt-offset-align {
			return nil, fmt.Errorf("gguf: write: tensor %s: the file becomes too large", quote(t.name))
		}
		offset += t.bytes + padding(t.bytes, align)
	}
	return append(b, make([]byte, padding(len(b), align))...), nil
}

func padding(n, align int) int { return (align - n%align) % align }

type countingWriter struct {
	out io.Writer
	n   int64
}

func (c *countingWriter) Write(b []byte) (int, error) {
	n, err := c.out.Write(b)
	c.n += int64(n)
	return n, err
}

func appendString(b []byte, s string) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(len(s)))
	return append(b, s...)
}

// appendValue appends a type id and a value. depth counts the arrays around it.
func appendValue(b []byte, value any, depth int) ([]byte, error) {
	le := binary.LittleEndian
	id := func(t uint32) []byte { return le.AppendUint32(b, t) }
	switch v := value.(type) {
	case uint8:
		return append(id(typeUint8), v), nil
	case int8:
		return append(id(typeInt8), byte(v)), nil
	case uint16:
		return le.AppendUint16(id(typeUint16), v), nil
	case int16:
		return le.AppendUint16(id(typeInt16), uint16(v)), nil
	case uint32:
		return le.AppendUint32(id(typeUint32), v), nil
	case int32:
		return le.AppendUint32(id(typeInt32), uint32(v)), nil
	case uint64:
		return le.AppendUint64(id(typeUint64), v), nil
	case int64:
		return le.AppendUint64(id(typeInt64), uint64(v)), nil
	case float32:
		return le.AppendUint32(id(typeFloat32), math.Float32bits(v)), nil
	case float64:
		return le.AppendUint64(id(typeFloat64), math.Float64bits(v)), nil
	case bool:
		return append(id(typeBool), boolByte(v)), nil
	case string:
		return appendString(id(typeString), v), nil
	}
	return appendArray(le.AppendUint32(b, typeArray), value, depth+1)
}

// appendArray appends the element type, number and elements of a slice.
func appendArray(b []byte, value any, depth int) ([]byte, error) {
	if depth > maxNesting {
		return nil, fmt.Errorf("arrays nested more than %d deep", maxNesting)
	}
	le := binary.LittleEndian
	switch v := value.(type) {
	case []uint8:
		return append(arrayHead(b, typeUint8, len(v)), v...), nil
	case []int8:
		return appendEach(b, typeInt8, v, func(b []byte, x int8) []byte { return append(b, byte(x)) }), nil
	case []uint16:
		return appendEach(b, typeUint16, v, le.AppendUint16), nil
	case []int16:
		return appendEach(b, typeInt16, v, func(b []byte, x int16) []byte { return le.AppendUint16(b, uint16(x)) }), nil
	case []uint32:
		return appendEach(b, typeUint32, v, le.AppendUint32), nil
	case []int32:
		return appendEach(b, typeInt32, v, func(b []byte, x int32) []byte { return le.AppendUint32(b, uint32(x)) }), nil
	case []uint64:
		return appendEach(b, typeUint64, v, le.AppendUint64), nil
	case []int64:
		return appendEach(b, typeInt64, v, func(b []byte, x int64) []byte { return le.AppendUint64(b, uint64(x)) }), nil
	case []float32:
		return appendEach(b, typeFloat32, v, func(b []byte, x float32) []byte { return le.AppendUint32(b, math.Float32bits(x)) }), nil
	case []float64:
		return appendEach(b, typeFloat64, v, func(b []byte, x float64) []byte { return le.AppendUint64(b, math.Float64bits(x)) }), nil
	case []bool:
		return appendEach(b, typeBool, v, func(b []byte, x bool) []byte { return append(b, boolByte(x)) }), nil
	case []string:
		return appendEach(b, typeString, v, appendString), nil
	case []any: // each element is a slice again
		b = arrayHead(b, typeArray, len(v))
		for _, x := range v {
			var err error
			if b, err = appendArray(b, x, depth+1); err != nil {
				return nil, err
			}
		}
		return b, nil
	}
	return nil, fmt.Errorf("GGUF has no metadata of Go type %T; give integers a size, such as uint32", value)
}

func arrayHead(b []byte, t uint32, n int) []byte {
	b = binary.LittleEndian.AppendUint32(b, t)
	return binary.LittleEndian.AppendUint64(b, uint64(n))
}

func appendEach[T any](b []byte, t uint32, v []T, one func([]byte, T) []byte) []byte {
	b = arrayHead(b, t, len(v))
	for _, x := range v {
		b = one(b, x)
	}
	return b
}

func boolByte(v bool) byte {
	if v {
		return 1
	}
	return 0
}
