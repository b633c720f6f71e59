package console

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// A File gets its name only when it is whole: it is written beside its place and
// renamed. What is no regular file (a device, a pipe), and standard output, is
// written directly.
type File struct {
	f    *os.File
	out  *Output // standard output
	path string
	temp string // "" if written directly
}

// Create begins a file; "-" stands for standard output, out. End it with Commit, and
// with Discard whatever came of it.
func Create(path string, out *Output) (*File, error) {
	if path == "-" {
		return &File{out: out.Bytes()}, nil
	}
	r := &File{path: path}
	st, err := os.Stat(path)
	switch {
	case err == nil && st.IsDir():
		return nil, fmt.Errorf("cannot write %s: it is a folder: name a file", path)
	case err == nil && !st.Mode().IsRegular():
		if r.f, err = os.OpenFile(path, os.O_WRONLY, 0); err != nil {
			return nil, r.explain(err)
		}
		return r, nil
	}
	r.temp = filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"."+strconv.Itoa(os.Getpid())+".part")
	if r.f, err = os.OpenFile(r.temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666); err != nil {
		return nil, r.explain(err)
	}
	return r, nil
}

func (r *File) explain(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	hint := ""
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		hint = ": name a file in a folder you can write to"
	}
	return fmt.Errorf("cannot write %s: %w%s", r.path, err, hint)
}

func (r *File) Write(p []byte) (int, error) {
	if r.out != nil {
		return r.out.Write(p)
	}
	n, err := r.f.Write(p)
	if err != nil {
		return n, r.explain(err)
	}
	return n, nil
}

// Commit gives the file its name.
func (r *File) Commit() error {
	if r.out != nil {
		return r.out.Flush()
	}
	var errs []error
	if r.temp != "" {
		errs = append(errs, r.f.Sync())
	}
	errs = append(errs, r.f.Close())
	r.f = nil
	if err := errors.Join(errs...); err != nil {
		return r.explain(err)
	}
	if r.temp == "" {
		return nil
	}
	if err := os.Rename(r.temp, r.path); err != nil {
		return r.explain(err)
	}
	r.temp = ""
	return nil
}

// Discard removes what Commit has not named.
func (r *File) Discard() {
	if r.f != nil {
		_ = r.f.Close() // it is thrown away
	}
	if r.temp != "" {
		_ = os.Remove(r.temp) // nothing better to do on failure
	}
}

// Writable finds out whether a file can be made at a path, by beginning one beside it:
// better now than after work of hours.
func Writable(path string) error {
	if st, err := os.Stat(path); path == "-" || err == nil && !st.Mode().IsRegular() && !st.IsDir() {
		return nil // a pipe would wait for its reader
	}
	f, err := Create(path, nil)
	if err != nil {
		return err
	}
	f.Discard()
	return nil
}

// WriteFile writes a file by a function, whole or not at all.
func WriteFile(path string, out *Output, write func(*File) error) error {
	f, err := Create(path, out)
	if err != nil {
		return err
	}
	defer f.Discard()
	if err := write(f); err != nil {
		return err
	}
	return f.Commit()
}
