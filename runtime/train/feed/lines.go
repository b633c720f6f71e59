package feed

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ledge-run/ledge/runtime/files"
	"github.com/ledge-run/ledge/runtime/jsonfault"
)

// maxLine bounds a line of a file.
const maxLine = 64 << 20

// record is a line of a file: a text, or a prompt and what is to follow it.
type record struct {
	Text       *string `json:"text"`
	Prompt     *string `json:"prompt"`
	Completion *string `json:"completion"`
}

// parse reads a line. Fields besides those of a record are left out.
func parse(line []byte) (record, error) {
	var r record
	if !utf8.Valid(line) {
		return r, errors.New("it is not UTF-8")
	}
	if line[0] != '{' {
		return r, errors.New("it is no JSON object")
	}
	if err := json.Unmarshal(line, &r); err != nil {
		return r, fmt.Errorf(`it is no JSON object with "text", or "prompt" and "completion": %w`, jsonfault.Of(err))
	}
	switch {
	case r.Text != nil && (r.Prompt != nil || r.Completion != nil):
		return r, errors.New(`it has both "text" and "prompt" or "completion"`)
	case r.Text != nil && *r.Text == "":
		return r, errors.New(`its "text" is empty`)
	case r.Text != nil:
	case r.Prompt == nil && r.Completion == nil:
		return r, errors.New(`it has neither "text" nor "prompt" and "completion"`)
	case r.Prompt == nil:
		return r, errors.New(`it has a "completion" and no "prompt"`)
	case r.Completion == nil:
		return r, errors.New(`it has a "prompt" and no "completion"`)
	case *r.Completion == "":
		return r, errors.New(`its "completion" is empty`)
	}
	return r, nil
}

// BadLine is a malformed line, and where it is.
type BadLine struct {
	File string
	Line int // from 1
	Err  error
}

func (b *BadLine) Error() string { return fmt.Sprintf("%s, line %d: %v", b.File, b.Line, b.Err) }
func (b *BadLine) Unwrap() error { return b.Err }

// Find lists the files that paths and patterns stand for, each once, in the order of
// the patterns and in each by name.
func Find(patterns []string) ([]string, error) {
	var all []string
	for _, p := range patterns {
		found := []string{p}
		if _, err := os.Stat(p); errors.Is(err, fs.ErrNotExist) && strings.ContainsAny(p, "*?[") {
			if found, err = filepath.Glob(p); err != nil {
				return nil, fmt.Errorf("%s: the pattern is malformed", p)
			}
			if len(found) == 0 {
				return nil, fmt.Errorf("%s: no file fits the pattern", p)
			}
		}
		for _, f := range found {
			if !slices.Contains(all, f) {
				all = append(all, f)
			}
		}
	}
	for _, f := range all {
		switch st, err := os.Stat(f); {
		case errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("%s: there is no such file", f)
		case err != nil:
			return nil, err
		case st.IsDir():
			return nil, fmt.Errorf("%s is a folder: name its files, as %s", f, filepath.Join(f, "*.jsonl"))
		}
	}
	return all, nil
}

// each calls do with every line of a file that is not empty; its first error ends it. A
// name ending in .gz is unpacked.
func each(path string, r io.Reader, do func(line []byte, number int) error) error {
	if strings.HasSuffix(path, ".gz") {
		z, err := gzip.NewReader(r)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		r = z
	}
	lines := files.NewLines(r, maxLine)
	for {
		line, err := lines.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, files.ErrLong):
			return &BadLine{path, lines.Number, fmt.Errorf("it is longer than %d MiB", maxLine>>20)}
		case errors.Is(err, io.ErrUnexpectedEOF):
			return fmt.Errorf("%s is cut off in line %d: copy or download it again", path, lines.Number+1)
		case err != nil:
			return fmt.Errorf("%s, line %d: %w", path, lines.Number+1, err)
		}
		text := bytes.TrimSpace(line)
		if lines.Number == 1 {
			text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
		}
		if len(text) == 0 {
			continue
		}
		if err := do(text, lines.Number); err != nil {
			return err
		}
	}
}
