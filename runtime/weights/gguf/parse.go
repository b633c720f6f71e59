package gguf

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ledge-run/ledge/graph/dtype"
)

// Limits on what a header may hold, far above any real file's.
const (
	maxHeader    = 256 << 20 // bytes before the tensors' data
	maxName      = 1<<16 - 1 // bytes in a key (as in the specification) or a tensor's name
	maxDims      = 4         // as in ggml
	maxNesting   = 4         // arrays within arrays
	minAlignment = 8         // as in the specification
)

// The least bytes a metadata pair and a tensor's description take.
const (
	minPair   = 8 + 1 + 4 + 1
	minTensor = 8 + 1 + 4 + 4 + 8
)

// parsePart reads the header of a file and finds its tensors' data.
func parsePart(path string, data []byte) (*part, error) {
	r := &reader{file: path, data: data}
	version, err := r.preamble()
	if err != nil {
		return nil, err
	}
	numTensors, err := r.count("tensors", minTensor)
	if err != nil {
		return nil, err
	}
	numPairs, err := r.count("metadata pairs", minPair)
	if err != nil {
		return nil, err
	}
	p := &part{path: path, data: data, version: version, values: map[string]any{}}
	alignAt := 0
	for i := range numPairs {
		at := r.off
		key, err := r.name(fmt.Sprintf("the key of metadata pair %d", i))
		if err != nil {
			return nil, err
		}
		if _, twice := p.values[key]; twice {
			return nil, r.fail(at, adviseDownload, "the key %s occurs twice", quote(key))
		}
		r.what = "the value of " + quote(key)
		if p.values[key], err = r.value(); err != nil {
			return nil, err
		}
		if key == keyAlignment {
			alignAt = at
		}
		p.keys = append(p.keys, key)
	}
	align, err := alignment(p.values)
	if err != nil {
		return nil, r.fail(alignAt, adviseDownload, "%v", err)
	}
	// The number is only a claim yet, so the slice grows as they are read.
	var infos []tensorInfo
	seen := map[string]bool{}
	for i := range numTensors {
		info, err := r.tensorInfo(i)
		if err != nil {
			return nil, err
		}
		if seen[info.name] {
			return nil, r.fail(info.at, adviseDownload, "tensor %s occurs twice", quote(info.name))
		}
		seen[info.name] = true
		infos = append(infos, info)
	}
	p.header = r.off
	return p, r.place(p, infos, align)
}

// reader walks over the header. Its errors say what was being read.
type reader struct {
	file string
	data []byte
	off  int
	what string // what is being read, for error messages
}

func (r *reader) fail(at int, advice, format string, args ...any) error {
	return &FormatError{File: r.file, Offset: int64(at), Problem: fmt.Sprintf(format, args...), Advice: advice}
}

// preamble reads the magic and the version.
func (r *reader) preamble() (version uint32, err error) {
	if n := min(len(r.data), len(magic)); string(r.data[:n]) != magic[:n] {
		kind, advice := looksLike(r.data)
		return 0, &FormatError{File: r.file, Offset: -1, Problem: fmt.Sprintf("%v: it looks like %s", ErrNotGGUF, kind), Advice: advice, Err: ErrNotGGUF}
	}
	r.what = "the magic and the version"
	b, err := r.take(8)
	if err != nil {
		return 0, err
	}
	version = binary.LittleEndian.Uint32(b[4:])
	switch swapped := bits.ReverseBytes32(version); {
	case version == 2 || version == 3:
		return version, nil
	case version == 1:
		return 0, r.fail(4, "get a newer file, or convert the model again", "GGUF version 1, which is no longer in use")
	case swapped >= 1 && swapped <= 0xffff && version > 0xffff:
		return 0, r.fail(4, "get the little-endian file", "a big-endian GGUF file (version %d)", swapped)
	case version > 3 && version < 100:
		return 0, r.fail(4, "use a newer Ledge, or get the file in version 3", "GGUF version %d; versions 2 and 3 are known", version)
	}
	return 0, r.fail(4, adviseDownload, "there is no GGUF version %d", version)
}

// take returns the next n bytes.
func (r *reader) take(n uint64) ([]byte, error) {
	left := len(r.data) - r.off
	if n > uint64(left) {
		return nil, r.fail(r.off, adviseCutOff, "%s needs %d bytes, but the file ends after %d", r.what, n, left)
	}
	if n > uint64(maxHeader-r.off) {
		return nil, r.fail(r.off, adviseDownload, "%s ends beyond the %d MiB that a header may have", r.what, maxHeader>>20)
	}
	b := r.data[r.off:][:n]
	r.off += int(n)
	return b, nil
}

func (r *reader) uint32() (uint32, error) {
	b, err := r.take(4)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

func (r *reader) uint64() (uint64, error) {
	b, err := r.take(8)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b), nil
}

// count reads the number of things that take at least minBytes each.
func (r *reader) count(things string, minBytes int) (int, error) {
	r.what = "the number of " + things
	at := r.off
	n, err := r.uint64()
	if err != nil {
		return 0, err
	}
	if room := min(len(r.data), maxHeader) - r.off; n > uint64(room/minBytes) {
		return 0, r.fail(at, adviseCutOff, "%d %s do not fit into the %d bytes that follow", n, things, room)
	}
	return int(n), nil
}

// name reads a key or a tensor's name: not empty, not absurdly long, UTF-8.
func (r *reader) name(what string) (string, error) {
	r.what = what
	at := r.off
	n, err := r.uint64()
	if err != nil {
		return "", err
	}
	if n == 0 || n > maxName {
		return "", r.fail(at, adviseDownload, "%s has %d bytes, not 1 to %d", what, n, maxName)
	}
	b, err := r.take(n)
	if err != nil {
		return "", err
	}
	if !utf8.Valid(b) {
		return "", r.fail(at+8, adviseDownload, "%s is not UTF-8: %s", what, quote(string(b)))
	}
	return string(b), nil
}

// value reads a type id and a value of that type.
func (r *reader) value() (any, error) {
	at := r.off
	t, err := r.uint32()
	if err != nil {
		return nil, err
	}
	if t == typeArray {
		return r.array(1)
	}
	if minSize(t) == 0 {
		return nil, r.fail(at, adviseDownload, "%s has the unknown type %d", r.what, t)
	}
	return r.single(t)
}

func (r *reader) single(t uint32) (any, error) {
	if t == typeString {
		n, err := r.uint64()
		if err != nil {
			return nil, err
		}
		b, err := r.take(n)
		return string(b), err
	}
	at := r.off
	b, err := r.take(uint64(minSize(t)))
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	switch t {
	case typeUint8:
		return b[0], nil
	case typeInt8:
		return int8(b[0]), nil
	case typeUint16:
		return le.Uint16(b), nil
	case typeInt16:
		return int16(le.Uint16(b)), nil
	case typeUint32:
		return le.Uint32(b), nil
	case typeInt32:
		return int32(le.Uint32(b)), nil
	case typeUint64:
		return le.Uint64(b), nil
	case typeInt64:
		return int64(le.Uint64(b)), nil
	case typeFloat32:
		return math.Float32frombits(le.Uint32(b)), nil
	case typeFloat64:
		return math.Float64frombits(le.Uint64(b)), nil
	}
	if b[0] > 1 { // typeBool
		return nil, r.fail(at, adviseDownload, "%s is a bool of value %d, not 0 or 1", r.what, b[0])
	}
	return b[0] == 1, nil
}

// array reads the element type, the number and the elements of an array, depth
// counting the arrays it is in, itself included.
func (r *reader) array(depth int) (any, error) {
	at := r.off
	if depth > maxNesting {
		return nil, r.fail(at, adviseDownload, "%s has arrays nested more than %d deep", r.what, maxNesting)
	}
	t, err := r.uint32()
	if err != nil {
		return nil, err
	}
	size := minSize(t)
	if size == 0 {
		return nil, r.fail(at, adviseDownload, "%s is an array of the unknown type %d", r.what, t)
	}
	at = r.off
	count, err := r.uint64()
	if err != nil {
		return nil, err
	}
	if room := min(len(r.data), maxHeader) - r.off; count > uint64(room/size) {
		return nil, r.fail(at, adviseCutOff, "%s is an array of %d elements, which do not fit into the %d bytes that follow", r.what, count, room)
	}
	n := int(count)
	switch t {
	case typeString:
		return r.strings(n)
	case typeArray:
		out := []any{} // grows as they are read: n is only a claim yet
		for range n {
			v, err := r.array(depth + 1)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		return out, nil
	}
	at = r.off
	b, err := r.take(uint64(n * size))
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	switch t {
	case typeUint8:
		return append([]uint8{}, b...), nil
	case typeInt8:
		return decode(n, func(i int) int8 { return int8(b[i]) }), nil
	case typeUint16:
		return decode(n, func(i int) uint16 { return le.Uint16(b[2*i:]) }), nil
	case typeInt16:
		return decode(n, func(i int) int16 { return int16(le.Uint16(b[2*i:])) }), nil
	case typeUint32:
		return decode(n, func(i int) uint32 { return le.Uint32(b[4*i:]) }), nil
	case typeInt32:
		return decode(n, func(i int) int32 { return int32(le.Uint32(b[4*i:])) }), nil
	case typeUint64:
		return decode(n, func(i int) uint64 { return le.Uint64(b[8*i:]) }), nil
	case typeInt64:
		return decode(n, func(i int) int64 { return int64(le.Uint64(b[8*i:])) }), nil
	case typeFloat32:
		return decode(n, func(i int) float32 { return math.Float32frombits(le.Uint32(b[4*i:])) }), nil
	case typeFloat64:
		return decode(n, func(i int) float64 { return math.Float64frombits(le.Uint64(b[8*i:])) }), nil
	}
	if i := slices.IndexFunc(b, func(v byte) bool { return v > 1 }); i >= 0 { // typeBool
		return nil, r.fail(at+i, adviseDownload, "%s has a bool of value %d, not 0 or 1", r.what, b[i])
	}
	return decode(n, func(i int) bool { return b[i] == 1 }), nil
}

func decode[T any](n int, at func(i int) T) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = at(i)
	}
	return out
}

// strings reads n strings. They share one copy of their bytes: a vocabulary of
// 262,144 tokens costs two allocations.
func (r *reader) strings(n int) ([]string, error) {
	start := r.off
	for range n {
		length, err := r.uint64()
		if err != nil {
			return nil, err
		}
		if _, err := r.take(length); err != nil {
			return nil, err
		}
	}
	// One copy of all texts, without the lengths between them.
	var all strings.Builder
	all.Grow(r.off - start - 8*n)
	for off := start; off < r.off; {
		length := int(binary.LittleEndian.Uint64(r.data[off:]))
		all.Write(r.data[off+8 : off+8+length])
		off += 8 + length
	}
	text, off := all.String(), start
	out := make([]string, n)
	for i := range out {
		length := int(binary.LittleEndian.Uint64(r.data[off:]))
		out[i], text = text[:length], text[length:]
		off += 8 + length
	}
	return out, nil
}

// alignment is that of the tensors' data.
func alignment(values map[string]any) (int, error) {
	v, ok := values[keyAlignment]
	if !ok {
		return DefaultAlignment, nil
	}
	n, ok := v.(uint32)
	if !ok || n < minAlignment || n&(n-1) != 0 || uint64(n) > math.MaxInt32 {
		return 0, fmt.Errorf("%s is %s, not a uint32 that is a power of two from %d on", keyAlignment, printable(v), minAlignment)
	}
	return int(n), nil
}

// tensorInfo describes a tensor as the header does.
type tensorInfo struct {
	name   string
	dtype  dtype.DType
	shape  []int // outermost first
	bytes  int
	offset uint64 // from the start of the data
	at     int    // where the description begins
}

func (r *reader) tensorInfo(i int) (info tensorInfo, err error) {
	info.at = r.off
	if info.name, err = r.name(fmt.Sprintf("the name of tensor %d", i)); err != nil {
		return info, err
	}
	name := quote(info.name)
	r.what = "the description of tensor " + name
	at := r.off
	dims, err := r.uint32()
	if err != nil {
		return info, err
	}
	if dims > maxDims {
		return info, r.fail(at, adviseDownload, "tensor %s has %d dimensions, more than %d", name, dims, maxDims)
	}
	info.shape = make([]int, dims)
	for d := range info.shape {
		at := r.off
		n, err := r.uint64()
		if err != nil {
			return info, err
		}
		if n == 0 || n > math.MaxInt {
			return info, r.fail(at, adviseDownload, "tensor %s has the size %d in dimension %d", name, n, d)
		}
		info.shape[len(info.shape)-1-d] = int(n)
	}
	typeAt := r.off
	id, err := r.uint32()
	if err != nil {
		return info, err
	}
	var ok bool
	if info.dtype, ok = DTypeOf(id); !ok {
		advice := "use a newer Ledge, or get the model in another quantisation"
		if id < uint32(len(dtypes)) {
			advice = "this type was removed from GGUF; get the model in another quantisation"
		}
		return info, r.fail(typeAt, advice, "tensor %s has the unknown type %d", name, id)
	}
	if _, ok := dtype.Product(info.shape); !ok {
		return info, r.fail(at, adviseDownload, "tensor %s has more values (%v) than can be counted", name, info.shape)
	}
	if info.bytes, err = dtype.ByteSize(info.dtype, info.shape); err != nil {
		return info, &FormatError{File: r.file, Offset: int64(at), Problem: fmt.Sprintf("tensor %s: %v", name, err), Advice: adviseDownload, Err: err}
	}
	info.offset, err = r.uint64()
	return info, err
}

// place finds the data of each tensor: in the file, aligned, not overlapping.
func (r *reader) place(p *part, infos []tensorInfo, align int) error {
	// Both terms are far from overflow: the header's end is at most maxHeader.
	start := (uint64(r.off) + uint64(align) - 1) / uint64(align) * uint64(align)
	size := uint64(len(r.data))
	p.tensors = make([]Tensor, len(infos))
	for i, info := range infos {
		name := quote(info.name)
		if info.offset%uint64(align) != 0 {
			return r.fail(info.at, adviseDownload, "tensor %s lies at offset %d, which is not aligned to %d", name, info.offset, align)
		}
		if start > size || info.offset > size-start || uint64(info.bytes) > size-start-info.offset {
			return r.fail(info.at, adviseCutOff, "tensor %s lies beyond the end of the file: %d bytes at offset %d of the data, which begins at byte %d of %d",
				name, info.bytes, info.offset, start, size)
		}
		from := int(start + info.offset)
		p.tensors[i] = Tensor{
			Name: info.name, DType: info.dtype, Shape: info.shape,
			Data: r.data[from : from+info.bytes : from+info.bytes],
			part: p, offset: from,
		}
	}
	order := make([]int, len(infos))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return p.tensors[a].offset - p.tensors[b].offset })
	for k := 1; k < len(order); k++ {
		a, b := &p.tensors[order[k-1]], &p.tensors[order[k]]
		if a.offset+len(a.Data) > b.offset {
			return r.fail(infos[order[k]].at, adviseDownload, "tensors %s and %s overlap", quote(a.Name), quote(b.Name))
		}
	}
	return nil
}
