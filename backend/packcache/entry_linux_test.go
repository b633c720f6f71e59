package packcache

import (
	"path/filepath"
	"syscall"
	"testing"
)

// TestUnreadEntryStays: what could not be opened or read is not found, but stays for a
// time when it can. Linux has the means to make that fail.
func TestUnreadEntryStays(t *testing.T) {
	dir := t.TempDir()
	c := New(filepath.Join(dir, "c"))
	f := modelFile(t, filepath.Join(dir, "m"), "a model")
	b, data := testBlock(1, 2<<20)
	m := c.Model("", []File{f}, false)
	save(t, m, b, data)
	found(t, m, b, data)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := limit
	none.Cur = 3
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	e := m.Find(ctx, b)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if e != nil {
		t.Error("found without a file to open")
	}
	found(t, m, b, data)
}
