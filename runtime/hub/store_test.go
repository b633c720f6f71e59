package hub

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// plant puts a model into the models folder as Pull would.
func plant(t *testing.T, h *Hub, name string, files ...string) Model {
	t.Helper()
	m := Model{Version: manifestVersion, Name: name, Source: "test", Dir: filepath.Join(h.dir, folderName(name))}
	if err := os.MkdirAll(m.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		data := gguf(100)
		if err := os.WriteFile(filepath.Join(m.Dir, f), data, 0o644); err != nil {
			t.Fatal(err)
		}
		m.Files = append(m.Files, File{f, 100, sumOf(data)})
	}
	if err := m.write(); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestListAndRemove(t *testing.T) {
	h := testHub(t, Config{Dir: filepath.Join(t.TempDir(), "not", "yet")})
	if models, err := h.List(); err != nil || len(models) != 0 {
		t.Errorf("List without a folder = %v, %v", models, err)
	}
	plant(t, h, "smollm2:135m-q4_1", "a.gguf")
	plant(t, h, "hf:o/r:sub/x-Q8_0.gguf", "x-Q8_0.gguf")
	plant(t, h, "hf:o/r:x-Q4_0.gguf", "x-Q4_0.gguf")
	split := plant(t, h, "hf:o/s:y-00001-of-00002.gguf", "y-00001-of-00002.gguf", "y-00002-of-00002.gguf")
	foreign := filepath.Join(h.dir, "mine")
	os.MkdirAll(foreign, 0o755)
	os.WriteFile(filepath.Join(foreign, "own.gguf"), gguf(10), 0o644)
	os.WriteFile(filepath.Join(split.Dir, "notes.txt"), []byte("mine"), 0o644)

	models, err := h.List()
	var names []string
	for _, m := range models {
		names = append(names, m.Name)
	}
	if want := "hf:o/r:sub/x-Q8_0.gguf hf:o/r:x-Q4_0.gguf hf:o/s:y-00001-of-00002.gguf smollm2:135m-q4_1"; err != nil || strings.Join(names, " ") != want {
		t.Errorf("List = %v, %v", names, err)
	}
	if s := models[2].Size(); s != 200 {
		t.Errorf("Size = %d", s)
	}
	for name, want := range map[string]string{
		"smollm2:360m":   "not downloaded",
		"mine":           "not downloaded",
		"hf:o/r:Q5_0":    "not downloaded",
		"..":             "not downloaded",
		"../../etc":      "not downloaded",
		".locks":         "not downloaded",
		"":               "not downloaded",
		foreign:          "not downloaded",
		"mine/../mine":   "not downloaded",
		"hf:o/r:../mine": "not downloaded",
	} {
		if _, err := h.Remove(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Remove(%q) = %v, want %q", name, err, want)
		}
	}
	for _, name := range []string{"SmolLM2:135m", "hf:O/R:q8_0", "hf--o--r--x-Q4_0", "hf:o/s:y-00001-of-00002.gguf"} {
		if _, err := h.Remove(name); err != nil {
			t.Errorf("Remove(%s): %v", name, err)
		}
	}
	if models, _ := h.List(); len(models) != 0 {
		t.Errorf("left: %v", models)
	}
	for _, p := range []string{filepath.Join(foreign, "own.gguf"), filepath.Join(split.Dir, "notes.txt")} {
		if _, err := os.Stat(p); err != nil {
			t.Errorf("Remove took what was not its own: %v", err)
		}
	}
	if _, err := os.Stat(filepath.Join(split.Dir, "y-00002-of-00002.gguf")); !os.IsNotExist(err) {
		t.Errorf("the second part is still there: %v", err)
	}
}

// TestRemovePartial: what an interrupted download left can be removed by alias.
func TestRemovePartial(t *testing.T) {
	h := testHub(t, Config{})
	dir := filepath.Join(h.dir, "smollm2-135m-q4_1")
	for name, data := range map[string]string{"a.gguf.part": "GGUF", "a.gguf.part.json": "{}", "a.gguf.part.json.tmp": "", ".pip-1/tmp/x.whl": "12345"} {
		path := filepath.Join(dir, name)
		os.MkdirAll(filepath.Dir(path), 0o755)
		os.WriteFile(path, []byte(data), 0o644)
	}
	if models, err := h.List(); err != nil || len(models) != 1 || !models[0].Partial || models[0].Size() != 9 {
		t.Errorf("List = %+v, %v", models, err)
	}
	if _, err := h.Resolve("smollm2:135m"); !errors.Is(err, ErrNotDownloaded) {
		t.Errorf("Resolve of a part: %v", err)
	}
	if m, err := h.Remove("smollm2:135m"); err != nil || !m.Partial {
		t.Errorf("Remove = %+v, %v", m, err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("left %s", dir)
	}
}

// TestHostileManifest: a manifest that names files outside its folder counts as none.
func TestHostileManifest(t *testing.T) {
	h := testHub(t, Config{})
	victim := filepath.Join(filepath.Dir(h.dir), "victim.gguf")
	os.WriteFile(victim, gguf(100), 0o644)
	defer os.Remove(victim)
	for i, file := range []string{"../../victim.gguf", "/etc/passwd", `..\victim.gguf`, "..", "a/b.gguf", "C:x.gguf", "manifest.json", ".hidden", ""} {
		dir := filepath.Join(h.dir, string(rune('a'+i)))
		os.MkdirAll(dir, 0o755)
		m := Model{Version: 1, Name: "evil:1", Source: "x", Files: []File{{file, 100, ""}}}
		data, _ := json.Marshal(m)
		os.WriteFile(filepath.Join(dir, manifestName), data, 0o644)
		if _, err := readManifest(dir); err == nil {
			t.Errorf("a manifest with the file %q was read", file)
		}
		if _, err := h.Remove("evil:1"); !errors.Is(err, ErrNotDownloaded) {
			t.Errorf("Remove with the file %q: %v", file, err)
		}
		if got, err := h.Resolve("hf:evil/1"); err == nil {
			t.Errorf("Resolve = %s", got)
		}
	}
	// A link in the models folder is no model, whatever it points at.
	out := t.TempDir()
	os.WriteFile(filepath.Join(out, "x.gguf"), gguf(100), 0o644)
	data, _ := json.Marshal(Model{Version: 1, Name: "evil:2", Files: []File{{"x.gguf", 100, ""}}})
	os.WriteFile(filepath.Join(out, manifestName), data, 0o644)
	if err := os.Symlink(out, filepath.Join(h.dir, "link")); err == nil {
		if _, err := h.Remove("evil:2"); err == nil {
			t.Error("Remove followed a link out of the models folder")
		}
	}
	if _, err := os.Stat(victim); err != nil {
		t.Error(err)
	}
}

func TestFolderName(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{
		"smollm2:135m-q4_1", "gemma3:270m-base-q4_k_m", "hf:o/r:x.gguf", "hf:o/r:sub/x.gguf", "hf:o/r:sub--x.gguf", "hf:o/r@dev:x.gguf", "ms:o/r:x.gguf",
		"https://host/x.gguf#0a0b0c0d", "http://host/x.gguf#0a0b0c0e", "https://host/a/../../x.gguf#01020304", "hf:o/r:" + strings.Repeat("long", 60) + ".gguf",
		"hf:o/r:é.gguf", "hf:o/r:è.gguf", "hf:o/r:x..gguf",
	} {
		f := folderName(name)
		if old, ok := seen[f]; ok {
			t.Errorf("%s and %s share the folder %s", old, name, f)
		}
		seen[f] = name
		if !filepath.IsLocal(f) || filepath.Base(f) != f || len(f) > 120 || strings.HasPrefix(f, ".") || strings.ContainsAny(f, `:\/ `) {
			t.Errorf("folderName(%s) = %s", name, f)
		}
	}
	for name, want := range map[string]string{"smollm2:135m-q4_1": "smollm2-135m-q4_1", "hf:o/r:x-Q8_0.gguf": "hf--o--r--x-Q8_0"} {
		if got := folderName(name); got != want {
			t.Errorf("folderName(%s) = %s, want %s", name, got, want)
		}
	}
}
