package source

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ledge-run/ledge/runtime/files"
)

// Read reads the documents of a file in order. A pair with an error has no document;
// the error is a *BadRecord, behind which the sequence goes on unless Last is set, or
// one of the file system, which ends it. progress, if not nil, is told how many bytes
// of the file (as it is on disk) have been read.
func Read(f File, o Options, progress func(bytes int64)) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		in, err := os.Open(f.Path)
		if err != nil {
			yield(Document{}, fmt.Errorf("cannot read: %w", err))
			return
		}
		defer in.Close()
		read(in, f, o, progress, yield)
	}
}

// counting counts what is read.
type counting struct {
	r        io.Reader
	n        int64
	progress func(int64)
}

func (c *counting) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	if c.n += int64(n); c.progress != nil {
		c.progress(c.n)
	}
	return n, err
}

// read is Read of an open file.
func read(in io.Reader, f File, o Options, progress func(int64), yield func(Document, error) bool) {
	bad := func(line int, last bool, advice, problem string, args ...any) bool {
		return yield(Document{}, &BadRecord{File: f.Name, Line: line, Problem: fmt.Sprintf(problem, args...), Advice: advice, Last: last})
	}
	raw := bufio.NewReaderSize(&counting{in, 0, progress}, 1<<16)
	var text io.Reader = raw
	if f.Gzip {
		z, err := gzip.NewReader(raw)
		if err != nil {
			bad(0, true, "compress it again", "not in gzip format (%v)", err)
			return
		}
		text = z
	}
	head := bufio.NewReaderSize(text, sample)
	start, err := head.Peek(sample)
	if err != nil && !errors.Is(err, io.EOF) {
		bad(0, true, "copy or download it again", "cannot be read: %v", err)
		return
	}
	enc, _ := encodingNamed(o.Encoding) // checked
	if enc == nil {
		var derr error
		if enc, derr = detect(start, errors.Is(err, io.EOF), f.Format); derr != nil {
			bad(0, true, "", "%v", derr)
			return
		}
	}
	r := &reader{file: f, o: o, yield: yield, in: decoded(head, enc)}
	switch f.Format {
	case HTML:
		err = r.html()
	case CSV, TSV:
		err = r.csv()
	case JSONLines:
		err = r.jsonLines()
	default:
		err = r.text()
	}
	if err != nil && !errors.Is(err, errStop) {
		bad(0, true, "copy or download it again", "cannot be read to its end: %v", err)
	}
}

// errStop says that the consumer wants no more.
var errStop = errors.New("stop")

// reader reads one file.
type reader struct {
	file  File
	o     Options
	in    io.Reader
	yield func(Document, error) bool
}

// give yields a document, unless it is empty.
func (r *reader) give(d Document) error {
	if d.Text == "" || !r.o.Blank && strings.TrimSpace(d.Text) == "" {
		return nil
	}
	d.File = r.file.Name
	if !r.yield(d, nil) {
		return errStop
	}
	return nil
}

func (r *reader) bad(line int, advice, problem string, args ...any) error {
	if !r.yield(Document{}, &BadRecord{File: r.file.Name, Line: line, Problem: fmt.Sprintf(problem, args...), Advice: advice}) {
		return errStop
	}
	return nil
}

func (r *reader) long(line int, what string) error {
	return r.bad(line, "divide it, or allow more", "the %s is longer than %d MiB", what, r.o.max()>>20)
}

// text reads plain text: the whole file, its paragraphs or its lines.
func (r *reader) text() error {
	unit := r.o.Unit
	if unit == "" {
		unit = WholeFile
	}
	lines := files.NewLines(r.in, r.o.max())
	var b strings.Builder
	first, broken := 1, error(nil)
	flush := func() error {
		defer func() { b.Reset(); broken = nil }()
		switch {
		case errors.Is(broken, files.ErrLong):
			what := string(unit)
			if unit == WholeFile {
				what = "file, which is taken as one document,"
			}
			return r.long(first, what)
		case broken != nil:
			return r.bad(first, "convert the file to UTF-8, or name its encoding", "%v", broken)
		}
		return r.give(Document{Text: b.String(), Line: first})
	}
	for {
		line, err := lines.Next()
		if errors.Is(err, io.EOF) {
			return flush()
		}
		switch {
		case errors.Is(err, files.ErrLong):
			broken = files.ErrLong
		case err != nil:
			return err
		case invalid(line) != nil:
			if broken == nil {
				broken = fmt.Errorf("line %d: %w", lines.Number, invalid(line))
			}
		}
		empty := err == nil && len(bytes.TrimSpace(line)) == 0
		if unit == Paragraph && empty || unit == Line {
			if unit == Line && broken == nil {
				b.Write(line)
			}
			if err := flush(); err != nil {
				return err
			}
			first = lines.Number + 1
			continue
		}
		if broken == nil && b.Len()+len(line) > r.o.max() {
			broken = files.ErrLong
		}
		if broken == nil {
			b.Write(line)
		} else {
			b.Reset()
		}
	}
}

// jsonLines reads one object a line.
func (r *reader) jsonLines() error {
	lines := files.NewLines(r.in, r.o.max())
	for {
		line, err := lines.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, files.ErrLong):
			if err := r.long(lines.Number, "line"); err != nil {
				return err
			}
			continue
		case err != nil:
			return err
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		d, problem := r.record(line)
		if problem != "" {
			if err := r.bad(lines.Number, "mend it, or skip bad records", "%s", problem); err != nil {
				return err
			}
			continue
		}
		d.Line = lines.Number
		if err := r.give(d); err != nil {
			return err
		}
	}
}

// record reads a JSON object.
func (r *reader) record(line []byte) (d Document, problem string) {
	if err := invalid(line); err != nil {
		return d, err.Error()
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(line, &fields); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return d, fmt.Sprintf("not a JSON object: %v at byte %d of the line", err, syntax.Offset)
		}
		return d, "not a JSON object on one line"
	}
	value, ok := fields[r.o.field()]
	if prompt, completion := fields["prompt"], fields["completion"]; !ok && r.o.Pairs && prompt != nil && completion != nil {
		var p, c string
		if json.Unmarshal(prompt, &p) != nil || json.Unmarshal(completion, &c) != nil || prompt[0] != '"' || completion[0] != '"' {
			return d, `the fields "prompt" and "completion" are not both strings`
		}
		if !strings.HasSuffix(p, "\n") {
			p += "\n" // they are tokenized apart: no word goes across
		}
		d.Text = p + c
	} else if !ok {
		return d, fmt.Sprintf("there is no field %q (there are: %s)", r.o.field(), names(fields))
	}
	// A null would leave the string empty.
	if value != nil && (json.Unmarshal(value, &d.Text) != nil || value[0] != '"') {
		return d, fmt.Sprintf("the field %q is not a string", r.o.field())
	}
	if r.o.Group != "" {
		d.Group = groupOf(fields[r.o.Group])
	}
	for _, k := range r.o.Keep {
		if v, ok := fields[k]; ok {
			var b bytes.Buffer
			if json.Compact(&b, v) == nil {
				d.Extra = append(d.Extra, Field{k, b.Bytes()})
			}
		}
	}
	return d, ""
}

// groupOf is a group by its JSON value, as CSV would have it: a string without its quotes, a
// number by its digits. Null and "" are no group. Other values are their text, without
// white space.
func groupOf(value json.RawMessage) string {
	var text string
	if len(value) == 0 || json.Unmarshal(value, &text) == nil { // null leaves it empty
		return text
	}
	var b bytes.Buffer
	if json.Compact(&b, value) != nil {
		return ""
	}
	return b.String()
}

// names lists a few of the fields.
func names(fields map[string]json.RawMessage) string {
	var all []string
	for k := range fields {
		if len(k) > 40 {
			k = string([]rune(k)[:min(40, utf8.RuneCountInString(k))]) + "…"
		}
		all = append(all, fmt.Sprintf("%q", k))
	}
	slices.Sort(all)
	if len(all) > 8 {
		all = append(all[:8], "…")
	}
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, " ")
}
