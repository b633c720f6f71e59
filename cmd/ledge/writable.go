package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/cmd/internal/console"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

func forceFlag() cli.Flag {
	return &cli.BoolFlag{Name: "force", Usage: "replace a file that is there"}
}

// free refuses the name of a file that is there, unless --force is given.
func free(c *cli.Context, path string) error {
	switch there, err := gguf.Replaceable(path); {
	case err != nil:
		return fmt.Errorf("cannot write %s: %w", path, err)
	case there && !c.Bool("force"):
		return fmt.Errorf("%s is there already: name another file, or give --force to replace it", path)
	case there:
		return nil
	}
	dir := filepath.Dir(path)
	if st, err := os.Stat(dir); err != nil || !st.IsDir() { // better now than after what takes minutes
		return fmt.Errorf("cannot write %s: there is no folder %s", path, dir)
	}
	return nil
}

// spare refuses to write over other files that are read, those of these flags, even
// with --force.
func spare(c *cli.Context, path string, flags ...string) error {
	for _, name := range flags {
		for _, in := range filesOf(c, name) {
			if in != "" && in != "-" && sameFile(path, in) {
				return usagef("%s is read, too (--%s): name another file to write", path, name)
			}
		}
	}
	return nil
}

// filesOf are the files that a flag names.
func filesOf(c *cli.Context, flag string) []string {
	var all []string
	switch v := c.Value(flag).(type) {
	case string:
		all = []string{v}
	case cli.StringSlice:
		all = slices.Clone(v.Value()) // it is the flag's own
	}
	switch flag {
	case "lora":
		for i, arg := range all {
			all[i], _ = loraScale(arg)
		}
	case "template": // a text, or @FILE
		for i, arg := range all {
			file, ok := strings.CutPrefix(arg, "@")
			if all[i] = file; !ok {
				all[i] = ""
			}
		}
	}
	return all
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

// spareModels refuses to write over models that are on this machine; what is wrong with
// others is told when they are opened.
func (a *app) spareModels(names []string, paths ...string) error {
	for _, name := range names {
		f := a.here(name)
		if f == nil {
			continue
		}
		for _, path := range paths {
			if err := apart(f, path); err != nil {
				return errors.Join(err, f.Close())
			}
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}

// within reports whether a file lies in a folder or in one below it.
func within(dir, path string) bool {
	path, err := filepath.Abs(path)
	for up := filepath.Dir(path); err == nil && up != path; path, up = up, filepath.Dir(up) {
		if sameFile(dir, up) {
			return true
		}
	}
	return false
}

func sameFile(a, b string) bool { return console.SameFile(a, b) }
