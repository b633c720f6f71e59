package main

import (
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
