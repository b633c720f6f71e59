package tokenizer_test

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/runtime/tokenizer"
)

// llamaTokenize runs llama-tokenize on text.
func llamaTokenize(t testing.TB, model, text string, args ...string) []int32 {
	t.Helper()
	bin := filepath.Join(llamaDir(t), "bin/llama-tokenize")
	if _, err := os.Stat(bin); err != nil {
		t.Skip("LEDGE_TEST_LLAMA has no bin/llama-tokenize")
	}
	file := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(bin, append([]string{"-m", model, "-f", file, "--ids", "--no-escape", "--log-disable"}, args...)...).Output()
	if err != nil {
		t.Fatalf("llama-tokenize: %v", err)
	}
	var ids []int32
	if err := json.Unmarshal(out, &ids); err != nil {
		t.Fatal(err)
	}
	return ids
}

// models returns the GGUF files to compare on: those of LEDGE_TEST_MODELS, and
// with LEDGE_TEST_ALL_VOCABS also llama.cpp's vocabularies.
func models(t testing.TB) []string {
	t.Helper()
	dir := os.Getenv("LEDGE_TEST_MODELS")
	if dir == "" {
		t.Skip("LEDGE_TEST_MODELS is not set: no folder with GGUF models")
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*.gguf"))
	if os.Getenv("LEDGE_TEST_ALL_VOCABS") != "" {
		more, _ := filepath.Glob(filepath.Join(llamaDir(t), "src/models/ggml-vocab-*.gguf"))
		files = append(files, more...)
	}
	if len(files) == 0 {
		t.Skip("LEDGE_TEST_MODELS has no *.gguf")
	}
	// Files that share a vocabulary count once.
	seen := map[uint64]bool{}
	return slices.DeleteFunc(files, func(path string) bool {
		kv := readMetadata(t, path)
		tokens, _ := kv["tokenizer.ggml.tokens"].([]string)
		h := fnv.New64a()
		fmt.Fprint(h, kv["tokenizer.ggml.model"], kv["tokenizer.ggml.pre"])
		for _, s := range tokens {
			io.WriteString(h, s)
		}
		twice := seen[h.Sum64()] || len(tokens) < 1000 // tiny test models have made-up vocabularies
		seen[h.Sum64()] = true
		return twice
	})
}

// TestAgainstLlamaTokenize encodes the corpus with both. One run with special
// tokens parsed has the texts apart, each between two special tokens, which
// tokenizes it as if alone; the other is one long text.
func TestAgainstLlamaTokenize(t *testing.T) {
	llamaDir(t)
	texts := corpus()
	for _, path := range models(t) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".gguf"), func(t *testing.T) {
			kv := readMetadata(t, path)
			switch kv["tokenizer.ggml.model"] {
			case "gpt2", "llama", "gemma4":
			default:
				t.Skipf("%v is not compared with llama.cpp", kv["tokenizer.ggml.model"])
			}
			tok := loadVocab(t, path)
			sep := tok.TokenText(tok.EOS())
			parse := tokenizer.EncodeOptions{AddSpecial: true, ParseSpecial: true}

			joined := sep + strings.Join(texts, sep) + sep
			want := llamaTokenize(t, path, joined)
			got := tok.Encode(joined, parse)
			if !slices.Equal(got, want) {
				report(t, tok, got, want)
			}
			// The same text by text, in case the whole hides something.
			one := []int32{}
			if tok.AddsBOS() {
				one = append(one, tok.BOS())
			}
			one = append(one, tok.EOS())
			for _, s := range texts {
				one = append(append(one, tok.Encode(s, tokenizer.EncodeOptions{ParseSpecial: true})...), tok.EOS())
			}
			if tok.AddsEOS() {
				one = append(one, tok.EOS())
			}
			if !slices.Equal(one, want) {
				t.Error("texts one by one:")
				report(t, tok, one, want)
			}

			long := strings.Join(texts, "\n@\n")
			want = llamaTokenize(t, path, long, "--no-parse-special")
			if got = tok.Encode(long, tokenizer.EncodeOptions{AddSpecial: true}); !slices.Equal(got, want) {
				report(t, tok, got, want)
			}
			t.Logf("%d texts, %d tokens", len(texts), len(want))
		})
	}
}

// report shows the first place where two lists differ.
func report(t *testing.T, tok *tokenizer.Tokenizer, got, want []int32) {
	t.Helper()
	i := 0
	for i < min(len(got), len(want)) && got[i] == want[i] {
		i++
	}
	show := func(ids []int32) string { return tok.Decode(ids[max(0, i-8):min(len(ids), i+12)], true) }
	t.Errorf("differs at token %d of %d:\n got %v %q\nwant %v %q", i, len(want),
		got[min(i, len(got)):min(len(got), i+12)], show(got), want[min(i, len(want)):min(len(want), i+12)], show(want))
}
