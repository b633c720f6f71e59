package engine_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/packcache"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/engine/goldentest"
)

// TestPackCacheUnusable: a folder that cannot be had is told of, and an error where the
// weights were to be shared through it.
func TestPackCacheUnusable(t *testing.T) {
	dir := t.TempDir()
	path, taken := filepath.Join(dir, "model.gguf"), filepath.Join(dir, "taken")
	if err := os.WriteFile(path, goldentest.Bytes(t, "../model/testdata", "llama-gqa.gguf.gz"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(taken, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cache := packcache.New(taken)
	m, err := engine.Open(t.Context(), path, engine.Options{PackCache: cache})
	if err != nil {
		t.Fatal(err)
	}
	if n := m.Notes(); len(n) != 1 || !strings.Contains(n[0], "not kept for the next start: mkdir "+taken) {
		t.Errorf("notes %q", n)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	for want, o := range map[string]engine.Options{
		"cannot be shared: mkdir " + taken: {PackCache: cache, Share: true},
		"kept in: name one":                {Share: true},
	} {
		if m, err := engine.Open(t.Context(), path, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, not %q", err, want)
			if err == nil {
				m.Close()
			}
		}
	}
}

// TestPackCache starts a real model four times: the weights that the first start
// leaves behind are read by the second and mapped by the third, a damaged file
// is replaced, and no token changes.
func TestPackCache(t *testing.T) {
	dir := os.Getenv("LEDGE_TEST_MODELS")
	if dir == "" {
		t.Skip("LEDGE_TEST_MODELS does not name a folder with smollm2-135m-instruct-q4_1.gguf")
	}
	cache := packcache.New(filepath.Join(t.TempDir(), "packed"))
	start := func(share, use bool, want backend.Origin) string {
		t.Helper()
		m, err := engine.Open(context.Background(), filepath.Join(dir, "smollm2-135m-instruct-q4_1.gguf"), engine.Options{PackCache: cache, Share: share})
		if err != nil {
			t.Fatal(err)
		}
		if m.Origin() != want {
			t.Errorf("the weights are %s, want %s", m.Origin(), want)
		}
		var text strings.Builder
		if use {
			s := m.NewSession()
			for p, err := range s.Generate(context.Background(), m.Encode("The capital of France is", true, false), engine.Settings{Sampler: greedy(), MaxTokens: 8}) {
				if err != nil {
					t.Fatal(err)
				}
				text.WriteString(p.Text)
			}
			s.Close()
			// On a slow machine, Close may give up what is not kept yet.
			for end := time.Now().Add(time.Minute); want == backend.Packed && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
				if all, err := cache.List(); err != nil || len(all) > 0 {
					break
				}
			}
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		return text.String()
	}
	entries := func() []packcache.Info {
		t.Helper()
		all, err := cache.List()
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	start(false, false, backend.Packed)
	if all := entries(); len(all) != 0 {
		t.Errorf("a model that was only opened is kept: %v", all)
	}
	first := start(false, true, backend.Packed)
	all := entries()
	if len(all) != 1 || all[0].Label != "smollm2-135m-instruct-q4_1.gguf" {
		t.Fatalf("kept: %v", all)
	}
	for _, share := range []bool{false, true} {
		want := map[bool]backend.Origin{false: backend.Cached, true: backend.Shared}[share]
		if text := start(share, true, want); text != first {
			t.Errorf("%s: %q, packed: %q", want, text, first)
		}
	}
	if err := os.Truncate(all[0].Path, all[0].Size/2); err != nil {
		t.Fatal(err)
	}
	if text := start(false, true, backend.Packed); text != first {
		t.Errorf("after damage: %q, at first: %q", text, first)
	}
	start(false, false, backend.Cached)
}
