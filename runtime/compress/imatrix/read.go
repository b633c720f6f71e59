package imatrix

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"strings"

	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// Keys and suffixes of llama.cpp's files.
const (
	keyType      = "general.type"
	keyDatasets  = "imatrix.datasets"
	keyChunks    = "imatrix.chunk_count"
	keyChunkSize = "imatrix.chunk_size"

	suffixSquares = ".in_sum2"
	suffixSums    = ".in_sum"
	suffixCounts  = ".counts"

	maxFile = 4 << 30 // bytes of a file: no matrix comes near
)

// Read reads a file of either format.
func Read(path string) (*Matrix, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("imatrix: %w", err)
	}
	if !st.Mode().IsRegular() || st.Size() > maxFile {
		return nil, fmt.Errorf("imatrix: %s: not a file of an importance matrix", path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("imatrix: %w", err)
	}
	m, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("imatrix: %s: %w", path, err)
	}
	return m, nil
}

// Parse reads the bytes of a file.
func Parse(data []byte) (m *Matrix, err error) {
	if strings.HasPrefix(string(data[:min(len(data), 4)]), "GGUF") {
		m, err = parseGGUF(data)
	} else {
		m, err = parseLegacy(data)
	}
	if err != nil {
		return nil, err
	}
	for _, name := range m.Names() {
		if err := m.Entries[name].check(name); err != nil {
			return nil, err
		}
	}
	if len(m.Entries) == 0 {
		return nil, fmt.Errorf("it has no entries: is it an importance matrix (ledge imatrix, llama-imatrix)?")
	}
	return m, nil
}

func parseGGUF(data []byte) (*Matrix, error) {
	f, err := gguf.Parse(data)
	if err != nil {
		return nil, err
	}
	if t, ok := f.String(keyType); ok && t != "imatrix" {
		return nil, fmt.Errorf("a GGUF file of type %q, not an importance matrix", clip(t))
	}
	m := &Matrix{Entries: map[string]*Entry{}}
	m.Datasets, _ = f.Strings(keyDatasets)
	m.Chunks = count(f, keyChunks)
	m.ChunkSize = count(f, keyChunkSize)
	for i := range f.Tensors() {
		t := &f.Tensors()[i]
		for _, suffix := range []string{suffixSquares, suffixSums, suffixCounts} {
			name, ok := strings.CutSuffix(t.Name, suffix)
			if !ok {
				continue
			}
			values, err := t.Dequantize()
			if err != nil {
				return nil, err
			}
			e := m.Entries[name]
			if e == nil {
				e = &Entry{}
				m.Entries[name] = e
			}
			switch suffix {
			case suffixSquares:
				e.Squares = values
			case suffixSums:
				e.Sums = values
			default:
				for _, v := range values {
					if !(v >= 0 && v < 1<<53) {
						return nil, fmt.Errorf("the entry for %q has a count of %g", clip(name), v)
					}
					e.Counts = append(e.Counts, int64(math.Round(float64(v))))
				}
			}
		}
	}
	return m, nil
}

func count(f *gguf.File, key string) int {
	n, _ := f.Uint(key)
	return int(min(n, math.MaxInt32))
}

// parseLegacy reads the format before GGUF: the number of entries; of each its
// name, its number of chunks and its values, mean squares times chunks; then the
// number of chunks in all and the name of the text. Numbers are 32 bits, strings
// have their length before them.
func parseLegacy(data []byte) (*Matrix, error) {
	r := &reader{data: data}
	m := &Matrix{Entries: map[string]*Entry{}}
	n := r.count("entries")
	for i := 0; i < n && r.err == nil; i++ {
		name := string(r.bytes(r.count("bytes of a name")))
		chunks := r.count("chunks")
		values := r.bytes(4 * r.count("values"))
		if r.err != nil {
			break
		}
		if m.Entries[name] != nil {
			return nil, fmt.Errorf("two entries for %q", clip(name))
		}
		e := &Entry{Squares: make([]float32, len(values)/4), Counts: []int64{int64(max(chunks, 1))}}
		for i := range e.Squares {
			e.Squares[i] = math.Float32frombits(binary.LittleEndian.Uint32(values[4*i:]))
		}
		m.Entries[name] = e
	}
	if r.err != nil {
		return nil, fmt.Errorf("%w: it is damaged, or no importance matrix", r.err)
	}
	if len(r.data) > 0 { // optional
		m.Chunks = r.count("chunks")
		if dataset := string(r.bytes(r.count("bytes of a name"))); r.err == nil && dataset != "" {
			m.Datasets = []string{dataset}
		}
	}
	return m, nil
}

// reader takes bytes from the front and keeps its first error.
type reader struct {
	data []byte
	err  error
}

func (r *reader) bytes(n int) []byte {
	if r.err == nil && n > len(r.data) {
		r.err = fmt.Errorf("it ends where %d more bytes should be", n-len(r.data))
	}
	if r.err != nil {
		return nil
	}
	b := r.data[:n]
	r.data = r.data[n:]
	return b
}

func (r *reader) count(what string) int {
	b := r.bytes(4)
	if r.err != nil {
		return 0
	}
	n := int32(binary.LittleEndian.Uint32(b))
	if n < 0 || int64(n) > 1<<28 {
		r.err = fmt.Errorf("it says it has %d %s", n, what)
		return 0
	}
	return int(n)
}
