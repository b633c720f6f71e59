package accel

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/ledge-run/ledge/backend/internal/owned"
)

// Blobs keeps what drivers compiled from start to start, one file for each key.
// Drivers trust such bytes more than they should, so a file is given back only if
// it is whole and was written for exactly this key: it has a header and a sum of
// its own. Anything else is as good as no file, and so is a file, or a folder,
// that somebody else may write to: a driver would run what they put there.
type Blobs struct{ dir string }

// A file is: magic, the key's length and the blob's length (8 bytes each, little
// endian), the key, the blob, and the SHA-256 of all of that.
const (
	blobMagic  = "LEDGEGPU1\n\x00\x00\x00\x00\x00\x00"
	blobSuffix = ".gpu"
	blobTemp   = ".part"

	blobMax     = 64 << 20  // bytes of a blob
	blobsMax    = 256 << 20 // of all files: the oldest go
	blobTempAge = time.Hour // after which a half-written file is somebody's who died
	keyMax      = 4 << 10
)

// OpenBlobs gives the folder that the environment names, or the user's. It is
// never an error to have none: then nothing is kept.
func OpenBlobs() *Blobs {
	return &Blobs{owned.Folder(os.Getenv(EnvCache), "ledge", "gpu")}
}

// BlobsIn keeps blobs in a folder, which need not be there yet.
func BlobsIn(dir string) *Blobs { return &Blobs{dir} }

func (b *Blobs) path(key string) string {
	sum := sha256.Sum256([]byte(key))
	return filepath.Join(b.dir, hex.EncodeToString(sum[:16])+blobSuffix)
}

// Get gives the blob of a key, nil if there is none that is whole.
func (b *Blobs) Get(key string) []byte {
	if b.dir == "" {
		return nil
	}
	path := b.path(key)
	data, err := readBlob(path, key)
	if err != nil {
		return nil
	}
	now := time.Now()
	_ = os.Chtimes(path, now, now) // used: not among the oldest
	return data
}

var errBlob = errors.New("not a whole file of this key")

func readBlob(path, key string) ([]byte, error) {
	if err := owned.Dir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	f, err := owned.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	frame := int64(len(blobMagic) + 16 + len(key) + sha256.Size)
	if st.Size() < frame || st.Size() > frame+blobMax {
		return nil, errBlob
	}
	all := make([]byte, st.Size())
	if _, err := io.ReadFull(f, all); err != nil {
		return nil, err
	}
	body, sum := all[:len(all)-sha256.Size], all[len(all)-sha256.Size:]
	head := blobHeader(key, len(body)-(int(frame)-sha256.Size))
	if have := sha256.Sum256(body); !bytes.HasPrefix(body, head) || !bytes.Equal(have[:], sum) {
		return nil, errBlob
	}
	return body[len(head):], nil
}

func blobHeader(key string, size int) []byte {
	h := []byte(blobMagic)
	h = binary.LittleEndian.AppendUint64(h, uint64(len(key)))
	h = binary.LittleEndian.AppendUint64(h, uint64(size))
	return append(h, key...)
}

// Put keeps a blob for a key. The file appears whole or not at all, also when
// several processes write it. The caller may ignore the error: what is not kept is
// compiled again.
func (b *Blobs) Put(key string, blob []byte) error {
	if b.dir == "" {
		return nil
	}
	if len(blob) > blobMax || len(key) > keyMax {
		return fmt.Errorf("keeping a compiled program: %d bytes are more than the %d that are kept", len(blob), blobMax)
	}
	if err := owned.Dir(b.dir); err != nil {
		return fmt.Errorf("keeping a compiled program: %w", err) // it would not be believed
	}
	if err := b.put(key, blob); err != nil {
		return fmt.Errorf("keeping a compiled program: %w", err)
	}
	b.clean()
	return nil
}

func (b *Blobs) put(key string, blob []byte) error {
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(b.dir, "*"+blobTemp)
	if err != nil {
		return err
	}
	body := append(blobHeader(key, len(blob)), blob...)
	sum := sha256.Sum256(body)
	_, err = f.Write(append(body, sum[:]...))
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), b.path(key))
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// clean removes what others left half-written, and the files that were not used
// for longest where all are too many. It touches no file that is not a blob.
func (b *Blobs) clean() {
	entries, err := os.ReadDir(b.dir)
	if err != nil {
		return
	}
	type file struct {
		path string
		size int64
		used time.Time
	}
	var files []file
	var total int64
	for _, e := range entries {
		st, err := e.Info()
		if err != nil || !st.Mode().IsRegular() {
			continue
		}
		path := filepath.Join(b.dir, e.Name())
		switch {
		case strings.HasSuffix(e.Name(), blobTemp) && time.Since(st.ModTime()) > blobTempAge:
			_ = os.Remove(path)
		case strings.HasSuffix(e.Name(), blobSuffix):
			files = append(files, file{path, st.Size(), st.ModTime()})
			total += st.Size()
		}
	}
	sort.Slice(files, func(i, j int) bool { return files[i].used.Before(files[j].used) })
	for _, f := range files {
		if total <= blobsMax {
			return
		}
		if os.Remove(f.path) == nil {
			total -= f.size
		}
	}
}
