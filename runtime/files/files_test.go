package files_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/ledge-run/ledge/runtime/files"
)

// TestTryLock: one has it until the file is closed.
func TestTryLock(t *testing.T) {
	if !slices.Contains([]string{"darwin", "linux", "windows"}, runtime.GOOS) {
		t.Skip("there may be no locks on " + runtime.GOOS)
	}
	path := filepath.Join(t.TempDir(), "lock")
	open := func() *os.File {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	first, second := open(), open()
	defer second.Close()
	if free, err := files.TryLock(first); !free || err != nil {
		t.Fatal(free, err)
	}
	if free, err := files.TryLock(second); free || err != nil {
		t.Fatal(free, err)
	}
	first.Close()
	if free, err := files.TryLock(second); !free || err != nil {
		t.Fatal(free, err)
	}
}

// TestReplace: the file is whole or as it was, and nothing is left beside it.
func TestReplace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	for _, c := range []struct {
		text, want string
		err        error
	}{{"one", "one", nil}, {"two", "one", errors.New("no more")}, {"three", "three", nil}} {
		err := files.Replace(path, func(f *os.File) error {
			if _, err := f.WriteString(c.text); err != nil {
				return err
			}
			return c.err
		})
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v", c.text, err)
		}
		if b, err := os.ReadFile(path); string(b) != c.want || err != nil {
			t.Errorf("%s: %q (%v), want %q", c.text, b, err, c.want)
		}
		if all, err := os.ReadDir(dir); len(all) != 1 || err != nil {
			t.Errorf("%s: %v (%v)", c.text, all, err)
		}
	}
	if err := files.SyncDir(dir); err != nil {
		t.Error(err)
	}
}

// TestCopyTo: all bytes, and none when the context has ended.
func TestCopyTo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	want := bytes.Repeat([]byte("text"), 1<<16)
	if err := os.WriteFile(path, want, 0o644); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := files.CopyTo(t.Context(), &b, path); err != nil || !bytes.Equal(b.Bytes(), want) {
		t.Errorf("%d bytes (%v)", b.Len(), err)
	}
	b.Reset()
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	cancel(enough)
	if err := files.CopyTo(ctx, &b, path); !errors.Is(err, enough) || b.Len() > 0 {
		t.Errorf("%d bytes (%v)", b.Len(), err)
	}
}
