package accel_test

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/ledge-run/ledge/backend/internal/accel"
)

// only gives the path of the one file in a folder.
func only(t *testing.T, dir string) string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(all) != 1 {
		t.Fatalf("files: %v, %v", all, err)
	}
	return all[0]
}

func TestBlobs(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	b := accel.BlobsIn(dir)
	if b.Get("key") != nil {
		t.Error("a blob out of nothing")
	}
	for _, blob := range [][]byte{[]byte("first"), {}, bytes.Repeat([]byte{7}, 100000)} {
		if err := b.Put("key", blob); err != nil {
			t.Fatal(err)
		}
		if got := b.Get("key"); got == nil || !bytes.Equal(got, blob) {
			t.Errorf("%d bytes come back as %d", len(blob), len(got))
		}
	}
	if b.Get("kex") != nil {
		t.Error("another key's blob")
	}
	path := only(t, dir)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, damaged := range map[string][]byte{
		"empty": {}, "short": whole[:len(whole)-1], "header": whole[:20], "longer": append(bytes.Clone(whole), 0),
		"magic": flip(whole, 0), "sizes": flip(whole, 20), "key": flip(whole, 32), "blob": flip(whole, 5000), "sum": flip(whole, len(whole)-1),
	} {
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if b.Get("key") != nil {
			t.Errorf("a file with a damaged part is used: %s", name)
		}
	}
	if err := b.Put("key", []byte("again")); err != nil || string(b.Get("key")) != "again" {
		t.Errorf("a damaged file is not replaced: %v", err)
	}
	// A file that was written for another key and carries this one's name.
	if err := b.Put("other", []byte("foreign")); err != nil {
		t.Fatal(err)
	}
	all, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, p := range all {
		if p != path {
			if err := os.Rename(p, path); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := b.Get("key"); got != nil {
		t.Errorf("a foreign file is used: %q", got)
	}
}

func flip(b []byte, at int) []byte {
	c := bytes.Clone(b)
	c[at] ^= 1
	return c
}

func TestBlobsOff(t *testing.T) {
	for _, off := range []string{"0", "off"} {
		t.Setenv(accel.EnvCache, off)
		b := accel.OpenBlobs()
		if err := b.Put("k", []byte("v")); err != nil || b.Get("k") != nil {
			t.Errorf("%q keeps blobs: %v", off, err)
		}
	}
	dir := t.TempDir()
	t.Setenv(accel.EnvCache, dir)
	if err := accel.OpenBlobs().Put("k", []byte("v")); err != nil {
		t.Fatal(err)
	}
	only(t, dir)
}

// TestBlobsRefuse: what is not a plain file is not read, what is too large not
// kept, and a folder that cannot be made is an error and no more.
func TestBlobsRefuse(t *testing.T) {
	dir := t.TempDir()
	b := accel.BlobsIn(dir)
	if err := b.Put("k", []byte("v")); err != nil {
		t.Fatal(err)
	}
	path := only(t, dir)
	if err := os.Rename(path, path+".real"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path+".real", path); err == nil && b.Get("k") != nil {
		t.Error("a link is followed")
	}
	if err := b.Put("large", make([]byte, 64<<20+1)); err == nil {
		t.Error("a blob beyond the limit is kept")
	}
	if err := accel.BlobsIn(filepath.Join(path+".real", "x")).Put("k", nil); err == nil {
		t.Error("a folder below a file")
	}
}

// TestBlobsStayBounded: the folder does not grow for ever.
func TestBlobsStayBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 300 MiB")
	}
	dir := t.TempDir()
	b := accel.BlobsIn(dir)
	for i := range 5 {
		if err := b.Put(string(rune('a'+i)), make([]byte, 60<<20)); err != nil {
			t.Fatal(err)
		}
	}
	var total int64
	all, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, p := range all {
		if st, err := os.Stat(p); err == nil {
			total += st.Size()
		}
	}
	if total > 256<<20 || b.Get("e") == nil {
		t.Errorf("%d MiB are kept; the newest: %v", total>>20, b.Get("e") != nil)
	}
}

// TestBlobsOfOthers: what somebody else may write to is not believed.
func TestBlobsOfOthers(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no modes")
	}
	dir := filepath.Join(t.TempDir(), "gpu")
	b := accel.BlobsIn(dir)
	if err := b.Put("key", []byte("blob")); err != nil {
		t.Fatal(err)
	}
	path := only(t, dir)
	for _, c := range []struct {
		path string
		mode os.FileMode
		ok   bool
	}{{path, 0o666, false}, {path, 0o600, true}, {dir, 0o777, false}, {dir, 0o700, true}} {
		if err := os.Chmod(c.path, c.mode); err != nil {
			t.Fatal(err)
		}
		if got := b.Get("key"); (got != nil) != c.ok {
			t.Errorf("%s with mode %o: %q", filepath.Base(c.path), c.mode, got)
		}
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := b.Put("other", nil); err == nil {
		t.Error("a blob is put where others may write")
	}
}
