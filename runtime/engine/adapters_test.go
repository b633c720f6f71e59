package engine_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/packcache"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/engine/goldentest"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
	"github.com/ledge-run/ledge/runtime/weights/lora"
)

// adapterFor writes a random adapter of one weight of a model.
func adapterFor(t *testing.T, f *gguf.File, arch, weight string, seed uint64) string {
	t.Helper()
	x, ok := f.Tensor(weight)
	if !ok {
		t.Fatalf("no tensor %s", weight)
	}
	const rank = 2
	rng := rand.New(rand.NewPCG(seed, 1))
	m := lora.Matrices{Weight: weight, Rank: rank}
	for range rank * x.Shape[1] {
		m.A = append(m.A, float32(rng.NormFloat64()/4))
	}
	for range x.Shape[0] * rank {
		m.B = append(m.B, float32(rng.NormFloat64()/4))
	}
	w, err := lora.NewWriter(lora.Header{Architecture: arch, Alpha: rank}, dtype.F32, []lora.Matrices{m})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "adapter.gguf")
	if err := w.Save(t.Context(), path, false); err != nil {
		t.Fatal(err)
	}
	return path
}

// use opens an adapter.
func use(t *testing.T, path string, scale float32) []lora.Use {
	t.Helper()
	f, err := lora.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return []lora.Use{{File: f, Scale: scale}}
}

// TestAdapterClass: a cache that was saved with an adapter is of no use with another,
// with none, or at another scale.
func TestAdapterClass(t *testing.T) {
	g := goldentest.Named(goldens, "llama-gqa")
	file := goldentest.Parse(t, goldens, g.Gguf)
	one, two := adapterFor(t, file, "llama", "blk.0.attn_k.weight", 1), adapterFor(t, file, "llama", "blk.0.attn_k.weight", 2)
	save := func(adapters []lora.Use) (*engine.Model, []byte) {
		m := openGolden(t, g, engine.Options{Threads: 1, Adapters: adapters})
		s := m.NewSession()
		defer s.Close()
		collect(t, s, randomTokens(1, 40), engine.Settings{Sampler: greedy(), MaxTokens: 4, IgnoreEOG: true})
		var b bytes.Buffer
		if err := s.Save(&b); err != nil {
			t.Fatal(err)
		}
		return m, b.Bytes()
	}
	m, own := save(use(t, one, 1))
	load := func(saved []byte) error {
		s := m.NewSession()
		defer s.Close()
		return s.Load(bytes.NewReader(saved))
	}
	if err := load(own); err != nil {
		t.Error(err)
	}
	for name, adapters := range map[string][]lora.Use{
		"no adapter": nil, "another adapter": use(t, two, 1), "another scale": use(t, one, 0.5), "two": append(use(t, one, 1), use(t, two, 1)...),
	} {
		if _, saved := save(adapters); load(saved) == nil {
			t.Errorf("%s: its cache was loaded", name)
		}
	}
	if _, saved := save(use(t, one, 1)); load(saved) != nil {
		t.Error("the same adapter: its cache was not loaded")
	}
}

// TestAdapterRefused: adapters that the model has no use for are refused by name, and
// their files are closed.
func TestAdapterRefused(t *testing.T) {
	g := goldentest.Named(goldens, "llama-gqa")
	file := goldentest.Parse(t, goldens, g.Gguf)
	for name, c := range map[string]struct {
		uses []lora.Use
		tap  engine.Tap
		want string
	}{
		"architecture": {use(t, adapterFor(t, file, "qwen3", "blk.0.attn_k.weight", 1), 1), nil, `architecture "qwen3", this one is "llama"`},
		"tap":          {use(t, adapterFor(t, file, "llama", "blk.0.attn_k.weight", 1), 1), func([]string, []float32, int) {}, "is not tapped"},
	} {
		_, err := engine.OpenFile(t.Context(), goldentest.Parse(t, goldens, g.Gguf), engine.Options{Threads: 1, Adapters: c.uses, Tap: c.tap})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want %q in it", name, err, c.want)
		}
		if x := c.uses[0].File.Pairs[0].A; x.Data != nil {
			t.Errorf("%s: the adapter is still open", name)
		}
	}
	adapter, err := os.ReadFile(adapterFor(t, file, "llama", "blk.0.attn_k.weight", 1))
	if err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Parse(adapter)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := engine.OpenFile(t.Context(), f, engine.Options{}); err == nil || !strings.Contains(err.Error(), "is an adapter, not a model") {
		t.Errorf("an adapter as a model: error %v", err)
	}
}

// TestAdapterPackCache: packed weights are kept for a model with its adapter: another
// one of the same shapes does not get them.
func TestAdapterPackCache(t *testing.T) {
	dir := os.Getenv("LEDGE_TEST_MODELS")
	if dir == "" {
		t.Skip("LEDGE_TEST_MODELS does not name a folder with smollm2-135m-instruct-q4_1.gguf")
	}
	path := filepath.Join(dir, "smollm2-135m-instruct-q4_1.gguf")
	file, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	one, two := adapterFor(t, file, "llama", "blk.29.ffn_down.weight", 1), adapterFor(t, file, "llama", "blk.29.ffn_down.weight", 2)
	cache := packcache.New(filepath.Join(t.TempDir(), "packed"))
	start := func(uses []lora.Use, want backend.Origin, kept int) []int32 {
		t.Helper()
		m, err := engine.Open(t.Context(), path, engine.Options{PackCache: cache, Adapters: uses})
		if err != nil {
			t.Fatal(err)
		}
		if m.Origin() != want {
			t.Errorf("the weights are %s, want %s", m.Origin(), want)
		}
		s := m.NewSession()
		out := collect(t, s, m.Encode("The capital of France is", true, false), engine.Settings{Sampler: greedy(), MaxTokens: 4})
		s.Close()
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			if all, err := cache.List(); err != nil || len(all) >= kept {
				break
			}
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		return out
	}
	first := start(use(t, one, 8), backend.Packed, 1)
	second := start(use(t, two, 8), backend.Packed, 2)
	if slices.Equal(first, second) {
		t.Error("two adapters give the same tokens: the test shows nothing")
	}
	if got := start(use(t, one, 8), backend.Cached, 2); !slices.Equal(got, first) {
		t.Errorf("cached: %v, packed: %v", got, first)
	}
	start(append(use(t, one, 1), use(t, two, 1)...), backend.Packed, 0)
}
