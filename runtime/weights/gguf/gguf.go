// Package gguf reads and writes GGUF files: the metadata and the tensors of a
// model in one file, or in several parts.
//
// The format, versions 2 and 3, little-endian: the bytes "GGUF", a uint32
// version, a uint64 number of tensors and a uint64 number of metadata pairs; the
// pairs (key, type, value); for each tensor its name, its sizes (innermost
// first), type and offset; padding to the alignment; the data, each tensor
// aligned. Strings are a uint64 length and that many bytes. The description is
// docs/gguf.md in the repository ggml-org/ggml.
//
// A file is outside input: every count, length and offset is checked against the
// file's size before anything is allocated or read, so memory stays within a
// small multiple of the header's size. What is wrong is reported as one
// *FormatError that says what, where and what to do.
//
// On Unix the file is mapped, not read: opening costs the header only, and the
// tensors' Data are slices of the mapping, shared between processes.
package gguf

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"os"
	"strconv"
	"strings"
)

// File is an open GGUF file, of one or several parts. Its methods may be used
// concurrently, Close only when no other call is running and no tensor's Data is
// in use any more.
type File struct {
	parts   []*part
	version uint32
	keys    []string
	values  map[string]any
	tensors []Tensor
	byName  map[string]int
}

// part is one of the files a model is stored in.
type part struct {
	path    string
	data    []byte
	onDisk  bool // path is a file's
	mapped  bool // data is a mapping rather than memory of Go's
	info    os.FileInfo
	header  int // bytes before the tensors' data
	version uint32
	keys    []string
	values  map[string]any
	tensors []Tensor
}

// Open opens the file at path. If it is one of several parts, as its metadata
// says (split.count), the other parts must lie beside it under their usual names
// (NAME-00001-of-00003.gguf) and are opened with it; the metadata is then that
// of the first part, the tensors those of all parts in order.
//
// The files must not shrink while they are open: touching a page of a mapping
// that its file no longer has is a memory fault. Replace a model by renaming.
//
// Errors are *FormatError, or those of the file system.
func Open(path string) (*File, error) {
	first, err := openPart(path)
	if err != nil {
		return nil, err
	}
	count, split, err := first.splitCount()
	if err != nil {
		return nil, errors.Join(err, first.close())
	}
	if !split {
		f, err := join([]*part{first})
		if err != nil {
			return nil, errors.Join(err, first.close())
		}
		return f, nil
	}
	return openSplit(first, count)
}

// Parse reads a whole file held in memory. The tensors' Data are slices of data,
// which must not change while they are used. A part of several is refused.
func Parse(data []byte) (*File, error) {
	p, err := parsePart("GGUF data", data)
	if err != nil {
		return nil, err
	}
	count, split, err := p.splitCount()
	if err != nil {
		return nil, err
	}
	if split {
		return nil, p.errorf("open it by its path, with the other parts beside it", "one of %d parts of a model", count)
	}
	return join([]*part{p})
}

// openPart maps and parses one file.
func openPart(path string) (*part, error) {
	if path == "" {
		return nil, errors.New("gguf: the path is empty: name a GGUF file")
	}
	// Look first: opening a named pipe would wait for a writer.
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("gguf: %w", err)
	}
	refuse := func(advice, problem string) (*part, error) {
		return nil, &FormatError{File: path, Offset: -1, Problem: problem, Advice: advice}
	}
	switch {
	case info.IsDir():
		return refuse("name the .gguf file inside it", "a folder, not a GGUF file")
	case !info.Mode().IsRegular():
		return refuse("name a regular file", "not a regular file, which GGUF needs")
	case info.Size() == 0:
		return refuse("download it again", "the file is empty")
	case info.Size() > math.MaxInt:
		return refuse("use a 64-bit system or a smaller model", "the file is larger than this system can address")
	}
	data, mapped, info, err := readFile(path, int(info.Size()))
	if err != nil {
		return nil, fmt.Errorf("gguf: %s: %w", path, err)
	}
	p, err := parsePart(path, data)
	if err != nil {
		if mapped {
			unmap(data)
		}
		return nil, err
	}
	p.onDisk, p.mapped, p.info = true, mapped, info
	return p, nil
}

// splitCount is the number of parts the metadata speaks of, and whether that is
// more than one.
func (p *part) splitCount() (int, bool, error) {
	v, ok := p.values[keySplitCount]
	if !ok {
		return 0, false, nil
	}
	n, ok := asUint(v)
	if !ok || n > maxParts {
		return 0, false, p.errorf("convert or download it again", "%s is %v, not a number of parts", keySplitCount, printable(v))
	}
	return int(n), n > 1, nil
}

const (
	keySplitCount   = "split.count"
	keySplitNo      = "split.no"
	keySplitTensors = "split.tensors.count"
	keyAlignment    = "general.alignment"

	maxParts = 99999 // what five digits in a name can say
)

// openSplit opens the parts that belong to one of them, already open.
func openSplit(given *part, count int) (f *File, err error) {
	parts := []*part{given}
	defer func() {
		if err != nil {
			for _, p := range parts {
				err = errors.Join(err, p.close())
			}
		}
	}()
	prefix, no, of, ok := splitName(given.path)
	if !ok || of != count {
		return nil, given.errorf(
			fmt.Sprintf("give the parts their names back (NAME-00001-of-%05d.gguf)", count),
			"one of %d parts of a model, but its name does not say which", count)
	}
	ordered := make([]*part, 0, min(count, 64))
	for i := range count {
		p := given
		if i != no-1 {
			p, err = openPart(partName(prefix, i+1, count))
			if errors.Is(err, os.ErrNotExist) {
				return nil, fmt.Errorf("%w; %s is one of %d parts, all of which are needed: download the missing one",
					err, given.path, count)
			}
			if err != nil {
				return nil, err
			}
			parts = append(parts, p)
		}
		if n, ok := asUint(p.values[keySplitNo]); !ok || n != uint64(i) {
			return nil, p.errorf("download the parts again, from one source",
				"%s is %v, but by its name this is part %d, numbered from 0", keySplitNo, printable(p.values[keySplitNo]), i)
		}
		if n, ok := asUint(p.values[keySplitCount]); !ok || n != uint64(count) {
			return nil, p.errorf("download the parts again, from one source",
				"%s is %v, but %d in %s", keySplitCount, printable(p.values[keySplitCount]), count, given.path)
		}
		ordered = append(ordered, p)
	}
	f, err = join(ordered)
	if err != nil {
		return nil, err
	}
	if v, ok := f.values[keySplitTensors]; ok {
		if n, ok := asUint(v); !ok || n != uint64(len(f.tensors)) {
			return nil, ordered[0].errorf("download the parts again, from one source",
				"%s is %v, but the %d parts hold %d tensors", keySplitTensors, printable(v), count, len(f.tensors))
		}
	}
	return f, nil
}

// splitName takes PREFIX-00002-of-00003.gguf apart.
func splitName(path string) (prefix string, no, of int, ok bool) {
	const tail = "-00000-of-00000.gguf"
	if len(path) <= len(tail) {
		return "", 0, 0, false
	}
	prefix, end := path[:len(path)-len(tail)], path[len(path)-len(tail):]
	no, err1 := strconv.Atoi(end[1:6])
	of, err2 := strconv.Atoi(end[10:15])
	ok = err1 == nil && err2 == nil && no >= 1 && no <= of &&
		end == partName("", no, of)
	return prefix, no, of, ok
}

func partName(prefix string, no, of int) string {
	return fmt.Sprintf("%s-%05d-of-%05d.gguf", prefix, no, of)
}

// PartNames are the files that a model is in by the name of one of them, there or not: all
// parts in their order, or the file alone.
func PartNames(path string) []string {
	prefix, _, of, ok := splitName(path)
	if !ok {
		return []string{path}
	}
	all := make([]string, of)
	for i := range all {
		all[i] = partName(prefix, i+1, of)
	}
	return all
}

// join makes one File of its parts.
func join(parts []*part) (*File, error) {
	f := &File{parts: parts, version: parts[0].version, keys: parts[0].keys, values: parts[0].values}
	f.byName = make(map[string]int, len(parts[0].tensors))
	for _, p := range parts {
		for _, t := range p.tensors {
			if _, twice := f.byName[t.Name]; twice {
				return nil, p.errorf("download the parts again, from one source", "tensor %s is also in an earlier part", quote(t.Name))
			}
			f.byName[t.Name] = len(f.tensors)
			f.tensors = append(f.tensors, t)
		}
		p.tensors = nil
	}
	return f, nil
}

// Close releases the mapping. The tensors' Data must not be used after it: the
// File forgets them, but reading a slice kept elsewhere is a memory fault.
func (f *File) Close() error {
	var errs []error
	for _, p := range f.parts {
		errs = append(errs, p.close())
	}
	for i := range f.tensors {
		f.tensors[i].Data = nil
	}
	return errors.Join(errs...)
}

func (p *part) close() error {
	data := p.data
	p.data = nil
	if !p.mapped || data == nil {
		return nil
	}
	if err := unmap(data); err != nil {
		return fmt.Errorf("gguf: %s: unmap: %w", p.path, err)
	}
	return nil
}

func (p *part) errorf(advice, format string, args ...any) error {
	return &FormatError{File: p.path, Offset: -1, Problem: fmt.Sprintf(format, args...), Advice: advice}
}

// Version is the version of the format, 2 or 3.
func (f *File) Version() uint32 { return f.version }

// Paths are the files the model is read from, in the order of the parts; none
// after Parse.
func (f *File) Paths() []string {
	var paths []string
	for _, p := range f.parts {
		if p.onDisk {
			paths = append(paths, p.path)
		}
	}
	return paths
}

// OnDisk is one of the files a model is read from, as it was opened.
type OnDisk struct {
	Path   string
	Info   os.FileInfo
	Header []byte // what comes before the tensors' data; valid until Close
}

// OnDisk are the files a model is read from, in the order of the parts; none
// after Parse.
func (f *File) OnDisk() []OnDisk {
	var files []OnDisk
	for _, p := range f.parts {
		if p.onDisk {
			files = append(files, OnDisk{p.path, p.info, p.data[:min(p.header, len(p.data))]})
		}
	}
	return files
}

// DropHeaders tells the system that the headers are not needed soon: what was read
// of them is copied.
func (f *File) DropHeaders() error {
	for _, p := range f.parts {
		if err := p.advise(0, p.header, DontNeed); err != nil {
			return err
		}
	}
	return nil
}

// Size is the number of bytes of all parts together.
func (f *File) Size() int64 {
	var n int64
	for _, p := range f.parts {
		n += int64(len(p.data))
	}
	return n
}

// Tensors are all tensors, in the order of the file. The slice is the File's
// own: read it only.
func (f *File) Tensors() []Tensor { return f.tensors }

// Tensor finds a tensor by its name.
func (f *File) Tensor(name string) (*Tensor, bool) {
	i, ok := f.byName[name]
	if !ok {
		return nil, false
	}
	return &f.tensors[i], true
}

// Metadata visits the pairs in the order of the file.
func (f *File) Metadata() iter.Seq2[string, any] {
	return func(yield func(string, any) bool) {
		for _, k := range f.keys {
			if !yield(k, f.values[k]) {
				return
			}
		}
	}
}

// Whole is Metadata without what says which part of a split file this is: for a file that
// gets all tensors.
func (f *File) Whole() iter.Seq2[string, any] {
	return func(yield func(string, any) bool) {
		for k, v := range f.Metadata() {
			if !strings.HasPrefix(k, "split.") && !yield(k, v) {
				return
			}
		}
	}
}

// Advise tells the system how the whole file will be used; see Tensor.Advise.
func (f *File) Advise(a Advice) error {
	for _, p := range f.parts {
		if err := p.advise(0, len(p.data), a); err != nil {
			return err
		}
	}
	return nil
}
