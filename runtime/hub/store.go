package hub

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/ledge-run/ledge/runtime/files"
)

const (
	manifestName    = "manifest.json"
	manifestVersion = 1
	maxManifest     = 1 << 20
	locksFolder     = ".locks"
)

// Model is a downloaded model: a folder with the files and a manifest.json.
type Model struct {
	Version int       `json:"version"`
	Name    string    `json:"name"`           // full alias, hf:…, ms:… or address
	Also    []string  `json:"also,omitempty"` // shorter names it was pulled by
	Source  string    `json:"source"`         // where it came from
	Licence Licence   `json:"licence,omitzero"`
	Date    time.Time `json:"date,omitzero"` // when it was complete
	Files   []File    `json:"files"`         // the first is the one to open

	Dir     string `json:"-"` // its folder
	Partial bool   `json:"-"` // begun, not complete: Name is the folder's, Files what has come
}

// File is one file of a model.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Path is the file to open.
func (m Model) Path() string {
	if len(m.Files) == 0 {
		return ""
	}
	return filepath.Join(m.Dir, m.Files[0].Name)
}

// Size is the sum of the files.
func (m Model) Size() int64 {
	var n int64
	for _, f := range m.Files {
		n += f.Size
	}
	return n
}

// check compares the files' sizes with the manifest's.
func (m Model) check() error {
	for _, f := range m.Files {
		st, err := os.Stat(filepath.Join(m.Dir, f.Name))
		if err != nil {
			return fmt.Errorf("%w: %s is gone: pull the model again", ErrNotDownloaded, filepath.Join(m.Dir, f.Name))
		}
		if !st.Mode().IsRegular() || st.Size() != f.Size {
			return fmt.Errorf("%w: %s has %d bytes instead of %d: pull the model again", ErrNotDownloaded, filepath.Join(m.Dir, f.Name), st.Size(), f.Size)
		}
	}
	return nil
}

// checkSum compares the file's SHA-256 with the one that is wanted, "" for any. The file
// stays: it may be right for others.
func (m Model) checkSum(want string) error {
	if want == "" {
		return nil
	}
	if len(m.Files) != 1 {
		return errSplitSum(len(m.Files))
	}
	got := strings.ToLower(m.Files[0].SHA256)
	if got == "" {
		f, err := os.Open(m.Path())
		if err != nil {
			return fmt.Errorf("cannot read %s: %w", m.Path(), reason(err))
		}
		defer f.Close()
		sum := sha256.New()
		if _, err := io.Copy(sum, f); err != nil {
			return fmt.Errorf("cannot read %s: %w", m.Path(), reason(err))
		}
		got = hex.EncodeToString(sum.Sum(nil))
	}
	if got != want {
		return fmt.Errorf("%w: %s has sha256 %s, not %s: correct the sum, or get the file anew after ledge models rm %s", ErrChecksum, m.Path(), got, want, filepath.Base(m.Dir))
	}
	return nil
}

// knows reports whether the model goes by this name.
func (m Model) knows(name string) bool {
	return strings.EqualFold(m.Name, name) || slices.ContainsFunc(m.Also, func(s string) bool { return strings.EqualFold(s, name) })
}

// answersTo reports whether the model is what ref means; canonical is the full alias
// when ref is one. hf:owner/repo:Q4_K_M is also answered by the file of that
// quantisation pulled under its own name.
func (m Model) answersTo(ref Ref, canonical string) bool {
	switch ref.Kind {
	case Alias:
		return m.Name == canonical
	case URL:
		return m.Name == urlKey(ref.Addr)
	}
	if m.knows(ref.String()) {
		return true
	}
	if mine, err := ParseName(m.Name); err == nil && ref.Want != "" && mine.Kind == ref.Kind &&
		strings.EqualFold(mine.Owner+"/"+mine.Repo, ref.Owner+"/"+ref.Repo) && mine.Revision == ref.Revision {
		return quantOf(mine.Want) != "" && strings.EqualFold(quantOf(mine.Want), ref.Want)
	}
	return false
}

// write puts the manifest into the model's folder, atomically.
func (m Model) write() error {
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("manifest of %s: %w", m.Name, err)
	}
	return writeFile(filepath.Join(m.Dir, manifestName), append(data, '\n'))
}

// tmpSuffix is behind the name of a file that writeFile is writing.
const tmpSuffix = ".tmp"

// writeFile replaces a small file atomically and durably.
func writeFile(path string, data []byte) error {
	tmp := path + tmpSuffix
	f, err := os.Create(tmp)
	if err != nil {
		return diskError(path, err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		os.Remove(tmp)
		return diskError(path, err)
	}
	_ = files.SyncDir(filepath.Dir(path)) // where the system can
	return nil
}

// readManifest reads and checks the manifest of a folder. Names of files that would
// leave the folder make it invalid.
func readManifest(dir string) (Model, error) {
	path := filepath.Join(dir, manifestName)
	st, err := os.Stat(path)
	if err != nil {
		return Model{}, err
	}
	if st.Size() > maxManifest {
		return Model{}, fmt.Errorf("%s has %d bytes: this is no manifest", path, st.Size())
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return Model{}, err
	}
	m, err := parseManifest(data)
	if err != nil {
		return Model{}, fmt.Errorf("%s: %w", path, err)
	}
	m.Dir = dir
	return m, nil
}

func parseManifest(data []byte) (Model, error) {
	var m Model
	if err := json.Unmarshal(data, &m); err != nil {
		return Model{}, fmt.Errorf("no manifest: %w", err)
	}
	if m.Version != manifestVersion || m.Name == "" || len(m.Files) == 0 {
		return Model{}, fmt.Errorf("manifest of version %d: this program reads version %d", m.Version, manifestVersion)
	}
	for _, f := range m.Files {
		if base, err := localName(f.Name); err != nil || base != f.Name || f.Size < 0 {
			return Model{}, fmt.Errorf("manifest names the file %q", f.Name)
		}
	}
	return m, nil
}

// List returns the downloaded models by name, and downloads that were begun. A
// models folder that does not exist is empty.
func (h *Hub) List() ([]Model, error) {
	if h.dirErr != nil {
		return nil, h.dirErr
	}
	entries, err := os.ReadDir(h.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the models folder %s: %w: set LEDGE_MODELS to another", h.dir, reason(err))
	}
	var models []Model
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || !e.IsDir() {
			continue
		}
		dir := filepath.Join(h.dir, e.Name())
		if m, err := readManifest(dir); err == nil {
			models = append(models, m)
		} else if m, ok := partial(dir); ok {
			models = append(models, m)
		}
	}
	sort.SliceStable(models, func(i, j int) bool { return models[i].Name < models[j].Name })
	return models, nil
}

// partial describes a folder in which a download was begun.
func partial(dir string) (Model, bool) {
	m := Model{Name: filepath.Base(dir), Dir: dir, Partial: true}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return m, false
	}
	begun := false
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), pipPrefix) {
			begun = true
			m.Files = append(m.Files, File{Name: e.Name(), Size: folderSize(filepath.Join(dir, e.Name()))})
			continue
		}
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		if strings.HasSuffix(strings.TrimSuffix(e.Name(), tmpSuffix), partSuffix+infoSuffix) {
			begun = true
		} else if strings.HasSuffix(e.Name(), partSuffix) || strings.HasSuffix(e.Name(), ".gguf") {
			m.Files = append(m.Files, File{Name: e.Name(), Size: info.Size()})
		}
	}
	return m, begun
}

// Remove deletes a downloaded model, or a download that was begun, and returns it.
// The name is an alias or another name it was pulled by, or its folder's. Only files
// that Ledge put there are deleted, and never outside the models folder.
func (h *Hub) Remove(name string) (Model, error) {
	models, err := h.List()
	if err != nil {
		return Model{}, err
	}
	m, err := h.findModel(models, name)
	if err != nil {
		return Model{}, err
	}
	folder := filepath.Base(m.Dir)
	busy := fmt.Errorf("%s is being downloaded by another process: not removed", m.Name)
	unlock, ok, err := h.tryLock(folder)
	if err != nil {
		return Model{}, err
	}
	if !ok {
		return Model{}, busy
	}
	defer unlock()
	// The manifest goes first: what is left after an interruption is no whole model.
	names := []string{manifestName, manifestName + tmpSuffix}
	for _, f := range m.Files {
		if !strings.HasPrefix(f.Name, pipPrefix) {
			names = append(names, f.Name, f.Name+partSuffix, f.Name+partSuffix+infoSuffix, f.Name+infoSuffix)
		}
	}
	for _, n := range names {
		if err := os.Remove(filepath.Join(m.Dir, n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return Model{}, fmt.Errorf("cannot remove %s: %w", filepath.Join(m.Dir, n), reason(err))
		}
	}
	removeInfos(m.Dir)
	removePip(m.Dir)
	os.Remove(m.Dir) // goes only if nothing else is in it
	return m, nil
}

// removeInfos deletes what describes parts that are gone.
func removeInfos(dir string) {
	infos, _ := filepath.Glob(filepath.Join(globEscape(dir), "*"+partSuffix+infoSuffix))
	left, _ := filepath.Glob(filepath.Join(globEscape(dir), "*"+partSuffix+infoSuffix+tmpSuffix))
	for _, p := range append(infos, left...) {
		os.Remove(p)
	}
}

func globEscape(s string) string {
	if filepath.Separator == '\\' {
		return s // Windows patterns have no escapes
	}
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(s)
}

// findModel finds the one model a name means. It compares names and builds no path
// of them.
func (h *Hub) findModel(models []Model, name string) (Model, error) {
	var found []Model
	ref, refErr := ParseName(name)
	canonical := ""
	if refErr == nil && ref.Kind == Alias {
		if e, v, err := h.lookup(ref.Text); err == nil {
			canonical = e.canonical(v)
		}
	}
	for _, m := range models {
		if m.knows(name) || filepath.Base(m.Dir) == name ||
			refErr == nil && ref.Kind != Path && !m.Partial && m.answersTo(ref, canonical) ||
			canonical != "" && m.Partial && m.Name == folderName(canonical) {
			found = append(found, m)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return Model{}, fmt.Errorf("%s: %w: nothing to remove; see: ledge models", oneLine(name), ErrNotDownloaded)
	}
	var names []string
	for _, m := range found {
		names = append(names, m.Name)
	}
	return Model{}, fmt.Errorf("%s means several models: %s", oneLine(name), strings.Join(names, ", "))
}

// folderName is the folder of a model: its name with separators that every file
// system takes, and a hash where that would not be unique.
func folderName(canonical string) string {
	s := canonical
	for _, scheme := range []string{"https://", "http://"} {
		s = strings.TrimPrefix(s, scheme)
	}
	s, _, hash := strings.Cut(s, "#") // the hash of a URL
	lossy := s != canonical || hash || strings.Contains(s, "--")
	s = strings.TrimSuffix(s, ".gguf")
	if ref, err := ParseName(canonical); err == nil && ref.Kind == Alias {
		s = strings.Replace(s, ":", "-", 1)
	}
	s = strings.NewReplacer("/", "--", ":", "--").Replace(s)
	s = strings.Map(func(r rune) rune {
		if r < 128 && (r == '.' || r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z') {
			return r
		}
		lossy = true
		return '_'
	}, s)
	if len(s) > 100 {
		s, lossy = s[:100], true
	}
	if s == "" || s[0] == '.' || s[0] == '-' || s[len(s)-1] == '.' || windowsDevices.MatchString(s) {
		s, lossy = "m"+s, true
	}
	if lossy {
		s += "-" + shortHash(canonical)
	}
	return s
}

func shortHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:4])
}

// reason strips the path from an error of package os, where the message around it
// names the path already.
func reason(err error) error {
	var perr *fs.PathError
	if errors.As(err, &perr) {
		return perr.Err
	}
	return err
}
