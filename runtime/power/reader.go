package power

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// reader takes files from a tree as the kernel shows it, without the leading slash.
type reader struct{ root fs.FS }

// load is a file's first bytes without space around them.
func (r reader) load(name string, most int) (string, error) {
	f, err := r.root.Open(name)
	var n int
	var buffer []byte
	if err == nil {
		defer f.Close()
		buffer = make([]byte, most)
		if n, err = io.ReadFull(f, buffer); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = nil
		}
	}
	if err != nil {
		return "", clean(name, err)
	}
	return strings.TrimSpace(string(buffer[:n])), nil
}

// clean is the error of a file with its path as people know it.
func clean(name string, err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err // its path lacks the slash
	}
	return fmt.Errorf("/%s: %w", name, err)
}

// notThere reports an error of a file that is not there. A phone's kernel says of
// some that no such device is.
func notThere(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// text is a file's first 64 KiB without space around it; empty if it cannot be read.
func (r reader) text(name string) string {
	s, err := r.load(name, 64<<10)
	if err != nil {
		return ""
	}
	return s
}

// hertz is a frequency in a file of this unit; 0 if there is none to be believed.
func (r reader) hertz(name string, unit int64) uint64 {
	n, err := r.within(name, 0, topClock/unit)
	if err != nil {
		return 0
	}
	return uint64(n * unit)
}

// value is the whole number in a file of a sensor.
func (r reader) value(name string) (int64, error) {
	s, err := r.load(name, 64)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("/%s holds %.32q, which is no number", name, s)
	}
	return n, nil
}

// list is the entries of a folder whose names match.
func (r reader) list(dir, pattern string) []string {
	entries, err := fs.ReadDir(r.root, dir)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		if ok, _ := path.Match(pattern, e.Name()); ok {
			names = append(names, path.Join(dir, e.Name()))
		}
	}
	return names
}

// denied is the error of a folder that is there and may not be listed.
func (r reader) denied(dir string) error {
	if _, err := fs.ReadDir(r.root, dir); err != nil && !notThere(err) {
		return clean(dir, err)
	}
	return nil
}
