package quantize

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/ledge-run/ledge/backend/cpu"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/compress/encode"
	"github.com/ledge-run/ledge/runtime/compress/imatrix"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/engine/goldentest"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// shape is a made-up model.
type shape struct {
	layers, columns, heads, keys, experts int
	tied, joined                          bool // without output matrix; q, k and v in one
}

// make writes a file with the tensors' names and small random weights.
func (s shape) make(t testing.TB, path string) {
	t.Helper()
	w := &gguf.Writer{}
	set := func(key string, v any) {
		if err := w.Set(key, v); err != nil {
			t.Fatal(err)
		}
	}
	set("general.architecture", "llama")
	set("general.name", "made up")
	for key, n := range map[string]int{"block_count": s.layers, "context_length": 64, "embedding_length": s.columns, "feed_forward_length": s.columns,
		"attention.head_count": s.heads, "attention.head_count_kv": s.keys, "vocab_size": 32, "expert_count": s.experts, "expert_used_count": min(s.experts, 2)} {
		if n > 0 || !strings.HasPrefix(key, "expert") {
			set("llama."+key, uint32(n))
		}
	}
	set("llama.attention.layer_norm_rms_epsilon", float32(1e-5))
	set("split.count", uint16(1))
	r := rand.New(rand.NewPCG(1, 2))
	add := func(name string, shape ...int) {
		n, _ := dtype.Product(shape)
		x, data := make([]float32, n), make([]byte, 4*n)
		for i := range x {
			x[i] = float32(0.02 * r.NormFloat64())
		}
		if err := dtype.Quantize(dtype.F32, data, x); err != nil {
			t.Fatal(err)
		}
		if err := w.Add(name, dtype.F32, shape, data); err != nil {
			t.Fatal(err)
		}
	}
	c := s.columns
	add("token_embd.weight", 32, c)
	if !s.tied {
		add("output.weight", 32, c)
	}
	add("output_norm.weight", c)
	for l := range s.layers {
		b := fmt.Sprintf("blk.%d.", l)
		add(b+"attn_norm.weight", c)
		if s.joined {
			add(b+"attn_qkv.weight", 8, c)
		} else {
			add(b+"attn_q.weight", 4, c)
			add(b+"attn_k.weight", 2, c)
			add(b+"attn_v.weight", 2, c)
		}
		add(b+"attn_output.weight", 4, c)
		add(b+"ffn_norm.weight", c)
		if s.experts > 0 {
			add(b+"ffn_gate_inp.weight", s.experts, c)
			for _, name := range []string{"ffn_gate_exps", "ffn_up_exps", "ffn_down_exps"} {
				add(b+name+".weight", s.experts, 2, c)
			}
			continue
		}
		for _, name := range []string{"ffn_gate", "ffn_up", "ffn_down"} {
			add(b+name+".weight", 4, c)
		}
	}
	if err := w.Save(context.Background(), path, true); err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, path string) *gguf.File {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func plan(t testing.TB, f *gguf.File, name string, o PlanOptions) *Plan {
	t.Helper()
	r, err := FindRecipe(name)
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewPlan(f, r, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// matrixFor has every column of every tensor of the layers count, more or less.
func matrixFor(f *gguf.File) *imatrix.Matrix {
	r := rand.New(rand.NewPCG(3, 4))
	m := &imatrix.Matrix{Chunks: 7, ChunkSize: 64, Datasets: []string{"some.txt"}, Entries: map[string]*imatrix.Entry{}}
	for i := range f.Tensors() {
		t := &f.Tensors()[i]
		if !strings.HasPrefix(t.Name, "blk.") || len(t.Shape) < 2 {
			continue
		}
		matrices := 1
		if len(t.Shape) == 3 {
			matrices = t.Shape[0]
		}
		e := &imatrix.Entry{Squares: make([]float32, matrices*t.RowLen()), Counts: make([]int64, matrices)}
		for i := range e.Squares {
			e.Squares[i] = float32(math.Exp(2*r.NormFloat64())) * 448
		}
		for i := range e.Counts {
			e.Counts[i] = 448
		}
		m.Entries[t.Name] = e
	}
	return m
}

// The files of llama-quantize have the same type for every tensor, and the same
// metadata about it.
func TestTypesAgainstLlama(t *testing.T) {
	bin := filepath.Join(os.Getenv("LEDGE_TEST_LLAMA"), "bin")
	program := filepath.Join(bin, "llama-quantize")
	if _, err := os.Stat(program); err != nil {
		t.Skip("LEDGE_TEST_LLAMA has no bin/llama-quantize")
	}
	dir := t.TempDir()
	for name, s := range map[string]shape{
		"plain":   {layers: 17, columns: 256, heads: 4, keys: 2},
		"grouped": {layers: 16, columns: 256, heads: 8, keys: 2, tied: true},
		"narrow":  {layers: 9, columns: 96, heads: 4, keys: 4, tied: true},
		"odd":     {layers: 3, columns: 40, heads: 4, keys: 4},
		"joined":  {layers: 16, columns: 256, heads: 4, keys: 2, joined: true},
		"experts": {layers: 10, columns: 256, heads: 8, keys: 8, experts: 8},
		"few":     {layers: 8, columns: 256, heads: 8, keys: 1, experts: 4},
		"wide":    {layers: 80, columns: 256, heads: 8, keys: 1},
	} {
		source := filepath.Join(dir, name+".gguf")
		s.make(t, source)
		f := open(t, source)
		matrix := filepath.Join(dir, "imatrix.gguf")
		m := matrixFor(f)
		w, err := m.Writer()
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Save(context.Background(), matrix, true); err != nil {
			t.Fatal(err)
		}
		for _, r := range Recipes {
			if r.Name == "MXFP4" && s.experts == 0 {
				continue // which llama.cpp has not
			}
			for _, with := range []bool{false, true} {
				if with && s.layers > 20 {
					continue // enough
				}
				o, args, kind := PlanOptions{}, []string{}, r.Name
				if with {
					o.Matrix, o.Source = m, matrix
					args = []string{"--imatrix", matrix}
				}
				if kind == "MXFP4" {
					kind = "MXFP4_MOE"
				}
				theirs := filepath.Join(dir, "theirs.gguf")
				c := exec.Command(program, append(args, source, theirs, kind, "2")...)
				c.Env = append(os.Environ(), "LD_LIBRARY_PATH="+bin)
				if text, err := c.CombinedOutput(); err != nil {
					t.Fatalf("%s %s: %v: %s", name, r.Name, err, text)
				}
				ours := filepath.Join(dir, "ours.gguf")
				if err := plan(t, f, r.Name, o).Write(context.Background(), ours, WriteOptions{Replace: true}); err != nil {
					t.Fatal(err)
				}
				compareFiles(t, fmt.Sprintf("%s, %s, matrix %v", name, r.Name, with), ours, theirs)
			}
		}
	}
}

func compareFiles(t *testing.T, what, ours, theirs string) {
	t.Helper()
	a, err := gguf.Open(ours)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := gguf.Open(theirs)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for i := range b.Tensors() {
		want := &b.Tensors()[i]
		got, ok := a.Tensor(want.Name)
		if !ok || got.DType != want.DType {
			t.Errorf("%s: %s is %v, llama.cpp's %v", what, want.Name, got.DType, want.DType)
		}
	}
	for key, want := range b.Metadata() {
		got, ok := a.Value(key)
		if key == "quantize.imatrix.file" {
			got, want = filepath.Base(fmt.Sprint(got)), filepath.Base(fmt.Sprint(want))
		}
		if !ok || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %s is %v, llama.cpp's %v", what, key, got, want)
		}
	}
	if len(a.Tensors()) != len(b.Tensors()) {
		t.Errorf("%s: %d tensors, llama.cpp's %d", what, len(a.Tensors()), len(b.Tensors()))
	}
}

// What is written is what the encoders give, the same for any number of threads;
// what is not quantised is left as it is.
func TestWrite(t *testing.T) {
	dir := t.TempDir()
	source := filepath.Join(dir, "source.gguf")
	shape{layers: 2, columns: 256, heads: 4, keys: 2, experts: 3}.make(t, source)
	f := open(t, source)
	m := matrixFor(f)
	var first []byte
	for _, threads := range []int{1, 2, 5} {
		path := filepath.Join(dir, fmt.Sprint(threads))
		done, total := int64(0), int64(0)
		err := plan(t, f, "Q4_K_M", PlanOptions{Matrix: m, Source: "dir/matrix.gguf"}).Write(context.Background(), path,
			WriteOptions{Threads: threads, Progress: func(d, of int64) { done, total = d, of }})
		if err != nil {
			t.Fatal(err)
		}
		if done != total || done == 0 {
			t.Errorf("%d of %d values were reported", done, total)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = data
		}
		if !bytes.Equal(first, data) {
			t.Errorf("%d threads write another file", threads)
		}
	}
	g, err := gguf.Parse(first)
	if err != nil {
		t.Fatal(err)
	}
	if v, _ := g.Uint("general.file_type"); v != 15 {
		t.Errorf("file type %d", v)
	}
	if _, ok := g.Value("split.count"); ok {
		t.Error("split.count is still there")
	}
	if v, _ := g.String("quantize.imatrix.file"); v != "matrix.gguf" {
		t.Errorf("the matrix is called %q", v)
	}
	for i := range f.Tensors() {
		a := &f.Tensors()[i]
		b, _ := g.Tensor(a.Name)
		if !quantizable(a.Name, a.Shape) {
			if b.DType != a.DType || !bytes.Equal(a.Data, b.Data) {
				t.Errorf("%s has changed", a.Name)
			}
			continue
		}
		x, _ := a.Dequantize()
		y, err := b.Dequantize()
		if err != nil {
			t.Fatal(err)
		}
		if e := weighted(x, y, nil) / weighted(x, make([]float32, len(x)), nil); e > 0.02 {
			t.Errorf("%s: a relative error of %.3g", a.Name, e)
		}
	}
}

// What is known about the matrix of an earlier quantisation says nothing about the
// next one, with another matrix or none.
func TestNoFalseMatrix(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	source, first := filepath.Join(dir, "source.gguf"), filepath.Join(dir, "first.gguf")
	shape{layers: 2, columns: 256, heads: 4, keys: 2}.make(t, source)
	f := open(t, source)
	m := matrixFor(f)
	if err := plan(t, f, "Q8_0", PlanOptions{Matrix: m, Source: "first.imatrix"}).Write(ctx, first, WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	g := open(t, first)
	if v, _ := g.String("quantize.imatrix.dataset"); v != "some.txt" {
		t.Fatalf("the first has the dataset %q", v)
	}
	again := func(o PlanOptions) *gguf.File {
		path := filepath.Join(dir, "again.gguf")
		if err := plan(t, g, "Q4_0", o).Write(ctx, path, WriteOptions{Replace: true}); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		h, err := gguf.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	for key := range again(PlanOptions{}).Metadata() {
		if strings.HasPrefix(key, "quantize.imatrix.") {
			t.Errorf("without a matrix: %s is still there", key)
		}
	}
	m.Datasets = nil
	h := again(PlanOptions{Matrix: m, Source: "second.imatrix"})
	if v, _ := h.String("quantize.imatrix.file"); v != "second.imatrix" {
		t.Errorf("the matrix is called %q", v)
	}
	if v, ok := h.Value("quantize.imatrix.dataset"); ok {
		t.Errorf("a dataset that it does not name: %v", v)
	}
}

// Nothing is left behind by what fails, and nothing replaced that should not be.
func TestWriteFails(t *testing.T) {
	dir := t.TempDir()
	source := filepath.Join(dir, "source.gguf")
	shape{layers: 2, columns: 256, heads: 4, keys: 2}.make(t, source)
	f := open(t, source)
	p := plan(t, f, "Q4_0", PlanOptions{})
	out := filepath.Join(dir, "out.gguf")

	ctx, cancel := context.WithCancel(context.Background())
	if err := p.Write(ctx, out, WriteOptions{Progress: func(int64, int64) { cancel() }}); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	if err := os.WriteFile(out, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := p.Write(context.Background(), out, WriteOptions{}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a file that is there: %v", err)
	}
	if data, _ := os.ReadFile(out); string(data) != "mine" {
		t.Error("it was replaced")
	}
	bad, _ := f.Tensor("blk.1.ffn_up.weight")
	data := bytes.Clone(bad.Data)
	for i := range 4 {
		data[i] = 0xff // a NaN
	}
	broken, err := f.With(gguf.Tensor{Name: bad.Name, DType: bad.DType, Data: data})
	if err != nil {
		t.Fatal(err)
	}
	err = plan(t, broken, "Q4_0", PlanOptions{}).Write(context.Background(), filepath.Join(dir, "nan.gguf"), WriteOptions{})
	if err == nil || !strings.Contains(err.Error(), "blk.1.ffn_up.weight, row 0") || !strings.Contains(err.Error(), "NaN") {
		t.Errorf("a NaN: %v", err)
	}
	for i := 0; i < len(data); i += 4 {
		copy(data[i:], []byte{byte(i), byte(i >> 2), byte(i>>4) & 0x7f, 0x7e}) // about 1e37
	}
	if broken, err = f.With(gguf.Tensor{Name: bad.Name, DType: bad.DType, Data: data}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Q4_0", "MXFP4"} {
		err = plan(t, broken, name, PlanOptions{}).Write(context.Background(), filepath.Join(dir, "large.gguf"), WriteOptions{})
		if err == nil || !strings.Contains(err.Error(), "blk.1.ffn_up.weight, row 0") || !errors.Is(err, encode.ErrOverflow) {
			t.Errorf("%s of values whose squares overflow: %v", name, err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 2 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestPlan(t *testing.T) {
	dir := t.TempDir()
	source, small := filepath.Join(dir, "source.gguf"), filepath.Join(dir, "small.gguf")
	shape{layers: 2, columns: 256, heads: 4, keys: 2}.make(t, source)
	f := open(t, source)
	over := func(list ...string) PlanOptions {
		var o PlanOptions
		for _, s := range list {
			v, err := ParseOverride(s)
			if err != nil {
				t.Fatal(err)
			}
			o.Overrides = append(o.Overrides, v)
		}
		return o
	}
	types := func(p *Plan) map[string]dtype.DType {
		m := map[string]dtype.DType{}
		for _, c := range p.Choices {
			m[c.Name] = c.To
		}
		return m
	}
	got := types(plan(t, f, "q4_0", over(`blk\.0\.ffn_down=q6_k`, "ffn_down=keep", "output.weight=f16")))
	for name, want := range map[string]dtype.DType{"blk.0.ffn_down.weight": dtype.Q6_K, "blk.1.ffn_down.weight": dtype.F32,
		"output.weight": dtype.F16, "blk.0.ffn_up.weight": dtype.Q4_0, "token_embd.weight": dtype.Q4_0, "blk.0.attn_norm.weight": dtype.F32} {
		if got[name] != want {
			t.Errorf("%s becomes %v, want %v", name, got[name], want)
		}
	}
	// A second time: what has few bits stays.
	if err := plan(t, f, "Q4_0", over("ffn_up=q8_0")).Write(context.Background(), small, WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	p := plan(t, open(t, small), "Q5_0", PlanOptions{})
	got = types(p)
	if got["blk.0.ffn_up.weight"] != dtype.Q5_0 || got["blk.0.ffn_down.weight"] != dtype.Q4_0 || p.Requantized() != 2 {
		t.Errorf("up %v, down %v, %d requantised", got["blk.0.ffn_up.weight"], got["blk.0.ffn_down.weight"], p.Requantized())
	}
	m := matrixFor(f)
	delete(m.Entries, "blk.0.attn_q.weight")
	if names := plan(t, f, "Q4_0", PlanOptions{Matrix: m}).Missing(); len(names) != 1 || names[0] != "blk.0.attn_q.weight" {
		t.Errorf("missing: %v", names)
	}
	r, _ := FindRecipe("Q4_0")
	for say, o := range map[string]PlanOptions{
		"no tensor's name matches": over("nobody=q4_0"),
		"another model":            {Matrix: &imatrix.Matrix{Entries: map[string]*imatrix.Entry{"x": {}}}},
	} {
		if _, err := NewPlan(f, r, o); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%s: %v", say, err)
		}
	}
	for _, s := range []string{"x", "=q4_0", "(=q4_0", "x=q9", "x=iq2_s"} {
		if _, err := ParseOverride(s); err == nil {
			t.Errorf("--tensor %s is taken", s)
		}
	}
	if _, err := FindRecipe("Q7"); err == nil || !strings.Contains(err.Error(), "Q4_K_M") {
		t.Error(err)
	}
}

// The tiny models run in every type, and in Q8_0 predict nearly the same.
func TestRuns(t *testing.T) {
	f := goldentest.Parse(t, "../../model/testdata", "llama-gqa.gguf.gz")
	run := func(f *gguf.File) []float32 {
		m, err := engine.OpenFile(context.Background(), f, engine.Options{Device: "cpu", Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		return goldentest.Logits(t, m, []int32{1, 5, 9, 20, 33, 4})
	}
	same, err := f.With()
	if err != nil {
		t.Fatal(err)
	}
	want := run(same)
	for _, r := range Recipes {
		w, err := plan(t, f, r.Name, PlanOptions{}).Writer(context.Background(), WriteOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if _, err := w.WriteTo(&b); err != nil {
			t.Fatal(err)
		}
		small, err := gguf.Parse(b.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		got := run(small)
		loss, energy := 0.0, 0.0
		for i := range want {
			d := float64(got[i] - want[i])
			loss, energy = loss+d*d, energy+float64(want[i])*float64(want[i])
		}
		limit := 0.5
		if bits(r.Type) > 8 {
			limit = 1e-3
		}
		if e := loss / energy; !(e < limit) {
			t.Errorf("%s: the logits differ by %.3g", r.Name, e)
		}
	}
}
