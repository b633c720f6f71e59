package lora_test

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
	"github.com/ledge-run/ledge/runtime/weights/lora"
)

// bytesOf is the file that a writer makes.
func bytesOf(t testing.TB, w *gguf.Writer) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := w.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// made is a file of metadata and tensors of zeros.
func made(t testing.TB, values map[string]any, tensors map[string][]int) []byte {
	t.Helper()
	w := &gguf.Writer{}
	for k, v := range values {
		if err := w.Set(k, v); err != nil {
			t.Fatal(err)
		}
	}
	for name, shape := range tensors {
		n, _ := dtype.Product(shape)
		if err := w.Add(name, dtype.F32, shape, make([]byte, 4*n)); err != nil {
			t.Fatal(err)
		}
	}
	return bytesOf(t, w)
}

func meta(more map[string]any) map[string]any {
	m := map[string]any{"general.type": "adapter", "adapter.type": "lora", "general.architecture": "llama", "adapter.lora.alpha": float32(8)}
	for k, v := range more {
		m[k] = v
		if v == nil {
			delete(m, k)
		}
	}
	return m
}

const q = "blk.0.attn_q.weight"

// pair are the tensors of one weight.
func pair(a, b []int) map[string][]int { return map[string][]int{q + ".lora_a": a, q + ".lora_b": b} }

func base(t testing.TB) *gguf.File {
	t.Helper()
	f, err := gguf.Parse(made(t, map[string]any{"general.architecture": "llama"}, map[string][]int{
		"token_embd.weight": {50, 16}, q: {24, 16}, "blk.0.attn_norm.weight": {16},
	}))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestRefused: what is wrong with an adapter is said in one line, by its name.
func TestRefused(t *testing.T) {
	good := pair([]int{4, 16}, []int{24, 4})
	for _, c := range []struct {
		name    string
		values  map[string]any
		tensors map[string][]int
		want    string
	}{
		{"a model", meta(map[string]any{"general.type": "model"}), good, `not an adapter: its general.type is "model"`},
		{"no type", meta(map[string]any{"general.type": nil}), good, "not an adapter"},
		{"a control vector", meta(map[string]any{"adapter.type": "other"}), good, `adapter.type is "other"`},
		{"no architecture", meta(map[string]any{"general.architecture": nil}), good, "no general.architecture"},
		{"alpha is a text", meta(map[string]any{"adapter.lora.alpha": "8"}), good, "adapter.lora.alpha is 8"},
		{"alpha is no number", meta(map[string]any{"adapter.lora.alpha": float32(math.NaN())}), good, "want a finite number"},
		{"activated", meta(map[string]any{"adapter.alora.invocation_tokens": []uint32{1}}), good, "activated LoRA"},
		{"no b", meta(nil), map[string][]int{q + ".lora_a": {4, 16}}, q + `.lora_a" has no .lora_b`},
		{"no a", meta(nil), map[string][]int{q + ".lora_b": {24, 4}}, q + `.lora_b" has no .lora_a`},
		{"ranks differ", meta(nil), pair([]int{4, 16}, []int{24, 5}), "different ranks"},
		{"a norm", meta(nil), map[string][]int{"blk.0.attn_norm.weight": {16}}, "want a matrix"},
		{"a whole matrix", meta(nil), map[string][]int{q: {24, 16}}, "no part of a low-rank pair"},
		{"a vector", meta(nil), pair([]int{16}, []int{24, 4}), "want a matrix"},
		{"nothing", meta(nil), nil, "no tensors"},
	} {
		_, err := lora.Parse(made(t, c.values, c.tensors))
		var format *gguf.FormatError
		if err == nil || !errors.As(err, &format) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want %q in it", c.name, err, c.want)
		}
	}
	if _, err := lora.Parse(made(t, meta(map[string]any{"general.type": "model"}), good)); !errors.Is(err, lora.ErrNotAdapter) {
		t.Errorf("a model: error %v", err)
	}
	for _, c := range []struct {
		name    string
		values  map[string]any
		tensors map[string][]int
		want    string
	}{
		{"another architecture", meta(map[string]any{"general.architecture": "qwen3"}), good, `architecture "qwen3", this one is "llama"`},
		{"an unknown weight", meta(nil), map[string][]int{"blk.9.attn_q.weight.lora_a": {4, 16}, "blk.9.attn_q.weight.lora_b": {24, 4}}, `"blk.9.attn_q.weight", which the model does not have`},
		{"another width", meta(nil), pair([]int{4, 20}, []int{24, 4}), "a matrix of 24 by 20, which in this model has the shape [24 16]"},
		{"another height", meta(nil), pair([]int{4, 16}, []int{20, 4}), "a matrix of 20 by 16"},
		{"an embedding that is not turned", meta(nil), map[string][]int{"token_embd.weight.lora_a": {16, 4}, "token_embd.weight.lora_b": {50, 4}}, "a matrix of 16 by 50"},
		{"a norm as a matrix", meta(nil), map[string][]int{"blk.0.attn_norm.weight.lora_a": {4, 1}, "blk.0.attn_norm.weight.lora_b": {16, 4}}, "which in this model has the shape [16]"},
	} {
		f, err := lora.Parse(made(t, c.values, c.tensors))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if _, err := lora.Join(base(t), lora.Use{File: f, Scale: 1}); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want %q in it", c.name, err, c.want)
		}
	}
	f, err := lora.Parse(made(t, meta(nil), good))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lora.Join(base(t), lora.Use{File: f, Scale: float32(math.Inf(1))}); err == nil || !strings.Contains(err.Error(), "scale of +Inf") {
		t.Errorf("an infinite scale: error %v", err)
	}
	if _, err := lora.Join(base(t), lora.Use{File: f, Scale: math.MaxFloat32}); err == nil || !strings.Contains(err.Error(), "infinitely much") {
		t.Errorf("a scale that overflows with alpha: error %v", err)
	}
}

func ramp(n int, from float32) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = from + float32(i)/8
	}
	return x
}

// product is B A of two tensors of a set.
func product(t *testing.T, s *lora.Set, weight string, rows, cols int) []float32 {
	t.Helper()
	a, ok := s.Adapter(weight)
	if !ok {
		t.Fatalf("%s has no adapter", weight)
	}
	read := func(name string) []float32 {
		x, ok := s.Tensor(name)
		if !ok {
			t.Fatalf("no tensor %s", name)
		}
		v, err := x.Dequantize()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	x, y := read(weight+".lora_a"), read(weight+".lora_b")
	out := make([]float32, rows*cols)
	for r := range rows {
		for c := range cols {
			for k := range a.Rank {
				if weight == "token_embd.weight" {
					out[r*cols+c] += a.Scale * x[r*a.Rank+k] * y[c*a.Rank+k]
				} else {
					out[r*cols+c] += a.Scale * y[r*a.Rank+k] * x[k*cols+c]
				}
			}
		}
	}
	return out
}

// TestWriteJoin: what is written is read; several adapters are the sum of what each is.
func TestWriteJoin(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, rank int, alpha, from float32, d dtype.DType) *lora.File {
		t.Helper()
		w, err := lora.NewWriter(lora.Header{Architecture: "llama", Alpha: alpha, Name: name, Base: "tiny"}, d, []lora.Matrices{
			{Weight: q, Rank: rank, A: ramp(rank*16, from), B: ramp(24*rank, -from)},
			{Weight: "token_embd.weight", Rank: rank, A: ramp(50*rank, from), B: ramp(16*rank, 1)},
		})
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := w.Save(t.Context(), path, false); err != nil {
			t.Fatal(err)
		}
		f, err := lora.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	one, two := write("one.gguf", 2, 8, 0.5, dtype.F32), write("two.gguf", 3, 0, -1, dtype.F16)
	if v, _ := one.Metadata("general.base_model.0.name"); v != "tiny" || one.Alpha != 8 || one.Architecture != "llama" || len(one.Pairs) != 2 || one.Pairs[0].Rank != 2 {
		t.Errorf("read %+v", one)
	}
	set := func(uses ...lora.Use) *lora.Set {
		t.Helper()
		s, err := lora.Join(base(t), uses...)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	a, b, both := set(lora.Use{File: one, Scale: 0.5}), set(lora.Use{File: two, Scale: 2}), set(lora.Use{File: one, Scale: 0.5}, lora.Use{File: two, Scale: 2})
	if x, _ := a.Adapter(q); x.Scale != 0.5*8/2 || x.A != dtype.F32 {
		t.Errorf("alpha 8, rank 2, scale 0.5: %+v", x)
	}
	if x, _ := b.Adapter(q); x.Scale != 2 || x.B != dtype.F16 {
		t.Errorf("alpha 0, scale 2: %+v", x)
	}
	if x, _ := both.Adapter(q); x.Rank != 5 {
		t.Errorf("ranks 2 and 3: %+v", x)
	}
	for weight, rows := range map[string]int{q: 24, "token_embd.weight": 50} {
		x, y, z := product(t, a, weight, rows, 16), product(t, b, weight, rows, 16), product(t, both, weight, rows, 16)
		for i := range z {
			if want := x[i] + y[i]; math.Abs(float64(z[i]-want)) > 1e-4*(1+math.Abs(float64(want))) {
				t.Fatalf("%s[%d] is %g, want %g", weight, i, z[i], want)
			}
		}
	}
	if files, ok := a.OnDisk(); !ok || len(files) != 1 {
		t.Errorf("one adapter: %d files, %v", len(files), ok)
	}
	if _, ok := both.OnDisk(); ok {
		t.Error("tensors of two adapters together are in no file")
	}
	if _, err := lora.NewWriter(lora.Header{}, dtype.Q8_0, nil); err == nil {
		t.Error("an adapter in q8_0 was written")
	}
	if _, err := lora.NewWriter(lora.Header{}, dtype.F32, []lora.Matrices{{Weight: q, Rank: 3, A: ramp(16, 0), B: ramp(24, 0)}}); err == nil {
		t.Error("16 values were written as a matrix of rank 3")
	}
}

// FuzzParse: no file makes it fail otherwise than by an error, and what it accepts fits
// together.
func FuzzParse(f *testing.F) {
	f.Add(made(f, meta(nil), pair([]int{4, 16}, []int{24, 4})))
	f.Add(made(f, meta(nil), map[string][]int{"token_embd.weight.lora_a": {50, 4}, "token_embd.weight.lora_b": {16, 4}}))
	f.Add(made(f, meta(map[string]any{"adapter.lora.alpha": nil}), pair([]int{4, 16}, []int{24, 5})))
	model := base(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := lora.Parse(data)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("an error of several lines: %q", err)
			}
			return
		}
		for _, p := range a.Pairs {
			if p.A == nil || p.B == nil || p.Rank < 1 {
				t.Errorf("%+v", p)
			}
		}
		if s, err := lora.Join(model, lora.Use{File: a, Scale: 1}, lora.Use{File: a, Scale: 1}); err == nil {
			for _, w := range s.Weights() {
				if x, ok := s.Adapter(w); !ok || x.Rank < 2 {
					t.Errorf("%s: %+v", w, x)
				}
			}
		}
	})
}

// TestMissing: a file that is not there is an error of the file system.
func TestMissing(t *testing.T) {
	if _, err := lora.Open(filepath.Join(t.TempDir(), "none.gguf")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

// TestNotFinite: an adapter of infinities or of no numbers is refused, in any type.
func TestNotFinite(t *testing.T) {
	for _, d := range []dtype.DType{dtype.F32, dtype.F16, dtype.BF16} {
		for _, v := range []float32{float32(math.NaN()), float32(math.Inf(-1)), 0.5} {
			b := ramp(24*2, 0)
			b[13] = v
			w, err := lora.NewWriter(lora.Header{Architecture: "llama", Alpha: 2}, d, []lora.Matrices{{Weight: q, Rank: 2, A: ramp(2*16, 0), B: b}})
			if err != nil {
				t.Fatal(err)
			}
			f, err := lora.Parse(bytesOf(t, w))
			if err != nil {
				t.Fatal(err)
			}
			_, err = lora.Join(base(t), lora.Use{File: f, Scale: 1})
			if v == 0.5 && err != nil || v != 0.5 && (err == nil || !strings.Contains(err.Error(), q+`.lora_b" has values that are infinite`)) {
				t.Errorf("%v, a value of %g: error %v", d, v, err)
			}
		}
	}
}
