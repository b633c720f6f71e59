package source

import (
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
	limited := &limitedRecords{r: r.in, max: int64(r.o.max())}
	c := csv.NewReader(limited)
	c.ReuseRecord = true
	c.FieldsPerRecord = -1 // a record of another length is reported, not a reason to stop
	if r.file.Format == TSV {
		c.Comma, c.LazyQuotes = '\t', true
	}
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
	for next := behind(1, header); ; {
		limited.used = 0
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
			}
			return r.long(line, "record")
		case errors.As(err, &parse):
			next = parse.Line + 1
			if err := r.bad(parse.StartLine, "mend it, or skip bad records", "%v", csvProblem(err)); err != nil {
				return err
			}
			continue
		case err != nil:
			return err
		}
		line, _ := c.FieldPos(0)
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

// limitedRecords ends a record that goes on and on, as behind an opened quote.
type limitedRecords struct {
	r         io.Reader
	used, max int64
}

func (l *limitedRecords) Read(b []byte) (int, error) {
	if l.used > l.max {
		return 0, files.ErrLong
	}
	n, err := l.r.Read(b)
	l.used += int64(n)
	return n, err
}
