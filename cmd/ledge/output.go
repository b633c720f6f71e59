package main

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

// errOutput is wrapped by every failure to write a result.
var errOutput = errors.New("cannot write the output")

// output is standard output. It is buffered; the first error stays. On a
// terminal, control characters that a model or a file may hold are left out.
type output struct {
	w        *bufio.Writer
	terminal bool
	last     byte // written last, 0 if nothing was
	err      error
}

func newOutput(w io.Writer) *output {
	return &output{w: bufio.NewWriterSize(w, 32<<10), terminal: isTerminal(w)}
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func (o *output) Write(p []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	text := p
	if o.terminal {
		text = []byte(strings.Map(printable, string(p)))
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

// printable leaves out what could steer a terminal.
func printable(r rune) rune {
	if unicode.IsControl(r) && r != '\n' && r != '\t' {
		return -1
	}
	return r
}

func (o *output) fail(err error) {
	var path *os.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	o.err = fmt.Errorf("%w: %w", errOutput, err)
}

// flush writes what is buffered.
func (o *output) flush() error {
	if o.err == nil {
		if err := o.w.Flush(); err != nil {
			o.fail(err)
		}
	}
	return o.err
}

// show writes a piece of streamed text at once.
func (o *output) show(text string) error {
	if _, err := io.WriteString(o, text); err != nil {
		return err
	}
	return o.flush()
}

// endLine ends a line that was begun.
func (o *output) endLine() error {
	if o.last != 0 && o.last != '\n' {
		return o.show("\n")
	}
	return o.flush()
}

func (o *output) close() error { return o.flush() }

// json writes a value on one line, or indented.
func (o *output) json(v any, indent bool) error {
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
	return o.flush()
}
