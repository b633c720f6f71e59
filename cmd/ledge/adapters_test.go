package main

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/eval"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
	"github.com/ledge-run/ledge/runtime/weights/lora"
)

// adapterOf writes a random adapter of a model's layers.
func adapterOf(t *testing.T, model string) string {
	t.Helper()
	f, err := gguf.Open(model)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const rank = 2
	rng := rand.New(rand.NewPCG(1, 1))
	random := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(rng.NormFloat64() / 4)
		}
		return x
	}
	var all []lora.Matrices
	for _, x := range f.Tensors() {
		if len(x.Shape) == 2 && strings.HasPrefix(x.Name, "blk.") {
			all = append(all, lora.Matrices{Weight: x.Name, Rank: rank, A: random(rank * x.Shape[1]), B: random(rank * x.Shape[0])})
		}
	}
	arch, _ := f.String("general.architecture")
	w, err := lora.NewWriter(lora.Header{Architecture: arch, Alpha: rank}, dtype.F32, all)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "adapter.gguf")
	if err := w.Save(t.Context(), path, false); err != nil {
		t.Fatal(err)
	}
	return path
}

func perplexityOf(t *testing.T, args ...string) float64 {
	t.Helper()
	var p eval.Perplexity
	if err := json.Unmarshal([]byte(must(t, append([]string{"perplexity", "-c", "64", "--json"}, args...)...)), &p); err != nil {
		t.Fatal(err)
	}
	return p.PPL
}

// TestAdapters: an adapter changes what a model says, by its scale, and a model that it
// is merged into says the same.
func TestAdapters(t *testing.T) {
	model, text, dir := golden(t, "llama-gqa"), calibration(t), t.TempDir()
	adapter, out := adapterOf(t, model), filepath.Join(dir, "merged.gguf")
	plain, with, half := perplexityOf(t, "-m", model, "-f", text), perplexityOf(t, "-m", model, "--lora", adapter, "-f", text), perplexityOf(t, "-m", model, "--lora", adapter+":0.5", "-f", text)
	if near(plain, with, 0.01) || near(half, with, 0.01) || near(half, plain, 0.01) {
		t.Errorf("perplexity %g, with the adapter %g, with half of it %g", plain, with, half)
	}
	if twice := perplexityOf(t, "-m", model, "--lora", adapter+":0.25", "--lora", adapter+":0.25", "-f", text); !near(twice, half, 1e-4) {
		t.Errorf("two quarters give a perplexity of %g, a half %g", twice, half)
	}
	if s := must(t, "merge", "-m", model, "--lora", adapter+":0.5", "-o", out); !strings.Contains(s, "merged.gguf written") || !strings.Contains(s, "lost of it") {
		t.Errorf("merge says %q", s)
	}
	if merged := perplexityOf(t, "-m", out, "-f", text); !near(merged, half, 1e-4) {
		t.Errorf("merged, the perplexity is %g, with the adapter %g", merged, half)
	}
	low := ledge("merge", "-m", model, "--lora", adapter, "--type", "Q4_0", "-o", filepath.Join(dir, "low.gguf"), "--json")
	var r mergeJSON
	if err := json.Unmarshal([]byte(low.out), &r); err != nil || low.code != 0 || len(r.Types) != 1 || r.Types[0].To != "q4_0" || !(r.Types[0].Lost > 0.01) || len(r.Weights) != r.Types[0].Tensors {
		t.Errorf("merge to q4_0: %v, %+v, %s", err, r, low.err)
	}
	if r.Types[0].Lost > 0.1 && !strings.Contains(low.err, "of the change was lost") {
		t.Errorf("merge to q4_0 loses %g and says %q", r.Types[0].Lost, low.err)
	}
	s := must(t, "run", "-m", model, "--lora", adapter, "-n", "2", "--temp", "0", "--json", "Hi")
	if !strings.Contains(s, `"adapters":["`) {
		t.Errorf("run --json does not name the adapter: %s", s)
	}
	if s := must(t, "eval", "-m", model, "--lora", adapter, "-f", text, "--reference", model, "-c", "64", "--json"); !strings.Contains(s, `"adapters"`) {
		t.Errorf("eval --json does not name the adapter: %s", s)
	}
	wrong := filepath.Join(dir, "wrong.gguf")
	if err := os.WriteFile(wrong, []byte("GGUF"), 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, 1, "not an adapter", "run", "-m", model, "--lora", model, "Hi")
	refused(t, 1, "is an adapter, not a model", "run", "-m", adapter, "Hi")
	refused(t, 1, "wrong.gguf", "chat", "-m", model, "--lora", wrong)
	refused(t, exitModel, "--lora: no file none.gguf", "run", "-m", model, "--lora", "none.gguf:0.5", "Hi")
	refused(t, 1, "this one is", "run", "-m", golden(t, "qwen3"), "--lora", adapter, "Hi")
	refused(t, 1, "--force", "merge", "-m", model, "--lora", adapter, "-o", out)
	refused(t, 2, "the model that is read", "merge", "--force", "-m", model, "--lora", adapter, "-o", model)
	refused(t, 2, "the adapter that is read", "merge", "--force", "-m", model, "--lora", adapter, "-o", adapter)
	refused(t, 2, "--type", "merge", "-m", model, "--lora", adapter, "--type", "q9", "-o", filepath.Join(dir, "x.gguf"))
	refused(t, 2, "nothing to merge", "merge", "-m", model, "-o", filepath.Join(dir, "x.gguf"))
	refused(t, 2, "no file to write", "merge", "-m", model, "--lora", adapter)
	refused(t, 2, "-t -1", "merge", "-m", model, "--lora", adapter, "-t", "-1", "-o", filepath.Join(dir, "x.gguf"))
}

// TestMergeAdvice: what a note recommends keeps more of this change in this model.
func TestMergeAdvice(t *testing.T) {
	model, dir := golden(t, "llama-gqa"), t.TempDir()
	adapter := adapterOf(t, model)
	low := filepath.Join(dir, "low.gguf")
	must(t, "quantize", "-q", model, low, "Q4_1")
	lost := func(args ...string) (float64, string) {
		r := ledge(append(args, "-o", filepath.Join(dir, "out.gguf"), "--force", "--json")...)
		worst := 0.0
		for _, k := range decode[mergeJSON](t, r.out).Types {
			worst = max(worst, k.Lost)
		}
		return worst, r.err
	}
	told := 0
	for _, scale := range []string{":1", ":1e-2", ":1e-4", ":1e-6"} {
		merge := []string{"merge", "-m", low, "--lora", adapter + scale}
		for _, to := range []string{"q4_1", "q4_0", "q8_0", "f16", "f32"} {
			was, said := lost(append(merge, "--type", to)...)
			_, advice, ok := strings.Cut(said, "--type ")
			if !ok {
				continue
			}
			advice, _, _ = strings.Cut(advice, " keep")
			for _, better := range strings.Split(advice, " or ") {
				told++
				if is, _ := lost(append(merge, "--type", better)...); better == to || !(is < was) {
					t.Errorf("scale %s: %s loses %g of the change, and %s, which is recommended, %g", scale, to, was, better, is)
				}
			}
		}
	}
	if told < 8 {
		t.Errorf("only %d types were recommended", told)
	}
	said := ledge("merge", "-m", low, "--lora", adapter, "--type", "iq1_s", "-o", filepath.Join(dir, "x.gguf")).err
	if !strings.Contains(said, "q4_k q5_k") || strings.Contains(said, "iq2_xs") {
		t.Error(said)
	}
}

func near(a, b, most float64) bool { return math.Abs(a/b-1) < most }

func TestLoraScale(t *testing.T) {
	odd := filepath.Join(t.TempDir(), "a")
	for _, c := range []struct {
		arg, path string
		scale     float32
	}{
		{"a.gguf", "a.gguf", 1}, {"a.gguf:0.5", "a.gguf", 0.5}, {"a.gguf:-2", "a.gguf", -2}, {`C:\a.gguf`, `C:\a.gguf`, 1},
		{`C:\a.gguf:2`, `C:\a.gguf`, 2}, {"a:b.gguf", "a:b.gguf", 1}, {"a:NaN", "a:NaN", 1}, {odd + ":3", odd, 3},
	} {
		if path, scale := loraScale(c.arg); path != c.path || scale != c.scale {
			t.Errorf("%s: %s at %g", c.arg, path, scale)
		}
	}
	if err := os.WriteFile(odd+":3", nil, 0o600); err != nil {
		t.Skip("no colons in names here")
	}
	if path, scale := loraScale(odd + ":3"); path != odd+":3" || scale != 1 {
		t.Errorf("a file of that name is there: %s at %g", path, scale)
	}
}
