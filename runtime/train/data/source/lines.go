package source

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// errLong is a line longer than allowed; the reader stands behind it.
var errLong = errors.New("too long")

// lineReader reads lines with their ends.
type lineReader struct {
	r   *bufio.Reader
	max int
	buf []byte
	nr  int // of the line read last, from 1
}

func newLineReader(r io.Reader, max int) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, 1<<16), max: max}
}

// next returns the next line, valid until the next call; io.EOF at the end.
func (l *lineReader) next() ([]byte, error) {
	l.buf = l.buf[:0]
	long := false
	for {
		part, err := l.r.ReadSlice('\n')
		if len(l.buf)+len(part) > l.max {
			long = true
			l.buf = l.buf[:0]
		}
		if !long {
			l.buf = append(l.buf, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF):
			if len(l.buf) == 0 && len(part) == 0 && !long {
				return nil, io.EOF
			}
		case err != nil:
			return nil, err
		}
		l.nr++
		if long {
			return nil, errLong
		}
		return l.buf, nil
	}
}

// invalid says what is wrong with a text that is not UTF-8, or is nil.
func invalid(b []byte) error {
	if utf8.Valid(b) {
		return nil
	}
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return fmt.Errorf("byte %d of the line is 0x%02x, which is not UTF-8", i+1, b[i])
		}
		i += n
	}
	return nil
}
