package packcache

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ledge-run/ledge/backend/internal/owned"
)

// Entry is a block of packed weights that was found, open for reading.
type Entry struct {
	f    *os.File
	path string
	at   int64
	size int
	sums []uint32
}

// path is where the entry of a model's block lies.
func (c *Cache) path(b *Block, s Sum) string {
	return filepath.Join(c.dir, b.prefix()+s.String()[:16]+entrySuffix)
}

// prefix begins the names of the entries of a block, of whatever model.
func (b *Block) prefix() string {
	sum := sha256.Sum256(b.key())
	return hex.EncodeToString(sum[:8]) + "-"
}

// some tells whether there is an entry of a block, of whatever model.
func (c *Cache) some(b *Block) bool {
	all, err := c.files(entrySuffix)
	prefix := b.prefix()
	return err == nil && slices.ContainsFunc(all, func(f file) bool { return strings.HasPrefix(filepath.Base(f.path), prefix) })
}

func fullKey(b *Block, s Sum) []byte { return append(b.key(), s[:]...) }

// Find looks for the entry of a block. It gives nil if there is none that can be
// used. If records do not know the model's file, it is hashed, but only where
// there is an entry that may be its own.
func (m *Model) Find(ctx context.Context, b *Block) *Entry {
	if m.cache.Distrusted() != nil {
		return nil
	}
	s, ok := m.known()
	if !ok {
		if !m.cache.some(b) {
			return nil
		}
		var err error
		if s, err = m.hash(ctx, func() {}); err != nil {
			return nil
		}
	}
	path := m.cache.path(b, s)
	e, err := open(path, fullKey(b, s), b.Size)
	if err != nil {
		if isBad(err) {
			_ = os.Remove(path) // in the way of a good one
		}
		return nil
	}
	touch(path)
	return e
}

// isBad tells whether an error is about what an entry holds, or who may write to it.
// An entry that the system did not open or read, as in a process that has too many
// files open, may be good.
func isBad(err error) bool {
	var system *fs.PathError
	return !errors.As(err, &system)
}

func open(path string, key []byte, size int) (*Entry, error) {
	f, err := owned.Open(path)
	if err != nil {
		return nil, err
	}
	h, err := headerOf(f)
	if err == nil && (h.size != int64(size) || !bytes.Equal(h.key, key)) {
		err = errNoEntry
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return &Entry{f: f, path: path, at: h.at, size: size, sums: h.sums}, nil
}

// Chunks is the number of pieces of the block.
func (e *Entry) Chunks() int { return len(e.sums) }

// Bounds says which bytes of the block piece i has: [from, to).
func (e *Entry) Bounds(i int) (from, to int) {
	return i * chunkSize, min((i+1)*chunkSize, e.size)
}

// Read reads piece i into its place in block, and checks it. Pieces may be read
// by several goroutines.
func (e *Entry) Read(i int, block []byte) error {
	from, to := e.Bounds(i)
	return e.ReadPiece(i, block[from:to])
}

// ReadPiece reads piece i, as long as Bounds says, and checks it, where no memory
// holds the whole block. Pieces may be read by several goroutines.
func (e *Entry) ReadPiece(i int, piece []byte) error {
	const step = 256 << 10 // checked while it is in the processor's cache
	from, to := e.Bounds(i)
	if len(piece) != to-from {
		return fmt.Errorf("%s: piece %d has %d bytes, not %d", e.path, i, to-from, len(piece))
	}
	sum := uint32(0)
	for lo := 0; lo < len(piece); lo += step {
		b := piece[lo:min(lo+step, len(piece))]
		if _, err := e.f.ReadAt(b, e.at+int64(from+lo)); err != nil {
			return fmt.Errorf("%s: %w", e.path, err)
		}
		sum = update(sum, b)
	}
	return e.compare(i, sum)
}

// Check checks piece i of a block that was mapped.
func (e *Entry) Check(i int, block []byte) error {
	return e.compare(i, checksum(block[i*chunkSize:min((i+1)*chunkSize, e.size)]))
}

func (e *Entry) compare(i int, sum uint32) error {
	if sum != e.sums[i] {
		return fmt.Errorf("%s: the weights are damaged", e.path)
	}
	return nil
}

// Close closes the file. A block that was mapped stays.
func (e *Entry) Close() error { return e.f.Close() }

// Discard closes an entry that turned out to be bad and removes it.
func (e *Entry) Discard() {
	_ = e.f.Close()
	_ = os.Remove(e.path)
}

// Save keeps a packed block, which is read piece by piece: it need not be in the
// host's memory as a whole. pace is called every few hundred microseconds of
// work, and may sleep. It does nothing but return an error if the disk is short
// of space: twice the block's size must be free.
func (m *Model) Save(ctx context.Context, b *Block, block io.ReaderAt, pace func()) (err error) {
	if b.Size < smallest {
		return fmt.Errorf("%d bytes are faster packed than read", b.Size)
	}
	m.cache.sweep()          // not only after a success: a device that is always switched off too soon has none
	f, err := m.cache.temp() // first: most of what can fail fails here
	if err != nil {
		return err
	}
	path := f.Name() // to be found
	defer func() {
		err = finish(f, path, err)
		if err == nil {
			m.cache.prune(path)
		}
	}()
	if _, free, err := m.cache.space(m.cache.dir); err == nil && free < 2*int64(b.Size) {
		return fmt.Errorf("%s has %d MB left, and two times %d MB are asked for", m.cache.dir, free/1e6, (int64(b.Size)+1e6-1)/1e6)
	}
	s, err := m.hash(ctx, pace)
	if err != nil {
		return err
	}
	path = m.cache.path(b, s)
	h := header{
		size: int64(b.Size), key: fullKey(b, s), sums: make([]uint32, b.chunks()),
		info: Info{Label: m.label, SHA256: s.String(), Layout: b.Layout, Level: b.Level, Size: int64(b.Size)},
	}
	if _, err := h.encode(); err != nil { // says where the weights begin
		return err
	}
	piece := make([]byte, min(pieceSize, b.Size))
	for at := 0; at < b.Size; at += pieceSize {
		p := piece[:min(pieceSize, b.Size-at)]
		if n, err := block.ReadAt(p, int64(at)); n < len(p) {
			return fmt.Errorf("reading packed weights at %d of %d bytes: %w", at, b.Size, err)
		}
		h.sums[at/chunkSize] = update(h.sums[at/chunkSize], p)
		if _, err := f.WriteAt(p, h.at+int64(at)); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		pace()
	}
	head, err := h.encode()
	if err != nil {
		return err
	}
	_, err = f.WriteAt(head, 0)
	return err
}

// Settle waits until the times of the model's files can be told from those of
// a later change, so that Save can record their hash.
func (m *Model) Settle(ctx context.Context) {
	if _, ok := m.known(); ok {
		return
	}
	var last time.Time
	for i := range m.files {
		last = later(last, m.files[i].changed())
	}
	wait := time.Until(last.Add(settled + 10*time.Millisecond))
	if wait <= 0 || wait > 2*settled {
		return
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
