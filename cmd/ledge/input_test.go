package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/cmd/internal/console"
)

// TestByteOrderMark: a mark before a text is none of it; elsewhere it is a character.
func TestByteOrderMark(t *testing.T) {
	const bom = "\xef\xbb\xbf"
	for _, c := range []struct {
		in   string
		want []string // lines
	}{
		{bom + "turn on\nthe light\n", []string{"turn on", "the light"}},
		{bom + "turn on\r\n", []string{"turn on"}},
		{"turn on\n" + bom + "the light", []string{"turn on", bom + "the light"}},
		{bom + bom + "turn on", []string{bom + "turn on"}},
		{bom + "\nturn on\n", []string{"", "turn on"}},
		{bom[:2] + "turn on", []string{bom[:2] + "turn on"}},
		{bom, []string{""}},
	} {
		a := &app{in: strings.NewReader(c.in), out: console.NewOutput(io.Discard), stderr: io.Discard, getenv: os.Getenv}
		lines := a.newPipeLines()
		var got []string
		for {
			line, err := lines.read(context.Background())
			if errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			got = append(got, line)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q: lines %q, want %q", c.in, got, c.want)
		}
		want := strings.TrimPrefix(c.in, bom)
		a.in = strings.NewReader(c.in)
		if got, err := a.readInput(context.Background()); got != want || err != nil {
			t.Errorf("%q: standard input %q, %v; want %q", c.in, got, err, want)
		}
		file := filepath.Join(t.TempDir(), "text")
		if err := os.WriteFile(file, []byte(c.in), 0o644); err != nil {
			t.Fatal(err)
		}
		if got, err := a.readFile(context.Background(), file); got != want || err != nil {
			t.Errorf("%q: file %q, %v; want %q", c.in, got, err, want)
		}
	}
	plain, marked := ledgeIn("打开空调\n", "run"), ledgeIn(bom+"打开空调\n", "run")
	if plain != marked || plain.code != 0 {
		t.Errorf("%+v, with a mark %+v", plain, marked)
	}
}

// TestNotUTF8: a text in another encoding is refused before a model reads it: every
// figure of it would be of something else.
func TestNotUTF8(t *testing.T) {
	m, good := golden(t, "llama-gqa"), calibration(t)
	out := filepath.Join(t.TempDir(), "out.gguf")
	text := strings.Repeat("Turn on the 2 lamps in the kitchen. ", 60)
	latin := writeFile(t, "latin.txt", text+"caf\xe9")
	var wide strings.Builder
	wide.WriteString("\xff\xfe")
	for _, b := range []byte(text) {
		wide.Write([]byte{b, 0})
	}
	utf16 := writeFile(t, "utf16.txt", wide.String())
	for _, c := range []struct{ file, say string }{{latin, "latin.txt is not UTF-8: byte 2164 is 0xe9: convert it, for example with iconv"}, {utf16, "iconv -f UTF-16"}} {
		for _, args := range [][]string{
			{"perplexity", "-m", m, "-f", c.file}, {"imatrix", "-m", m, "-f", c.file, "-o", out}, {"eval", "-m", m, "-f", c.file},
			{"quantize", "-f", c.file, m, out, "Q8_0"}, {"quantize", "-f", good, "--eval-file", c.file, "--target-bpw", "6", m, out},
			{"prune", "--layers", "1", "-f", c.file, m, out}, {"distill", "--teacher", m, "--student", m, "-f", good, "--eval-file", c.file, "-o", t.TempDir()},
		} {
			refused(t, exitFailed, c.say, args...)
		}
	}
	checkRefusal(t, ledgeIn(text+"\xff", "perplexity", "-m", m, "-f", "-"), exitFailed, "standard input is not UTF-8", nil)
}

// TestPacked: what gzip has packed is read, and said to be cut where it is.
func TestPacked(t *testing.T) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(evalData)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	a := &app{stderr: io.Discard}
	for _, c := range []struct{ in, want, fault string }{
		{b.String(), evalData, ""}, {b.String()[:b.Len()-4], "", "it is cut"}, {b.String()[:5], "", "it is cut"}, {"\x1f\x8bno", "", "cannot read"}, {"\x1f", "\x1f", ""}, {"", "", ""},
	} {
		got, err := a.readFile(t.Context(), writeFile(t, "x.gz", c.in))
		if got != c.want || (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%.10q: %q, %v", c.in, got, err)
		}
	}
}
