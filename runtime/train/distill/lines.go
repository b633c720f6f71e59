package distill

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/ledge-run/ledge/runtime/files"
)

// pieceBytes is about how long the lines are that a text is cut into, and mostBytes how
// long where it has no paragraphs, or no lines.
const (
	pieceBytes = 1 << 20
	mostBytes  = 4 * pieceBytes
)

// Lines writes a text as lines of JSON with a "text", as training reads them: cut where
// paragraphs end, about every megabyte. A name ending in .gz is unpacked. The file appears
// when it is whole.
func Lines(text, path string) (err error) {
	in, err := os.Open(text)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	var from io.Reader = in
	if strings.HasSuffix(text, ".gz") {
		if from, err = gzip.NewReader(in); err != nil {
			return fmt.Errorf("%s: %w", text, err)
		}
	}
	return files.Replace(path, func(out *os.File) error {
		if err := writeLines(out, from); err != nil {
			return fmt.Errorf("%s: %w", text, err)
		}
		return nil
	})
}

func writeLines(to io.Writer, from io.Reader) error {
	in, out := bufio.NewReaderSize(from, 1<<16), bufio.NewWriter(to)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	var piece []byte
	pieces, number := 0, 1 // of lines, the one that a piece begins in
	// flush writes the piece but for a character of which the rest is to come.
	flush := func(end bool) error {
		n := len(piece)
		if !end {
			n = whole(piece)
		}
		text := piece[:n]
		if !utf8.Valid(text) {
			return fmt.Errorf("line %d is not UTF-8", number+bytes.Count(text[:valid(text)], []byte("\n")))
		}
		number += bytes.Count(text, []byte("\n"))
		if len(bytes.TrimSpace(text)) > 0 {
			pieces++
			if err := enc.Encode(struct {
				Text string `json:"text"`
			}{string(text)}); err != nil {
				return err
			}
		}
		piece = append(piece[:0], piece[n:]...)
		return nil
	}
	begins := true // what is read next begins a line
	for {
		part, err := in.ReadSlice('\n')
		piece = append(piece, part...)
		blank := begins && err == nil && len(bytes.TrimSpace(part)) == 0
		begins = err == nil
		if len(piece) >= pieceBytes && blank || len(piece) >= mostBytes {
			if err := flush(false); err != nil {
				return err
			}
		}
		if err == io.EOF {
			break
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return errors.New("it is cut off: copy or download it again")
		}
		if err != nil && err != bufio.ErrBufferFull {
			return err
		}
	}
	if err := flush(true); err != nil {
		return err
	}
	if pieces == 0 {
		return errors.New("it has no text")
	}
	return out.Flush()
}

// whole is the length of text without the begin of a character at its end.
func whole(text []byte) int {
	for n := len(text) - 1; n >= max(0, len(text)-utf8.UTFMax); n-- {
		if utf8.RuneStart(text[n]) {
			if !utf8.FullRune(text[n:]) {
				return n
			}
			break
		}
	}
	return len(text)
}

// valid is how many bytes of text are UTF-8 before the first that is not.
func valid(text []byte) int {
	n := 0
	for n < len(text) {
		r, size := utf8.DecodeRune(text[n:])
		if r == utf8.RuneError && size <= 1 {
			break
		}
		n += size
	}
	return n
}
