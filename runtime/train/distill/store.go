package distill

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
)

// The file of a teacher's words, all little-endian:
//
//	magic, key, K uint32, ids uint32, CRC-32 of all before
//
// and for each document, appended when the teacher has read it,
//
//	key of its tokens and labels, rows uint32, CRC-32 of all of the record but itself
//	rows times K ids int32, rows times K probabilities float32
//
// A record that is cut off or damaged, as after a loss of power, ends what is read; a
// document that is not there is asked for again.
const storeMagic = "LGSOFT1\n"

const (
	storeHead  = len(storeMagic) + sha256.Size + 8 + 4
	recordHead = docKeyBytes + 4 + 4
	maxRows    = 1 << 24
)

const docKeyBytes = 16

// docKey tells documents apart.
type docKey [docKeyBytes]byte

// docKeyOf is a hash of a document's tokens and of which of them have a label.
func docKeyOf(tokens, labels []int32) (key docKey) {
	h := sha256.New()
	b := make([]byte, 0, 5*len(tokens))
	for i, t := range tokens {
		b = binary.LittleEndian.AppendUint32(b, uint32(t))
		if labels[i] >= 0 {
			b = append(b, 1)
		} else {
			b = append(b, 0)
		}
	}
	h.Write(b)
	copy(key[:], h.Sum(nil))
	return key
}

// place is where a record's words lie.
type place struct {
	at   int64
	rows int
	sum  uint32
}

// store is the file.
type store struct {
	f    *os.File
	k    int
	ids  int
	size int64
	most int64
	full bool
	docs map[docKey]place
	buf  []byte
}

// openStore opens the file, and makes it if it is not there or was made of something
// else, which stale says.
func openStore(path string, key [sha256.Size]byte, k, ids int, most int64) (_ *store, stale, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	s := &store{f: f, k: k, ids: ids, most: most}
	st, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if st.Size() > 0 {
		if s.docs, s.size, stale = readStore(f, st.Size(), key, k, ids); stale == nil {
			return s, nil, f.Truncate(s.size) // without what was cut off
		}
	}
	head := storeHeader(key, k, ids)
	s.docs, s.size = map[docKey]place{}, int64(len(head))
	if err := f.Truncate(0); err != nil {
		return nil, nil, err
	}
	_, err = f.WriteAt(head, 0)
	return s, stale, err
}

func storeHeader(key [sha256.Size]byte, k, ids int) []byte {
	h := append([]byte(storeMagic), key[:]...)
	h = binary.LittleEndian.AppendUint32(h, uint32(k))
	h = binary.LittleEndian.AppendUint32(h, uint32(ids))
	return binary.LittleEndian.AppendUint32(h, crc32.ChecksumIEEE(h))
}

// readStore finds the records of a file. They are looked at when they are read.
func readStore(f io.ReaderAt, size int64, key [sha256.Size]byte, k, ids int) (map[docKey]place, int64, error) {
	head := make([]byte, storeHead)
	if _, err := f.ReadAt(head, 0); err != nil && err != io.EOF {
		return nil, 0, err
	}
	want := storeHeader(key, k, ids)
	switch {
	case !bytes.HasPrefix(head, []byte(storeMagic)):
		return nil, 0, errors.New("it is no file of a teacher's words of this version")
	case !bytes.Equal(head, want):
		return nil, 0, errors.New("it was made by another teacher, for another tokenizer, or with another top_k or temperature")
	}
	docs, at := map[docKey]place{}, int64(storeHead)
	b := make([]byte, recordHead)
	for at+int64(recordHead) <= size {
		if _, err := f.ReadAt(b, at); err != nil {
			return nil, 0, err
		}
		rows := binary.LittleEndian.Uint32(b[docKeyBytes:])
		words := int64(rows) * int64(k) * 8
		if rows == 0 || rows > maxRows || at+int64(recordHead)+words > size {
			break
		}
		docs[docKey(b[:docKeyBytes])] = place{at + int64(recordHead), int(rows), binary.LittleEndian.Uint32(b[docKeyBytes+4:])}
		at += int64(recordHead) + words
	}
	return docs, at, nil
}

// checksum is that of a record.
func checksum(key docKey, rows int, words []byte) uint32 {
	h := binary.LittleEndian.AppendUint32(append([]byte(nil), key[:]...), uint32(rows))
	return crc32.Update(crc32.ChecksumIEEE(h), crc32.IEEETable, words)
}

// get reads a document's targets; it reports whether they are there and whole.
func (s *store) get(key docKey, ids []int32, probs []float32) (bool, error) {
	p, ok := s.docs[key]
	if !ok || p.rows*s.k != len(ids) {
		return false, nil
	}
	words := s.room(len(ids))
	if _, err := s.f.ReadAt(words, p.at); err == io.EOF {
		delete(s.docs, key) // cut off since
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("the teacher's words: %w", err)
	}
	if checksum(key, p.rows, words) != p.sum || !decode(words, ids, probs, s.ids) {
		delete(s.docs, key)
		return false, nil
	}
	return true, nil
}

func (s *store) room(n int) []byte {
	if cap(s.buf) < 8*n {
		s.buf = make([]byte, 8*n)
	}
	return s.buf[:8*n]
}

// decode reads words, and reports whether they are ids below most and probabilities.
func decode(words []byte, ids []int32, probs []float32, most int) bool {
	for i := range ids {
		ids[i] = int32(binary.LittleEndian.Uint32(words[4*i:]))
		probs[i] = math.Float32frombits(binary.LittleEndian.Uint32(words[4*(len(ids)+i):]))
		if ids[i] < -1 || int(ids[i]) >= most || !(probs[i] >= 0 && probs[i] <= 1) {
			return false
		}
	}
	return true
}

// put appends a document's targets. It reports when the file has just become as large
// as it may; from then on nothing is kept.
func (s *store) put(key docKey, ids []int32, probs []float32) (full bool, err error) {
	if s.full {
		return false, nil
	}
	size := int64(recordHead + 8*len(ids))
	if s.most > 0 && s.size+size > s.most {
		s.full = true
		return true, nil
	}
	words, rows := s.room(len(ids)), len(ids)/s.k
	for i := range ids {
		binary.LittleEndian.PutUint32(words[4*i:], uint32(ids[i]))
		binary.LittleEndian.PutUint32(words[4*(len(ids)+i):], math.Float32bits(probs[i]))
	}
	sum := checksum(key, rows, words)
	rec := append(make([]byte, 0, size), key[:]...)
	rec = binary.LittleEndian.AppendUint32(rec, uint32(rows))
	rec = binary.LittleEndian.AppendUint32(rec, sum)
	if _, err := s.f.WriteAt(append(rec, words...), s.size); err != nil {
		s.full = true // as a disk is
		return false, errors.Join(err, s.f.Truncate(s.size))
	}
	s.docs[key] = place{s.size + int64(recordHead), rows, sum}
	s.size += size
	return false, nil
}

func (s *store) close() error { return errors.Join(s.f.Sync(), s.f.Close()) }
