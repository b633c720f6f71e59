package hub

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// breaking serves data but cuts the connection after n bytes of each of the first
// times answers.
func breaking(data []byte, etag string, n, times int) http.HandlerFunc {
	var count atomic.Int32
	return func(w http.ResponseWriter, r *http.Request) {
		if int(count.Add(1)) > times {
			content(data, etag)(w, r)
			return
		}
		content(data, etag)(&cutWriter{w, n}, r)
	}
}

type cutWriter struct {
	http.ResponseWriter
	n int
}

func (c *cutWriter) Write(p []byte) (int, error) {
	if len(p) >= c.n {
		c.ResponseWriter.Write(p[:c.n])
		c.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	c.n -= len(p)
	return c.ResponseWriter.Write(p)
}

func TestDroppedConnectionResumes(t *testing.T) {
	data := gguf(300_000)
	var ranges []string
	f := breaking(data, `"v1"`, 70_000, 3)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		ranges = append(ranges, r.Header.Get("Range")+" "+r.Header.Get("If-Range"))
		f(w, r)
	})
	h := testHub(t, Config{})
	_, rec := pull(t, h, url+"/t.gguf", data)
	if want := []string{" ", `bytes=70000- "v1"`, `bytes=140000- "v1"`, `bytes=210000- "v1"`}; fmt.Sprint(ranges) != fmt.Sprint(want) {
		t.Errorf("asked for %q, want %q", ranges, want)
	}
	if p := rec.last; p.Bytes != 300_000 || p.Total != 300_000 || p.ETA != 0 || p.Fraction() != 1 {
		t.Errorf("last progress %+v", p)
	}
}

func TestGivesUpWithoutProgress(t *testing.T) {
	data := gguf(300_000)
	var n atomic.Int32
	f := breaking(data, "", 70_000, 1<<30) // no validator: each time from zero
	url := serve(t, func(w http.ResponseWriter, r *http.Request) { n.Add(1); f(w, r) })
	pullError(t, testHub(t, Config{}), url+"/t.gguf", "broke at 70.0 kB", "attempts")
	if n.Load() > 6 {
		t.Errorf("%d requests", n.Load())
	}
}

func TestCancelThenResume(t *testing.T) {
	data := gguf(300_000)
	release := make(chan struct{})
	var second atomic.Value
	var count atomic.Int32
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if count.Add(1) > 1 {
			second.Store(r.Header.Get("Range"))
			content(data, `"e"`)(w, r)
			return
		}
		w.Header().Set("ETag", `"e"`)
		w.Header().Set("Content-Length", fmt.Sprint(len(data)))
		w.Write(data[:100_000])
		w.(http.Flusher).Flush()
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	defer close(release)
	h := testHub(t, Config{})
	name := url + "/t.gguf"
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for { // until the first bytes are on disk
			parts, _ := filepath.Glob(filepath.Join(h.dir, "*", "*.part"))
			if len(parts) == 1 {
				if st, err := os.Stat(parts[0]); err == nil && st.Size() == 100_000 {
					cancel()
					return
				}
			}
			time.Sleep(time.Millisecond)
		}
	}()
	_, err := h.Pull(ctx, name, Options{})
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "run again to resume") {
		t.Fatalf("cancelled Pull: %v", err)
	}
	checkLine(t, err)
	if models, _ := h.List(); len(models) != 1 || !models[0].Partial || models[0].Size() != 100_000 {
		t.Errorf("List after a cancelled pull: %+v", models)
	}
	_, rec := pull(t, h, name, data)
	if second.Load() != "bytes=100000-" || !strings.Contains(rec.said(), "resuming at 100.0 kB") {
		t.Errorf("second run asked for %v:\n%s", second.Load(), rec.said())
	}
}

// begun leaves a .part of n bytes behind, as an interrupted run would.
func begun(t *testing.T, h *Hub, name string, n int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	h.openPart = func(path string) (partFile, error) {
		f, err := openPartFile(path)
		return &failing{partFile: f, left: n, do: func() error { cancel(); return context.Canceled }}, err
	}
	if _, err := h.Pull(ctx, name, Options{}); err == nil {
		t.Fatal("the first run was not interrupted")
	}
	h.openPart = openPartFile
	cancel()
}

// failing is a file that takes left bytes and then fails.
type failing struct {
	partFile
	left int
	do   func() error
}

func (f *failing) Write(p []byte) (int, error) {
	if len(p) <= f.left {
		f.left -= len(p)
		return f.partFile.Write(p)
	}
	n, _ := f.partFile.Write(p[:f.left])
	f.left = 0
	return n, f.do()
}

// TestTornPart: what a power failure may have torn, since it was not yet on the disk, is
// built on only if a checksum will tell.
func TestTornPart(t *testing.T) {
	data := gguf(300_000)
	for _, known := range []bool{false, true} {
		var asked []string
		url := serve(t, func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, r.Header.Get("Range"))
			content(data, `"e"`)(w, r)
		}) + "/t.gguf"
		if known {
			url += "#sha256=" + sumOf(data)
		}
		h := testHub(t, Config{})
		begun(t, h, url, 100_000)
		parts, err := filepath.Glob(filepath.Join(h.dir, "*", "*.part"))
		if err != nil || len(parts) != 1 {
			t.Fatal(parts, err)
		}
		var info partInfo
		if text, err := os.ReadFile(parts[0] + infoSuffix); err != nil || json.Unmarshal(text, &info) != nil || !known && info.Synced < 50_000 {
			t.Fatalf("%s (%v)", text, err)
		}
		torn := append(data[:100_000:100_000], make([]byte, 50_000)...) // more was written, of which nothing arrived
		if err := os.WriteFile(parts[0], torn, 0o644); err != nil {
			t.Fatal(err)
		}
		pull(t, h, url, data)
		want := []string{"", fmt.Sprintf("bytes=%d-", info.Synced)}
		if known {
			want = []string{"", "bytes=150000-", ""}
		}
		if fmt.Sprint(asked) != fmt.Sprint(want) {
			t.Errorf("known %v: asked for %q, want %q", known, asked, want)
		}
	}
}

// TestEndless: a server that does not say how much it sends does not fill the disk.
func TestEndless(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte("GGUF"))
		for n := 0; n < 4*spaceMargin; n += 1 << 20 {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				return
			}
		}
	})
	h := testHub(t, Config{})
	h.freeSpace = func(dir string) (int64, error) {
		free := int64(3 * spaceMargin)
		parts, err := filepath.Glob(filepath.Join(h.dir, "*", "*.part"))
		for _, p := range parts {
			if st, err := os.Stat(p); err == nil {
				free -= st.Size()
			}
		}
		return free, err
	}
	if err := pullError(t, h, url+"/t.gguf", "does not say how much"); !errors.Is(err, ErrNoSpace) {
		t.Error(err)
	}
	if left, err := filepath.Glob(filepath.Join(h.dir, "*", "*.part*")); err != nil || len(left) > 0 {
		t.Errorf("left are %v (%v)", left, err)
	}
}

func TestServerWithoutRanges(t *testing.T) {
	data := gguf(100_000)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"e"`)
		w.Header().Set("Content-Length", fmt.Sprint(len(data)))
		w.Write(data)
	})
	h := testHub(t, Config{})
	begun(t, h, url+"/t.gguf", 40_000)
	_, rec := pull(t, h, url+"/t.gguf", data)
	if !strings.Contains(rec.said(), "starting anew") {
		t.Errorf("log: %s", rec.said())
	}
}

func TestRangesWithStatus200(t *testing.T) { // as ModelScope sends them
	data := gguf(100_000)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		off := 0
		w.Header().Set("ETag", `"e"`)
		if n, _ := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &off); n == 1 {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", off, len(data)-1, len(data)))
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(data)-off))
		w.Write(data[off:])
	})
	h := testHub(t, Config{})
	begun(t, h, url+"/t.gguf", 40_000)
	_, rec := pull(t, h, url+"/t.gguf", data)
	if strings.Contains(rec.said(), "anew") {
		t.Errorf("log: %s", rec.said())
	}
}

// TestChangedFile: between two requests the file changes; what is kept must be the
// new one whole, however the server tells.
func TestChangedFile(t *testing.T) {
	older, newer := gguf(100_000), gguf(100_001)
	sameSize := bytes.Clone(older)
	sameSize[50_000] ^= 1
	for name, second := range map[string]http.HandlerFunc{
		"honours If-Range": content(newer, `"v2"`),
		"ignores If-Range": func(w http.ResponseWriter, r *http.Request) {
			r.Header.Del("If-Range")
			content(newer, `"v2"`)(w, r)
		},
		"ignores If-Range, same size": func(w http.ResponseWriter, r *http.Request) {
			r.Header.Del("If-Range")
			content(sameSize, `"v2"`)(w, r)
		},
		"shorter now": func(w http.ResponseWriter, r *http.Request) {
			r.Header.Del("If-Range")
			content(gguf(30_000), `"v2"`)(w, r)
		},
		"another part": func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Range") == "" {
				content(newer, `"v2"`)(w, r)
				return
			}
			w.Header().Set("Content-Range", "bytes 5-9/100000")
			w.WriteHeader(http.StatusPartialContent)
		},
	} {
		t.Run(name, func(t *testing.T) {
			want := map[string][]byte{"ignores If-Range, same size": sameSize, "shorter now": gguf(30_000)}[name]
			if want == nil {
				want = newer
			}
			var changed atomic.Bool
			first := breaking(older, `"v1"`, 40_000, 1)
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if changed.Swap(true) {
					second(w, r)
				} else {
					first(w, r)
				}
			})
			pull(t, testHub(t, Config{}), url+"/t.gguf", want)
		})
	}
}

// TestSplicedPartIsNoticed: the part of an earlier run belongs to another file, and
// only the sha256 tells.
func TestSplicedPartIsNoticed(t *testing.T) {
	data := gguf(100_000)
	url := serve(t, content(data, ""))
	h := testHub(t, Config{})
	name := url + "/t.gguf#sha256=" + sumOf(data)
	begun(t, h, name, 40_000)
	parts, _ := filepath.Glob(filepath.Join(h.dir, "*", "*.part"))
	part, _ := os.ReadFile(parts[0])
	part[1000] ^= 1
	os.WriteFile(parts[0], part, 0o644)
	_, rec := pull(t, h, name, data)
	if !strings.Contains(rec.said(), "do not fit together") {
		t.Errorf("log: %s", rec.said())
	}
}

func TestWrongChecksum(t *testing.T) {
	url := serve(t, content(gguf(50_000), `"e"`))
	h := testHub(t, Config{})
	err := pullError(t, h, url+"/t.gguf#sha256="+sumOf([]byte("other")), "sha256", "removed")
	if !errors.Is(err, ErrChecksum) {
		t.Errorf("%v is no ErrChecksum", err)
	}
	if left, _ := filepath.Glob(filepath.Join(h.dir, "[^.]*", "*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestWrongChecksumLater: what is here already is checked, too, and stays.
func TestWrongChecksumLater(t *testing.T) {
	data := gguf(50_000)
	wrong := sumOf([]byte("other"))
	for _, known := range []bool{true, false} {
		url := serve(t, content(data, `"e"`)) + "/t.gguf"
		h := testHub(t, Config{})
		path, _ := pull(t, h, url, data)
		if !known {
			m, err := readManifest(filepath.Dir(path))
			if err != nil {
				t.Fatal(err)
			}
			m.Files[0].SHA256 = ""
			if err := m.write(); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range []struct {
			sum  string
			fine bool
		}{{"", true}, {sumOf(data), true}, {strings.ToUpper(sumOf(data)), true}, {wrong, false}} {
			name := url
			if c.sum != "" {
				name += "#sha256=" + c.sum
			}
			if c.fine {
				if got, err := h.Pull(t.Context(), name, Options{}); err != nil || got != path {
					t.Errorf("known %v, %s: %s, %v", known, name, got, err)
				}
				continue
			}
			_, err := h.Pull(t.Context(), name, Options{})
			if _, rerr := h.Resolve(name); !errors.Is(err, ErrChecksum) || !errors.Is(rerr, ErrChecksum) {
				t.Errorf("known %v: Pull says %v, Resolve %v", known, err, rerr)
				continue
			}
			checkLine(t, err)
			for _, want := range []string{sumOf(data), wrong, "models rm"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("known %v: no %q in %v", known, want, err)
				}
			}
		}
		if left, err := os.ReadFile(path); err != nil || !bytes.Equal(left, data) {
			t.Errorf("the file has changed: %v", err)
		}
		// Somebody else has fetched it while this one waited for the lock.
		ref, err := ParseName(url + "#sha256=" + wrong)
		if err != nil {
			t.Fatal(err)
		}
		at, err := h.targetURL(ref)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.obtain(t.Context(), at, Options{}); !errors.Is(err, ErrChecksum) {
			t.Errorf("known %v: after the lock: %v", known, err)
		}
	}
}

// TestEscapedAddress: a / that an address has as %2F, as in the name of a branch, stays
// one.
func TestEscapedAddress(t *testing.T) {
	const hub = "https://hub.example"
	h := testHub(t, Config{HFEndpoint: hub})
	for _, c := range []struct{ addr, want, second string }{
		{hub + "/o/r/resolve/feature%2Fx/model.gguf", hub + "/o/r/resolve/feature%2Fx/model.gguf", ""},
		{hub + "/o/r/blob/refs%2Fpr%2F1/m.gguf", hub + "/o/r/resolve/refs%2Fpr%2F1/m.gguf", ""},
		{hub + "/o/r/blob/main/a%20b.gguf", hub + "/o/r/resolve/main/a%20b.gguf", ""},
		{hub + "/o/r/blob/a%2Fb/m-00001-of-00002.gguf", hub + "/o/r/resolve/a%2Fb/m-00001-of-00002.gguf", hub + "/o/r/resolve/a%2Fb/m-00002-of-00002.gguf"},
		{"https://x.example/a%2Fb/m-00001-of-00002.gguf?k=1", "https://x.example/a%2Fb/m-00001-of-00002.gguf?k=1", "https://x.example/a%2Fb/m-00002-of-00002.gguf?k=1"},
		{"https://x.example/a/b%2Fm%20n-00001-of-00002.gguf", "https://x.example/a/b%2Fm%20n-00001-of-00002.gguf", "https://x.example/a/b%2Fm%20n-00002-of-00002.gguf"},
	} {
		ref, err := ParseName(c.addr)
		if err != nil {
			t.Fatal(err)
		}
		at, err := h.targetURL(ref)
		if err != nil {
			t.Errorf("%s: %v", c.addr, err)
			continue
		}
		if got := at.files[0].url.String(); got != c.want {
			t.Errorf("%s is fetched from %s", c.addr, got)
		}
		if c.second != "" && (len(at.files) != 2 || at.files[1].url.String() != c.second) {
			t.Errorf("%s: the second is fetched from %s", c.addr, at.files[len(at.files)-1].url)
		}
	}
}

func TestStall(t *testing.T) {
	data := gguf(100_000)
	var count atomic.Int32
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch count.Add(1) {
		case 1: // never answers
			<-r.Context().Done()
		case 2: // stops in the middle
			w.Header().Set("ETag", `"e"`)
			w.Header().Set("Content-Length", fmt.Sprint(len(data)))
			w.Write(data[:60_000])
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		default:
			content(data, `"e"`)(w, r)
		}
	})
	h := testHub(t, Config{})
	h.tune.stall = 50 * time.Millisecond
	_, rec := pull(t, h, url+"/t.gguf", data)
	for _, want := range []string{"does not answer within 50ms", "sent nothing for 50ms"} {
		if !strings.Contains(rec.said(), want) {
			t.Errorf("log lacks %q: %s", want, rec.said())
		}
	}
}

func TestNotAModel(t *testing.T) {
	for name, c := range map[string]struct{ kind, body, want string }{
		"page":    {"text/html", "<!DOCTYPE html><title>Log in</title>", "web page"},
		"short":   {"", "GG", "not a GGUF file"},
		"empty":   {"", "", "it is empty"},
		"json":    {"application/json", `{"error":"Repository\nnot \u001b[31mfound"}`, "Repository not [31mfound"},
		"pointer": {"text/plain", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "LFS pointer"},
		"zip":     {"application/zip", "PK\x03\x04....", `begins with "PK\x03\x04`},
	} {
		t.Run(name, func(t *testing.T) {
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", c.kind)
				io.WriteString(w, c.body)
			})
			h := testHub(t, Config{HFEndpoint: url})
			if err := pullError(t, h, url+"/t.gguf", c.want); !errors.Is(err, ErrNotGGUF) {
				t.Errorf("%v is no ErrNotGGUF", err)
			}
			// The same where the size is known beforehand.
			withCatalog(h, gguf(50_000), Source{Kind: "hf", Repo: "a/b", File: "t.gguf"})
			pullError(t, h, "tiny:1b", c.want)
		})
	}
}

func TestTooLongAndTruncated(t *testing.T) {
	data := gguf(50_000)
	long := serve(t, func(w http.ResponseWriter, r *http.Request) { // chunked: no length
		w.Write(data)
		w.(http.Flusher).Flush()
		w.Write(data)
	})
	short := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Write(data[:10_000])
		w.(http.Flusher).Flush()
	})
	for url, want := range map[string]string{long: "more than the 50000 bytes", short: "broke off at 10.0 kB of 50.0 kB"} {
		h := testHub(t, Config{HFEndpoint: url})
		withCatalog(h, data, Source{Kind: "hf", Repo: "a/b", File: "t.gguf"})
		pullError(t, h, "tiny:1b", want)
	}
}

func TestFullDisk(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the error that stands for a full disk is a Unix one")
	}
	data := gguf(100_000)
	url := serve(t, content(data, `"e"`))
	h := testHub(t, Config{HFEndpoint: url})
	withCatalog(h, data, Source{Kind: "hf", Repo: "a/b", File: "t.gguf"}, Source{Kind: "hf", Repo: "c/d", File: "t.gguf"})
	full := true
	h.openPart = func(path string) (partFile, error) {
		f, err := openPartFile(path)
		if !full {
			return f, err
		}
		return &failing{partFile: f, left: 40_000, do: func() error { return &os.PathError{Op: "write", Path: path, Err: syscall.ENOSPC} }}, err
	}
	err := pullError(t, h, "tiny:1b", "the disk filled up", "run again")
	if !errors.Is(err, ErrNoSpace) || strings.Contains(err.Error(), "c/d") {
		t.Errorf("full disk: %v", err) // the second source must not be tried
	}
	full = false
	_, rec := pull(t, h, "tiny:1b", data)
	if !strings.Contains(rec.said(), "resuming at 40.0 kB") {
		t.Errorf("after making room: %s", rec.said())
	}
}

func TestTooLittleSpace(t *testing.T) {
	url := serve(t, content(gguf(100_000), `"e"`))
	h := testHub(t, Config{HFEndpoint: url})
	h.freeSpace = func(string) (int64, error) { return spaceMargin + 99_999, nil }
	if err := pullError(t, h, url+"/t.gguf", "needs 100.0 kB more"); !errors.Is(err, ErrNoSpace) {
		t.Error(err) // the size is known from the answer only
	}
	withCatalog(h, gguf(100_000), Source{Kind: "hf", Repo: "a/b", File: "t.gguf"})
	pullError(t, h, "tiny:1b", "needs 100.0 kB more") // known beforehand
	h.freeSpace = func(string) (int64, error) { return spaceMargin + 100_000, nil }
	pull(t, h, "tiny:1b", gguf(100_000))
}

// TestTwoPulls: two hubs on one folder stand for two processes; the lock is the
// file's, not the process's.
func TestTwoPulls(t *testing.T) {
	data := gguf(100_000)
	var requests atomic.Int32
	started, release := make(chan struct{}), make(chan struct{})
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) == 1 {
			close(started)
			<-release
		}
		content(data, `"e"`)(w, r)
	})
	dir := t.TempDir()
	var wg sync.WaitGroup
	run := func(rec *recorder) {
		defer wg.Done()
		if _, err := testHub(t, Config{Dir: dir}).Pull(t.Context(), url+"/t.gguf", rec.options()); err != nil {
			t.Error(err)
		}
	}
	var a, b recorder
	wg.Add(2)
	go run(&a)
	<-started
	go run(&b)
	for !strings.Contains(b.said(), "waiting for it") {
		time.Sleep(time.Millisecond)
	}
	// While it is being downloaded it can't be removed, and waiting can be given up.
	if _, err := testHub(t, Config{Dir: dir}).Remove(filepath.Base(filepath.Dir(glob(t, dir, "*/*.part.json")))); err == nil || !strings.Contains(err.Error(), "is being downloaded") {
		t.Errorf("Remove of what is being downloaded: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := testHub(t, Config{Dir: dir}).Pull(ctx, url+"/t.gguf", Options{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting with a deadline: %v", err)
	}
	close(release)
	wg.Wait()
	if requests.Load() != 1 {
		t.Errorf("%d requests for one file", requests.Load())
	}
}

func glob(t *testing.T, dir, pattern string) string {
	t.Helper()
	for range 1000 {
		if m, _ := filepath.Glob(filepath.Join(dir, pattern)); len(m) == 1 {
			return m[0]
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("no %s in %s", pattern, dir)
	return ""
}

func TestSplitURL(t *testing.T) {
	parts := map[string][]byte{}
	for i := 1; i <= 3; i++ {
		parts[fmt.Sprintf("/d/m-0000%d-of-00003.gguf", i)] = gguf(20_000 + i)
	}
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if data, ok := parts[r.URL.Path]; ok {
			content(data, `"`+r.URL.Path+`"`)(w, r)
		} else {
			http.NotFound(w, r)
		}
	})
	h := testHub(t, Config{})
	path, rec := pull(t, h, url+"/d/m-00001-of-00003.gguf", parts["/d/m-00001-of-00003.gguf"])
	if _, err := h.Resolve(path); err != nil {
		t.Errorf("the parts don't resolve as a path: %v", err)
	}
	if rec.last.Index != 3 || rec.last.Files != 3 || rec.last.Bytes != 60_006 || rec.last.Total != 60_006 {
		t.Errorf("last progress %+v", rec.last)
	}
	pullError(t, testHub(t, Config{}), url+"/d/m-00002-of-00003.gguf", "the address of the first")
	os.Remove(filepath.Join(filepath.Dir(path), "m-00002-of-00003.gguf"))
	if _, err := h.Resolve(url + "/d/m-00001-of-00003.gguf"); !errors.Is(err, ErrNotDownloaded) {
		t.Errorf("Resolve with a part gone: %v", err)
	}
}

// TestChildPull is not a test but the child of TestKilledProcess.
func TestChildPull(t *testing.T) {
	url, dir, ok := strings.Cut(os.Getenv("LEDGE_HUB_TEST_CHILD"), " ")
	if !ok {
		t.Skip("runs as the child of TestKilledProcess only")
	}
	h := New(Config{Dir: dir})
	h.tune.sync = 50_000
	h.Pull(t.Context(), url, Options{})
}

// TestKilledProcess: a process that is killed in the middle of a download leaves
// neither a lock nor a file under the final name, and the next one goes on.
func TestKilledProcess(t *testing.T) {
	data := gguf(300_000)
	var count atomic.Int32
	var resumed atomic.Value
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if count.Add(1) > 1 {
			resumed.Store(r.Header.Get("Range"))
			content(data, `"e"`)(w, r)
			return
		}
		w.Header().Set("ETag", `"e"`)
		w.Header().Set("Content-Length", fmt.Sprint(len(data)))
		w.Write(data[:200_000])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}) + "/t.gguf"
	h := testHub(t, Config{})
	child := exec.Command(os.Args[0], "-test.run=^TestChildPull$")
	child.Env = append(os.Environ(), "LEDGE_HUB_TEST_CHILD="+url+" "+h.dir)
	if err := child.Start(); err != nil {
		t.Skipf("this system starts no child process: %v", err)
	}
	var info partInfo
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		parts, _ := filepath.Glob(filepath.Join(h.dir, "*", "*.part"))
		if len(parts) == 1 {
			st, err := os.Stat(parts[0])
			text, err2 := os.ReadFile(parts[0] + infoSuffix)
			if err == nil && err2 == nil && st.Size() == 200_000 && json.Unmarshal(text, &info) == nil && info.Synced > 150_000 {
				break
			}
		}
		if time.Now().After(deadline) {
			child.Process.Kill()
			t.Fatal("the child does not get on")
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	if _, err := h.Pull(ctx, url, Options{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Pull beside the child: %v", err)
	}
	cancel()
	child.Process.Kill()
	child.Wait()
	pull(t, h, url, data)
	if resumed.Load() != fmt.Sprintf("bytes=%d-", info.Synced) {
		t.Errorf("after the kill it asked for %v", resumed.Load())
	}
}
