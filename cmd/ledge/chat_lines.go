package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/term"

	"github.com/ledge-run/ledge/cmd/internal/console"
)

// lineReader gives the lines of a chat; io.EOF after the last.
type lineReader interface {
	read(ctx context.Context) (string, error)
	interactive() bool
}

// newLineReader edits lines where a person types them, and reads them as they
// come elsewhere.
func (a *app) newLineReader() lineReader {
	f, ok := a.in.(*os.File)
	if !ok || !console.IsTerminal(f) || !console.IsTerminal(a.stderr) {
		return a.newPipeLines()
	}
	e := &editor{in: f, keys: &keyFilter{r: f}, err: a.stderr}
	e.term = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{e.keys, a.stderr}, "> ")
	e.term.History = openHistory(a.historyPath())
	return e
}

func (a *app) newPipeLines() *pipeLines {
	in := a.in
	if in == nil {
		in = strings.NewReader("")
	}
	return &pipeLines{r: bufio.NewReader(in)}
}

// pipeLines reads lines from a pipe or a file.
type pipeLines struct {
	r     *bufio.Reader
	begun bool // the first line has been read
}

func (p *pipeLines) interactive() bool { return false }

func (p *pipeLines) read(ctx context.Context) (string, error) {
	return await(ctx, func() (string, error) {
		var line []byte
		for {
			part, err := p.r.ReadSlice('\n')
			line = append(line, part...)
			switch {
			case len(line) > maxText:
				return "", fmt.Errorf("a line is longer than %d MiB", maxText>>20)
			case errors.Is(err, bufio.ErrBufferFull):
				continue
			case errors.Is(err, io.EOF) && len(line) > 0, err == nil:
				text := strings.TrimRight(string(line), "\r\n")
				if !p.begun {
					p.begun, text = true, withoutBOM(text)
				}
				return text, nil
			case errors.Is(err, io.EOF):
				return "", io.EOF
			default:
				return "", fmt.Errorf("cannot read standard input: %w", err)
			}
		}
	})
}

// editor reads lines from a terminal, with editing keys and a history. The
// terminal is in raw mode only while a line is typed, so that Ctrl-C is a
// signal at all other times.
type editor struct {
	in   *os.File
	keys *keyFilter
	err  io.Writer
	term *term.Terminal
	warn bool // the last line was an empty one ended by Ctrl-C

	mu  sync.Mutex
	raw *term.State // how the terminal was, while it is in raw mode
}

func (e *editor) interactive() bool { return true }

func (e *editor) read(ctx context.Context) (string, error) {
	defer e.restore() // when the wait is given up
	return await(ctx, func() (string, error) {
		var text string
		for {
			line, pasted, err := e.line()
			if err != nil {
				return "", err
			}
			switch {
			case e.keys.interrupted:
				e.keys.interrupted = false
				if text == "" && e.keys.empty && e.warn {
					return "", console.ErrInterrupted
				}
				if e.warn = text == "" && e.keys.empty; e.warn {
					fmt.Fprintln(e.err, "(Ctrl-C once more, Ctrl-D or /exit leaves)")
				}
				text = ""
				continue
			case pasted:
				text += line + "\n"
				continue
			case strings.HasSuffix(line, `\`):
				text += strings.TrimSuffix(line, `\`) + "\n"
				continue
			}
			e.warn = false
			return text + line, nil
		}
	})
}

// line reads one line in raw mode.
func (e *editor) line() (line string, pasted bool, err error) {
	fd := int(e.in.Fd())
	state, err := term.MakeRaw(fd)
	if err != nil {
		return "", false, fmt.Errorf("cannot use the terminal: %w", err)
	}
	e.mu.Lock()
	e.raw = state
	e.mu.Unlock()
	defer e.restore()
	if w, h, err := term.GetSize(fd); err == nil && w > 0 {
		_ = e.term.SetSize(w, h) // only how lines wrap
	}
	e.term.SetBracketedPasteMode(true)
	defer e.term.SetBracketedPasteMode(false)
	line, err = e.term.ReadLine()
	if errors.Is(err, term.ErrPasteIndicator) {
		return line, true, nil
	}
	return line, false, err
}

// restore takes the terminal out of raw mode.
func (e *editor) restore() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.raw != nil {
		_ = term.Restore(int(e.in.Fd()), e.raw) // nothing else could be tried
		e.raw = nil
	}
}

// keyFilter stands between the terminal and the line editor: it turns Ctrl-C
// into "delete the line and end it", and remembers that.
type keyFilter struct {
	r           io.Reader
	interrupted bool
	empty       bool // nothing had been typed when Ctrl-C came
	typed       bool // something has been typed since the last line ended
	left        []byte
}

const ctrlC = 3

var endOfLine, killLine, enter = byte(5), byte(21), byte('\r')

func (k *keyFilter) Read(p []byte) (int, error) {
	if len(k.left) == 0 {
		buf := make([]byte, 256)
		n, err := k.r.Read(buf)
		if n == 0 {
			return 0, err
		}
		for _, b := range buf[:n] {
			switch b {
			case ctrlC:
				k.interrupted, k.empty, k.typed = true, !k.typed, false
				k.left = append(k.left, endOfLine, killLine, enter)
				continue
			case '\r', '\n':
				k.typed = false
			default:
				k.typed = true
			}
			k.left = append(k.left, b)
		}
	}
	n := copy(p, k.left)
	k.left = k.left[n:]
	return n, nil
}
