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

func TestProgress(t *testing.T) {
	var w bytes.Buffer
	now := time.Unix(0, 0)
	p := &Progress{w: &w, now: func() time.Time { return now }, width: func() int { return 40 }}
	p.last = now
	step := func(d time.Duration) { now = now.Add(d); p.Show("f", 0.5, "half") }
	step(time.Second)
	if w.Len() > 0 {
		t.Errorf("after a second: %q", &w)
	}
	step(lineInterval)
	if w.String() != "f: half\n" {
		t.Errorf("after ten seconds: %q", &w)
	}
	w.Reset()
	p.terminal = true
	p.After(time.Second)
	step(time.Second / 2)
	if w.Len() > 0 {
		t.Errorf("too early: %q", &w)
	}
	step(time.Second)
	step(time.Millisecond)
	p.Log("note")
	p.Done()
	if got := w.String(); strings.Count(got, "half") != 1 || !strings.HasSuffix(got, "\r\x1b[Knote\n") {
		t.Errorf("on a terminal: %q", got)
	}
}
