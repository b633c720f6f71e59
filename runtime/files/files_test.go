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
	"time"

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

// TestReplaceAtOnce: two that write one file do not write into each other's.
func TestReplaceAtOnce(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	text := func(want string, f *os.File) error {
		_, err := f.WriteString(want)
		return err
	}
	err := files.Replace(path, func(f *os.File) error {
		if err := text("one, ", f); err != nil {
			return err
		}
		if err := files.Replace(path, func(f *os.File) error { return text("another, which is longer", f) }); err != nil {
			return err
		}
		if b, err := os.ReadFile(path); string(b) != "another, which is longer" || err != nil {
			t.Errorf("%q (%v)", b, err)
		}
		return text("whole", f)
	})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); string(b) != "one, whole" || err != nil {
		t.Errorf("%q (%v)", b, err)
	}
	plain := filepath.Join(dir, "b")
	if err := os.WriteFile(plain, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	a, err1 := os.Stat(path)
	b, err2 := os.Stat(plain)
	if err1 != nil || err2 != nil || a.Mode() != b.Mode() {
		t.Errorf("modes %v and %v (%v, %v)", a.Mode(), b.Mode(), err1, err2)
	}
}

// TestLeftParts: what killed programs have left goes, but not what another may be writing,
// nor files of others.
func TestLeftParts(t *testing.T) {
	dir := t.TempDir()
	old := time.Now().Add(-2 * time.Hour)
	for name, age := range map[string]time.Time{
		"a.part": old, "a.0123456789abcdef.part": old, "a.fedcba9876543210.part": time.Now(),
		"a.b.part": old, "a.012.part": old, "a.0123456789abcdef": old, "b.0123456789abcdef.part": old,
	} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, nil, 0o666), os.Chtimes(path, age, age)); err != nil {
			t.Fatal(err)
		}
	}
	if err := files.Replace(filepath.Join(dir, "a"), func(*os.File) error { return nil }); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	want := []string{"a", "a.012.part", "a.0123456789abcdef", "a.b.part", "a.fedcba9876543210.part", "b.0123456789abcdef.part"}
	if err != nil || !slices.Equal(names, want) {
		t.Errorf("left are %q (%v), want %q", names, err, want)
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
