package imatrix

import (
	"bytes"
	"context"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	_ "github.com/ledge-run/ledge/backend/cpu"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/engine/goldentest"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// tiny unpacks one of the small random models.
func tiny(t testing.TB, name string) string {
	t.Helper()
	data := goldentest.Bytes(t, "../../model/testdata", name+".gguf.gz")
	path := filepath.Join(t.TempDir(), name+".gguf")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

var text = strings.Repeat("The quick brown fox jumps over the lazy dog, and 12 others. ", 40)

func collectTiny(t testing.TB, path string, threads int, o Options) *Matrix {
	t.Helper()
	if o.ChunkSize == 0 {
		o.ChunkSize = 64
	}
	m, err := Collect(context.Background(), path, text, engine.Options{Threads: threads}, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// The first product's input is the normed embedding of each token: what the matrix
// says about it is computed here from the file.
func TestCollect(t *testing.T) {
	path := tiny(t, "llama-f32")
	m := collectTiny(t, path, 1, Options{Chunks: 3, Dataset: "some/text.txt"})
	if m.Chunks != 3 || m.ChunkSize != 64 || !reflect.DeepEqual(m.Datasets, []string{"text.txt"}) {
		t.Errorf("%d chunks of %d, datasets %v", m.Chunks, m.ChunkSize, m.Datasets)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	values := func(name string) []float32 {
		x, ok := f.Tensor(name)
		if !ok {
			t.Fatalf("no %s", name)
		}
		v, err := x.Dequantize()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	embedding, norm := values("token_embd.weight"), values("blk.0.attn_norm.weight")
	eps, _ := f.Float("llama.attention.layer_norm_rms_epsilon")
	tok, err := engine.Tokenizer(f)
	if err != nil {
		t.Fatal(err)
	}
	model, err := engine.Open(context.Background(), path, engine.Options{Device: "cpu"})
	if err != nil {
		t.Fatal(err)
	}
	defer model.Close()
	ids := model.Encode(text, true, false)
	n := len(norm)
	squares, sums := make([]float64, n), make([]float64, n)
	for i := range 3 * 64 {
		id := ids[i]
		if i%64 == 0 && tok.AddsBOS() {
			id = tok.BOS()
		}
		row := embedding[int(id)*n : int(id+1)*n]
		mean := 0.0
		for _, v := range row {
			mean += float64(v) * float64(v) / float64(n)
		}
		for j, v := range row {
			x := float64(v) / math.Sqrt(mean+eps) * float64(norm[j])
			squares[j] += x * x
			sums[j] += x
		}
	}
	for _, name := range []string{"blk.0.attn_q.weight", "blk.0.attn_k.weight", "blk.0.attn_v.weight"} {
		e := m.Entries[name]
		if e == nil || len(e.Counts) != 1 || e.Counts[0] != 192 {
			t.Fatalf("%s: %+v", name, e)
		}
		for j := range n {
			if math.Abs(float64(e.Squares[j])-squares[j]) > 1e-4*squares[j] || math.Abs(float64(e.Sums[j])-sums[j]) > 1e-3*math.Sqrt(squares[j]*192) {
				t.Fatalf("%s, column %d: %g and %g, want %g and %g", name, j, e.Squares[j], e.Sums[j], squares[j], sums[j])
			}
		}
	}
	for i := range f.Tensors() {
		x := &f.Tensors()[i]
		linear := strings.HasPrefix(x.Name, "blk.") && len(x.Shape) == 2
		if (m.Entries[x.Name] != nil) != linear {
			t.Errorf("%s: has an entry: %v", x.Name, !linear)
		}
	}
}

func TestCollectOptions(t *testing.T) {
	path := tiny(t, "llama-tied")
	one, two := collectTiny(t, path, 1, Options{Chunks: 2}), collectTiny(t, path, 2, Options{Chunks: 2})
	if !reflect.DeepEqual(one, two) {
		t.Error("the matrix depends on the number of threads")
	}
	if one.Entries["token_embd.weight"] != nil {
		t.Error("the output was measured without being asked for")
	}
	e := collectTiny(t, path, 1, Options{Chunks: 2, Output: true}).Entries["token_embd.weight"]
	if e == nil || e.Counts[0] != 128 {
		t.Errorf("the output: %+v", e)
	}
	for _, c := range []struct {
		o   Options
		say string
	}{{Options{ChunkSize: 8}, "at least 16"}, {Options{ChunkSize: 4096}, "trained for"}} {
		if _, err := Collect(context.Background(), path, text, engine.Options{}, c.o); err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%+v: %v", c.o, err)
		}
	}
	if _, err := Collect(context.Background(), path, "short", engine.Options{}, Options{ChunkSize: 64}); err == nil || !strings.Contains(err.Error(), "longer text") {
		t.Errorf("a short text: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Collect(ctx, path, text, engine.Options{}, Options{ChunkSize: 64}); err == nil {
		t.Error("a cancelled measurement succeeds")
	}
}

func example() *Matrix {
	return &Matrix{Chunks: 3, ChunkSize: 512, Datasets: []string{"a.txt", "b.txt"}, Entries: map[string]*Entry{
		"blk.0.attn_q.weight":   {Squares: []float32{1, 2, 3}, Sums: []float32{-1, 0.5, 2}, Counts: []int64{1536}},
		"blk.0.ffn_up_exps":     {Squares: []float32{5, 6, 0, 0}, Sums: []float32{1, 1, 0, 0}, Counts: []int64{10, 0}},
		"blk.1.ffn_down.weight": {Squares: []float32{1e-3, 1e6}, Sums: []float32{0, 0}, Counts: []int64{1536}},
	}}
}

func encodeMatrix(t testing.TB, m *Matrix) []byte {
	t.Helper()
	w, err := m.Writer()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := w.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestFiles(t *testing.T) {
	m := example()
	got, err := Parse(encodeMatrix(t, m))
	if err != nil || !reflect.DeepEqual(got, m) {
		t.Errorf("%+v, %v", got, err)
	}
	var b bytes.Buffer
	if err := m.WriteLegacy(&b); err != nil {
		t.Fatal(err)
	}
	old, err := Parse(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if old.Chunks != 3 || !reflect.DeepEqual(old.Datasets, []string{"b.txt"}) {
		t.Errorf("%+v", old)
	}
	for name, e := range m.Entries {
		n := len(e.Counts)
		a, _, err := m.Weights(name, len(e.Squares)/n, n)
		if err != nil {
			t.Fatal(err)
		}
		c, ok, err := old.Weights(name, len(e.Squares)/n, n)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		for i := range a {
			if math.Abs(float64(a[i]-c[i])) > 1e-6*float64(a[i]) {
				t.Errorf("%s: column %d counts %g, in the old format %g", name, i, a[i], c[i])
			}
		}
	}
	if _, ok, err := m.Weights("nobody", 3, 1); ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
	if _, _, err := m.Weights("blk.0.attn_q.weight", 4, 1); err == nil || !strings.Contains(err.Error(), "another model") {
		t.Error(err)
	}
}

func TestBadFiles(t *testing.T) {
	var old bytes.Buffer
	if err := example().WriteLegacy(&old); err != nil {
		t.Fatal(err)
	}
	damaged := func(f func(m *Matrix)) []byte {
		m := example()
		f(m)
		return encodeMatrix(t, m)
	}
	huge := append([]byte{1, 0, 0, 0, 255, 255, 255, 127}, "name"...)
	for name, c := range map[string]struct {
		data []byte
		say  string
	}{
		"empty":        {nil, "ends"},
		"text":         {[]byte("not a matrix at all, only some words"), "damaged"},
		"cut":          {old.Bytes()[:30], "ends"},
		"a huge name":  {huge, "bytes of a name"},
		"no entries":   {make([]byte, 4), "no entries"},
		"a cut GGUF":   {encodeMatrix(t, example())[:100], ""},
		"NaN":          {damaged(func(m *Matrix) { m.Entries["blk.1.ffn_down.weight"].Squares[0] = float32(math.NaN()) }), "NaN"},
		"negative":     {damaged(func(m *Matrix) { m.Entries["blk.1.ffn_down.weight"].Squares[0] = -1 }), "-1"},
		"minus counts": {damaged(func(m *Matrix) { m.Entries["blk.1.ffn_down.weight"].Counts[0] = -5 }), "-5"},
	} {
		if _, err := Parse(c.data); err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Read(t.TempDir()); err == nil || !strings.Contains(err.Error(), "not a file") {
		t.Error(err)
	}
	if _, err := Read(filepath.Join(t.TempDir(), "none")); !os.IsNotExist(unwrapAll(err)) {
		t.Error(err)
	}
}

func unwrapAll(err error) error {
	for {
		u, ok := err.(interface{ Unwrap() error })
		if !ok || u.Unwrap() == nil || os.IsNotExist(err) {
			return err
		}
		err = u.Unwrap()
	}
}

// Whatever the bytes, Parse returns an error or a matrix whose weights can be asked for.
func FuzzParse(f *testing.F) {
	f.Add(encodeMatrix(f, example()))
	var old bytes.Buffer
	if err := example().WriteLegacy(&old); err != nil {
		f.Fatal(err)
	}
	f.Add(old.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Parse(data)
		if err != nil {
			return
		}
		for name, e := range m.Entries {
			w, ok, err := m.Weights(name, len(e.Squares), 1)
			if !ok || err != nil {
				t.Fatalf("%q: %v, %v", name, ok, err)
			}
			for _, v := range w {
				if !(v >= 0) {
					t.Fatalf("%q: a weight of %g", name, v)
				}
			}
		}
	})
}

// llama-imatrix measures the same on the same model and text, and its files of both
// formats are read.
func TestAgainstLlama(t *testing.T) {
	bin := filepath.Join(os.Getenv("LEDGE_TEST_LLAMA"), "bin")
	program := filepath.Join(bin, "llama-imatrix")
	if _, err := os.Stat(program); err != nil {
		t.Skip("LEDGE_TEST_LLAMA has no bin/llama-imatrix")
	}
	path, dir := tiny(t, "llama-gqa"), t.TempDir()
	words := filepath.Join(dir, "text.txt")
	if err := os.WriteFile(words, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	ours := collectTiny(t, path, 2, Options{})
	for _, format := range []string{"gguf", "dat"} {
		out := filepath.Join(dir, "theirs."+format)
		c := exec.Command(program, "-m", path, "-f", words, "-o", out, "--output-format", format, "-c", "64", "-b", "64", "-t", "2", "--no-ppl")
		c.Env = append(os.Environ(), "LD_LIBRARY_PATH="+bin)
		if text, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		theirs, err := Read(out)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(ours.Names(), theirs.Names()) || ours.Chunks != theirs.Chunks {
			t.Fatalf("%d chunks of %v, llama.cpp %d of %v", ours.Chunks, ours.Names(), theirs.Chunks, theirs.Names())
		}
		for _, name := range ours.Names() {
			n := len(ours.Entries[name].Squares)
			a, _, err := ours.Weights(name, n, 1)
			if err != nil {
				t.Fatal(err)
			}
			b, _, err := theirs.Weights(name, n, 1)
			if err != nil {
				t.Fatal(err)
			}
			if c := cosine(a, b); c < 0.9995 {
				t.Errorf("%s, %s: cosine %.6f", format, name, c)
			}
		}
	}
}

func cosine(a, b []float32) float64 {
	var ab, aa, bb float64
	for i := range a {
		ab += float64(a[i]) * float64(b[i])
		aa += float64(a[i]) * float64(a[i])
		bb += float64(b[i]) * float64(b[i])
	}
	return ab / math.Sqrt(aa*bb)
}
