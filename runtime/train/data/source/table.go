package source

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ledge-run/ledge/runtime/files"
)

// csv reads a table whose first record names its columns (RFC 4180; a tab divides
// in TSV).
func (r *reader) csv() error {
	in := &rereader{r: r.in, max: r.o.max()}
	c := in.records(r.file.Format)
	header, err := c.Read()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return r.bad(1, "mend the first line", "the names of the columns cannot be read: %v", csvProblem(err))
	}
	header = slices.Clone(header)
	column := func(name string) int { return slices.Index(header, name) }
	at := column(r.o.field())
	if at < 0 {
		return r.bad(1, "name the column that has the text", "there is no column %q (there are: %s)", r.o.field(), strings.Join(header, ", "))
	}
	group := -1
	if r.o.Group != "" {
		group = column(r.o.Group)
	}
	above := 0 // lines above the first of c's
	for next := behind(1, header); ; {
		in.forget(c)
		record, err := c.Read()
		var parse *csv.ParseError
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, files.ErrLong):
			// Where the record ends cannot be known any more.
			line := next
			if len(record) > 0 {
				line, _ = c.FieldPos(0)
				line += above
			}
			return r.long(line, "record, behind which nothing is read,")
		case errors.As(err, &parse):
			if err := r.bad(above+parse.StartLine, "mend it, or skip bad records", "%v", csvProblem(err)); err != nil {
				return err
			}
			if parse.Line == parse.StartLine {
				next = above + parse.Line + 1
				continue
			}
			// The lines behind may be records of their own, after a quote that nothing closes.
			in.skip(1 + above + parse.StartLine - next)
			c = in.records(r.file.Format)
			above += parse.StartLine
			next = above + 1
			continue
		case err != nil:
			return err
		}
		line, _ := c.FieldPos(0)
		line += above
		next = behind(line, record)
		problem := ""
		switch {
		case len(record) != len(header):
			problem = fmt.Sprintf("it has %d fields, but there are %d columns", len(record), len(header))
		case !valid(record):
			problem = "it is not UTF-8"
		}
		if problem != "" {
			if err := r.bad(line, "mend it, or skip bad records", "%s", problem); err != nil {
				return err
			}
			continue
		}
		d := Document{Text: strings.Clone(record[at]), Line: line}
		if group >= 0 {
			d.Group = strings.Clone(record[group])
		}
		for _, k := range r.o.Keep {
			if i := column(k); i >= 0 {
				if b, err := json.Marshal(record[i]); err == nil {
					d.Extra = append(d.Extra, Field{k, b})
				}
			}
		}
		if err := r.give(d); err != nil {
			return err
		}
	}
}

// behind is the line behind a record, where the next begins unless it is empty: package csv does not tell where a record began
// whose first field has no end.
func behind(line int, record []string) int {
	for _, s := range record {
		line += strings.Count(s, "\n")
	}
	return line + 1
}

func valid(record []string) bool {
	return !slices.ContainsFunc(record, func(s string) bool { return !utf8.ValidString(s) })
}

// csvProblem is the error without the place, which is told already.
func csvProblem(err error) error {
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		return parse.Err
	}
	return err
}

// rereader keeps what has been read since the last record, so that it can be read again, and ends a record
// that goes on and on, as behind an opened quote.
type rereader struct {
	r    io.Reader
	max  int
	kept []byte // read, and behind the last record
	from int64  // how much of what the present reader has read is gone from kept
	back []byte // to be read before what r has
}

// records is a reader of a table's records from here on.
func (u *rereader) records(f Format) *csv.Reader {
	c := csv.NewReader(u)
	c.ReuseRecord = true
	c.FieldsPerRecord = -1 // a record of another length is reported, not a reason to stop
	if f == TSV {
		c.Comma, c.LazyQuotes = '\t', true
	}
	return c
}

// forget lets go of what the records up to here had.
func (u *rereader) forget(c *csv.Reader) {
	n := c.InputOffset() - u.from
	u.kept, u.from = u.kept[n:], u.from+n
}

// skip goes back to the last record's end and then over so many lines. A new reader goes on from there.
func (u *rereader) skip(lines int) {
	rest := u.kept
	for ; lines > 0; lines-- {
		_, rest, _ = bytes.Cut(rest, []byte("\n"))
	}
	u.back, u.kept, u.from = slices.Concat(rest, u.back), nil, 0
}

func (u *rereader) Read(b []byte) (n int, err error) {
	switch {
	case len(u.kept) > u.max:
		return 0, files.ErrLong
	case len(u.back) > 0:
		n = copy(b, u.back)
		u.back = u.back[n:]
	default:
		n, err = u.r.Read(b)
	}
	u.kept = append(u.kept, b[:n]...)
	return n, err
}
