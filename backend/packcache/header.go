package packcache

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"

	"github.com/ledge-run/ledge/backend/internal/owned"
)

// The header of an entry, little-endian:
//
//	 0  magic
//	 8  uint32 bytes of the header, from the magic to the last checksum
//	12  uint32 checksum of the header from byte 16 on
//	16  uint64 where the weights begin
//	24  uint64 bytes of weights
//	32  uint32 bytes of a chunk
//	36  uint32 bytes of the key
//	40  uint32 bytes of the description
//	44  uint32 0
//	48  the key, the description, and a uint32 checksum of each chunk
//
// The key is all by which an entry is found; the description, JSON, is for
// people. Checksums are CRC-32C, which processors compute about as fast as they
// read memory.
const (
	magic     = "LEDGEPK\x01"
	preamble  = 48
	chunkSize = 1 << 20
	maxHeader = 64 << 20
	dataAlign = 64 << 10 // the largest page that weights may be mapped in
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) uint32 { return update(0, b) }

func update(sum uint32, b []byte) uint32 { return crc32.Update(sum, castagnoli, b) }

// Sum is a SHA-256.
type Sum [32]byte

func (s Sum) String() string { return hex.EncodeToString(s[:]) }

// Item is one weight of a packed block.
type Item struct {
	Name  string
	DType string
	Shape []int
	Uses  uint8
	Off   int // in the block
	Size  int
}

// Block says what a block of packed weights is.
type Block struct {
	Layout string // name and version: the bytes change with them only
	Level  string // of the processor; for people
	Size   int    // bytes
	Items  []Item
}

// chunks is the number of pieces that are read, and checked, one by one.
func (b *Block) chunks() int { return chunksOf(int64(b.Size)) }

func chunksOf(size int64) int { return int((size + chunkSize - 1) / chunkSize) }

// key encodes what an entry is found by, but for the model.
func (b *Block) key() []byte {
	u64 := binary.LittleEndian.AppendUint64
	str := func(to []byte, s string) []byte { return append(u64(to, uint64(len(s))), s...) }
	k := str(nil, b.Layout)
	k = u64(k, uint64(b.Size))
	k = u64(k, uint64(len(b.Items)))
	for _, it := range b.Items {
		k = str(str(k, it.Name), it.DType)
		k = u64(k, uint64(len(it.Shape)))
		for _, n := range it.Shape {
			k = u64(k, uint64(n))
		}
		k = u64(u64(u64(k, uint64(it.Uses)), uint64(it.Off)), uint64(it.Size))
	}
	return k
}

// header is a header taken apart.
type header struct {
	at   int64 // of the weights in the file
	size int64 // of the weights
	key  []byte
	info Info
	sums []uint32
}

// encode gives the bytes of a header, and sets where the weights begin.
func (h *header) encode() ([]byte, error) {
	text, err := json.Marshal(h.info)
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	n := preamble + len(h.key) + len(text) + 4*len(h.sums)
	if n > maxHeader {
		return nil, fmt.Errorf("a header of %d bytes", n)
	}
	h.at = int64(n+dataAlign-1) / dataAlign * dataAlign
	b := make([]byte, 0, n)
	b = append(b, magic...)
	b = le.AppendUint32(b, uint32(n))
	b = le.AppendUint32(b, 0)
	b = le.AppendUint64(b, uint64(h.at))
	b = le.AppendUint64(b, uint64(h.size))
	b = le.AppendUint32(b, chunkSize)
	b = le.AppendUint32(b, uint32(len(h.key)))
	b = le.AppendUint32(b, uint32(len(text)))
	b = le.AppendUint32(b, 0)
	b = append(append(b, h.key...), text...)
	for _, s := range h.sums {
		b = le.AppendUint32(b, s)
	}
	le.PutUint32(b[12:], checksum(b[16:]))
	return b, nil
}

var errNoEntry = errors.New("not an entry of this version")

// headerSize reads how long the header is from its first bytes.
func headerSize(b []byte) (int, error) {
	if len(b) < preamble || string(b[:8]) != magic {
		return 0, errNoEntry
	}
	n := binary.LittleEndian.Uint32(b[8:])
	if n < preamble || n > maxHeader {
		return 0, fmt.Errorf("a header of %d bytes", n)
	}
	return int(n), nil
}

// parseHeader takes the header of a file of fileSize bytes apart.
func parseHeader(b []byte, fileSize int64) (*header, error) {
	n, err := headerSize(b)
	if err != nil {
		return nil, err
	}
	if len(b) < n {
		return nil, fmt.Errorf("a header of %d bytes: %w", n, io.ErrUnexpectedEOF)
	}
	b = b[:n]
	le := binary.LittleEndian
	if le.Uint32(b[12:]) != checksum(b[16:]) {
		return nil, errors.New("the header is damaged")
	}
	at, size := le.Uint64(b[16:]), le.Uint64(b[24:])
	key, text := uint64(le.Uint32(b[36:])), uint64(le.Uint32(b[40:]))
	if at > math.MaxInt64/2 || size > math.MaxInt64/2 || at < uint64(n) || at%dataAlign != 0 || at+size != uint64(fileSize) {
		return nil, fmt.Errorf("%d bytes of weights from %d on, in a file of %d", size, at, fileSize)
	}
	if le.Uint32(b[32:]) != chunkSize || preamble+key+text+4*uint64(chunksOf(int64(size))) != uint64(n) {
		return nil, errors.New("the parts of the header do not add up")
	}
	h := &header{at: int64(at), size: int64(size), key: b[preamble : preamble+key]}
	if err := json.Unmarshal(b[preamble+key:preamble+key+text], &h.info); err != nil {
		return nil, fmt.Errorf("the description: %w", err)
	}
	for b = b[preamble+key+text:]; len(b) > 0; b = b[4:] {
		h.sums = append(h.sums, le.Uint32(b))
	}
	return h, nil
}

// readHeader reads the header of the file at path.
func readHeader(path string) (*header, error) {
	f, err := owned.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return headerOf(f)
}

func headerOf(f *os.File) (*header, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, errNoEntry
	}
	b := make([]byte, min(64<<10, st.Size())) // most headers at once
	if _, err := f.ReadAt(b, 0); err != nil {
		return nil, err
	}
	n, err := headerSize(b)
	if err != nil {
		return nil, err
	}
	if n > len(b) {
		if int64(n) > st.Size() {
			return nil, io.ErrUnexpectedEOF
		}
		b = make([]byte, n)
		if _, err := f.ReadAt(b, 0); err != nil {
			return nil, err
		}
	}
	return parseHeader(b, st.Size())
}
