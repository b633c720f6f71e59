package trust

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/internal/owned"
)

// EnvCache names the folder of what is kept of GPUs: verdicts, and the programs
// that drivers have compiled. 0 keeps nothing.
const EnvCache = "LEDGE_GPU_CACHE"

// How long verdicts count. What no key can tell (firmware, a hypervisor) changes
// too, and who was refused gets another chance.
const (
	passLife    = 7 * 24 * time.Hour
	refusalLife = 24 * time.Hour
	stale       = 30 * 24 * time.Hour // then a verdict's file goes
)

const (
	verdictTitle  = "ledge verdict 1"
	verdictSuffix = ".verdict"
	tempPrefix    = "ledge-"
	tempSuffix    = ".tmp"
	maxVerdict    = 1 << 20
)

// verdicts matches the names of verdicts, and of what was to become one; programs
// those of what drivers have compiled, which backend/internal/accel keeps in the
// same folder.
var (
	verdicts = regexp.MustCompile(`^(?:[a-z0-9_]+-[0-9a-f]{32}\` + verdictSuffix + `|` + tempPrefix + `[0-9]+\` + tempSuffix + `)$`)
	programs = regexp.MustCompile(`^(?:[0-9a-f]{32}\.gpu|[0-9]+\.part)$`)
)

// Cache is a folder of verdicts. Only files that nobody but the user and root may
// write to are believed. A nil Cache keeps nothing.
type Cache struct{ dir string }

// NewCache gives the cache in a folder, which need not exist.
func NewCache(dir string) *Cache { return &Cache{dir} }

// DefaultCache is the cache that the environment asks for: the folder that
// LEDGE_GPU_CACHE names, or ledge/gpu in the user's cache folder; nil for none.
func DefaultCache(getenv func(string) string) *Cache {
	if dir := owned.Folder(getenv(EnvCache), "ledge", "gpu"); dir != "" {
		return NewCache(dir)
	}
	return nil
}

// Dir is the cache's folder; "" for a nil one.
func (c *Cache) Dir() string {
	if c == nil {
		return ""
	}
	return c.dir
}

// Distrusted tells why nothing in the folder is believed; nil if it is.
func (c *Cache) Distrusted() error {
	if c == nil {
		return nil
	}
	return owned.Dir(c.dir)
}

func (c *Cache) path(driver, key string) string {
	return filepath.Join(c.dir, driver+"-"+key[:32]+verdictSuffix)
}

// record is a verdict's file: a title with a checksum, and this as JSON.
type record struct {
	Key     string          `json:"key"`
	Verdict backend.Verdict `json:"verdict"`
}

// load gives a kept verdict that still counts.
func (c *Cache) load(driver, key string) (backend.Verdict, bool) {
	if c == nil || owned.Dir(c.dir) != nil {
		return backend.Verdict{}, false
	}
	r, err := read(c.path(driver, key))
	if err != nil || r.Key != key || sensible(&r.Verdict, driver) != nil {
		return backend.Verdict{}, false
	}
	life := refusalLife
	if r.Verdict.Passed() || slices.ContainsFunc(r.Verdict.Devices, func(p backend.Proof) bool { return p.Untested }) {
		life = passLife
	}
	if age := time.Since(r.Verdict.When); age > life || age < -time.Hour {
		return backend.Verdict{}, false
	}
	return r.Verdict, true
}

var errDamaged = errors.New("damaged")

func read(path string) (r record, err error) {
	f, err := owned.Open(path)
	if err != nil {
		return r, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxVerdict))
	if err != nil {
		return r, err
	}
	head, body, _ := strings.Cut(string(data), "\n")
	if head != title(body) {
		return r, fmt.Errorf("%s: %w", path, errDamaged)
	}
	return r, json.Unmarshal([]byte(body), &r)
}

func title(body string) string {
	return fmt.Sprintf("%s %08x", verdictTitle, crc32.ChecksumIEEE([]byte(body)))
}

// store keeps a verdict. Where that fails the next start tries again.
func (c *Cache) store(key string, v *backend.Verdict) {
	if c == nil || owned.Dir(c.dir) != nil {
		return
	}
	body, err := json.MarshalIndent(record{key, *v}, "", "\t")
	if err != nil {
		return
	}
	if os.MkdirAll(c.dir, 0o700) != nil {
		return
	}
	c.sweep()
	f, err := os.CreateTemp(c.dir, tempPrefix+"*"+tempSuffix)
	if err != nil {
		return
	}
	_, err = f.WriteString(title(string(body)) + "\n" + string(body))
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), c.path(v.Driver, key))
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
}

// sweep removes old verdicts, and what a process that was killed was writing.
func (c *Cache) sweep() {
	files, _ := c.files(verdicts)
	for _, f := range files {
		age := stale
		if strings.HasSuffix(f.Name(), tempSuffix) {
			age = time.Hour
		}
		if time.Since(f.ModTime()) > age {
			_ = os.Remove(filepath.Join(c.dir, f.Name()))
		}
	}
}

// files are those in the folder whose names match.
func (c *Cache) files(names ...*regexp.Regexp) ([]fs.FileInfo, error) {
	entries, err := os.ReadDir(c.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var out []fs.FileInfo
	for _, e := range entries {
		fits := func(r *regexp.Regexp) bool { return r.MatchString(e.Name()) }
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && slices.ContainsFunc(names, fits) {
			out = append(out, info)
		}
	}
	return out, nil
}

// List gives the verdicts that are kept and can be read, the latest first, and
// the bytes of all that is kept of GPUs.
func (c *Cache) List() (all []backend.Verdict, size int64, err error) {
	if c == nil {
		return nil, 0, nil
	}
	files, err := c.files(verdicts, programs)
	if err != nil {
		return nil, 0, err
	}
	for _, f := range files {
		size += f.Size()
		if !verdicts.MatchString(f.Name()) {
			continue
		}
		if r, err := read(filepath.Join(c.dir, f.Name())); err == nil {
			all = append(all, r.Verdict)
		}
	}
	slices.SortFunc(all, func(a, b backend.Verdict) int { return b.When.Compare(a.When) })
	return all, size, nil
}

// Clear removes the verdicts and the drivers' programs, so that every driver is
// tried again and compiles again, and tells how many bytes that were.
func (c *Cache) Clear() (freed int64, err error) {
	if c == nil {
		return 0, nil
	}
	files, err := c.files(verdicts, programs)
	if err != nil {
		return 0, err
	}
	var errs []error
	for _, f := range files {
		if err := os.Remove(filepath.Join(c.dir, f.Name())); err == nil {
			freed += f.Size()
		} else if !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	_ = os.Remove(c.dir) // goes only if nothing else is in it
	return freed, errors.Join(errs...)
}
