package gguf

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ledge-run/ledge/runtime/files"
)

// Save writes the file to path, which gets its name only when it is whole and on
// disk: it is written beside its place and renamed, so that a crash, a full disk
// or the end of ctx leaves what was at path as it was. A file that is there
// already is replaced if replace is set; else it is an error that wraps
// fs.ErrExist, found before any tensor is written.
//
// Replacing the file that the tensors are read from is safe on Unix: a mapping
// keeps the old one.
func (w *Writer) Save(ctx context.Context, path string, replace bool) error {
	fail := func(err error) error {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err // the temporary file's name says nothing to the user
		}
		return fmt.Errorf("gguf: write %s: %w", path, err)
	}
	if err := context.Cause(ctx); err != nil {
		return fail(err)
	}
	switch there, err := Replaceable(path); {
	case err != nil:
		return fail(err)
	case there && !replace:
		return fail(fmt.Errorf("%w: name another file, or remove it first", fs.ErrExist))
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.part")
	if err != nil {
		return fail(err)
	}
	discard := func(err error) error {
		_ = f.Close()           // again, perhaps
		_ = os.Remove(f.Name()) // nothing better to do on failure
		return fail(err)
	}
	if _, err := w.WriteTo(&until{ctx: ctx, out: f}); err != nil {
		return discard(err)
	}
	// CreateTemp's files are for their owner alone; a model is as readable as other files.
	if err := errors.Join(f.Chmod(newFileMode(path)), f.Sync(), f.Close()); err != nil {
		return discard(err)
	}
	if err := name(f.Name(), path, replace); err != nil {
		return discard(err)
	}
	if err := files.SyncDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("gguf: %w", err)
	}
	return nil
}

// Replaceable says whether there is a file at path that Save would have to replace, or a
// link to nothing. What must never be replaced is an error: a rename takes the place of a
// device as well.
func Replaceable(path string) (there bool, err error) {
	st, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case st.IsDir():
		return false, errors.New("it is a folder: name a file")
	}
	if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() {
		return false, errors.New("it is no plain file, but a device, a pipe or a link to a folder: name a file")
	}
	return true, nil
}

// until writes a file and fails when its context has ended. What has been written is
// sent on to the disk every few megabytes, while the next is being made, and not all
// of it at the end.
type until struct {
	ctx           context.Context
	out           *os.File
	written, sent int64
}

const sendBytes = 4 << 20

func (u *until) Write(b []byte) (int, error) {
	if err := context.Cause(u.ctx); err != nil {
		return 0, err
	}
	n, err := u.out.Write(b)
	if u.written += int64(n); u.written-u.sent >= sendBytes {
		sendOn(u.out, u.sent, u.written-u.sent)
		u.sent = u.written
	}
	return n, err
}

// newFileMode is the mode of the file that is replaced, or what new files get
// under the most common umask.
func newFileMode(path string) os.FileMode {
	if st, err := os.Stat(path); err == nil && st.Mode().IsRegular() {
		return st.Mode().Perm()
	}
	return 0o644
}

// name gives a whole file its name. Without replace a link does it, since a
// rename would silently replace a file that has come meanwhile; file systems
// without links (FAT) get the rename.
func name(temp, path string, replace bool) error {
	if !replace {
		err := os.Link(temp, path)
		if err == nil {
			return os.Remove(temp)
		}
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%w: name another file, or remove it first", fs.ErrExist)
		}
	}
	return os.Rename(temp, path)
}
