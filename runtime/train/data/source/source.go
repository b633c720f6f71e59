// Package source reads documents out of files: plain text, Markdown, HTML, CSV, TSV
// and JSON lines, each also compressed with gzip, in UTF-8, UTF-16, GB18030 and a few
// other encodings.
//
// Files are streamed: what is held in memory is one document, which has a largest
// size. What is wrong in a file is a *BadRecord that names file and line; reading
// goes on behind it if the caller wants it to.
package source

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Document is a text and where it comes from.
type Document struct {
	Text  string
	File  string // as File.Name
	Line  int    // where it begins, from 1
	Group string // what Options.Group names, "" for none
	Extra []Field
}

// Field is a further field of a record that is kept.
type Field struct {
	Name  string
	Value []byte // as JSON
}

// Unit is what one document of a text file is.
type Unit string

// The units.
const (
	WholeFile Unit = "file"
	Paragraph Unit = "paragraph" // parts divided by empty lines
	Line      Unit = "line"
)

// Options say how files are read.
type Options struct {
	Unit     Unit     // of text and Markdown; "" is WholeFile
	Field    string   // of JSON lines, or the column of CSV, that has the text; "" is "text"
	Pairs    bool     // a JSON record without the field is its "prompt" and "completion", if it has both
	Group    string   // a field whose equal values belong together; "" is none, and so are values of null and ""
	Keep     []string // further fields to keep
	Encoding string   // of all files; "" finds out for each
	Max      int      // bytes in a document; 0 is DefaultMax
	Blank    bool     // documents of white space only are documents, too
}

// DefaultMax is the largest document in bytes.
const DefaultMax = 16 << 20

func (o Options) field() string { return cmp.Or(o.Field, "text") }
func (o Options) max() int      { return cmp.Or(o.Max, DefaultMax) }

// Check reports options that make no sense.
func (o Options) Check() error {
	switch o.Unit {
	case "", WholeFile, Paragraph, Line:
	default:
		return fmt.Errorf("the unit %q is not one of: file paragraph line", o.Unit)
	}
	if _, err := encodingNamed(o.Encoding); err != nil {
		return err
	}
	return nil
}

// BadRecord is something in a file that is no document.
type BadRecord struct {
	File    string
	Line    int // 0 if unknown
	Problem string
	Advice  string
	Last    bool // nothing behind it in the file can be read
}

func (e *BadRecord) Error() string {
	at := e.File
	if e.Line > 0 {
		at = fmt.Sprintf("%s:%d", e.File, e.Line)
	}
	s := at + ": " + e.Problem
	if e.Advice != "" {
		s += ": " + e.Advice
	}
	return s
}

// File is a file with documents.
type File struct {
	Path   string // to open
	Name   string // to show: the path as it was given, with slashes
	Format Format
	Gzip   bool
	Size   int64
	Time   time.Time // of its last change
}

// Format is a kind of file.
type Format string

// The formats.
const (
	Text      Format = "text"
	HTML      Format = "html"
	CSV       Format = "csv"
	TSV       Format = "tsv"
	JSONLines Format = "jsonl"
)

var formats = map[string]Format{
	".txt": Text, ".text": Text, ".md": Text, ".markdown": Text, ".rst": Text, ".html": HTML, ".htm": HTML, ".xhtml": HTML,
	".csv": CSV, ".tsv": TSV, ".jsonl": JSONLines, ".ndjson": JSONLines,
}

// formatOf tells a file's format by its name.
func formatOf(name string) (f Format, gz, ok bool) {
	name = strings.ToLower(name)
	name, gz = strings.CutSuffix(name, ".gz")
	f, ok = formats[filepath.Ext(name)]
	return f, gz, ok
}

// Extensions are the endings of names that are read, in alphabetical order.
func Extensions() []string {
	var all []string
	for e := range formats {
		all = append(all, e)
	}
	slices.Sort(all)
	return all
}

// Found are the files below some paths.
type Found struct {
	Files   []File
	Ignored int // files in folders whose names say that they are none of the formats
	Hidden  int // files and folders whose names begin with a dot, and links, in folders
}

// Find lists the files at the paths, and in the folders among them all files of a
// format, in the order of their names. A file named by itself is read as text if
// its name says nothing. The same file twice is read once.
func Find(paths []string) (Found, error) {
	var found Found
	var seen []os.FileInfo
	add := func(path string, info fs.FileInfo, format Format, gz bool) {
		for _, s := range seen {
			if s.Size() == info.Size() && os.SameFile(s, info) {
				return
			}
		}
		seen = append(seen, info)
		found.Files = append(found.Files, File{path, filepath.ToSlash(path), format, gz, info.Size(), info.ModTime()})
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return Found{}, fmt.Errorf("cannot read: %w", err)
		}
		if !info.IsDir() {
			if !info.Mode().IsRegular() {
				return Found{}, fmt.Errorf("%s is not a regular file: save it as a file first", path)
			}
			format, gz, ok := formatOf(path)
			if !ok {
				format = Text
				if ext := strings.ToLower(filepath.Ext(path)); ext == ".json" || ext == ".parquet" || ext == ".zst" || ext == ".pdf" || ext == ".docx" || ext == ".zip" {
					return Found{}, fmt.Errorf("%s: %s files are not read; read are %s, also with .gz: convert it first", path, ext, strings.Join(Extensions(), " "))
				}
			}
			add(path, info, format, gz)
			continue
		}
		err = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			hidden := p != path && strings.HasPrefix(d.Name(), ".")
			switch {
			case hidden && d.IsDir():
				found.Hidden++
				return fs.SkipDir
			case d.IsDir() && p != path || d.IsDir():
				return nil
			case hidden || !d.Type().IsRegular():
				found.Hidden++
				return nil
			}
			format, gz, ok := formatOf(p)
			if !ok {
				found.Ignored++
				return nil
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			add(p, info, format, gz)
			return nil
		})
		if err != nil {
			return Found{}, fmt.Errorf("cannot read: %w", err)
		}
	}
	if len(found.Files) == 0 {
		return Found{}, fmt.Errorf("no files to read at %s; read are %s, also with .gz: %w", strings.Join(paths, " "), strings.Join(Extensions(), " "), ErrNothing)
	}
	return found, nil
}

// ErrNothing is wrapped by the error of Find when there is nothing to read.
var ErrNothing = errors.New("nothing to read")
