package kvcache

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/ledge-run/ledge/backend"
)

// A saved sequence: the header below, all little-endian, then its pages as the
// state gives them, then the CRC-32 (IEEE) of everything before.
//
//	"LEDGEKV1"  8 bytes
//	layout      uint32 length, then the state's layout name
//	model       uint32 length, then a name of the weights (their hash)
//	tokens      uint32 count, then int32 each
//	page bytes  uint32
const saveMagic = "LEDGEKV1"

// maxSavedTokens bounds what Load allocates before it has seen the data.
const maxSavedTokens = 1 << 24

// ErrLost says that the cache's content was lost while it was saved or loaded:
// the device broke. What was written is no saved sequence.
var ErrLost = errors.New("the key-value cache was lost meanwhile, because its device failed")

// Save writes a sequence with its tokens. model names the weights that made it.
// A sequence that does not hold all the tokens is an error.
func (s *Seq) Save(w io.Writer, model string, tokens []int32) error {
	if n := s.Len(); len(tokens) != n {
		return fmt.Errorf("kvcache: %d tokens stored, %d given", n, len(tokens))
	}
	sum := crc32.NewIEEE()
	out := io.MultiWriter(w, sum)
	head := []byte(saveMagic)
	for _, text := range []string{s.cache.state.Layout(), model} {
		head = binary.LittleEndian.AppendUint32(head, uint32(len(text)))
		head = append(head, text...)
	}
	head = binary.LittleEndian.AppendUint32(head, uint32(s.len))
	for _, t := range tokens[:s.len] {
		head = binary.LittleEndian.AppendUint32(head, uint32(t))
	}
	size := s.cache.state.PageBytes()
	head = binary.LittleEndian.AppendUint32(head, uint32(size))
	if _, err := out.Write(head); err != nil {
		return fmt.Errorf("kvcache: saving: %w", err)
	}
	page := make([]byte, size)
	for _, p := range s.pages[:backend.PagesFor(s.len)] {
		if err := s.cache.state.ReadPage(int(p), page); err != nil {
			return fmt.Errorf("kvcache: saving: %w", err)
		}
		if s.lost() {
			return fmt.Errorf("kvcache: saving: %w", ErrLost)
		}
		if _, err := out.Write(page); err != nil {
			return fmt.Errorf("kvcache: saving: %w", err)
		}
	}
	if _, err := w.Write(binary.LittleEndian.AppendUint32(nil, sum.Sum32())); err != nil {
		return fmt.Errorf("kvcache: saving: %w", err)
	}
	return nil
}

// Load reads what Save wrote for the same model and layout.
func (c *Cache) Load(r io.Reader, model string) (*Seq, []int32, error) {
	seq, tokens, err := c.load(r, model)
	if err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("the data ends early")
		}
		return nil, nil, fmt.Errorf("kvcache: loading a saved sequence: %w", err)
	}
	return seq, tokens, nil
}

func (c *Cache) load(r io.Reader, model string) (*Seq, []int32, error) {
	s := c.NewSeq() // first: it notices if the cache is lost meanwhile
	sum := crc32.NewIEEE()
	in := io.TeeReader(r, sum)
	magic := make([]byte, len(saveMagic))
	if _, err := io.ReadFull(in, magic); err != nil {
		return nil, nil, err
	}
	if string(magic) != saveMagic {
		return nil, nil, errors.New("it is no saved sequence of this version")
	}
	for _, want := range []struct{ what, text string }{{"cache layout", c.state.Layout()}, {"model", model}} {
		n, err := readUint32(in)
		if err != nil {
			return nil, nil, err
		}
		if int(n) != len(want.text) {
			return nil, nil, fmt.Errorf("it was saved with another %s", want.what)
		}
		text := make([]byte, n)
		if _, err := io.ReadFull(in, text); err != nil {
			return nil, nil, err
		}
		if string(text) != want.text {
			return nil, nil, fmt.Errorf("it was saved with another %s", want.what)
		}
	}
	n, err := readUint32(in)
	if err != nil {
		return nil, nil, err
	}
	if n > maxSavedTokens || backend.PagesFor(int(n)) > c.Pages() {
		return nil, nil, fmt.Errorf("it has %d tokens, this cache holds %d", n, c.Pages()*backend.PageTokens)
	}
	tokens := make([]int32, n)
	if err := binary.Read(in, binary.LittleEndian, tokens); err != nil {
		return nil, nil, err
	}
	size, err := readUint32(in)
	if err != nil {
		return nil, nil, err
	}
	if int(size) != c.state.PageBytes() {
		return nil, nil, fmt.Errorf("its pages have %d bytes, this cache's %d", size, c.state.PageBytes())
	}
	if s.lost() {
		return nil, nil, ErrLost
	}
	if err := s.Reserve(int(n)); err != nil {
		return nil, nil, err
	}
	if err := s.readPages(in, int(size), r, sum.Sum32); err != nil {
		s.Close()
		return nil, nil, err
	}
	if !s.Advance(int(n)) {
		return nil, nil, ErrLost
	}
	return s, tokens, nil
}

// write fills a page, unless it is another's by now: the cache stays locked, so
// that it cannot be lost in between.
func (s *Seq) write(page int, data []byte) error {
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	if s.era != s.cache.era {
		return ErrLost
	}
	return s.cache.state.WritePage(page, data)
}

// lost says that the cache was lost since the sequence was last looked at.
func (s *Seq) lost() bool {
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	return s.era != s.cache.era
}

// readPages reads the pages and the checksum after them.
func (s *Seq) readPages(in io.Reader, size int, r io.Reader, sum func() uint32) error {
	page := make([]byte, size)
	for _, p := range s.pages {
		if _, err := io.ReadFull(in, page); err != nil {
			return err
		}
		if err := s.write(int(p), page); err != nil {
			return err
		}
	}
	want := sum()
	got, err := readUint32(r)
	if err != nil {
		return err
	}
	if got != want {
		return errors.New("its checksum does not match: the data is damaged")
	}
	return nil
}

func readUint32(r io.Reader) (uint32, error) {
	var b [4]byte
	_, err := io.ReadFull(r, b[:])
	return binary.LittleEndian.Uint32(b[:]), err
}
