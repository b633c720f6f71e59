package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/cmd/internal/console"
	"github.com/ledge-run/ledge/runtime/eval"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

func forceFlag() cli.Flag {
	return &cli.BoolFlag{Name: "force", Usage: "replace a file that is there"}
}

// free refuses the name of a file that is there, unless --force is given, and one that
// nothing could be written to.
func free(c *cli.Context, path string) error {
	if path == "-" {
		return usagef("the result is a file, and - is none: give it a name")
	}
	switch there, err := gguf.Replaceable(path); {
	case err != nil:
		return fmt.Errorf("cannot write %s: %w", path, err)
	case there && !c.Bool("force"):
		return fmt.Errorf("%s is there already: name another file, or give --force to replace it", path)
	}
	dir := filepath.Dir(path)
	if st, err := os.Stat(dir); err != nil || !st.IsDir() {
		return fmt.Errorf("cannot write %s: there is no folder %s", path, dir)
	}
	return console.Writable(path)
}

// A kind of file that a command writes in place of an earlier one of the same kind
// without being asked, so that it can be run again as it stands.
type kind struct {
	name string
	is   func(io.Reader) bool
}

var (
	predictionsFile = kind{"file of predictions", func(r io.Reader) bool {
		var o struct {
			Line  int   `json:"line"`
			Right *bool `json:"right"`
		}
		return json.NewDecoder(r).Decode(&o) == nil && o.Line > 0 && o.Right != nil
	}}
	confusionFile = kind{"picture of a confusion matrix", func(r io.Reader) bool {
		head, err := io.ReadAll(io.LimitReader(r, 64<<10))
		return err == nil && bytes.HasPrefix(head, []byte("<svg ")) && bytes.Contains(head, []byte(eval.ConfusionCaption))
	}}
	logitsFile       = kind{"file of log-probabilities", begins("_logits_")}
	arrayFile        = kind{"NumPy array", begins("\x93NUMPY")}
	conversationFile = kind{"conversation", func(r io.Reader) bool {
		data, err := io.ReadAll(io.LimitReader(r, maxConversation+1))
		if err != nil || !bytes.HasPrefix(bytes.TrimSpace(data), []byte("[")) { // as /save writes it
			return false
		}
		_, _, err = parseConversation(data)
		return err == nil
	}}
)

// begins tells files by what they begin with.
func begins(magic string) func(io.Reader) bool {
	return func(r io.Reader) bool {
		head := make([]byte, len(magic))
		_, err := io.ReadFull(r, head)
		return err == nil && string(head) == magic
	}
}

// renewable refuses the name of a file that is there and of another kind, unless force is
// set, and one that nothing could be written to.
func (k kind) renewable(path string, force bool) error {
	if st, err := os.Stat(path); path == "-" || force || err != nil || !st.Mode().IsRegular() || st.Size() == 0 {
		return console.Writable(path)
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("%s is there already and cannot be read: name another file", path)
	}
	defer f.Close()
	if !k.is(f) {
		return fmt.Errorf("%s is there already and is no %s: name another file", path, k.name)
	}
	return console.Writable(path)
}

// renew is renewable for commands with --force.
func (k kind) renew(c *cli.Context, path string) error {
	err := k.renewable(path, c.Bool("force"))
	if err != nil && strings.Contains(err.Error(), " is there already ") {
		err = fmt.Errorf("%w, or give --force to replace it", err)
	}
	return err
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
