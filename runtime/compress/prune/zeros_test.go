package prune

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/compress/imatrix"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

func zeroFile(t testing.TB, f *gguf.File, o ZeroOptions) (*ZeroPlan, *gguf.File) {
	t.Helper()
	o.Threads = 1
	z, err := NewZeros(t.Context(), f, o)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "zeros.gguf")
	if err := z.Write(t.Context(), path, WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	return z, open(t, path)
}

// The zeros are those of torch.nn.utils.prune; testdata/torch.json is made by
// build/golden/make_prune.py.
func TestAgainstTorch(t *testing.T) {
	data, err := os.ReadFile("testdata/torch.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Masks []struct {
			Amount         float64
			Tensor, Global map[string]string
		}
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	f := tiny(t, "llama-f32", nil)
	for _, g := range golden.Masks {
		for scope, masks := range map[Scope]map[string]string{PerTensor: g.Tensor, Global: g.Global} {
			z, small := zeroFile(t, f, ZeroOptions{Share: g.Amount, Scope: scope})
			if z.Matrices != len(masks) || z.Matrices == 0 {
				t.Errorf("%d matrices, torch has %d", z.Matrices, len(masks))
			}
			zeros := int64(0)
			for name, text := range masks {
				bits, err := base64.StdEncoding.DecodeString(text)
				if err != nil {
					t.Fatal(err)
				}
				before, after := values(t, f, name), values(t, small, name)
				for i, v := range after {
					gone := bits[i/8]>>(7-i%8)&1 == 1
					if gone != (v == 0) || !gone && v != before[i] {
						t.Fatalf("%g per %s: %s, weight %d of %g became %g; torch sets it to zero: %v", g.Amount, scope, name, i, before[i], v, gone)
					}
					if gone {
						zeros++
					}
				}
			}
			if z.Zeros != zeros {
				t.Errorf("%g per %s: %d zeros were to be, there are %d", g.Amount, scope, z.Zeros, zeros)
			}
		}
	}
}

// In every type that holds zeros the others stay as they were.
func TestTypes(t *testing.T) {
	f := tiny(t, "llama-gqa", nil)
	for _, kind := range []string{"F32", "F16", "BF16", "Q8_0", "Q5_0", "Q4_0"} {
		g := quantized(t, f, kind)
		for _, o := range []ZeroOptions{{Share: 0.4}, {Share: 0.4, Scope: PerRow}, {Share: 0.4, Scope: Global}, {N: 2, M: 4}} {
			_, small := zeroFile(t, g, o)
			for _, x := range g.Tensors() {
				before, after := values(t, g, x.Name), values(t, small, x.Name)
				zeros := 0
				for i, v := range after {
					if v == 0 {
						zeros++
					} else if v != before[i] {
						t.Fatalf("%s, %+v: %s, weight %d of %g became %g", kind, o, x.Name, i, before[i], v)
					}
				}
				had := 0
				for _, v := range before {
					if v == 0 {
						had++
					}
				}
				if !o.takes(&x) {
					if zeros != had {
						t.Errorf("%s, %+v: %s has %d zeros, had %d", kind, o, x.Name, zeros, had)
					}
					continue
				}
				want := int(math.RoundToEven(o.Share * float64(len(after))))
				if o.M > 0 {
					want = len(after) / 2
				}
				if o.Scope == PerRow {
					want = x.NumRows() * int(math.RoundToEven(o.Share*float64(x.RowLen())))
				}
				if o.Scope != Global && zeros < want || o.Scope != Global && zeros > max(want, had+want) {
					t.Errorf("%s, %+v: %s has %d zeros, want %d", kind, o, x.Name, zeros, want)
				}
			}
		}
	}
	// From a type without zeros another is asked for, and given.
	g := quantized(t, f, "Q4_1")
	if _, err := NewZeros(t.Context(), g, ZeroOptions{Share: .5}); err == nil || !strings.Contains(err.Error(), "not exact") {
		t.Errorf("%v", err)
	}
	z, small := zeroFile(t, g, ZeroOptions{N: 2, M: 4, Type: dtype.Q8_0})
	if z.Requantized() == 0 {
		t.Error("nothing was quantised again")
	}
	x, _ := small.Tensor("blk.0.attn_q.weight")
	if x.DType != dtype.Q8_0 {
		t.Errorf("%v", x.DType)
	}
	checkPattern(t, values(t, small, x.Name), 2, 4)
}

// Metadata tells the types that were written, and what it said where they are as before.
func TestFileType(t *testing.T) {
	f := quantized(t, tiny(t, "llama-gqa", nil), "F16")
	before, _ := f.Value("general.file_type")
	for to, want := range map[dtype.DType]uint32{dtype.Invalid: before.(uint32), dtype.F32: 0, dtype.BF16: 32} {
		_, small := zeroFile(t, f, ZeroOptions{Share: .5, Type: to})
		got, _ := small.Value("general.file_type")
		version, _ := small.Value("general.quantization_version")
		if got != want || version != uint32(2) {
			t.Errorf("%v: file type %v, quantization version %v", to, got, version)
		}
	}
}

func checkPattern(t *testing.T, x []float32, n, m int) {
	t.Helper()
	for at := 0; at < len(x); at += m {
		zeros := 0
		for _, v := range x[at : at+m] {
			if v == 0 {
				zeros++
			}
		}
		if zeros < n {
			t.Fatalf("%v has %d zeros", x[at:at+m], zeros)
		}
	}
}

// The least of every four go, by |w| or by |w| times the norm of what it multiplies; in
// every row as many.
func TestPatternAndActivity(t *testing.T) {
	f := tiny(t, "llama-f32", nil)
	m, err := imatrix.Collect(t.Context(), f.Paths()[0], sample, engine.Options{Threads: 1}, imatrix.Options{Chunks: activityChunks, ChunkSize: 128})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []ZeroOptions{{N: 2, M: 4}, {N: 1, M: 8, Activity: true, Text: sample}, {N: 3, M: 4, Activity: true, Matrix: m}, {Share: .5, Scope: PerRow, Activity: true, Matrix: m}} {
		_, small := zeroFile(t, f, o)
		for _, x := range f.Tensors() {
			if !o.takes(&x) {
				continue
			}
			before, after := values(t, f, x.Name), values(t, small, x.Name)
			w := ones(x.RowLen())
			if o.Activity {
				if w, _, err = m.Weights(x.Name, x.RowLen(), 1); err != nil {
					t.Fatal(err)
				}
			}
			size, gone := o.M, o.N
			if o.M == 0 {
				size, gone = x.RowLen(), x.RowLen()/2
			}
			for at := 0; at < len(before); at += size {
				score := func(i int) float64 {
					v := float64(before[at+i])
					return v * v * float64(w[(at+i)%x.RowLen()])
				}
				order := span(0, size)
				slices.SortFunc(order, func(a, b int) int {
					switch {
					case score(a) < score(b):
						return -1
					case score(a) > score(b):
						return 1
					}
					return 0
				})
				for k, i := range order {
					if (after[at+i] == 0) != (k < gone) {
						t.Fatalf("%+v: %s at %d: %v became %v", o, x.Name, at, before[at:at+size], after[at:at+size])
					}
				}
			}
		}
	}
}

func TestZerosRefused(t *testing.T) {
	f := tiny(t, "llama-gqa", nil)
	nan := tiny(t, "llama-gqa", func(f *gguf.File) {
		overwrite(t, f, "blk.1.attn_k.weight", func(x []float32) { x[5] = float32(math.Inf(1)) })
	})
	odd := tiny(t, "qwen3-mqa", nil)
	for _, c := range []struct {
		f    *gguf.File
		o    ZeroOptions
		says string
	}{
		{f, ZeroOptions{}, "share of 0"},
		{f, ZeroOptions{Share: 1.5}, "share of 1.5"},
		{f, ZeroOptions{Share: math.NaN()}, "share of NaN"},
		{f, ZeroOptions{N: 4, M: 4}, "4 of every 4"},
		{f, ZeroOptions{N: 2, M: 4, Share: .5}, "no share"},
		{f, ZeroOptions{Share: .5, Scope: "galaxy"}, "galaxy"},
		{f, ZeroOptions{Share: .5, Tensors: regexp.MustCompile("nobody")}, "no matrix"},
		{f, ZeroOptions{Share: .5, Type: dtype.Q4_K}, "not exact"},
		{f, ZeroOptions{Share: .5, Activity: true}, "a text or an importance matrix"},
		{odd, ZeroOptions{N: 2, M: 4}, "no multiple of 4"},
		{odd, ZeroOptions{Share: .5, Type: dtype.Q8_0}, "no whole blocks"},
		{nan, ZeroOptions{Share: .5}, "blk.1.attn_k.weight, row 0"},
	} {
		_, err := NewZeros(t.Context(), c.f, c.o)
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: %v; want it to say %q", c.o, err, c.says)
		}
	}
	// A pattern needs no pass over the weights before they are written: then it is found.
	z, err := NewZeros(t.Context(), nan, ZeroOptions{N: 2, M: 4})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "bad.gguf")
	if err := z.Write(t.Context(), path, WriteOptions{}); err == nil || !strings.Contains(err.Error(), "blk.1.attn_k.weight") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a file was left behind")
	}
}

func TestCountZeros(t *testing.T) {
	f := tiny(t, "llama-f32", nil)
	z, small := zeroFile(t, f, ZeroOptions{Share: .25})
	before, after := must(CountZeros(f)), must(CountZeros(small))
	all := 0
	for _, x := range f.Tensors() {
		all += x.NumElems()
	}
	if got, want := after-before, float64(z.Zeros)/float64(all); math.Abs(got-want) > 1e-9 {
		t.Errorf("the share grew by %g, want %g", got, want)
	}
}
