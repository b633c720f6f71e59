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
// terminal, a line every ten seconds elsewhere. What it was told too soon after what stands
// there comes when its time has come, unless it is told more until then: a stage that says
// nothing for long is seen, too.
type Progress struct {
	w        io.Writer
	terminal bool
	quiet    bool
	width    func() int
	now      func() time.Time
	later    func(time.Duration, func()) // calls it after a while

	mu    sync.Mutex
	from  time.Time // nothing is shown before
	last  time.Time
	drawn bool // a bar stands on the current line
	told  told // last
	held  bool // it is to be shown yet
	timer bool // runs, and then shows what is held
}

// told is how far something is.
type told struct {
	what     string
	fraction float64
	text     string
}

const (
	barInterval  = 100 * time.Millisecond
	lineInterval = 10 * time.Second
)

func NewProgress(w io.Writer, getenv func(string) string, quiet bool) *Progress {
	p := &Progress{w: w, terminal: IsTerminal(w) && getenv("TERM") != "dumb", quiet: quiet, now: time.Now}
	p.later = func(d time.Duration, f func()) { time.AfterFunc(d, f) }
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

// Bar reports whether there is a bar: on a terminal, and where not all is to be quiet.
func (p *Progress) Bar() bool { return p.terminal && !p.quiet }

// Show tells how far it is. The fraction is below 0 while unknown.
func (p *Progress) Show(what string, fraction float64, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.quiet {
		return
	}
	p.told, p.held = told{what, fraction, text}, true
	p.showHeld()
}

// showHeld shows what is held, now or when it is time.
func (p *Progress) showHeld() {
	if !p.held {
		return
	}
	interval := lineInterval
	if p.terminal {
		interval = barInterval
	}
	now := p.now()
	if wait := max(p.from.Sub(now), interval-now.Sub(p.last)); wait > 0 {
		if !p.timer {
			p.timer = true
			p.later(wait, p.onTime)
		}
		return
	}
	p.last, p.held = now, false
	t := p.told
	if !p.terminal {
		fmt.Fprintln(p.w, OneLine(t.what+": "+t.text))
		return
	}
	fmt.Fprint(p.w, "\r\x1b[K"+bar(OneLine(t.what), t.fraction, OneLine(t.text), p.width()-1))
	p.drawn = true
}

func (p *Progress) onTime() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timer = false
	p.showHeld()
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
	p.held = p.held || p.drawn // the bar comes back
	p.clear()
	fmt.Fprintln(p.w, OneLine(line))
	if p.terminal {
		p.last = p.now()
		p.showHeld()
	}
}

// Done takes the bar away.
func (p *Progress) Done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	p.held = false
}

func (p *Progress) clear() {
	if p.drawn {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.drawn = false
	}
}
