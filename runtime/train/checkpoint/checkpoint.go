// Package checkpoint keeps the state of a run in files: each is whole or not there,
// carries a checksum, and has the type of every tensor in it. Killing the program, or
// the machine, at any moment leaves the one before.
package checkpoint

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/ledge-run/ledge/runtime/train/step"
)

// A file is, little-endian:
//
//	magic
//	bytes of the header uint64
//	the header as JSON
//	tensors, in the header's order
//	SHA-256 of all before
const magic = "LGCKPT1\n"

// ErrDamaged is wrapped by what is wrong with the bytes of a file. A file that cannot be
// read, or is of another version, may be as good as ever.
var ErrDamaged = errors.New("it is damaged")

func damaged(format string, args ...any) error {
	return &damage{fmt.Sprintf(format, args...)}
}

type damage struct{ text string }

func (d *damage) Error() string        { return d.text }
func (d *damage) Is(target error) bool { return target == ErrDamaged }

// maxHeader bounds the header: a line for each tensor of a model.
const maxHeader = 64 << 20

// header is what a file begins with.
type header struct {
	State step.State `json:"state"`
}

// Checkpoint is an open file.
type Checkpoint struct {
	Path  string
	State step.State

	f      io.ReaderAt
	close  func() error
	offset map[string]int64
	size   map[string]int
}

// Open opens a file, and reads all of it once to see that it is whole.
func Open(path string) (*Checkpoint, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil {
		var c *Checkpoint
		if c, err = read(f, st.Size()); err == nil {
			c.Path, c.close = path, f.Close
			return c, nil
		}
	}
	return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
}

// read reads what Open opens.
func read(f io.ReaderAt, size int64) (*Checkpoint, error) {
	head := make([]byte, len(magic)+8)
	if size < int64(len(head)+sha256.Size) {
		return nil, damaged("it is cut off")
	}
	if _, err := f.ReadAt(head, 0); err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(head, []byte(magic[:6])) {
		return nil, damaged("it is no checkpoint")
	}
	sum, sha := sha256.New(), make([]byte, sha256.Size)
	if _, err := io.Copy(sum, io.NewSectionReader(f, 0, size-sha256.Size)); err != nil {
		return nil, err
	}
	if _, err := f.ReadAt(sha, size-sha256.Size); err != nil {
		return nil, err
	}
	if !bytes.Equal(sum.Sum(nil), sha) {
		return nil, damaged("its checksum is wrong: it is cut off or damaged")
	}
	if string(head[:len(magic)]) != magic {
		return nil, fmt.Errorf("it is a checkpoint of version %q; this program reads version %q", head[6:len(magic)-1], magic[6:len(magic)-1])
	}
	n := binary.LittleEndian.Uint64(head[len(magic):])
	at, end := int64(len(head)), size-sha256.Size
	if n > maxHeader || int64(n) > end-at {
		return nil, damaged("its header has %d bytes", n)
	}
	text := make([]byte, n)
	if _, err := f.ReadAt(text, at); err != nil {
		return nil, err
	}
	at += int64(n)
	var h header
	if err := json.Unmarshal(text, &h); err != nil {
		return nil, fmt.Errorf("its header: %w", err)
	}
	c := &Checkpoint{State: h.State, f: f, offset: map[string]int64{}, size: map[string]int{}}
	if h.State.Step < 0 {
		return nil, damaged("it is of step %d", h.State.Step)
	}
	for _, x := range h.State.Tensors {
		if x.Elems < 0 || x.Elems > math.MaxInt/64 {
			return nil, damaged("tensor %.60q has %d values", x.Name, x.Elems)
		}
		bytes, err := x.Bytes()
		if err != nil {
			return nil, fmt.Errorf("tensor %.60q: %w", x.Name, err)
		}
		if _, twice := c.offset[x.Name]; twice || int64(bytes) > end-at {
			return nil, damaged("tensor %.60q is there twice, or not whole", x.Name)
		}
		c.offset[x.Name], c.size[x.Name] = at, bytes
		at += int64(bytes)
	}
	if at != end {
		return nil, damaged("it has %d bytes too many", end-at)
	}
	return c, nil
}

// Read reads a tensor of the state.
func (c *Checkpoint) Read(x step.Tensor, dst []byte) error {
	n, ok := c.size[x.Name]
	if !ok || n != len(dst) {
		return fmt.Errorf("%s: there are %d bytes of %q, not %d", c.Path, n, x.Name, len(dst))
	}
	_, err := c.f.ReadAt(dst, c.offset[x.Name])
	return err
}

// Close closes the file.
func (c *Checkpoint) Close() error {
	if c.close == nil {
		return nil
	}
	return c.close()
}

// write writes a file's bytes; read gives those of a tensor.
func write(out io.Writer, s step.State, read func(x step.Tensor, dst []byte) error) error {
	sum := sha256.New()
	w := io.MultiWriter(out, sum)
	text, err := json.Marshal(header{s})
	if err != nil {
		return err
	}
	if len(text) > maxHeader {
		return fmt.Errorf("the header has %d bytes: at most %d", len(text), maxHeader)
	}
	head := binary.LittleEndian.AppendUint64([]byte(magic), uint64(len(text)))
	if _, err := w.Write(append(head, text...)); err != nil {
		return err
	}
	var data []byte
	for _, x := range s.Tensors {
		n, err := x.Bytes()
		if err != nil {
			return fmt.Errorf("tensor %q: %w", x.Name, err)
		}
		if cap(data) < n {
			data = make([]byte, n)
		}
		data = data[:n]
		if err := read(x, data); err != nil {
			return fmt.Errorf("tensor %q: %w", x.Name, err)
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
	}
	_, err = out.Write(sum.Sum(nil))
	return err
}
