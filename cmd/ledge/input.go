package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"
	"unicode/utf8"
)

// maxText bounds texts that are read as a whole.
const maxText = 64 << 20

// piped reports whether standard input is a pipe or a file, so that something
// can be read from it without asking anybody.
func (a *app) piped() bool {
	f, ok := a.in.(*os.File)
	if !ok {
		return a.in != nil
	}
	st, err := f.Stat()
	return err == nil && (st.Mode().IsRegular() || st.Mode()&fs.ModeNamedPipe != 0)
}

// text gives a command's text: its arguments, joined by spaces, or standard
// input for "-" or no argument. With appendPiped, what is piped in follows the
// arguments.
func (a *app) text(ctx context.Context, words []string, appendPiped bool) (string, error) {
	text := strings.Join(words, " ")
	switch {
	case len(words) == 1 && words[0] == "-", len(words) == 0 && a.piped():
		t, err := a.readInput(ctx)
		if err != nil {
			return "", err
		}
		text = strings.TrimSuffix(strings.TrimSuffix(t, "\n"), "\r")
	case appendPiped && a.piped():
		t, err := a.readInput(ctx)
		if err != nil {
			return "", err
		}
		if t = strings.TrimRight(t, "\r\n"); t != "" {
			text += "\n\n" + t
		}
	}
	return text, checkUTF8("the text", text)
}

// checkUTF8 reports the first byte that is not UTF-8.
func checkUTF8(what, text string) error {
	switch {
	case utf8.ValidString(text):
		return nil
	case strings.HasPrefix(text, "\xff\xfe"), strings.HasPrefix(text, "\xfe\xff"):
		return fmt.Errorf("%s is not UTF-8 but UTF-16: convert it, for example with iconv -f UTF-16 -t UTF-8", what)
	}
	for i, r := range text {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(text[i:]); n == 1 {
				return fmt.Errorf("%s is not UTF-8: byte %d is 0x%02x: convert it, for example with iconv -t UTF-8", what, i+1, text[i])
			}
		}
	}
	return nil
}

// patience is how long standard input may take before the user is told that it
// is being waited for: a pipe that nobody closes looks like a program that hangs.
const patience = 2 * time.Second

// readInput reads standard input to its end. An interrupt ends the wait.
func (a *app) readInput(ctx context.Context) (string, error) {
	if a.in == nil {
		return "", nil
	}
	hint := time.AfterFunc(patience, func() {
		a.note("reading standard input to its end (Ctrl-D); with < /dev/null nothing is read")
	})
	defer hint.Stop()
	return await(ctx, func() (string, error) { return readAll(a.in, "standard input") })
}

// await runs f, which may block for ever, and gives up when the context ends.
func await[T any](ctx context.Context, f func() (T, error)) (T, error) {
	type result struct {
		v   T
		err error
	}
	got := make(chan result, 1)
	go func() {
		v, err := f()
		got <- result{v, err}
	}()
	select {
	case r := <-got:
		return r.v, r.err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}

// readAll reads all that is not too long; what is compressed by gzip is unpacked.
func readAll(r io.Reader, what string) (string, error) {
	in := bufio.NewReader(r)
	r = in
	head, err := in.Peek(2)
	if packed := string(head) == "\x1f\x8b"; packed { // no UTF-8 begins so
		r, err = gzip.NewReader(in)
	} else if errors.Is(err, io.EOF) {
		err = nil // it is shorter
	}
	var data []byte
	if err == nil {
		data, err = io.ReadAll(io.LimitReader(r, maxText+1))
	}
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF): // of gzip alone
		return "", fmt.Errorf("cannot read %s: it is cut: copy or download it again", what)
	case err != nil:
		return "", fmt.Errorf("cannot read %s: %w", what, err)
	}
	if len(data) > maxText {
		return "", fmt.Errorf("%s is longer than %d MiB: give less", what, maxText>>20)
	}
	return withoutBOM(string(data)), nil
}

// withoutBOM leaves out the mark that some editors write before UTF-8.
func withoutBOM(text string) string { return strings.TrimPrefix(text, "\xef\xbb\xbf") }

// readText is readFile of a text that a model reads: it must be UTF-8.
func (a *app) readText(ctx context.Context, path string) (string, error) {
	text, err := a.readFile(ctx, path)
	if err != nil {
		return "", err
	}
	return text, checkUTF8(nameOfInput(path), text)
}

// nameOfInput is a file's name in messages.
func nameOfInput(path string) string {
	if path == "-" {
		return "standard input"
	}
	return path
}

// readFile reads a text file, or standard input for "-".
func (a *app) readFile(ctx context.Context, path string) (string, error) {
	if path == "-" {
		return a.readInput(ctx)
	}
	return await(ctx, func() (string, error) {
		f, err := os.Open(path) // of a pipe that nobody writes to, this waits
		if err != nil {
			return "", fmt.Errorf("cannot read: %w", err)
		}
		defer f.Close()
		if st, err := f.Stat(); err == nil && st.IsDir() {
			return "", fmt.Errorf("%s is a folder: name a file", path)
		}
		return readAll(f, path)
	})
}
