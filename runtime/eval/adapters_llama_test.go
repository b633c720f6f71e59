package eval_test

import (
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/engine/goldentest"
	"github.com/ledge-run/ledge/runtime/eval"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
	"github.com/ledge-run/ledge/runtime/weights/lora"
)

// TestAdaptersAgainstLlama: llama.cpp reads the adapters that Ledge writes, and a model
// has the same perplexity with them there as here, at any scale, one or two of them.
func TestAdaptersAgainstLlama(t *testing.T) {
	program := filepath.Join(os.Getenv("LEDGE_TEST_LLAMA"), "bin", "llama-perplexity")
	if _, err := os.Stat(program); err != nil {
		t.Skip("LEDGE_TEST_LLAMA has no bin/llama-perplexity")
	}
	const dir = "../model/testdata"
	text := strings.Repeat("Turn the light in the kitchen off at 6, and open the curtains. ", 12)
	for _, name := range []string{"llama-gqa", "qwen3", "phi3", "gemma2"} {
		t.Run(name, func(t *testing.T) {
			temp := t.TempDir()
			write := func(file, text string) string {
				t.Helper()
				path := filepath.Join(temp, file)
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				return path
			}
			model := write("model.gguf", string(goldentest.Bytes(t, dir, name+".gguf.gz")))
			file := write("text.txt", text)
			one, two := randomAdapter(t, model, filepath.Join(temp, "one.gguf"), 4, 8, dtype.F32), randomAdapter(t, model, filepath.Join(temp, "two.gguf"), 3, 0, dtype.F16)
			for _, c := range []struct {
				name   string
				paths  []string
				scales []float32
				args   []string
			}{
				{"none", nil, nil, nil},
				{"one", []string{one}, []float32{1}, []string{"--lora", one}},
				{"scaled", []string{one}, []float32{-0.5}, []string{"--lora-scaled", one + ":-0.5"}},
				{"two", []string{one, two}, []float32{0.5, 0.25}, []string{"--lora-scaled", one + ":0.5," + two + ":0.25"}},
			} {
				want := llamaPerplexity(t, program, append([]string{"-m", model, "-f", file, "-c", "64", "-t", "1"}, c.args...)...)
				o := engine.Options{CacheType: dtype.F32, Threads: 1, Context: 64}
				for i, p := range c.paths {
					f, err := lora.Open(p)
					if err != nil {
						t.Fatal(err)
					}
					o.Adapters = append(o.Adapters, lora.Use{File: f, Scale: c.scales[i]})
				}
				m, err := engine.Open(t.Context(), model, o)
				if err != nil {
					t.Fatal(err)
				}
				got, err := eval.MeasurePerplexity(t.Context(), m, text, 64, 0, func(int, int, eval.Perplexity) {})
				if err != nil {
					t.Fatal(err)
				}
				if err := m.Close(); err != nil {
					t.Error(err)
				}
				if d := math.Abs(got.PPL/want - 1); !(d < 2e-3) { // llama.cpp keeps keys and values in float16
					t.Errorf("%s: perplexity %.4f, llama.cpp's %.4f", c.name, got.PPL, want)
				} else {
					t.Logf("%s: perplexity %.4f, llama.cpp's %.4f", c.name, got.PPL, want)
				}
			}
		})
	}
}

var estimate = regexp.MustCompile(`Final estimate: PPL = ([0-9.]+)`)

func llamaPerplexity(t *testing.T, program string, args ...string) float64 {
	t.Helper()
	var m [][]byte
	for try := 0; m == nil; try++ { // on a busy machine it ends now and then before its log is written
		cmd := exec.Command(program, args...)
		out, err := cmd.CombinedOutput()
		if err != nil || try == 10 {
			t.Fatalf("%v: %v\n%s", cmd, err, out)
		}
		m = estimate.FindSubmatch(out)
	}
	x, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// randomAdapter writes one of every matrix of a model's file.
func randomAdapter(t *testing.T, model, path string, rank int, alpha float32, d dtype.DType) string {
	t.Helper()
	f, err := gguf.Open(model)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rng := rand.New(rand.NewPCG(uint64(rank), 3))
	random := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(rng.NormFloat64() / 8)
		}
		return x
	}
	var all []lora.Matrices
	for _, x := range f.Tensors() {
		if len(x.Shape) != 2 {
			continue
		}
		m := lora.Matrices{Weight: x.Name, Rank: rank, A: random(rank * x.Shape[1]), B: random(rank * x.Shape[0])}
		if x.Name == "token_embd.weight" {
			if _, ok := f.Tensor("output.weight"); !ok {
				continue // which llama.cpp would take for the output matrix, too
			}
			m.A, m.B = m.B, m.A
		}
		all = append(all, m)
	}
	arch, _ := f.String("general.architecture")
	w, err := lora.NewWriter(lora.Header{Architecture: arch, Alpha: alpha}, d, all)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Save(t.Context(), path, false); err != nil {
		t.Fatal(err)
	}
	return path
}
