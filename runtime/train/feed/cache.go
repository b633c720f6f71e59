package feed

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"os"
)

// The file of tokenized examples, all little-endian:
//
//	magic, key, width uint32                       what it was made of; bytes of a token
//	tokens of all examples
//	for each example its length and its prompt's, uint32
//	counts as JSON
//	examples uint64, bytes of the JSON uint64, SHA-256 of all before
const magic = "LGFEED1\n"

const (
	headBytes = len(magic) + sha256.Size + 4
	footBytes = 16 + sha256.Size
)

// Counts are what was found in the files.
type Counts struct {
	Lines    int64 `json:"lines"`
	Examples int64 `json:"examples"`
	Tokens   int64 `json:"tokens"` // with a following one: those that are learnt from
	Bad      int64 `json:"bad"`    // malformed lines, left out
	Long     int64 `json:"long"`   // left out because they are longer than the context
	Cut      int64 `json:"cut"`    // cut for it

	FirstBad string `json:"first_bad,omitempty"`
}

// cacheWriter writes the file.
type cacheWriter struct {
	out   *bufio.Writer
	sum   hash.Hash
	width int
	index []byte
	buf   []byte
	n     int64
}

func newCacheWriter(f io.Writer, key [sha256.Size]byte, width int) (*cacheWriter, error) {
	w := &cacheWriter{sum: sha256.New(), width: width}
	w.out = bufio.NewWriterSize(io.MultiWriter(f, w.sum), 1<<20)
	head := append([]byte(magic), key[:]...)
	head = binary.LittleEndian.AppendUint32(head, uint32(width))
	_, err := w.out.Write(head)
	return w, err
}

func (w *cacheWriter) add(e example) error {
	w.buf = w.buf[:0]
	for _, t := range e.tokens {
		if w.width == 2 {
			w.buf = binary.LittleEndian.AppendUint16(w.buf, uint16(t))
		} else {
			w.buf = binary.LittleEndian.AppendUint32(w.buf, uint32(t))
		}
	}
	w.index = binary.LittleEndian.AppendUint32(w.index, uint32(len(e.tokens)))
	w.index = binary.LittleEndian.AppendUint32(w.index, uint32(e.prompt))
	w.n++
	_, err := w.out.Write(w.buf)
	return err
}

func (w *cacheWriter) finish(c Counts) error {
	js, err := json.Marshal(c)
	if err != nil {
		return err
	}
	foot := binary.LittleEndian.AppendUint64(nil, uint64(w.n))
	foot = binary.LittleEndian.AppendUint64(foot, uint64(len(js)))
	for _, b := range [][]byte{w.index, js, foot} {
		if _, err := w.out.Write(b); err != nil {
			return err
		}
	}
	if err := w.out.Flush(); err != nil {
		return err
	}
	if _, err := w.out.Write(w.sum.Sum(nil)); err != nil {
		return err
	}
	return w.out.Flush()
}

// Data are tokenized examples. Their tokens stay in the file.
type Data struct {
	Counts Counts
	Key    [sha256.Size]byte // of what it was made of
	f      io.ReaderAt
	close  func() error
	width  int
	length []uint32
	prompt []uint32
	offset []int64
}

var errStale = errors.New("it was made of other data or settings")

// openCache opens a file of tokenized examples, and reads all of it once to see that
// it is whole.
func openCache(path string, key [sha256.Size]byte, context int) (*Data, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil {
		var d *Data
		if d, err = readCache(f, st.Size(), key, context); err == nil {
			d.close = f.Close
			return d, nil
		}
	}
	return nil, errors.Join(err, f.Close())
}

// readCache reads what openCache opens.
func readCache(f io.ReaderAt, size int64, key [sha256.Size]byte, context int) (*Data, error) {
	if size < int64(headBytes+footBytes) {
		return nil, errors.New("it is too short")
	}
	head, foot := make([]byte, headBytes), make([]byte, footBytes)
	if _, err := f.ReadAt(head, 0); err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(head, []byte(magic)) {
		return nil, errors.New("it is no file of examples of this version")
	}
	if !bytes.Equal(head[len(magic):][:sha256.Size], key[:]) {
		return nil, errStale
	}
	if _, err := f.ReadAt(foot, size-int64(footBytes)); err != nil {
		return nil, err
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(f, 0, size-sha256.Size)); err != nil {
		return nil, err
	}
	if !bytes.Equal(sum.Sum(nil), foot[16:]) {
		return nil, errors.New("its checksum is wrong")
	}
	le := binary.LittleEndian
	d := &Data{Key: key, f: f, width: int(le.Uint32(head[headBytes-4:]))}
	n, js := le.Uint64(foot), le.Uint64(foot[8:])
	body := uint64(size) - uint64(headBytes+footBytes)
	if d.width != 2 && d.width != 4 || js > body || n > (body-js)/8 || n > math.MaxInt32 {
		return nil, errors.New("its sizes make no sense")
	}
	tokens := int64(body - js - 8*n)
	index := make([]byte, 8*n+js)
	if _, err := f.ReadAt(index, int64(headBytes)+tokens); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(index[8*n:], &d.Counts); err != nil {
		return nil, fmt.Errorf("its counts: %w", err)
	}
	at := int64(headBytes)
	for i := range n {
		length, prompt := le.Uint32(index[8*i:]), le.Uint32(index[8*i+4:])
		if length < 2 || int64(length) > int64(context)+1 || prompt > length || at+int64(length)*int64(d.width) > int64(headBytes)+tokens {
			return nil, errors.New("its sizes make no sense")
		}
		d.length, d.prompt, d.offset = append(d.length, length), append(d.prompt, prompt), append(d.offset, at)
		at += int64(length) * int64(d.width)
	}
	if at != int64(headBytes)+tokens || n == 0 {
		return nil, errors.New("its sizes make no sense")
	}
	return d, nil
}

// Examples is their number.
func (d *Data) Examples() int { return len(d.length) }

// rows is how many tokens an example has that another follows.
func (d *Data) rows(i int) int { return int(d.length[i]) - 1 }

// read gives an example's tokens.
func (d *Data) read(i int) (example, error) {
	b := make([]byte, int(d.length[i])*d.width)
	if _, err := d.f.ReadAt(b, d.offset[i]); err != nil {
		return example{}, fmt.Errorf("reading tokenized examples: %w", err)
	}
	e := example{tokens: make([]int32, d.length[i]), prompt: int(d.prompt[i])}
	for k := range e.tokens {
		if d.width == 2 {
			e.tokens[k] = int32(binary.LittleEndian.Uint16(b[2*k:]))
		} else {
			e.tokens[k] = int32(binary.LittleEndian.Uint32(b[4*k:]))
		}
	}
	return e, nil
}

// Close closes the file.
func (d *Data) Close() error {
	if d.close == nil {
		return nil
	}
	return d.close()
}
