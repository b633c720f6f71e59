package console

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

// Progress shows how far something is: a bar where standard error is a
// terminal, a line every ten seconds elsewhere.
type Progress struct {
	w        io.Writer
	terminal bool
	quiet    bool
	width    func() int
	now      func() time.Time

	mu    sync.Mutex
	from  time.Time // nothing is shown before
	last  time.Time
	drawn bool // a bar stands on the current line
}

const (
	barInterval  = 100 * time.Millisecond
	lineInterval = 10 * time.Second
)

func NewProgress(w io.Writer, getenv func(string) string, quiet bool) *Progress {
	p := &Progress{w: w, terminal: IsTerminal(w) && getenv("TERM") != "dumb", quiet: quiet, now: time.Now}
	p.width = func() int {
		if f, ok := w.(*os.File); ok {
			if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
				return w
			}
		}
		return 80
	}
	p.from = p.now()
	p.last = p.from
	return p
}

// After lets nothing be shown for a while: what is quick needs no bar.
func (p *Progress) After(d time.Duration) { p.from = p.now().Add(d) }

// Show tells how far it is. The fraction is below 0 while unknown.
func (p *Progress) Show(what string, fraction float64, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	interval := lineInterval
	if p.terminal {
		interval = barInterval
	}
	if p.quiet || now.Before(p.from) || now.Sub(p.last) < interval {
		return
	}
	p.last = now
	if !p.terminal {
		fmt.Fprintln(p.w, OneLine(what+": "+text))
		return
	}
	fmt.Fprint(p.w, "\r\x1b[K"+bar(OneLine(what), fraction, OneLine(text), p.width()-1))
	p.drawn = true
}

// bar draws "name [#####-----] text" into width columns. Where they do not
// suffice the name is cut, then the bar is left out.
func bar(what string, fraction float64, text string, width int) string {
	const longest, shortest = 30, 10
	room := width - utf8.RuneCountInString(text) - 4 // brackets and two spaces
	name := []rune(what)
	if fraction >= 0 && room >= shortest {
		size := min(max(room-len(name), shortest), longest, room)
		if cut := room - size; len(name) > cut {
			name = name[:max(cut, 0)]
			if len(name) > 0 {
				name[len(name)-1] = '…'
			}
		}
		full := min(int(fraction*float64(size)+0.5), size)
		text = "[" + strings.Repeat("#", full) + strings.Repeat("-", size-full) + "] " + text
	} else if len(name) > room {
		name = nil
	}
	line := []rune(strings.TrimSpace(string(name) + " " + text))
	return string(line[:min(len(line), max(width, 0))])
}

// Log writes a line above the bar.
func (p *Progress) Log(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.quiet {
		return
	}
	p.clear()
	fmt.Fprintln(p.w, OneLine(line))
}

// Done takes the bar away.
func (p *Progress) Done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
}

func (p *Progress) clear() {
	if p.drawn {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.drawn = false
	}
}
