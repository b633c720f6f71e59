package packcache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// File is one of the files of a model, as it was opened.
type File struct {
	Path   string
	Info   os.FileInfo // of the open file
	Header []byte      // the beginning, whose checksum the records carry; read by Cache.Model only

	id string // see identity
}

// Model is a model whose packed weights a cache may hold.
type Model struct {
	cache *Cache
	files []File
	label string
	share bool
	sum   *Sum // once known
}

// Model binds a cache to a model. Label is what List calls it. With share,
// weights are mapped from the cache's file, so that processes have them in
// common, instead of being read; where nothing can be mapped they are read.
func (c *Cache) Model(label string, files []File, share bool) *Model {
	for i := range files {
		files[i].id, files[i].Header = files[i].identity(), nil
	}
	return &Model{cache: c, files: files, label: label, share: share && canMap}
}

// Share tells whether weights are to be mapped.
func (m *Model) Share() bool { return m.share }

// settled is how long ago a file must have been changed before its times can
// tell a later change: file systems keep times in steps of up to two seconds.
const settled = 2 * time.Second

// identity names a file's content as far as that shows without reading it; ""
// where the system does not tell enough.
func (f *File) identity() string {
	id, _ := fileIdentity(f.Path, f.Info)
	if id == "" {
		return ""
	}
	return fmt.Sprintf("%s %08x", id, checksum(f.Header))
}

// changed is when a file's content or place last changed.
func (f *File) changed() time.Time {
	_, t := fileIdentity(f.Path, f.Info)
	return t
}

// known gives the model's hash if records have it.
func (m *Model) known() (Sum, bool) {
	if m.sum != nil {
		return *m.sum, true
	}
	var sums []Sum
	for i := range m.files {
		s, ok := m.cache.lookup(m.files[i].id)
		if !ok {
			return Sum{}, false
		}
		sums = append(sums, s)
	}
	s := combine(sums)
	m.sum = &s
	return s, true
}

// combine makes one hash of those of a model's parts.
func combine(sums []Sum) Sum {
	if len(sums) == 1 {
		return sums[0]
	}
	h := sha256.New()
	for _, s := range sums {
		h.Write(s[:])
	}
	return Sum(h.Sum(nil))
}

// hash reads the model's files, unless records have their hash, and keeps what it
// finds. pace is called after every piece.
func (m *Model) hash(ctx context.Context, pace func()) (Sum, error) {
	if s, ok := m.known(); ok {
		return s, nil
	}
	var sums []Sum
	for i := range m.files {
		f := &m.files[i]
		s, ok := m.cache.lookup(f.id)
		if !ok {
			var err error
			record := f.id != "" && time.Since(f.changed()) > settled
			if s, err = f.hash(ctx, pace); err != nil {
				return Sum{}, err
			}
			if record {
				_ = m.cache.record(f.id, s) // a cache that cannot be written is only slower
			}
		}
		sums = append(sums, s)
	}
	s := combine(sums)
	m.sum = &s
	return s, nil
}

// pieceSize is how much is read or written between two looks at the context:
// some hundreds of microseconds.
const pieceSize = 512 << 10

var errChanged = errors.New("the model's file has changed since it was opened")

func (f *File) hash(ctx context.Context, pace func()) (Sum, error) {
	r, err := os.Open(f.Path)
	if err != nil {
		return Sum{}, err
	}
	defer r.Close()
	h, b := sha256.New(), make([]byte, pieceSize)
	if err := f.same(r); err != nil {
		return Sum{}, err
	}
	for {
		n, err := r.Read(b)
		h.Write(b[:n])
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Sum{}, err
		}
		if err := ctx.Err(); err != nil {
			return Sum{}, err
		}
		pace()
	}
	return Sum(h.Sum(nil)), f.same(r)
}

// same asks that r is the file that was opened, unchanged.
func (f *File) same(r *os.File) error {
	st, err := r.Stat()
	if err != nil {
		return err
	}
	a, _ := fileIdentity(f.Path, f.Info)
	b, _ := fileIdentity(f.Path, st)
	if !os.SameFile(f.Info, st) || a != b || st.Size() != f.Info.Size() || !st.ModTime().Equal(f.Info.ModTime()) {
		return errChanged
	}
	return nil
}

// A record is four lines: a title, the identity, the hash, and a checksum of the
// lines before.
const recordTitle = "ledge model hash 1"

func encodeRecord(id string, s Sum) []byte {
	text := recordTitle + "\n" + id + "\n" + s.String() + "\n"
	return fmt.Appendf(nil, "%s%08x\n", text, checksum([]byte(text)))
}

// parseRecord reads the hash that belongs to an identity.
func parseRecord(b []byte, id string) (s Sum, ok bool) {
	lines := strings.Split(string(b), "\n")
	if len(lines) != 5 || lines[1] != id {
		return s, false
	}
	sum, err := hex.DecodeString(lines[2])
	if err != nil || len(sum) != len(s) {
		return s, false
	}
	copy(s[:], sum)
	return s, string(b) == string(encodeRecord(id, s))
}

func (c *Cache) recordPath(id string) string {
	sum := sha256.Sum256([]byte(id))
	return filepath.Join(c.dir, hex.EncodeToString(sum[:16])+indexSuffix)
}

func (c *Cache) record(id string, s Sum) error {
	return c.replace(c.recordPath(id), encodeRecord(id, s))
}

func (c *Cache) lookup(id string) (Sum, bool) {
	if id == "" {
		return Sum{}, false
	}
	path := c.recordPath(id)
	f, err := c.openOwn(path)
	if err != nil {
		return Sum{}, false
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return Sum{}, false
	}
	s, ok := parseRecord(b, id)
	if ok {
		touch(path)
	}
	return s, ok
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
