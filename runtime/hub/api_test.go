package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// fakeHub serves files as the Hugging Face hub and ModelScope do.
type fakeHub struct {
	files map[string][]byte // path in owner/repo
	pages int               // split the list of files over so many pages
	url   string
}

func (f *fakeHub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	type obj = map[string]any
	if path, ok := strings.CutPrefix(r.URL.Path, "/owner/repo/resolve/main/"); ok {
		if data, ok := f.files[path]; ok {
			content(data, `"`+sumOf(data)+`"`)(w, r)
			return
		}
	}
	switch r.URL.Path {
	case "/api/models/owner/repo/tree/main":
		list := []obj{{"type": "directory", "path": "sub", "size": 0}}
		for path, data := range f.files {
			list = append(list, obj{"type": "file", "path": path, "size": 130, "lfs": obj{"oid": sumOf(data), "size": len(data), "pointerSize": 130}})
		}
		page := 0
		fmt.Sscan(r.URL.Query().Get("cursor"), &page)
		if page+1 < f.pages {
			w.Header().Set("Link", fmt.Sprintf(`<%s%s?recursive=true&cursor=%d>; rel="next"`, f.url, r.URL.Path, page+1))
			list = nil
		}
		json.NewEncoder(w).Encode(list)
	case "/api/v1/models/owner/repo/repo/files":
		var list []obj
		for path, data := range f.files {
			list = append(list, obj{"Type": "blob", "Path": path, "Size": len(data), "Sha256": strings.ToUpper(sumOf(data)), "IsLFS": true})
		}
		json.NewEncoder(w).Encode(obj{"Code": 200, "Success": true, "Data": obj{"Files": append(list, obj{"Type": "tree", "Path": "sub"})}})
	case "/api/v1/models/owner/repo/repo":
		if data, ok := f.files[r.URL.Query().Get("FilePath")]; ok && r.URL.Query().Get("Revision") == "master" {
			content(data, "")(w, r)
			return
		}
		http.NotFound(w, r)
	default:
		http.NotFound(w, r)
	}
}

func TestRepositories(t *testing.T) {
	f := &fakeHub{pages: 3, files: map[string][]byte{
		"README.md":                        []byte("hello"),
		"Model-Q8_0.gguf":                  gguf(30_000),
		"Model-Q4_K_M.gguf":                gguf(20_000),
		"Model-F16.gguf":                   gguf(60_000),
		"mmproj-Model-Q4_K_M.gguf":         gguf(10_000),
		"sub/Big-Q6_K-00001-of-00002.gguf": gguf(40_000),
		"sub/Big-Q6_K-00002-of-00002.gguf": gguf(41_000),
		"sub/Cut-Q5_0-00001-of-00002.gguf": gguf(42_000),
		"../Evil-Q5_1.gguf":                gguf(100),
		"a b/Spacé+%41-Q2_K.gguf":          gguf(11_000),
	}}
	f.url = serve(t, f.ServeHTTP)
	h := testHub(t, Config{HFEndpoint: f.url, MSEndpoint: f.url + "/"})
	for _, hub := range []string{"hf:", "ms:"} {
		for want, path := range map[string]string{
			"":                              "Model-Q4_K_M.gguf", // by preference
			":q8_0":                         "Model-Q8_0.gguf",
			":Model-Q8_0.gguf":              "Model-Q8_0.gguf",
			":fp16":                         "Model-F16.gguf",
			":Q6_K":                         "sub/Big-Q6_K-00001-of-00002.gguf",
			":big-q6_k-00001-of-00002.gguf": "sub/Big-Q6_K-00001-of-00002.gguf",
			":a b/Spacé+%41-Q2_K.gguf":      "a b/Spacé+%41-Q2_K.gguf",
		} {
			got, _ := pull(t, h, hub+"owner/repo"+want, f.files[path])
			for _, name := range []string{hub + "owner/repo" + want, hub + "Owner/Repo:" + path} {
				if again, err := h.Resolve(name); err != nil || again != got {
					t.Errorf("Resolve(%s) = %s, %v, want %s", name, again, err, got)
				}
			}
		}
	}
	// A quantisation is answered by a file that was pulled by its name.
	h2 := testHub(t, Config{HFEndpoint: f.url})
	want, _ := pull(t, h2, "hf:owner/repo:Model-Q8_0.gguf", f.files["Model-Q8_0.gguf"])
	if got, err := h2.Resolve("hf:owner/repo:q8_0"); err != nil || got != want {
		t.Errorf("Resolve(:q8_0) = %s, %v", got, err)
	}
	h = testHub(t, Config{HFEndpoint: f.url, MSEndpoint: f.url})
	for name, want := range map[string]string{
		"hf:owner/repo:Q3_K_M":                       "there is no Q3_K_M; there are",
		"hf:owner/repo:Cut-Q5_0-00001-of-00002.gguf": "there is no Cut-Q5_0",
		"hf:owner/repo:Big-Q6_K-00002-of-00002.gguf": "part 2 of 2 split files: name the first",
		"hf:owner/repo:Q5_1":                         "there is no Q5_1",
		"hf:owner/none":                              "HTTP 404",
		"ms:owner/none:Q8_0":                         "HTTP 404",
		"hf:owner/repo@dev:Q8_0":                     "HTTP 404",
		"hf:owner":                                   "the form is hf:owner/repo",
		"hf:owner/../x":                              "the form is hf:owner/repo",
		"ms:owner/repo:../x.gguf":                    "no file of a repository",
	} {
		pullError(t, h, name, want)
	}
}

func TestAPIAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		header map[string]string
		body   string
		want   string // of hf
		wantMS string // of ms, where it differs
	}{
		"401":         {401, nil, `{"error":"Invalid username or password."}`, "HTTP 401): the repository does not exist, is private, or its licence must be accepted on its web page first; then set HF_TOKEN: it says: Invalid username", "set MODELSCOPE_API_TOKEN"},
		"gated":       {403, map[string]string{"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to model x is restricted."}, "", "HF_TOKEN: it says: Access to model x is restricted.", "HTTP 403"},
		"404":         {404, nil, "nothing", "has nothing there (HTTP 404)", ""},
		"429 long":    {429, map[string]string{"Retry-After": "3600"}, "", "it asks to come back in 1h0m0s", ""},
		"429 short":   {429, map[string]string{"Retry-After": "0"}, "", "limits requests (HTTP 429) (4 attempts)", ""},
		"500":         {500, nil, "<html>\nInternal\n</html>", "failed (HTTP 500) (4 attempts)", ""},
		"302 nowhere": {302, nil, "", "answered HTTP 302", ""},
		"teapot":      {418, nil, "", "answered HTTP 418", ""},
		"HTML":        {200, nil, "<!DOCTYPE html>\n<html>\x1b[31mportal</html>", `no file list: it starts with "<!DOCTYPE html> <html>[31mportal</html>"`, ""},
		"empty":       {200, nil, "", "empty instead of a file list", ""},
		"nonsense":    {200, nil, `[1, "two", {"type": []}]`, "no file list", ""},
		"other JSON":  {200, nil, `{"error": "overloaded\nsorry", "Message": "overloaded\nsorry"}`, "it says: overloaded sorry", ""},
		"no files":    {200, nil, `[]`, "no GGUF file among its 0 files", "no file list"},
		"cut off":     {200, nil, `[{"type":"file","pa`, "no file list", ""},
		"deep":        {200, nil, strings.Repeat("[", 100_000), "no file list", ""},
		"null":        {200, nil, `null`, "no GGUF file", "no file list"},
		"negative":    {200, nil, `[{"type":"file","path":"x.bin","size":-5}]`, "no GGUF file", "no file list"},
	} {
		t.Run(name, func(t *testing.T) {
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				for k, v := range c.header {
					w.Header().Set(k, v)
				}
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.body)
			})
			h := testHub(t, Config{HFEndpoint: url, MSEndpoint: url + "/"})
			pullError(t, h, "hf:owner/repo", c.want)
			h.hf = newEndpoint("HF_ENDPOINT", "http://127.0.0.1:1", "")
			if c.wantMS == "" {
				c.wantMS = c.want
			}
			pullError(t, h, "ms:owner/repo", c.wantMS)
		})
	}
	if testing.Short() {
		return
	}
	huge := serve(t, func(w http.ResponseWriter, r *http.Request) {
		line := []byte(strings.Repeat(" ", 1<<20))
		for range 20 {
			if _, err := w.Write(line); err != nil {
				return
			}
		}
	})
	pullError(t, testHub(t, Config{HFEndpoint: huge}), "hf:owner/repo", "more than 16.8 MB")
}

func TestOffline(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	h := testHub(t, Config{HFEndpoint: closed.URL, MSEndpoint: "http://ledge.invalid"})
	pullError(t, h, "hf:owner/repo", "cannot reach 127.0.0.1:", "connection refused")
	pullError(t, h, closed.URL+"/owner/repo", "write hf:owner/repo")
	pullError(t, h, "ms:owner/repo", "cannot reach ledge.invalid")
	slow := serve(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	h = testHub(t, Config{HFEndpoint: slow})
	h.tune.stall = 20 * time.Millisecond
	pullError(t, h, "hf:owner/repo", "does not answer in time")
}

// TestRetryAfter: a hub that is busy once is asked again after the time it names.
func TestRetryAfter(t *testing.T) {
	data := gguf(1000)
	var count atomic.Int32
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if count.Add(1) == 1 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		content(data, "")(w, r)
	})
	start := time.Now()
	_, rec := pull(t, testHub(t, Config{}), url+"/t.gguf", data)
	if d := time.Since(start); d < time.Second || !strings.Contains(rec.said(), "again in 1s") {
		t.Errorf("came back after %s: %s", d, rec.said())
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for s, want := range map[string]time.Duration{"7": 7 * time.Second, now.Add(time.Minute).Format(http.TimeFormat): time.Minute, now.Add(-time.Hour).Format(http.TimeFormat): 0} {
		if got, ok := retryAfter(s, now); !ok || got != want {
			t.Errorf("retryAfter(%q) = %s, %v", s, got, ok)
		}
	}
	for _, s := range []string{"", "soon", "-1", "99999999999999999999"} {
		if got, ok := retryAfter(s, now); ok {
			t.Errorf("retryAfter(%q) = %s", s, got)
		}
	}
}

// TestTokenStaysHome: the hub redirects to a store on another port; the token goes
// to the hub, on every request, and never to the store, also not when that sends on
// or back.
func TestTokenStaysHome(t *testing.T) {
	data := gguf(50_000)
	var atHome, abroad atomic.Int32
	leak := func(r *http.Request) bool {
		return r.Header.Get("Authorization") != "" || r.Header.Get("Cookie") != "" || strings.Contains(r.Header.Get("Referer"), "secret")
	}
	var home string
	store := serve(t, func(w http.ResponseWriter, r *http.Request) {
		abroad.Add(1)
		if leak(r) {
			t.Errorf("the store got %v", r.Header)
		}
		switch r.URL.Path {
		case "/hop":
			http.Redirect(w, r, "/file", http.StatusFound)
		case "/back":
			http.Redirect(w, r, home+"/tricked", http.StatusFound)
		default:
			content(data, `"store"`)(w, r)
		}
	})
	home = serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/tricked" {
			if leak(r) {
				t.Errorf("a request sent back from the store got %v", r.Header)
			}
			content(data, "")(w, r)
			return
		}
		if r.Header.Get("Authorization") != "Bearer secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		atHome.Add(1)
		switch {
		case strings.HasPrefix(r.URL.Path, "/api/models/owner/repo/tree/"):
			fmt.Fprintf(w, `[{"type":"file","path":"m-Q4_0.gguf","size":%d,"lfs":{"oid":"%s","size":%d}}]`, len(data), sumOf(data), len(data))
		case strings.HasPrefix(r.URL.Path, "/api/v1/"):
			if c, err := r.Cookie("m_session_id"); err != nil || c.Value != "secret" {
				t.Errorf("no session cookie: %v", err)
			}
			if strings.HasSuffix(r.URL.Path, "/files") {
				fmt.Fprintf(w, `{"Data":{"Files":[{"Type":"blob","Path":"m-Q4_0.gguf","Size":%d,"Sha256":"%s"}]}}`, len(data), sumOf(data))
				return
			}
			http.Redirect(w, r, store+"/hop", http.StatusFound)
		case r.URL.Path == "/back/t.gguf":
			http.Redirect(w, r, store+"/back", http.StatusFound)
		case strings.HasPrefix(r.URL.Path, "/renamed/"):
			http.Redirect(w, r, "/owner/repo/resolve/main/m-Q4_0.gguf", http.StatusTemporaryRedirect)
		default:
			w.Header().Set("X-Linked-Etag", `"`+sumOf(data)+`"`)
			w.Header().Set("X-Linked-Size", fmt.Sprint(len(data)))
			http.Redirect(w, r, store+"/hop?signature=x", http.StatusFound)
		}
	})
	h := testHub(t, Config{HFEndpoint: home, HFToken: "secret"})
	pull(t, h, "hf:owner/repo", data)
	pull(t, h, home+"/renamed/t.gguf", data)
	pull(t, h, home+"/back/t.gguf", data)
	ms := testHub(t, Config{MSEndpoint: home, MSToken: "secret"})
	pull(t, ms, "ms:owner/repo", data)
	if atHome.Load() != 7 || abroad.Load() != 7 {
		t.Errorf("%d requests at home, %d abroad", atHome.Load(), abroad.Load())
	}
	// A token belongs to its endpoint: another address gets none.
	pull(t, h, store+"/t.gguf", data)
	// Neither errors nor the disk hold it.
	h = testHub(t, Config{HFEndpoint: home, HFToken: "wrong-secret"})
	if err := pullError(t, h, "hf:owner/repo", "HF_TOKEN is wrong"); strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
}

func TestLinkedHeaders(t *testing.T) {
	data := gguf(50_000)
	claimed := sumOf([]byte("other"))
	store := serve(t, content(data, ""))
	home := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Linked-Etag", `"`+claimed+`"`)
		http.Redirect(w, r, store+"/f", http.StatusFound)
	})
	h := testHub(t, Config{HFEndpoint: home})
	if err := pullError(t, h, home+"/o/r/resolve/main/t.gguf", "checksum mismatch"); !errors.Is(err, ErrChecksum) {
		t.Error(err)
	}
	// A pinned file is refused before a byte is downloaded.
	withCatalog(h, data, Source{Kind: "hf", Repo: "o/r", File: "t.gguf"})
	pullError(t, h, "tiny:1b", "now holds another file")
	claimed = sumOf(data)
	path, _ := pull(t, h, home+"/o/r/blob/main/t.gguf", data) // a page of the hub stands for the file
	m, err := readManifest(filepath.Dir(path))
	if err != nil || m.Files[0].SHA256 != claimed || !strings.Contains(m.Source, "/o/r/resolve/main/t.gguf") {
		t.Errorf("manifest %+v, %v", m, err)
	}
}

// TestSecretsInAddresses: user, password and query of an address get to the server,
// and neither into messages nor onto the disk.
func TestSecretsInAddresses(t *testing.T) {
	data := gguf(2000)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if _, pw, _ := r.BasicAuth(); pw != "hunter2" || r.URL.Query().Get("sig") != "topsecret" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		content(data, `"e"`)(w, r)
	})
	name := strings.Replace(url, "http://", "http://me:hunter2@", 1) + "/t.gguf?sig=topsecret"
	h := testHub(t, Config{})
	path, rec := pull(t, h, name, data)
	text := rec.said() + path
	filepath.WalkDir(h.dir, func(p string, e os.DirEntry, err error) error {
		if data, err := os.ReadFile(p); err == nil && !strings.HasSuffix(p, ".gguf") {
			text += p + string(data)
		}
		return nil
	})
	for _, bad := range []string{name + "x", strings.Replace(name, "http://", "http://[", 1), strings.Replace(name, ".gguf", "", 1) + "/", strings.Replace(url, "http://", "http://me:hunter2@", 1) + ".invalid/t.gguf?sig=topsecret"} {
		_, err := h.Pull(t.Context(), bad, Options{})
		if err == nil {
			t.Errorf("Pull(%s) worked", bad)
			continue
		}
		text += err.Error()
	}
	for _, secret := range []string{"hunter2", "topsecret"} {
		if strings.Contains(text, secret) {
			t.Errorf("%s is told: %s", secret, text)
		}
	}
}
