package model_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/model"
	_ "github.com/ledge-run/ledge/runtime/model/all"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// fake is a source whose metadata and tensors a test can change.
type fake struct {
	values  map[string]any
	tensors map[string]tensor
}

type tensor struct {
	dtype dtype.DType
	shape []int
}

func (f fake) Value(key string) (any, bool) { v, ok := f.values[key]; return v, ok }

func (f fake) TensorType(name string) (dtype.DType, []int, bool) {
	t, ok := f.tensors[name]
	return t.dtype, t.shape, ok
}

func (f fake) clone() fake { return fake{maps.Clone(f.values), maps.Clone(f.tensors)} }

func (f fake) arch() string { return f.values["general.architecture"].(string) }

// golden reads the metadata and tensors of a golden file.
func golden(t testing.TB, name string) fake {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	g, err := gguf.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	s := fake{map[string]any{}, map[string]tensor{}}
	for k, v := range g.Metadata() {
		s.values[k] = v
	}
	for _, x := range g.Tensors() {
		s.tensors[x.Name] = tensor{x.DType, x.Shape}
	}
	return s
}

func goldens(t testing.TB) map[string]fake {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", "*.gguf.gz"))
	if err != nil || len(paths) == 0 {
		t.Fatal("no golden files: ", err)
	}
	all := map[string]fake{}
	for _, p := range paths {
		name := filepath.Base(p)
		all[strings.TrimSuffix(name, ".gguf.gz")] = golden(t, name)
	}
	return all
}

var options = model.Options{Max: graph.Limits{T: 32, S: 4, R: 32, P: 8}, Cache: dtype.F16, Context: 128}

// emit makes the model and its graph.
func emit(s model.Source, o model.Options) (*graph.Graph, error) {
	m, err := model.New(s)
	if err != nil {
		return nil, err
	}
	return m.Decoder(o)
}

func TestEveryArchitectureEmitsAVerifyingGraph(t *testing.T) {
	seen := map[string]bool{}
	for name, s := range goldens(t) {
		seen[s.arch()] = true
		m, err := model.New(s)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		i := m.Info()
		if i.Architecture != s.arch() || i.Layers < 1 || i.Heads%i.KVHeads != 0 || i.Vocab != s.tensors["token_embd.weight"].shape[0] {
			t.Errorf("%s: %+v", name, i)
		}
		for _, cache := range []dtype.DType{dtype.F16, dtype.F32} {
			for _, context := range []int{1, 128, 1 << 20} {
				o := options
				o.Cache, o.Context = cache, context
				g, err := m.Decoder(o)
				if err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				if err := graph.Verify(g); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				if len(g.States) != i.Layers || len(g.Outputs) != 1 || g.Outputs[0].Name != "logits" {
					t.Errorf("%s: %d states, outputs %v", name, len(g.States), g.Outputs)
				}
				checkWeights(t, name, g, s)
			}
		}
		o := options
		o.Hidden = true
		g, err := m.Decoder(o)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if out := g.Outputs[0]; out.Name != "hidden" || out.Node.Type.Shape[1] != dtype.Const(i.Embedding) {
			t.Errorf("%s: the hidden output is %v %s", name, out.Name, out.Node.Type)
		}
	}
	for _, name := range model.Names() {
		if !seen[name] {
			t.Errorf("there is no golden file of %s", name)
		}
	}
}

// checkWeights asks that the graph takes every tensor of the file, but
// longrope's other factors, as the file has it.
func checkWeights(t *testing.T, name string, g *graph.Graph, s fake) {
	t.Helper()
	used := map[string]bool{}
	for _, n := range g.Nodes {
		if n.Op == graph.OpWeight {
			used[n.Name] = true
			if s.tensors[n.Name].dtype != n.Type.DType {
				t.Errorf("%s: %s is %s in the graph", name, n.Name, n.Type)
			}
		}
	}
	for tensor := range s.tensors {
		if !used[tensor] && !strings.HasPrefix(tensor, "rope_factors_") {
			t.Errorf("%s: the graph does not read %s", name, tensor)
		}
	}
}

// refuse asks for an error of one short line that says what is wrong, soon and
// without much memory.
func refuse(t *testing.T, what string, s fake, say string) {
	t.Helper()
	err := bounded(t, what, s)
	switch {
	case err == nil:
		t.Errorf("%s: accepted", what)
	case !strings.Contains(err.Error(), say):
		t.Errorf("%s: %v; want it to name %s", what, err, say)
	}
}

// bounded emits a graph; it may fail, but not crash, take long, take much memory
// or say a lot.
func bounded(t *testing.T, what string, s fake) (err error) {
	t.Helper()
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("%s: panic: %v", what, p)
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	g, err := emit(s, options)
	if d := time.Since(start); d > 20*time.Second { // it takes milliseconds, where nothing else runs
		t.Errorf("%s: took %v", what, d)
	}
	if runtime.ReadMemStats(&after); after.TotalAlloc-before.TotalAlloc > 64<<20 {
		t.Errorf("%s: allocated %d MB", what, (after.TotalAlloc-before.TotalAlloc)>>20)
	}
	if err != nil {
		if len(err.Error()) > 500 || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: no short line: %.600q", what, err)
		}
		return err
	}
	if err := graph.Verify(g); err != nil {
		t.Errorf("%s: %v", what, err)
	}
	return nil
}

func TestHostileMetadata(t *testing.T) {
	const huge = uint64(math.MaxUint64)
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	long := strings.Repeat("x", 1<<20)
	sizes := []any{uint32(0), int32(-1), int64(math.MinInt64), huge, uint32(1 << 31), "4", long, float32(4), true, []string{"a"},
		[]any{[]int32{1}}, make([]float32, 1<<20), nil}
	perLayer := append([]any{[]int32{}, []int32{4, 3}, []uint32{0, 0}, []int32{-1, -1}, make([]int32, 1<<20)}, sizes...)
	floats := []any{nan, inf, -inf, math.MaxFloat64, math.NaN(), float32(-1), float32(1e30), "1", long, true, []float32{1}, make([]string, 1<<20)}
	required := []string{"block_count", "embedding_length", "context_length", "feed_forward_length", "attention.head_count"}
	table := []struct {
		key  string
		bad  []any
		also map[string]any // what else the file says
	}{
		{"block_count", append([]any{uint32(4097), uint32(1 << 24)}, sizes...), nil},
		{"embedding_length", sizes, nil},
		{"context_length", append([]any{uint32(1<<24 + 1)}, sizes...), nil},
		{"feed_forward_length", perLayer, nil},
		{"attention.head_count", append([]any{uint32(5)}, perLayer...), nil},
		{"attention.head_count_kv", append([]any{uint32(3), uint32(1 << 20)}, perLayer...), nil},
		{"attention.key_length", append([]any{uint32(1 << 24)}, sizes...), nil},
		{"attention.value_length", append([]any{uint32(1 << 24)}, sizes...), nil},
		{"attention.sliding_window", sizes[1:], nil}, // 0 is none
		{"attention.layer_norm_rms_epsilon", append([]any{float32(0), float32(2), uint32(7)}, floats...), nil},
		{"attention.scale", []any{nan, inf, float32(1e30), float32(-1e30), "1", true}, nil},
		{"attn_logit_softcapping", floats, nil},
		{"final_logit_softcapping", floats, nil},
		{"rope.dimension_count", append([]any{uint32(15), uint32(1 << 20)}, sizes...), nil},
		{"rope.freq_base", append([]any{float32(0), float32(1)}, floats...), nil},
		{"rope.scaling.type", []any{"cubic", "", long, uint32(1), true, []string{"yarn"}}, map[string]any{"rope.scaling.factor": nan}},
		{"rope.scaling.factor", append([]any{float32(1e-20)}, floats...), map[string]any{"rope.scaling.type": "linear"}},
		{"rope.scaling.factor", append([]any{float32(1e-20)}, floats...), map[string]any{"rope.scaling.type": "yarn"}},
		{"rope.scaling.original_context_length", sizes, map[string]any{"rope.scaling.type": "yarn", "rope.scaling.factor": float32(4)}},
		{"rope.scaling.yarn_beta_fast", append([]any{float32(0)}, floats...), map[string]any{"rope.scaling.type": "yarn", "rope.scaling.factor": float32(4)}},
		{"rope.scaling.yarn_beta_slow", append([]any{float32(0)}, floats...), map[string]any{"rope.scaling.type": "yarn", "rope.scaling.factor": float32(4)}},
		{"rope.scaling.yarn_ext_factor", floats, map[string]any{"rope.scaling.type": "yarn", "rope.scaling.factor": float32(4)}},
		{"rope.scaling.attn_factor", floats, map[string]any{"rope.scaling.type": "yarn", "rope.scaling.factor": float32(4)}},
	}
	for name, whole := range architectures(t) {
		for _, row := range table {
			key := name + "." + row.key
			for _, bad := range row.bad {
				s := whole.clone()
				for k, v := range row.also {
					s.values[name+"."+k] = v
				}
				s.values[key] = bad
				say := row.key
				switch {
				case row.key == "embedding_length" || row.key == "feed_forward_length" || row.key == "block_count":
					say = "" // a size that only the tensors contradict is named by them
				case row.key == "rope.scaling.type":
					say = "rope.scaling."
				case strings.HasPrefix(row.key, "attention.head_count"):
					say = "" // the other one of the two, or a tensor
				}
				refuse(t, fmt.Sprintf("%s = %s", key, model.Show(bad)), s, say)
			}
		}
		for _, key := range required {
			s := whole.clone()
			delete(s.values, name+"."+key)
			refuse(t, "no "+key, s, key)
		}
	}
}

// architectures has one golden file of each.
func architectures(t testing.TB) map[string]fake {
	one := map[string]fake{}
	all := goldens(t)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if a := all[name].arch(); one[a].values == nil && !strings.Contains(name, "rope") && !strings.Contains(name, "yarn") {
			one[a] = all[name]
		}
	}
	return one
}

// TestOddButValid has values at the edge of what a model may say: a graph or an
// error, within bounds.
func TestOddButValid(t *testing.T) {
	for name, whole := range architectures(t) {
		for key, values := range map[string][]any{
			"attention.sliding_window":         {uint32(0), uint32(1), uint32(1 << 24)},
			"attention.sliding_window_pattern": {uint32(0), uint32(1), uint32(1 << 24)},
			"context_length":                   {uint32(1), uint32(1 << 24)},
			"rope.scaling.factor":              {float32(0), float32(1), float32(1e6)},
			"rope.scaling.type":                {"none", "linear", "longrope", "llama3"},
			"attention.layer_norm_rms_epsilon": {float32(1e-12), float64(1e-5), float32(1)},
			"attention.scale":                  {float32(0), uint8(1), -0.5},
			"rope.dimension_count":             {uint32(2), int64(8)},
			"attention.head_count_kv":          {[]uint32{uint32(whole.kvHeads()), uint32(whole.kvHeads())}},
		} {
			for _, v := range values {
				s := whole.clone()
				s.values[name+"."+key] = v
				if err := bounded(t, key, s); err != nil {
					t.Errorf("%s.%s = %v: %v", name, key, v, err)
				}
			}
		}
	}
	s := architectures(t)["gemma3"].clone()
	for _, bad := range []any{int32(-1), "6", uint64(1 << 40), []bool{true}} {
		s.values["gemma3.attention.sliding_window_pattern"] = bad
		refuse(t, fmt.Sprint("pattern ", bad), s, "sliding_window_pattern")
	}
}

func (f fake) kvHeads() int {
	m, err := model.New(f)
	if err != nil {
		return 0
	}
	return m.Info().KVHeads
}

func TestUnknownArchitecture(t *testing.T) {
	for _, bad := range []any{"mamba7", strings.Repeat("a", 1<<20), "llama\nledge: all is well"} {
		s := fake{values: map[string]any{"general.architecture": bad}}
		for _, known := range []string{"llama", "qwen2", "qwen3", "gemma2", "gemma3", "phi3"} {
			refuse(t, "unknown architecture", s, known)
		}
	}
	for _, bad := range []any{nil, "", uint32(1), []string{"llama"}} {
		refuse(t, "no architecture", fake{values: map[string]any{"general.architecture": bad}}, "general.architecture")
	}
	refuse(t, "nothing", fake{}, "general.architecture")
}

// TestBadTensors takes every tensor of every golden file away, and gives it
// other shapes and types: the error names it.
func TestBadTensors(t *testing.T) {
	for file, whole := range goldens(t) {
		if strings.HasSuffix(file, "-27b") {
			continue // the same tensors in very many layers
		}
		for name, have := range whole.tensors {
			if strings.HasPrefix(name, "rope_factors_") {
				continue // below
			}
			s := whole.clone()
			delete(s.tensors, name)
			if optional(name) {
				_ = bounded(t, file+" without "+name, s)
			} else if partner := fusedWith(name); partner != "" {
				refuse(t, file+" without "+name, s, partner)
			} else {
				refuse(t, file+" without "+name, s, name)
			}
			wrong := [][]int{nil, {}, {1}, {0, 0}, {-1, 4}, {1 << 30, 1 << 30}, append([]int{1}, have.shape...)}
			if len(have.shape) == 2 && have.shape[0] != have.shape[1] {
				wrong = append(wrong, []int{have.shape[1], have.shape[0]})
			}
			for i := range have.shape {
				if name == "token_embd.weight" && i == 0 && whole.tensors["output.weight"].shape == nil {
					continue // any number of rows is a vocabulary
				}
				more := slices.Clone(have.shape)
				more[i]++
				wrong = append(wrong, more)
			}
			for _, shape := range wrong {
				s := whole.clone()
				s.tensors[name] = tensor{have.dtype, shape}
				say := name
				if name == "token_embd.weight" && len(shape) == 2 && shape[1] == have.shape[1] {
					say = "output.weight" // it is the one that no longer fits
				}
				refuse(t, fmt.Sprintf("%s, %s %v", file, name, shape), s, say)
			}
			types := []dtype.DType{dtype.Invalid, dtype.I32, dtype.DType(200)}
			if len(have.shape) == 1 {
				types = append(types, dtype.F16, dtype.Q8_0)
			}
			for _, d := range types {
				s := whole.clone()
				s.tensors[name] = tensor{d, have.shape}
				refuse(t, fmt.Sprintf("%s, %s as %s", file, name, d), s, name)
			}
		}
	}
}

// optional tensors may be missing.
func optional(name string) bool {
	return strings.HasSuffix(name, ".bias") || name == "output.weight" || name == "rope_freqs.weight"
}

// fusedWith is the tensor that is looked for in the absence of another: a file
// may have gate and up, or q, k and v, in one.
func fusedWith(name string) string {
	if layer, ok := strings.CutSuffix(name, "ffn_gate.weight"); ok {
		return layer + "ffn_up.weight"
	}
	if layer, ok := strings.CutSuffix(name, "attn_qkv.weight"); ok {
		return layer + "attn_q.weight"
	}
	return ""
}

func TestLongropeFactors(t *testing.T) {
	whole := golden(t, "phi3-longrope.gguf.gz")
	s := whole.clone()
	delete(s.tensors, "rope_factors_short.weight")
	short := s.clone()
	short.values["phi3.rope.scaling.original_context_length"] = uint32(1 << 20)
	refuse(t, "no short factors", short, "rope_factors_short.weight")
	for _, bad := range []tensor{{dtype.F32, []int{3}}, {dtype.F16, whole.tensors["rope_factors_long.weight"].shape}, {dtype.F32, nil}} {
		s := whole.clone()
		s.tensors["rope_factors_short.weight"], s.tensors["rope_factors_long.weight"] = bad, bad
		refuse(t, "wrong factors", s, "rope_factors_")
	}
}

// TestManyLayers asks for the most layers, whose tensors are not there.
func TestManyLayers(t *testing.T) {
	for name, whole := range architectures(t) {
		whole.values[name+".block_count"] = uint32(4096)
		refuse(t, "4096 layers of "+name, whole, "is missing")
	}
}

// FuzzMetadata changes values of golden files' metadata and sizes of their
// tensors, then makes the model and its graph.
func FuzzMetadata(f *testing.F) {
	all := goldens(f)
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(all)), func(name string) bool {
		return strings.HasSuffix(name, "-27b") // very many layers are only slow
	})
	for i := range names {
		f.Add(uint8(i), []byte{byte(i), 0, 1, 0, 0, 0, 0, 0, 0, 0, byte(3 * i), 7, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})
		f.Add(uint8(i), []byte{byte(5 * i), 9, 0, 0, 0xc0, 0x7f, 0, 0, 0, 0})
	}
	f.Fuzz(func(t *testing.T, file uint8, changes []byte) {
		s := all[names[int(file)%len(names)]].clone()
		var keys []string
		for _, k := range slices.Sorted(maps.Keys(s.values)) {
			if strings.HasPrefix(k, s.arch()+".") {
				keys = append(keys, k)
			}
		}
		for _, k := range []string{"attention.key_length", "attention.scale", "attention.sliding_window", "rope.scaling.type", "rope.scaling.factor",
			"rope.scaling.yarn_beta_fast", "rope.scaling.yarn_attn_factor", "rope.scaling.original_context_length", "rope.dimension_count"} {
			keys = append(keys, s.arch()+"."+k)
		}
		tensors := slices.Sorted(maps.Keys(s.tensors))
		for ; len(changes) >= 10; changes = changes[10:] {
			var bits uint64
			for i, b := range changes[2:10] {
				bits |= uint64(b) << (8 * i)
			}
			key := keys[int(changes[0])%len(keys)]
			switch changes[1] % 12 {
			case 0:
				delete(s.values, key)
			case 1:
				s.values[key] = uint32(bits)
			case 2:
				s.values[key] = int32(bits)
			case 3:
				s.values[key] = bits
			case 4:
				s.values[key] = int64(bits)
			case 5:
				s.values[key] = math.Float64frombits(bits)
			case 6:
				s.values[key] = []int32{int32(bits), int32(bits >> 32)}
			case 7:
				s.values[key] = []string{"none", "linear", "yarn", "longrope", "llama3", "?"}[bits%6]
			case 8:
				s.values[key] = bits%2 == 0
			case 9:
				s.values[key] = math.Float32frombits(uint32(bits))
			case 10:
				name := tensors[int(changes[0])%len(tensors)]
				s.tensors[name] = tensor{s.tensors[name].dtype, []int{int(int32(bits)), int(int32(bits >> 32))}}
			case 11:
				delete(s.tensors, tensors[int(changes[0])%len(tensors)])
			}
		}
		_ = bounded(t, "fuzzed", s)
	})
}
