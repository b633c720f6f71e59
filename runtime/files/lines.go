package files

import (
	"bufio"
	"errors"
	"io"
)

// ErrLong is a line longer than is allowed.
var ErrLong = errors.New("too long")

// Lines reads lines of a bounded length. Readers that stand in front of it, such as
// Until, end it.
type Lines struct {
	Number int // of the line read last, from 1

	r    *bufio.Reader
	most int
	buf  []byte
}

// NewLines reads lines of at most so many bytes.
func NewLines(r io.Reader, most int) *Lines {
	return &Lines{r: bufio.NewReaderSize(r, 1<<16), most: most}
}

// Next returns the next line with its end, valid until the next call; io.EOF when there is
// none; ErrLong when it is too long, with the one behind it to come.
func (l *Lines) Next() ([]byte, error) {
	l.buf = l.buf[:0]
	long := false
	for {
		part, err := l.r.ReadSlice('\n')
		if len(l.buf)+len(part) > l.most {
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
		l.Number++
		if long {
			return nil, ErrLong
		}
		return l.buf, nil
	}
}
