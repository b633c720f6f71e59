package tokenizer_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/runtime/tokenizer"
)

// llamaDir is the folder with llama.cpp, or the test is skipped.
func llamaDir(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("LEDGE_TEST_LLAMA")
	if dir == "" {
		t.Skip("LEDGE_TEST_LLAMA is not set: no folder with llama.cpp (bin/ and src/)")
	}
	return dir
}

// TestVocabularySuites runs llama.cpp's vocabulary suites: texts and the ids
// that the original tokenizers gave for them.
func TestVocabularySuites(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(llamaDir(t), "src/models/ggml-vocab-*.gguf.inp"))
	if len(files) == 0 {
		t.Skip("LEDGE_TEST_LLAMA has no src/models/ggml-vocab-*.gguf.inp")
	}
	for _, inp := range files {
		path := strings.TrimSuffix(inp, ".inp")
		t.Run(strings.TrimSuffix(filepath.Base(path), ".gguf"), func(t *testing.T) {
			tok := loadVocab(t, path)
			texts := strings.Split(strings.TrimSuffix(readFile(t, inp), "\n__ggml_vocab_test__\n"), "\n__ggml_vocab_test__\n")
			lines := strings.Split(strings.TrimSuffix(readFile(t, path+".out"), "\n"), "\n")
			if len(texts) != len(lines) {
				t.Fatalf("%d texts, %d results", len(texts), len(lines))
			}
			for i, text := range texts {
				var want []int32
				for _, f := range strings.Fields(lines[i]) {
					n, err := strconv.Atoi(f)
					if err != nil {
						t.Fatal(err)
					}
					want = append(want, int32(n))
				}
				got := tok.Encode(text, tokenizer.EncodeOptions{})
				if !slices.Equal(got, want) {
					t.Errorf("Encode(%q)\n got %v\nwant %v", text, got, want)
				}
				if m := tok.Model(); m != "bert" {
					if back := tok.Decode(got, true); back != text {
						t.Errorf("Decode(Encode(%q)) = %q", text, back)
					}
				}
			}
			t.Logf("%d texts", len(texts))
		})
	}
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
