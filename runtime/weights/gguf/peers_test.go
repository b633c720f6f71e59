package gguf

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ledge-run/ledge/graph/dtype"
)

// The goldens come from the gguf Python package; see testdata/make_goldens.py.
func TestPythonFile(t *testing.T) {
	f, err := Open(filepath.Join("testdata", "python.bin"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if v, _ := f.String("general.architecture"); v != "tiny" {
		t.Errorf("architecture %q", v)
	}
	if v, _ := f.Strings("tokenizer.ggml.tokens"); !slices.Equal(v, []string{"<s>", "</s>", "▁hello"}) {
		t.Errorf("tokens %q", v)
	}
	if v, _ := f.Floats("tokenizer.ggml.scores"); !slices.Equal(v, []float32{0, -1, -2.5}) {
		t.Errorf("scores %v", v)
	}
	if v, _ := f.Uint("tiny.context_length"); v != 4096 {
		t.Errorf("context length %d", v)
	}
	tensor, ok := f.Tensor("output.weight")
	if !ok || !slices.Equal(tensor.Shape, []int{2, 32}) || tensor.DType != dtype.Q8_0 {
		t.Fatalf("output.weight: %+v", tensor)
	}
	x, err := tensor.Dequantize()
	if err != nil || len(x) != 64 || x[0] != 0 || x[31] < 30.8 || x[31] > 31.2 || x[63] < 62.7 || x[63] > 63.3 {
		t.Errorf("output.weight: %v, %v", x, err)
	}
	tensor, ok = f.Tensor("norm.weight")
	if !ok || !slices.Equal(tensor.Shape, []int{3}) {
		t.Fatalf("norm.weight: %+v", tensor)
	}
	if x, err := tensor.Dequantize(); err != nil || !slices.Equal(x, []float32{1, 2, 3}) {
		t.Errorf("norm.weight: %v, %v", x, err)
	}
}

// What the Writer writes, the gguf Python package reads. The interpreter is
// LEDGE_TEST_PYTHON, else python3.
func TestPythonReads(t *testing.T) {
	python := os.Getenv("LEDGE_TEST_PYTHON")
	if python == "" {
		python = "python3"
	}
	if err := exec.Command(python, "-c", "import gguf").Run(); err != nil {
		t.Skipf("no Python with the gguf package (%s: %v): set LEDGE_TEST_PYTHON", python, err)
	}
	w := exampleWriter(t)
	// The package flattens nested arrays, and wants text in UTF-8.
	delete(w.values, "a.nested")
	w.keys = slices.DeleteFunc(w.keys, func(k string) bool { return k == "a.nested" })
	if err := w.Set("v.text", "grüße"); err != nil {
		t.Fatal(err)
	}
	path := save(t, t.TempDir(), "example.gguf", encode(t, w))
	out, err := exec.Command(python, filepath.Join("testdata", "check_writer.py"), path).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !bytes.Contains(out, []byte("ok: 5 tensors")) {
		t.Errorf("unexpected output: %s", out)
	}
}

// Real models, where LEDGE_TEST_MODELS names a folder that has some.
func TestRealModels(t *testing.T) {
	dir := os.Getenv("LEDGE_TEST_MODELS")
	if dir == "" {
		t.Skip("LEDGE_TEST_MODELS is not set: no real models to read")
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*.gguf"))
	if err != nil || len(paths) == 0 {
		t.Skipf("no .gguf files in %s", dir)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			f, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			arch, ok := f.String("general.architecture")
			if !ok {
				t.Error("no architecture")
			}
			tokens, _ := f.Strings("tokenizer.ggml.tokens")
			types := map[dtype.DType]int{}
			for i := range f.Tensors() {
				tensor := &f.Tensors()[i]
				types[tensor.DType]++
				row := make([]float32, tensor.RowLen())
				for _, r := range []int{0, tensor.NumRows() - 1} {
					if err := tensor.DequantizeRows(row, r, 1); err != nil {
						t.Fatal(err)
					}
					for _, v := range row {
						if v != v || v > 1e6 || v < -1e6 {
							t.Fatalf("%s row %d has the value %v", tensor.Name, r, v)
						}
					}
				}
			}
			t.Logf("%s: %d pairs, %d tokens, %d tensors of %v", arch, len(f.Keys()), len(tokens), len(f.Tensors()), types)
			if len(f.Tensors()) == 0 || len(tokens) == 0 {
				t.Error("no tensors or no vocabulary")
			}
			if err := f.Advise(DontNeed); err != nil {
				t.Error(err)
			}
		})
	}
}

// The vocabularies that come with llama.cpp's source, where LEDGE_TEST_LLAMA
// names its folder: metadata only, written by many versions of its converter.
func TestVocabularies(t *testing.T) {
	dir := os.Getenv("LEDGE_TEST_LLAMA")
	if dir == "" {
		t.Skip("LEDGE_TEST_LLAMA is not set: no vocabularies to read")
	}
	paths, err := filepath.Glob(filepath.Join(dir, "src", "models", "ggml-vocab-*.gguf"))
	if err != nil || len(paths) == 0 {
		t.Skipf("no vocabularies in %s", dir)
	}
	for _, path := range paths {
		f, err := Open(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if tokens, ok := f.Strings("tokenizer.ggml.tokens"); !ok || len(tokens) == 0 {
			t.Errorf("%s: no tokens", path)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d files", len(paths))
}
