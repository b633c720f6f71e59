package merge_test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	_ "github.com/ledge-run/ledge/backend/cpu"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/compress/merge"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/engine/goldentest"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
	"github.com/ledge-run/ledge/runtime/weights/lora"
)

const models = "../../model/testdata"

// adapter changes every matrix of a file: the embedding, and the output matrix even
// if it is the embedding; or those of these names alone.
func adapter(t *testing.T, f *gguf.File, names ...string) *lora.File {
	t.Helper()
	const rank = 3
	arch, _ := f.String("general.architecture")
	rng := rand.New(rand.NewPCG(1, 2))
	random := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(rng.NormFloat64() / 8)
		}
		return x
	}
	var all []lora.Matrices
	add := func(name string, shape []int) {
		if len(names) > 0 && !slices.Contains(names, name) {
			return
		}
		m := lora.Matrices{Weight: name, Rank: rank, A: random(rank * shape[1]), B: random(rank * shape[0])}
		if name == "token_embd.weight" {
			m.A, m.B = m.B, m.A
		}
		all = append(all, m)
	}
	for _, x := range f.Tensors() {
		if len(x.Shape) == 2 {
			add(x.Name, x.Shape)
		}
	}
	if x, ok := f.Tensor("token_embd.weight"); ok {
		if _, ok := f.Tensor("output.weight"); !ok {
			add("output.weight", x.Shape)
		}
	}
	w, err := lora.NewWriter(lora.Header{Architecture: arch, Alpha: 1.5}, dtype.F32, all)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := w.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	a, err := lora.Parse(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func join(t *testing.T, f *gguf.File, a *lora.File, scale float32) *lora.Set {
	t.Helper()
	s, err := lora.Join(f, lora.Use{File: a, Scale: scale})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// merged is the file that a merge writes.
func merged(t *testing.T, f *gguf.File, s *lora.Set, o merge.Options) (*gguf.File, []merge.Change) {
	t.Helper()
	m, err := merge.New(f, s, o)
	if err != nil {
		t.Fatal(err)
	}
	w, err := m.Writer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := w.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	g, err := gguf.Parse(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return g, m.Changes()
}

// TestMerged: a merged model gives the logits of the model with its adapter, whatever the architecture, and whether its output
// matrix is its embedding or not.
func TestMerged(t *testing.T) {
	tied := map[string]bool{}
	for _, g := range goldentest.Models(t, models) {
		f := goldentest.Parse(t, models, g.Gguf)
		_, own := f.Tensor("output.weight")
		tied[g.Name] = !own
		switch g.Name {
		case "llama-gqa", "llama-tied", "gemma2", "gemma3", "phi3", "qwen2", "qwen3":
		default:
			if own {
				continue
			}
		}
		t.Run(g.Name, func(t *testing.T) { mergedAs(t, g, false, 0.005) })
		for _, name := range []string{"token_embd.weight", "output.weight"} {
			// An untied model's own matrix is merged like any other.
			t.Run(g.Name+"/"+name, func(t *testing.T) { mergedAs(t, g, !own && name == "token_embd.weight", 0.0005, name) })
		}
	}
	for _, name := range []string{"llama-tied", "gemma2", "gemma3"} {
		if !tied[name] {
			t.Errorf("%s has an output matrix of its own: the test shows nothing", name)
		}
	}
}

// mergedAs compares a model that an adapter of these weights, or of all, is merged into with the two side by side. more tells
// that the file gets an output matrix that nothing changes.
func mergedAs(t *testing.T, g goldentest.Model, more bool, least float64, names ...string) {
	read := func() *gguf.File { return goldentest.Parse(t, models, g.Gguf) }
	run := func(f *gguf.File, uses ...lora.Use) []float32 {
		t.Helper()
		m, err := engine.OpenFile(t.Context(), f, engine.Options{CacheType: dtype.F32, Threads: 1, Adapters: uses})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		return goldentest.Logits(t, m, g.Sequences[0].Tokens)
	}
	f := read()
	a := adapter(t, f, names...)
	file, changes := merged(t, f, join(t, f, a, 0.75), merge.Options{Threads: 2})
	if len(changes) != len(join(t, f, a, 1).Weights()) {
		t.Errorf("%d weights changed", len(changes))
	}
	for _, c := range changes {
		if c.From != c.To || c.Lost() > 1e-5 || c.Size() < 0.005 {
			t.Errorf("%s: changed by %g, lost %g of it", c.Weight, c.Size(), c.Lost())
		}
	}
	if more {
		was, _ := f.Tensor("token_embd.weight")
		if is, ok := file.Tensor("output.weight"); !ok || is.DType != was.DType || !bytes.Equal(is.Data, was.Data) {
			t.Error("the output matrix is not what the embedding was")
		}
	}
	plain, want, got := run(read()), run(read(), lora.Use{File: a, Scale: 0.75}), run(file)
	if off := distance(plain, want); off < least {
		t.Errorf("the adapter changes the logits by %g only: the test shows nothing", off)
	}
	if off := distance(got, want); !(off < 1e-5) {
		t.Errorf("the merged model's logits are off by %g", off)
	}
}

// distance is that of two vectors, against the norm of the second.
func distance(x, y []float32) float64 {
	a, b := 0.0, 0.0
	for i := range y {
		d := float64(x[i]) - float64(y[i])
		a += d * d
		b += float64(y[i]) * float64(y[i])
	}
	return math.Sqrt(a / b)
}

// quantised is a file of a weight and a vector.
func quantised(t *testing.T, d dtype.DType) *gguf.File {
	t.Helper()
	rng := rand.New(rand.NewPCG(5, 6))
	x := make([]float32, 300*256)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	n, err := dtype.ByteSize(d, []int{300, 256})
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, n)
	if err := dtype.Quantize(d, data, x); err != nil {
		t.Fatal(err)
	}
	w := &gguf.Writer{}
	for _, err := range []error{
		w.Set("general.architecture", "llama"), w.Set("general.file_type", uint32(1)), w.Set("split.count", uint16(0)), w.Set("general.name", "x"),
		w.Add("blk.0.attn_q.weight", d, []int{300, 256}, data), w.Add("blk.0.attn_norm.weight", dtype.F32, []int{2}, make([]byte, 8)),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if _, err := w.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Parse(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestLost: what is said to be lost is what is; more bits lose less, and the bytes do
// not depend on the number of threads.
func TestLost(t *testing.T) {
	last := 0.0
	for _, d := range []dtype.DType{dtype.BF16, dtype.Q8_0, dtype.Q6_K, dtype.Q5_0, dtype.Q4_0} {
		f := quantised(t, d)
		s := join(t, f, adapter(t, f), 1)
		one, changes := merged(t, f, s, merge.Options{Threads: 1})
		three, _ := merged(t, f, s, merge.Options{Threads: 3})
		x, _ := one.Tensor("blk.0.attn_q.weight")
		y, _ := three.Tensor("blk.0.attn_q.weight")
		if !bytes.Equal(x.Data, y.Data) || x.DType != d {
			t.Errorf("%v: other bytes on three threads than on one, or type %v", d, x.DType)
		}
		if v, ok := one.Value("split.count"); ok {
			t.Errorf("split.count is %v", v)
		}
		if c := changes[0]; len(changes) != 1 || c.Values != 300*256 || c.Lost() <= last {
			t.Errorf("%v: %+v loses %g, the type before %g", d, c, c.Lost(), last)
		} else {
			// Against what float32 keeps.
			whole, _ := merged(t, f, s, merge.Options{Type: dtype.F32})
			w, _ := whole.Tensor("blk.0.attn_q.weight")
			exact, err := w.Dequantize()
			if err != nil {
				t.Fatal(err)
			}
			got, err := x.Dequantize()
			if err != nil {
				t.Fatal(err)
			}
			sum := 0.0
			for i := range got {
				e := float64(got[i]) - float64(exact[i])
				sum += e * e
			}
			if r := sum / c.Errors; !(r > 0.999 && r < 1.001) {
				t.Errorf("%v: errors of %g are said, %g are there", d, c.Errors, sum)
			}
			last = c.Lost()
		}
	}
}

// TestRefused: what cannot be written is refused before anything is.
func TestRefused(t *testing.T) {
	f := goldentest.Parse(t, models, "llama-kv3.gguf.gz") // rows of 72
	if _, err := merge.New(f, join(t, f, adapter(t, f), 1), merge.Options{Type: dtype.Q4_0}); err == nil || !strings.Contains(err.Error(), "rows of 72 values are no whole blocks of 32") {
		t.Errorf("rows of 72 in blocks of 32: error %v", err)
	}
	if _, err := merge.New(f, join(t, f, adapter(t, f), 1), merge.Options{Type: dtype.IQ2_XXS}); err == nil || !strings.Contains(err.Error(), "does not write") {
		t.Errorf("a type without an encoder: error %v", err)
	}
}

// TestFileType: metadata tells the types that a merge has written, and what it said where they are as before.
func TestFileType(t *testing.T) {
	for _, c := range []struct {
		from, to          dtype.DType
		fileType, version any
	}{
		{dtype.F16, dtype.Invalid, uint32(1), nil},
		{dtype.F16, dtype.F16, uint32(1), nil},
		{dtype.F16, dtype.Q8_0, uint32(7), uint32(2)},
		{dtype.Q4_0, dtype.BF16, uint32(32), uint32(2)},
	} {
		f := quantised(t, c.from)
		file, _ := merged(t, f, join(t, f, adapter(t, f), 1), merge.Options{Type: c.to, Threads: 1})
		fileType, _ := file.Value("general.file_type")
		version, _ := file.Value("general.quantization_version")
		if fileType != c.fileType || version != c.version {
			t.Errorf("%v to %v: file type %v, version %v, want %v, %v", c.from, c.to, fileType, version, c.fileType, c.version)
		}
	}
}
