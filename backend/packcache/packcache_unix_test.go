//go:build linux || darwin

package packcache

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Pipes and links in the place of files are none of the cache's: nothing waits for
// a pipe's other end.
func TestNoFiles(t *testing.T) {
	dir := t.TempDir()
	c := New(filepath.Join(dir, "packed"))
	f := modelFile(t, filepath.Join(dir, "m.gguf"), "a model of some bytes")
	b, data := testBlock(12, chunkSize)
	m := c.Model("", []File{f}, false)
	save(t, m, b, data)
	if err := c.Remember("x"); err != nil {
		t.Fatal(err)
	}
	entry, fact, record := names(t, c.Dir(), entrySuffix)[0], c.factPath("x"), c.recordPath("some id")
	for what, put := range map[string]func(path string) error{
		"pipe": func(path string) error { return unix.Mkfifo(path, 0o600) },
		"link": func(path string) error { return os.Symlink(f.Path, path) },
	} {
		for _, path := range []string{entry, fact, record} {
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
			if err := put(path); err != nil {
				t.Fatal(err)
			}
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			if _, ok := c.lookup("some id"); ok || c.Remembers("x") {
				t.Errorf("a %s was read as a record or fact", what)
			}
			if _, err := c.List(); err != nil {
				t.Error(err)
			}
			if e := m.Find(ctx, b); e != nil {
				t.Errorf("a %s was taken for an entry", what)
			}
		}()
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			t.Fatalf("a %s keeps the cache waiting", what)
		}
		save(t, m, b, data)
		found(t, m, b, data)
	}
	if got, err := os.ReadFile(f.Path); err != nil || string(got) != "a model of some bytes" {
		t.Errorf("behind the link: %q, %v", got, err)
	}
}

// TestOthersMayWrite: what somebody else may have written is as good as none.
func TestOthersMayWrite(t *testing.T) {
	dir := t.TempDir()
	c := New(filepath.Join(dir, "packed"))
	f := modelFile(t, filepath.Join(dir, "m.gguf"), "a model of some bytes")
	b, data := testBlock(13, chunkSize)
	m := c.Model("", []File{f}, true)
	save(t, m, b, data)
	if err := c.Remember("x"); err != nil {
		t.Fatal(err)
	}
	chmod := func(path string, mode os.FileMode) {
		t.Helper()
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	chmod(c.Dir(), 0o777)
	if c.Distrusted() == nil || m.Find(ctx, b) != nil || c.Remembers("x") {
		t.Error("a folder that others may write to is believed")
	}
	if err := m.Save(ctx, b, bytes.NewReader(data), noPace); err == nil || c.Remember("y") == nil {
		t.Error("something is kept in it")
	}
	chmod(c.Dir(), 0o700)
	found(t, m, b, data)
	chmod(c.factPath("x"), 0o606)
	if c.Remembers("x") {
		t.Error("a fact that others may write to is believed")
	}
	entry := names(t, c.Dir(), entrySuffix)[0]
	chmod(entry, 0o622)
	if m.Find(ctx, b) != nil {
		t.Error("an entry that others may write to is believed")
	}
	if _, err := os.Stat(entry); !os.IsNotExist(err) {
		t.Errorf("it stays in the way of a good one: %v", err)
	}
}
