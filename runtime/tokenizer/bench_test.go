package tokenizer_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/runtime/tokenizer"
)

// BenchmarkEncode encodes 1 MB of mixed text on one thread.
func BenchmarkEncode(b *testing.B) {
	text := mixedText(1 << 20)
	for _, path := range models(b) {
		b.Run(strings.TrimSuffix(filepath.Base(path), ".gguf"), func(b *testing.B) {
			skipOther(b, path)
			tok := loadVocab(b, path)
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				tok.Encode(text, tokenizer.EncodeOptions{})
			}
		})
	}
}

// BenchmarkNew builds the tokenizer from metadata that is in memory.
func BenchmarkNew(b *testing.B) {
	for _, path := range models(b) {
		b.Run(strings.TrimSuffix(filepath.Base(path), ".gguf"), func(b *testing.B) {
			skipOther(b, path)
			c := loadConfig(b, path)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := tokenizer.New(c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// skipOther skips vocabularies of kinds this package does not have.
func skipOther(t testing.TB, path string) {
	t.Helper()
	switch m := readMetadata(t, path)["tokenizer.ggml.model"]; m {
	case "gpt2", "llama", "gemma4", "bert":
	default:
		t.Skipf("%v is not supported", m)
	}
}
