// Package packcache keeps packed weights in files, so that a model that was
// packed once is only read the next time.
//
// An entry is one file: a header, and the block of packed weights as it lies in
// memory. It is found by what it was made of and how: the SHA-256 of the model,
// the name and version of the layout, and the list of weights with their types,
// shapes, uses and places. Nothing in it is taken for granted: the header and every
// mebibyte of weights carry a checksum, and an entry that is cut off, damaged,
// foreign or of another version is as good as none. Checksums are no signature,
// though: who may write to the folder may change a model's weights. It is made
// for its user alone, and a folder or a file that somebody else may write to is not
// used: see Distrusted.
//
// So that a start need not hash the model, small records (*.id) say which
// hash a file had: by device, inode, size and times to the nanosecond, with a
// checksum of the file's header. Any change of these, and the file is hashed
// again.
//
// Besides, the folder remembers facts for a week (*.ok), such as that a device has
// passed its self-test: see Remember.
//
// Files are written beside their place and renamed. Nothing waits for the disk:
// what a power failure tears fails its checksum and is packed anew. Several
// processes may use one folder. A cache is a convenience: who uses it goes on
// without it when anything here fails.
package packcache

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"time"

	"github.com/ledge-run/ledge/backend/internal/owned"
)

// Endings of the files in the folder.
const (
	entrySuffix = ".pack"
	indexSuffix = ".id"
	factSuffix  = ".ok"
	tempSuffix  = ".tmp"
)

// tempPrefix begins the names of files that are being written.
const tempPrefix = "ledge-"

// ours matches the names that a cache gives: the folder may be one in which others
// keep files, too.
var ours = regexp.MustCompile(`^(?:[0-9a-f]{16}-[0-9a-f]{16}\` + entrySuffix + `|[0-9a-f]{32}\` + indexSuffix +
	`|[0-9a-f]{32}\` + factSuffix + `|` + tempPrefix + `[0-9]+\` + tempSuffix + `)$`)

const (
	maxTotal   = 16 << 30            // entries together, if the disk is large
	smallest   = 1 << 20             // smaller blocks are not worth a file
	diskShare  = 10                  // at most this part of the disk
	staleTemp  = time.Hour           // nobody writes this long without a pause
	staleIndex = 90 * 24 * time.Hour // since a record was last used
)

// Cache is a folder of entries. Making one touches nothing on disk.
type Cache struct {
	dir   string
	limit int64 // bytes of all entries; 0: by the disk's size
	space func(dir string) (total, free int64, err error)
}

// New gives the cache in a folder, which need not exist.
func New(dir string) *Cache { return &Cache{dir: dir, space: diskSpace} }

// Dir is the cache's folder.
func (c *Cache) Dir() string { return c.dir }

// Default is the cache that the environment asks for: LEDGE_PACK_CACHE is a
// folder, or 0 or off for none; unset, the cache is the folder ledge/packed in
// the user's cache folder. It gives nil for none, also where the user has no such
// folder.
func Default(getenv func(string) string) *Cache {
	switch dir := strings.TrimSpace(getenv("LEDGE_PACK_CACHE")); strings.ToLower(dir) {
	case "0", "off", "false", "no":
		return nil
	case "", "1", "on", "true", "yes":
	default:
		if dir, err := filepath.Abs(dir); err == nil {
			return New(dir)
		}
		return nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return nil
	}
	return New(filepath.Join(dir, "ledge", "packed"))
}

// Info describes an entry of a cache.
type Info struct {
	Label  string    `json:"model"`  // the model's file, when it was packed
	SHA256 string    `json:"sha256"` // of the model
	Layout string    `json:"layout"` // name and version
	Level  string    `json:"level"`  // of the processor that packed it
	Size   int64     `json:"size_bytes"`
	Used   time.Time `json:"used"`
	Path   string    `json:"path"`
}

// List gives the entries, the last used first. Files that are no whole entries
// are left out. A folder that is not there is empty.
func (c *Cache) List() ([]Info, error) {
	files, err := c.files(entrySuffix)
	if err != nil {
		return nil, err
	}
	var out []Info
	for _, f := range files {
		h, err := readHeader(f.path)
		if err != nil {
			continue
		}
		h.info.Size, h.info.Used, h.info.Path = f.size, f.used, f.path
		out = append(out, h.info)
	}
	return out, nil
}

// Clear removes everything that a cache has put into its folder, and tells how
// many bytes that were.
func (c *Cache) Clear() (freed int64, err error) {
	files, err := c.files(entrySuffix, indexSuffix, factSuffix, tempSuffix)
	if err != nil {
		return 0, err
	}
	var errs []error
	for _, f := range files {
		if err := os.Remove(f.path); err == nil {
			freed += f.size
		} else if !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	_ = os.Remove(c.dir) // goes only if nothing else is in it
	return freed, errors.Join(errs...)
}

type file struct {
	path string
	size int64
	used time.Time
}

// files lists the cache's own files with these endings, the last used first.
func (c *Cache) files(suffixes ...string) ([]file, error) {
	entries, err := os.ReadDir(c.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []file
	for _, e := range entries {
		if !ours.MatchString(e.Name()) {
			continue
		}
		for _, s := range suffixes {
			if info, err := e.Info(); strings.HasSuffix(e.Name(), s) && err == nil && info.Mode().IsRegular() {
				out = append(out, file{filepath.Join(c.dir, e.Name()), info.Size(), info.ModTime()})
			}
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].used.After(out[j].used) })
	return out, nil
}

// prune removes what has not been used for longest until the entries keep to the
// limit. The entry keep stays.
func (c *Cache) prune(keep string) {
	limit := c.limit
	if limit == 0 {
		limit = maxTotal
		if total, _, err := c.space(c.dir); err == nil {
			limit = min(limit, total/diskShare)
		}
	}
	entries, err := c.files(entrySuffix)
	if err != nil {
		return
	}
	sum := int64(0)
	for _, f := range entries {
		if sum += f.size; sum > limit && f.path != keep {
			_ = os.Remove(f.path) // another process may have been faster
			sum -= f.size
		}
	}
}

// sweep removes what nobody will miss: old records and facts, and what a process
// that was killed was writing.
func (c *Cache) sweep() {
	old, _ := c.files(tempSuffix, indexSuffix, factSuffix)
	for _, f := range old {
		age := staleIndex
		if strings.HasSuffix(f.path, tempSuffix) {
			age = staleTemp
		}
		if time.Since(f.used) > age {
			_ = os.Remove(f.path)
		}
	}
}

// Distrusted tells why nothing in the folder is used: somebody else may write to
// it. Nil is for a folder that is used, or is not there yet.
func (c *Cache) Distrusted() error {
	if c == nil {
		return nil
	}
	return owned.Dir(c.dir)
}

// openOwn opens one of the cache's files for reading: a regular file that nobody
// else may write to.
func (c *Cache) openOwn(path string) (*os.File, error) {
	if err := c.Distrusted(); err != nil {
		return nil, err
	}
	return owned.Open(path)
}

// touch marks a file as used now; a folder that cannot be written stays as it is.
func touch(path string) {
	now := time.Now()
	_ = os.Chtimes(path, now, now)
}

// replace writes a small file as a whole.
func (c *Cache) replace(path string, data []byte) error {
	f, err := c.temp()
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return finish(f, path, err)
}

// temp makes a file to be renamed.
func (c *Cache) temp() (*os.File, error) {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return nil, err
	}
	if err := c.Distrusted(); err != nil {
		return nil, err // it would not be read
	}
	return os.CreateTemp(c.dir, tempPrefix+"*"+tempSuffix)
}

// finish gives a file its name, unless writing it failed: then it goes.
func finish(f *os.File, path string, err error) error {
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
