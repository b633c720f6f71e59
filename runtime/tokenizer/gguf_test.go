package tokenizer_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"testing"

	"github.com/ledge-run/ledge/runtime/tokenizer"
)

// readMetadata reads the key-value part of a GGUF file (version 2 or 3): just
// enough to test on real vocabularies without another package.
func readMetadata(t testing.TB, path string) map[string]any {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := &ggufReader{r: bufio.NewReaderSize(f, 1<<20)}
	if string(r.bytes(4)) != "GGUF" {
		t.Fatalf("%s is not a GGUF file", path)
	}
	r.u32()
	r.u64()
	kv := map[string]any{}
	for range r.u64() {
		k := r.str()
		kv[k] = r.value(r.u32())
	}
	if r.err != nil {
		t.Fatalf("%s: %v", path, r.err)
	}
	return kv
}

// loadVocab builds the tokenizer of a GGUF file.
func loadVocab(t testing.TB, path string) *tokenizer.Tokenizer {
	t.Helper()
	tok, err := tokenizer.New(loadConfig(t, path))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func loadConfig(t testing.TB, path string) tokenizer.Config {
	t.Helper()
	kv := readMetadata(t, path)
	c, err := tokenizer.FromMetadata(func(k string) (any, bool) { v, ok := kv[k]; return v, ok })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

type ggufReader struct {
	r   io.Reader
	err error
}

func (r *ggufReader) bytes(n uint64) []byte {
	if r.err != nil || n > 1<<28 {
		r.err = fmt.Errorf("bad length %d (%v)", n, r.err)
		return nil
	}
	b := make([]byte, n)
	_, r.err = io.ReadFull(r.r, b)
	return b
}

func (r *ggufReader) u32() uint32 { return uint32(r.number(4)) }
func (r *ggufReader) u64() uint64 { return r.number(8) }
func (r *ggufReader) str() string { return string(r.bytes(r.u64())) }

func (r *ggufReader) number(size int) uint64 {
	var b [8]byte
	copy(b[:], r.bytes(uint64(size)))
	return binary.LittleEndian.Uint64(b[:])
}

func (r *ggufReader) value(typ uint32) any {
	switch typ {
	case 0:
		return uint8(r.number(1))
	case 1:
		return int8(r.number(1))
	case 2:
		return uint16(r.number(2))
	case 3:
		return int16(r.number(2))
	case 4:
		return r.u32()
	case 5:
		return int32(r.u32())
	case 6:
		return math.Float32frombits(r.u32())
	case 7:
		return r.number(1) != 0
	case 8:
		return r.str()
	case 9:
		return r.array()
	case 10:
		return r.u64()
	case 11:
		return int64(r.u64())
	case 12:
		return math.Float64frombits(r.u64())
	}
	r.err = fmt.Errorf("unknown type %d", typ)
	return nil
}

func (r *ggufReader) array() any {
	typ := r.u32()
	n := r.u64()
	if n > 1<<24 {
		r.err = fmt.Errorf("array of %d", n)
		return nil
	}
	switch typ {
	case 8:
		a := make([]string, n)
		for i := range a {
			a[i] = r.str()
		}
		return a
	case 5:
		a := make([]int32, n)
		for i := range a {
			a[i] = int32(r.u32())
		}
		return a
	case 6:
		a := make([]float32, n)
		for i := range a {
			a[i] = math.Float32frombits(r.u32())
		}
		return a
	}
	a := make([]any, n)
	for i := range a {
		a[i] = r.value(typ)
	}
	return a
}
