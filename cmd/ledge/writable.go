package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

func forceFlag() cli.Flag {
	return &cli.BoolFlag{Name: "force", Usage: "replace a file that is there"}
}

// free refuses the name of a file that is there, unless --force is given.
func free(c *cli.Context, path string) error {
	switch st, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
		if dir := filepath.Dir(path); !isFolder(dir) { // better now than after what takes minutes
			return fmt.Errorf("cannot write %s: there is no folder %s", path, dir)
		}
		return nil
	case err != nil:
		return fmt.Errorf("cannot write %s: %w", path, err)
	case st.IsDir():
		return fmt.Errorf("cannot write %s: it is a folder: name a file", path)
	case !replaceable(path):
		return fmt.Errorf("cannot write %s: it is no plain file, but a device, a pipe or a link to a folder: name a file", path)
	case !c.Bool("force"):
		return fmt.Errorf("%s is there already: name another file, or give --force to replace it", path)
	}
	return nil
}

// replaceable tells files, and links to nothing, from what must never be replaced.
func replaceable(path string) bool {
	st, err := os.Stat(path)
	return err != nil || st.Mode().IsRegular()
}

func isFolder(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

// spare refuses to write over other files that are read, those of these flags, even
// with --force.
func spare(c *cli.Context, path string, flags ...string) error {
	for _, name := range flags {
		if in := c.String(name); in != "" && in != "-" && sameFile(path, in) {
			return usagef("%s is read, too (--%s): name another file to write", path, name)
		}
	}
	return nil
}

// apart refuses to write over what is read.
func apart(f *gguf.File, path string) error {
	st, err := os.Stat(path)
	if err != nil {
		return nil // not there, or free tells
	}
	for _, d := range f.OnDisk() {
		if os.SameFile(st, d.Info) {
			return usagef("%s is the model that is read: name another file to write", path)
		}
	}
	return nil
}

func sameFile(a, b string) bool {
	if a == b {
		return true
	}
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}
