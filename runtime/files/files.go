// Package files is what several packages do with files: lock them, replace them whole, and
// read them until a context ends.
package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"
)

// TryLock keeps other programs that try to lock a file from it until it is closed; the
// system frees the lock when the process ends, however that ends. It reports whether the
// lock was free. Where there are no locks, as on some network file systems, all are.
func TryLock(f *os.File) (free bool, err error) { return tryLock(f) }

// Part is behind the name of a file that Replace is writing. What a killed program leaves
// of one is of no use.
const Part = ".part"

// staleTemp is how long nobody writes to a file without a pause.
const staleTemp = time.Hour

// token stands between the name of a file and Part, a different one for each writer.
var token = regexp.MustCompile(`\.[0-9a-f]{16}$`)

// PartOf gives the name of the file that Replace was writing to one of this name, or path.
func PartOf(name string) (of string, ok bool) {
	of, ok = strings.CutSuffix(name, Part)
	return token.ReplaceAllString(of, ""), ok
}

// Replace writes a file that gets its name when it is whole and on the disk. If it fails,
// what was there is as it was. Of several that write one file at once, the last to end
// wins, with what it has written.
func Replace(path string, write func(f *os.File) error) (err error) {
	Sweep(path)
	f, err := createPart(path)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()           // again, perhaps
			_ = os.Remove(f.Name()) // nothing better to do on failure
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// createPart makes a file beside path that nobody else has. Unlike those of os.CreateTemp
// it is as readable as other files.
func createPart(path string) (*os.File, error) {
	for {
		f, err := os.OpenFile(fmt.Sprintf("%s.%016x%s", path, rand.Uint64(), Part), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
	}
}

// Sweep removes what killed programs have left of files that were to be path. It is no
// fault if it cannot. Replace does it; where path is not replaced, who uses it does.
func Sweep(path string) {
	entries, _ := os.ReadDir(filepath.Dir(path))
	for _, e := range entries {
		if of, ok := PartOf(e.Name()); !ok || of != filepath.Base(path) {
			continue
		}
		if st, err := e.Info(); err == nil && st.Mode().IsRegular() && time.Since(st.ModTime()) > staleTemp {
			_ = os.Remove(filepath.Join(filepath.Dir(path), e.Name())) // another may have been faster
		}
	}
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
