package gguf

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/graph/dtype"
)

// onlyFile checks that a folder has one file of that name: nothing temporary is left.
func onlyFile(t *testing.T, dir, name string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != name {
			t.Errorf("%s is left in the folder", e.Name())
		}
	}
}

func TestSave(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "model.gguf")
	w := exampleWriter(t)
	if err := w.Save(t.Context(), path, false); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	checkExample(t, f)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	onlyFile(t, dir, "model.gguf")

	err = w.Save(t.Context(), path, false)
	checkError(t, err, path, "exists")
	if !errors.Is(err, fs.ErrExist) {
		t.Errorf("%v does not wrap ErrExist", err)
	}
	var empty Writer
	if err := empty.Save(t.Context(), path, true); err != nil {
		t.Fatal(err)
	}
	if f, err = Open(path); err != nil {
		t.Fatal(err)
	}
	if len(f.Tensors()) != 0 {
		t.Error("the file was not replaced")
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	onlyFile(t, dir, "model.gguf")

	checkError(t, w.Save(t.Context(), dir, true), "a folder")
	checkError(t, w.Save(t.Context(), filepath.Join(dir, "none", "m.gguf"), true), "m.gguf")
}

// TestSaveFails: whatever goes wrong leaves the earlier file and nothing else.
func TestSaveFails(t *testing.T) {
	ended, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stopped")
	cancel(stop)
	late, lateCancel := context.WithCancelCause(t.Context())
	for _, c := range []struct {
		name  string
		ctx   context.Context
		write func(out io.Writer) error
		want  error
	}{
		{"before it begins", ended, func(io.Writer) error { return errors.New("written all the same") }, stop},
		{"while it is written", late, func(out io.Writer) error {
			lateCancel(stop)
			_, err := out.Write(make([]byte, 4<<20))
			return err
		}, stop},
		{"the tensor fails", t.Context(), func(io.Writer) error { return io.ErrUnexpectedEOF }, io.ErrUnexpectedEOF},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			path := save(t, dir, "m.gguf", []byte("earlier"))
			var w Writer
			if err := w.AddFunc("a", dtype.F32, []int{1 << 20}, c.write); err != nil {
				t.Fatal(err)
			}
			if err := w.Save(c.ctx, path, true); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if b, err := os.ReadFile(path); err != nil || string(b) != "earlier" {
				t.Errorf("%q, %v", b, err)
			}
			onlyFile(t, dir, "m.gguf")
		})
	}
}

// TestSaveComesLate: a file that appears while another of its name is written is kept.
func TestSaveComesLate(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.gguf")
	var w Writer
	err := w.AddFunc("a", dtype.F32, []int{1}, func(out io.Writer) error {
		save(t, dir, "m.gguf", []byte("other"))
		_, err := out.Write(make([]byte, 4))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Save(t.Context(), path, false); !errors.Is(err, fs.ErrExist) {
		t.Errorf("%v does not wrap ErrExist", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "other" {
		t.Errorf("the other file is now %q", b)
	}
	onlyFile(t, dir, "m.gguf")
}

// TestSaveKeepsWhatIsNoFile: a link to a folder stays, as devices do, though a rename
// would take their place.
func TestSaveKeepsWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link.gguf")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Skip("no symbolic links here: ", err)
	}
	if err := exampleWriter(t).Save(t.Context(), link, true); err == nil || !strings.Contains(err.Error(), "no plain file") {
		t.Errorf("error %v", err)
	}
	if st, err := os.Lstat(link); err != nil || st.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link has become %v, %v", st, err)
	}
}
