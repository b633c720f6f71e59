package console

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"golang.org/x/term"
)

// ErrOutput is wrapped by every failure to write a result.
var ErrOutput = errors.New("cannot write the output")

// Output is standard output. It is buffered; the first error stays. On a
// terminal, control characters that a model or a file may hold are left out.
type Output struct {
	w        *bufio.Writer
	terminal bool
	last     byte // written last, 0 if nothing was
	err      error
}

func NewOutput(w io.Writer) *Output {
	return &Output{w: bufio.NewWriterSize(w, 32<<10), terminal: IsTerminal(w)}
}

func IsTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func (o *Output) Write(p []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	text := p
	if o.terminal {
		text = []byte(strings.Map(Printable, string(p)))
	}
	if len(text) > 0 {
		o.last = text[len(text)-1]
	}
	if _, err := o.w.Write(text); err != nil {
		o.fail(err)
		return 0, o.err
	}
	return len(p), nil
}

// Printable leaves out what could steer a terminal.
func Printable(r rune) rune {
	if unicode.IsControl(r) && r != '\n' && r != '\t' {
		return -1
	}
	return r
}

func (o *Output) fail(err error) {
	var path *os.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	o.err = fmt.Errorf("%w: %w", ErrOutput, err)
}

// Flush writes what is buffered.
func (o *Output) Flush() error {
	if o.err == nil {
		if err := o.w.Flush(); err != nil {
			o.fail(err)
		}
	}
	return o.err
}

// Show writes a piece of streamed text at once.
func (o *Output) Show(text string) error {
	if _, err := io.WriteString(o, text); err != nil {
		return err
	}
	return o.Flush()
}

// Unbuffered is the output for somebody who waits for each line.
func (o *Output) Unbuffered() io.Writer { return unbuffered{o} }

type unbuffered struct{ o *Output }

func (u unbuffered) Write(p []byte) (int, error) {
	n, err := u.o.Write(p)
	if err != nil {
		return n, err
	}
	return n, u.o.Flush()
}

// EndLine ends a line that was begun.
func (o *Output) EndLine() error {
	if o.last != 0 && o.last != '\n' {
		return o.Show("\n")
	}
	return o.Flush()
}

func (o *Output) Close() error { return o.Flush() }

// JSON writes a value on one line, or indented.
func (o *Output) JSON(v any, indent bool) error {
	e := json.NewEncoder(o)
	e.SetEscapeHTML(false)
	if indent {
		e.SetIndent("", "  ")
	}
	if err := e.Encode(v); err != nil {
		if o.err != nil {
			return o.err
		}
		return fmt.Errorf("cannot write the result as JSON: %w", err)
	}
	return o.Flush()
}

// Terminal reports whether somebody reads it on a terminal.
func (o *Output) Terminal() bool { return o.terminal }

// Bytes is the same output for what is no text: bytes pass as they are, on a terminal, too.
func (o *Output) Bytes() *Output { return &Output{w: o.w} }

// MidLine reports whether text stands on the terminal's line.
func (o *Output) MidLine() bool { return o.terminal && o.last != 0 && o.last != '\n' }
