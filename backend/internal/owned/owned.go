// Package owned opens files that nobody but their user can have written. What
// Ledge keeps from start to start decides what it trusts and computes with:
// verdicts on drivers, compiled kernels, packed weights. A file that somebody
// else may write to, or may put in another's place, is not believed.
package owned

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ErrNotOwned is wrapped by the errors of files that others may write to.
var ErrNotOwned = errors.New("others may write to it")

// errNoFile is what is there, but is no regular file: opening a pipe would wait
// for somebody to write to it.
var errNoFile = errors.New("not a regular file")

// Dir tells why a folder's files cannot be believed; nil if they can, or if there
// is no folder.
func Dir(path string) error {
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return check(path, st)
}

// Open opens a regular file that only its user, or root, may write to.
func Open(path string) (*os.File, error) {
	st, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w", path, errNoFile)
	}
	f, err := openFile(path)
	if err != nil {
		return nil, err
	}
	if st, err = f.Stat(); err == nil {
		if !st.Mode().IsRegular() {
			err = fmt.Errorf("%s: %w", path, errNoFile)
		} else {
			err = check(path, st)
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Folder is the folder that a setting of the environment names: "" or a word like
// "on" stands for one below the user's cache folder, a word like "off" for none,
// which is "". There is none either where no folder can be told.
func Folder(setting string, below ...string) string {
	setting = strings.TrimSpace(setting)
	switch strings.ToLower(setting) {
	case "0", "off", "false", "no":
		return ""
	case "", "1", "on", "true", "yes":
	default:
		dir, err := filepath.Abs(setting)
		if err != nil {
			return ""
		}
		return dir
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(append([]string{dir}, below...)...)
}
