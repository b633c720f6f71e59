package bench

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// Sizes describes a model file with the sizes that its speed is judged by. The hash
// is of the file, of a model in parts of all of them in order. The name is left to
// the caller.
func Sizes(path string) (record.Model, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return record.Model{}, err
	}
	defer f.Close()
	m, err := sizesOf(f)
	if err != nil {
		return m, fmt.Errorf("%s: %w", path, err)
	}
	m.File = filepath.Base(path)
	m.SHA256, m.Bytes, err = Hash(f.Paths()...)
	return m, err
}

// Hash is the SHA-256 of files, one after the other, in hexadecimal, and how many bytes
// they have.
func Hash(paths ...string) (sum string, bytes int64, err error) {
	h := sha256.New()
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return "", 0, err
		}
		n, err := io.Copy(h, f)
		f.Close()
		if err != nil {
			return "", 0, err
		}
		bytes += n
	}
	return hex.EncodeToString(h.Sum(nil)), bytes, nil
}

// sizesOf counts what a token reads: every tensor, but of an embedding that is not
// also the output matrix only a row. A product and its addition are two operations;
// a prompt does without the output matrix, which is needed for its last token only.
// Keys and values are those of an f16 cache.
func sizesOf(f *gguf.File) (m record.Model, err error) {
	_, untied := f.Tensor("output.weight")
	output := int64(0)
	for i := range f.Tensors() {
		t := &f.Tensors()[i]
		m.Params += int64(t.NumElems())
		if t.Name == "token_embd.weight" && untied {
			m.TokenBytes += int64(len(t.Data) / t.NumRows())
			continue
		}
		m.TokenBytes += int64(len(t.Data))
		if len(t.Shape) == 2 {
			m.TokenOps += 2 * int64(t.NumElems())
			if t.Name == "output.weight" || t.Name == "token_embd.weight" {
				output = 2 * int64(t.NumElems())
			}
		}
	}
	m.PromptOps = m.TokenOps - output
	arch, _ := f.String("general.architecture")
	m.Type = typeOf(f, arch)
	number := func(key string, otherwise int64) int64 {
		if n, ok := f.Int(arch + "." + key); ok && n > 0 {
			return n
		}
		return otherwise
	}
	layers, heads, width := number("block_count", 0), number("attention.head_count", 0), number("embedding_length", 0)
	if layers == 0 || heads == 0 || width == 0 || layers > 1<<16 {
		return m, fmt.Errorf("the file lacks the sizes of a decoder of architecture %q", arch)
	}
	key := number("attention.key_length", width/heads)
	value := number("attention.value_length", key)
	m.Window, m.TrainedLength = number("attention.sliding_window", 0), number("context_length", 0)
	pattern := number("attention.sliding_window_pattern", globalEvery[arch])
	pairs := number("attention.head_count_kv", heads)
	each, _ := f.Ints(arch + ".attention.head_count_kv") // a number for each layer
	for l := range layers {
		if l < int64(len(each)) {
			pairs = each[l]
		}
		bytes := pairs * (key + value) * 2
		m.CacheBytes += bytes
		if m.Window > 0 && (pattern == 0 || (l+1)%pattern != 0) {
			m.LocalBytes += bytes
		}
	}
	return m, nil
}

// globalEvery are the architectures whose layers see a window except for every
// n-th one, if the file does not say n; with a window, all layers of others have
// it.
var globalEvery = map[string]int64{"gemma2": 2, "gemma3": 6}
