// Package files is what several packages do with files: lock them, replace them whole, and
// read them until a context ends.
package files

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"runtime"
)

// TryLock keeps other programs that try to lock a file from it until it is closed; the
// system frees the lock when the process ends, however that ends. It reports whether the
// lock was free. Where there are no locks, as on some network file systems, all are.
func TryLock(f *os.File) (free bool, err error) { return tryLock(f) }

// Part is behind the name of a file that Replace is writing. What a killed program leaves
// of one is of no use.
const Part = ".part"

// Replace writes a file that gets its name when it is whole and on the disk. If it fails,
// what was there is as it was.
func Replace(path string, write func(f *os.File) error) (err error) {
	temp := path + Part
	f, err := os.Create(temp)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()       // again, perhaps
			_ = os.Remove(temp) // nothing better to do on failure
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(temp, path)
}

// SyncDir makes a rename in a folder durable. Windows has no way to and needs none.
func SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrInvalid) {
		err = nil // some network file systems
	}
	return errors.Join(err, d.Close())
}

// Until ends reading when a context has ended.
func Until(ctx context.Context, r io.Reader) io.Reader { return &until{ctx, r} }

type until struct {
	ctx context.Context
	r   io.Reader
}

func (u *until) Read(b []byte) (int, error) {
	if u.ctx.Err() != nil {
		return 0, context.Cause(u.ctx)
	}
	return u.r.Read(b)
}

// CopyTo writes a file's bytes to w, such as a hash.
func CopyTo(ctx context.Context, w io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, Until(ctx, f))
	return errors.Join(err, f.Close())
}
