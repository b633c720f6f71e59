package tokenizer_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ledge-run/ledge/runtime/tokenizer"
)

// BenchmarkEncode encodes 1 MB of mixed text on one thread.
func BenchmarkEncode(b *testing.B) {
	text := mixedText(1 << 20)
	for _, path := range models(b) {
		b.Run(strings.TrimSuffix(filepath.Base(path), ".gguf"), func(b *testing.B) {
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

// TestSpeedAgainstLlamaTokenize measures 1 MB in alternation: the first Encode
// of a new tokenizer here, and there a whole run on the text less a run on one
// word. It is a measurement, run on request.
func TestSpeedAgainstLlamaTokenize(t *testing.T) {
	if os.Getenv("LEDGE_TEST_SPEED") == "" {
		t.Skip("LEDGE_TEST_SPEED is not set: no measurement asked for")
	}
	text := mixedText(1 << 20)
	for _, path := range models(t) {
		tok := loadVocab(t, path)
		config := loadConfig(t, path)
		var ours, warm, theirs, load []float64
		ms := func(f func()) float64 {
			start := time.Now()
			f()
			return float64(time.Since(start).Microseconds()) / 1000
		}
		for range 5 {
			long := ms(func() { llamaTokenize(t, path, text, "--no-parse-special") })
			short := ms(func() { llamaTokenize(t, path, "a", "--no-parse-special") })
			theirs = append(theirs, long-short)
			load = append(load, ms(func() { tok, _ = tokenizer.New(config) }))
			ours = append(ours, ms(func() { tok.Encode(text, tokenizer.EncodeOptions{AddSpecial: true}) }))
			warm = append(warm, ms(func() { tok.Encode(text, tokenizer.EncodeOptions{AddSpecial: true}) }))
		}
		for _, s := range [][]float64{ours, warm, theirs, load} {
			slices.Sort(s)
		}
		t.Logf("%s: 1 MB in %.1f ms cold, %.1f ms warm; llama-tokenize %.1f ms: ratio %.1f; New %.1f ms",
			filepath.Base(path), ours[2], warm[2], theirs[2], theirs[2]/ours[2], load[2])
	}
}
