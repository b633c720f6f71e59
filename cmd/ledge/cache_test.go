package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/backend/packcache"
)

type cacheList struct {
	Folder  string
	Entries []packcache.Info
}

func TestCache(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "kept")
	t.Setenv("LEDGE_PACK_CACHE", dir)
	if r := ledge("cache"); r.code != 0 || r.out != "" || !strings.Contains(r.err, "no packed weights are kept in "+dir) {
		t.Errorf("%+v", r)
	}
	if l := decode[cacheList](t, must(t, "cache", "ls", "--json")); l.Folder != dir || l.Entries == nil || len(l.Entries) != 0 {
		t.Errorf("%+v", l)
	}
	// A small model leaves the verdict of the self-test, no weights; clearing
	// removes what Ledge has put there and nothing else.
	must(t, "run", "-m", golden(t, "llama-gqa"), "--raw", "-n", "1", "hi")
	kept, err := os.ReadDir(dir)
	if err != nil || len(kept) != 1 || !strings.HasSuffix(kept[0].Name(), ".ok") {
		t.Errorf("kept: %v, %v", kept, err)
	}
	mine := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(mine, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, "cache", "clear")
	if kept, err := os.ReadDir(dir); err != nil || len(kept) != 1 || kept[0].Name() != "notes.txt" {
		t.Errorf("after clearing: %v, %v", kept, err)
	}
	// Where nothing can be kept, everything works.
	t.Setenv("LEDGE_PACK_CACHE", filepath.Join(mine, "below"))
	must(t, "run", "-m", golden(t, "llama-gqa"), "--raw", "-n", "1", "hi")
	must(t, "run", "-m", golden(t, "llama-gqa"), "--share", "--raw", "-n", "1", "hi")
	refused(t, exitUsage, "--share needs the cache", "run", "-m", golden(t, "llama-gqa"), "--share", "--no-cache", "hi")
	t.Setenv("LEDGE_PACK_CACHE", "0")
	refused(t, exitUsage, "--share needs the cache", "run", "-m", golden(t, "llama-gqa"), "--share", "hi")
	must(t, "cache", "clear") // of GPUs
	t.Setenv("LEDGE_GPU_CACHE", "off")
	refused(t, exitUsage, "caches are off", "cache", "clear")
	refused(t, exitUsage, "caches are off", "cache")
	refused(t, exitUsage, "", "cache", "nosuch")
}

// TestDistrust: a folder that others may write to is not used, and the user told.
func TestDistrust(t *testing.T) {
	if os.PathSeparator == '\\' {
		t.Skip("this system has no modes of files")
	}
	dir := t.TempDir()
	t.Setenv("LEDGE_PACK_CACHE", dir)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"run", "-m", golden(t, "llama-gqa"), "--share", "--raw", "-n", "1", "hi"}, {"cache"}} {
		if r := ledge(args...); r.code != 0 || strings.Count(r.err, "others may write to it") != 1 || !strings.Contains(r.err, dir+" has mode 0777") {
			t.Errorf("%+v", r)
		}
	}
	if kept, err := os.ReadDir(dir); err != nil || len(kept) != 0 {
		t.Errorf("something is kept there: %v, %v", kept, err)
	}
}

func TestThreadsNote(t *testing.T) {
	m := golden(t, "llama-gqa")
	if r := ledge("run", "-m", m, "--raw", "-n", "1", "-t", "900", "hi"); r.code != 0 || strings.Count(r.err, "\n") != 1 || !strings.Contains(r.err, "900 threads asked for, ") {
		t.Errorf("%+v", r)
	}
	for _, n := range []string{"0", "1"} {
		if r := ledge("run", "-m", m, "--raw", "-n", "1", "-t", n, "hi"); r.code != 0 || r.err != "" {
			t.Errorf("-t %s: %+v", n, r)
		}
	}
}
