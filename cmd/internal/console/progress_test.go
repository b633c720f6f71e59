package console

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestBar(t *testing.T) {
	for _, c := range []struct {
		what     string
		fraction float64
		text     string
		width    int
		want     string
	}{
		{"x.gguf", 0.5, "5 of 10", 30, "x.gguf [#######------] 5 of 10"},
		{"x.gguf", 1, "done", 80, "x.gguf [##############################] done"},
		{"x.gguf", -1, "5 MB", 30, "x.gguf 5 MB"},
		{"a-rather-long-name.gguf", 0, "5 of 10", 30, "a-rather… [----------] 5 of 10"},
		{"a-rather-long-name.gguf", 0.5, "5 of 10", 18, "5 of 10"},
		{"x", 0.5, "5 of 10", 4, "5 of"},
		{"x", 2, "t", 30, "x [########################] t"},
	} {
		got := bar(c.what, c.fraction, c.text, c.width)
		if got != c.want || utf8.RuneCountInString(got) > c.width {
			t.Errorf("%+v gives %q", c, got)
		}
	}
}

// watched is a Progress whose clock only the test moves on.
type watched struct {
	*Progress
	w    bytes.Buffer
	at   time.Time
	due  time.Time // of a timer
	wake func()
}

func newWatched() *watched {
	x := &watched{at: time.Unix(0, 0)}
	x.Progress = &Progress{w: &x.w, now: func() time.Time { return x.at }, width: func() int { return 40 }, last: x.at}
	x.later = func(d time.Duration, f func()) { x.due, x.wake = x.at.Add(d), f }
	return x
}

// pass lets time go by.
func (x *watched) pass(d time.Duration) {
	end := x.at.Add(d)
	for x.wake != nil && !x.due.After(end) {
		f := x.wake
		x.at, x.wake = x.due, nil
		f()
	}
	x.at = end
}

func TestProgress(t *testing.T) {
	x := newWatched()
	step := func(d time.Duration) { x.pass(d); x.Show("f", 0.5, "half") }
	step(time.Second)
	if x.w.Len() > 0 {
		t.Errorf("after a second: %q", &x.w)
	}
	step(lineInterval)
	if x.w.String() != "f: half\n" {
		t.Errorf("after ten seconds: %q", &x.w)
	}
	x = newWatched()
	x.terminal = true
	x.After(time.Second)
	step(time.Second / 2)
	if x.w.Len() > 0 {
		t.Errorf("too early: %q", &x.w)
	}
	step(time.Second)
	step(time.Millisecond)
	x.Log("note")
	x.Done()
	if got := x.w.String(); strings.Count(got, "half") != 2 || !strings.HasSuffix(got, "\r\x1b[Knote\n") {
		t.Errorf("on a terminal: %q", got)
	}
}

// TestProgressHeld: what is told too soon and only once is shown when it is time.
func TestProgressHeld(t *testing.T) {
	tell := func(x *watched) { x.Show("work", -1, "first part") }
	for _, c := range []struct {
		name     string
		terminal bool
		do       func(x *watched)
		want     string // last on the screen
	}{
		{"a bar", true, func(x *watched) { tell(x); x.pass(barInterval) }, "\r\x1b[Kwork first part"},
		{"not yet", true, func(x *watched) { tell(x); x.pass(barInterval / 2) }, ""},
		{"after a while", true, func(x *watched) { x.After(time.Second); tell(x); x.pass(time.Second) }, "\r\x1b[Kwork first part"},
		{"the last of two", true, func(x *watched) { x.Show("a", -1, "b"); tell(x); x.pass(barInterval) }, "\r\x1b[Kwork first part"},
		{"a line", false, func(x *watched) { tell(x); x.pass(lineInterval) }, "work: first part\n"},
		{"done before", true, func(x *watched) { tell(x); x.Done(); x.pass(time.Hour) }, ""},
		{"quiet", true, func(x *watched) { x.quiet = true; tell(x); x.pass(time.Hour) }, ""},
		{"below a note", true, func(x *watched) { x.pass(time.Second); tell(x); x.Log("n"); x.pass(barInterval) }, "\r\x1b[Kwork first part\r\x1b[Kn\n\r\x1b[Kwork first part"},
	} {
		x := newWatched()
		x.terminal = c.terminal
		if c.do(x); x.w.String() != c.want {
			t.Errorf("%s: %q, want %q", c.name, x.w.String(), c.want)
		}
	}
}
