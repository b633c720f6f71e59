package data

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/ledge-run/ledge/runtime/files"
	"github.com/ledge-run/ledge/runtime/train/data/neardup"
	"github.com/ledge-run/ledge/runtime/train/data/source"
)

// The files of the work folder.
const (
	stateName = "state.json"
	docsName  = "documents.jsonl"
	indexName = "index.bin"
	groupName = "groups.bin"
	outName   = "out"
	lockName  = "lock"
)

// indexSize is that of a document in index.bin: offset and length in documents.jsonl (8 bytes each), hash of its
// text (16), hash of its group (8, 0 for none).
const indexSize = 8 + 8 + 16 + 8

// copySize is that of an exact copy in groups.bin, which was removed but has a group: hash of its text (16), hash of
// its group (8).
const copySize = 16 + 8

// workVersion is that of the work folder's files.
const workVersion = 2

// state is how far the first phase is. What the work folder's files have beyond it is
// cut off when a build goes on.
type state struct {
	Key    string  `json:"key"`  // of settings and inputs
	File   int     `json:"file"` // input being read
	Item   int64   `json:"item"` // documents and bad records of it that are done
	Docs   int64   `json:"documents"`
	Bytes  int64   `json:"bytes"`  // of documents.jsonl
	Copies int64   `json:"copies"` // in groups.bin
	Report *Report `json:"report"`
}

// key names settings and inputs: a build goes on only with the same. Whether bad records are skipped is not among them: who
// meets one in the middle may decide then.
func key(s Settings, files []source.File) (string, error) {
	s.SkipBad = false
	h := sha256.New()
	fmt.Fprintln(h, workVersion)
	if err := json.NewEncoder(h).Encode(s); err != nil {
		return "", err
	}
	for _, f := range files {
		fmt.Fprintf(h, "%q %s %v %d %d\n", f.Name, f.Format, f.Gzip, f.Size, f.Time.UnixNano())
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// work is the work folder.
type work struct {
	dir   string
	state state
	docs  *appender
	index *appender
	group *appender // of copies that were removed
	bands [neardup.Bands]*appender
	seen  map[[16]byte]struct{} // texts that are kept
}

// appender is a file that is appended to.
type appender struct {
	f *os.File
	w *bufio.Writer
}

func (w *work) path(name string) string { return filepath.Join(w.dir, name) }

// openWork opens or makes the work folder. resumed tells that it goes on.
func openWork(dir, key string, restart bool) (w *work, resumed bool, err error) {
	w = &work{dir: dir, state: state{Key: key, Report: newReport()}, seen: map[[16]byte]struct{}{}}
	b, err := os.ReadFile(w.path(stateName))
	switch {
	case restart || errors.Is(err, fs.ErrNotExist):
		if err := w.clear(); err != nil {
			return nil, false, err
		}
	case err != nil:
		return nil, false, fmt.Errorf("cannot read: %w", err)
	default:
		old := state{Report: newReport()}
		if err := json.Unmarshal(b, &old); err != nil {
			return nil, false, fmt.Errorf("%s is damaged: remove the folder, or start anew: %w", w.path(stateName), err)
		}
		if old.Key != key {
			return nil, false, fmt.Errorf("%s is of an interrupted build with other settings or inputs, or of another version: %w", dir, ErrOtherBuild)
		}
		w.state, resumed = old, true
	}
	if err := w.open(); err != nil {
		return nil, false, errors.Join(err, w.close())
	}
	return w, resumed, nil
}

// ErrOtherBuild is wrapped by the error for a work folder of another build.
var ErrOtherBuild = errors.New("go on with those, start anew, or remove the folder")

// errLocked is wrapped by the error for a folder that another build has.
var errLocked = errors.New("another build writes to it: wait for its end, or choose another folder")

// lock makes the work folder and keeps other builds out of it. unlock removes the folder
// if the work is done, unless something of the user's is in it.
func (b Build) lock() (unlock func(done bool), err error) {
	path := filepath.Join(b.work(), lockName)
	for range 100 {
		if err := os.MkdirAll(b.work(), 0o777); err != nil {
			return nil, fmt.Errorf("cannot write: %w", err)
		}
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o666)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a build that ended has removed the folder
		}
		if err != nil {
			return nil, fmt.Errorf("cannot write: %w", err)
		}
		free, err := files.TryLock(f)
		if err == nil && !free {
			err = errLocked
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", b.Out, err), f.Close())
		}
		unlock := func(done bool) {
			// Removed while it is held, or somebody could have it already; not so on Windows,
			// where what is open stays.
			st, err := f.Stat()
			done = done && err == nil && st.Size() == 0 // else it is the user's
			left := done && os.Remove(path) != nil
			f.Close()
			if left {
				_ = os.Remove(path)
			}
			if done {
				_ = os.Remove(b.work())
			}
		}
		mine, err1 := f.Stat()
		there, err2 := os.Stat(path)
		if err1 == nil && err2 == nil && os.SameFile(mine, there) {
			return unlock, nil
		}
		f.Close() // a build that ended has removed this one
	}
	return nil, fmt.Errorf("%s: %w", b.Out, errLocked)
}

// outside leaves files of the work folder out of what was found, and refuses those that
// are named: they would be read and written at once.
func (b Build) outside(found []source.File) ([]source.File, error) {
	st, err := os.Stat(b.work())
	if err != nil {
		return found, nil
	}
	inside := func(path string) bool {
		path, err := filepath.Abs(path)
		for up := filepath.Dir(path); err == nil; path, up = up, filepath.Dir(up) {
			if at, err := os.Stat(path); err == nil && os.SameFile(at, st) {
				return true
			}
			if up == path {
				break
			}
		}
		return false
	}
	for _, p := range b.Paths {
		if inside(p) {
			return nil, fmt.Errorf("%s is read, and the build keeps its work in %s: choose another folder", p, b.work())
		}
	}
	folders := map[string]bool{} // a million files lie in few
	return slices.DeleteFunc(found, func(f source.File) bool {
		dir := filepath.Dir(f.Path)
		is, known := folders[dir]
		if !known {
			is = inside(dir)
			folders[dir] = is
		}
		return is
	}), nil
}

// clear removes what an earlier build left and nothing else: a folder of that name may be the user's.
func (w *work) clear() error {
	if err := os.MkdirAll(w.dir, 0o777); err != nil {
		return fmt.Errorf("cannot write: %w", err)
	}
	names := []string{stateName, docsName, indexName, groupName, outName}
	for b := range neardup.Bands {
		names = append(names, bandName(b))
	}
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		return fmt.Errorf("cannot read what an interrupted build left: %w", err)
	}
	for _, e := range entries {
		if of, ok := files.PartOf(e.Name()); ok && of == stateName {
			names = append(names, e.Name())
		}
	}
	for _, n := range names {
		if err := os.RemoveAll(w.path(n)); err != nil {
			return fmt.Errorf("cannot remove what an interrupted build left: %w", err)
		}
	}
	return nil
}

func bandName(b int) string { return fmt.Sprintf("band-%02d.bin", b) }

func (w *work) open() error {
	at := func(name string, size int64) (*appender, error) {
		f, err := os.OpenFile(w.path(name), os.O_RDWR|os.O_CREATE, 0o666)
		if err != nil {
			return nil, fmt.Errorf("cannot write: %w", err)
		}
		a := &appender{f, bufio.NewWriterSize(f, 1<<16)}
		st, err := f.Stat()
		switch {
		case err != nil:
		case st.Size() < size:
			err = fmt.Errorf("%s is shorter than it was: remove the folder, or start anew", w.path(name))
		default:
			if err = f.Truncate(size); err == nil {
				_, err = f.Seek(size, 0)
			}
		}
		return a, err
	}
	var err error
	if w.docs, err = at(docsName, w.state.Bytes); err != nil {
		return err
	}
	if w.index, err = at(indexName, w.state.Docs*indexSize); err != nil {
		return err
	}
	if w.group, err = at(groupName, w.state.Copies*copySize); err != nil {
		return err
	}
	for b := range w.bands {
		if w.bands[b], err = at(bandName(b), w.state.Docs*8); err != nil {
			return err
		}
	}
	entries, err := w.readIndex()
	if err != nil {
		return err
	}
	for _, e := range entries {
		w.seen[e.hash] = struct{}{}
	}
	return nil
}

// add appends a document.
func (w *work) add(line []byte, hash [16]byte, group uint64, sign neardup.Signature) error {
	var b [indexSize]byte
	le := binary.LittleEndian
	le.PutUint64(b[0:], uint64(w.state.Bytes))
	le.PutUint64(b[8:], uint64(len(line)))
	copy(b[16:], hash[:])
	le.PutUint64(b[32:], group)
	_, err1 := w.docs.w.Write(line)
	_, err2 := w.index.w.Write(b[:])
	err := errors.Join(err1, err2)
	for i, a := range w.bands {
		var k [8]byte
		le.PutUint64(k[:], sign[i])
		_, e := a.w.Write(k[:])
		err = errors.Join(err, e)
	}
	if err != nil {
		return firstError(err)
	}
	w.seen[hash] = struct{}{}
	w.state.Docs++
	w.state.Bytes += int64(len(line))
	return nil
}

// addCopy notes the group of a document that is removed because its text is there already: the two groups then belong
// together.
func (w *work) addCopy(hash [16]byte, group uint64) error {
	if group == 0 {
		return nil
	}
	if _, err := w.group.w.Write(binary.LittleEndian.AppendUint64(hash[:], group)); err != nil {
		return firstError(err)
	}
	w.state.Copies++
	return nil
}

// firstError is the first of several errors that were joined: on a full disk all say the same.
func firstError(err error) error {
	var many interface{ Unwrap() []error }
	if errors.As(err, &many) {
		for _, e := range many.Unwrap() {
			if e != nil {
				err = e
				break
			}
		}
	}
	return fmt.Errorf("cannot write: %w; nothing is lost: the same command goes on from the last point saved", err)
}

// save makes everything up to now durable, then notes it.
func (w *work) save() error {
	for _, a := range w.all() {
		if err := errors.Join(a.w.Flush(), a.f.Sync()); err != nil {
			return firstError(err)
		}
	}
	b, err := json.Marshal(w.state)
	if err != nil {
		return err
	}
	err = files.Replace(w.path(stateName), func(f *os.File) error {
		_, err := f.Write(b)
		return err
	})
	if err != nil {
		return firstError(err)
	}
	return nil
}

func (w *work) all() []*appender {
	all := []*appender{w.docs, w.index, w.group}
	return append(all, w.bands[:]...)
}

func (w *work) close() error {
	var errs []error
	for _, a := range w.all() {
		if a != nil && a.f != nil {
			errs = append(errs, a.f.Close())
		}
	}
	return errors.Join(errs...)
}

// indexEntry is what index.bin tells of a document.
type indexEntry struct {
	offset, length int64
	hash           [16]byte
	group          uint64
}

func (w *work) readIndex() ([]indexEntry, error) {
	in := bufio.NewReaderSize(io.NewSectionReader(w.index.f, 0, w.state.Docs*indexSize), 1<<16)
	le := binary.LittleEndian
	entries := make([]indexEntry, w.state.Docs)
	var p [indexSize]byte
	for i := range entries {
		if _, err := io.ReadFull(in, p[:]); err != nil {
			return nil, fmt.Errorf("cannot read %s: %w", w.path(indexName), err)
		}
		e := &entries[i]
		e.offset, e.length, e.group = int64(le.Uint64(p[:])), int64(le.Uint64(p[8:])), le.Uint64(p[32:])
		copy(e.hash[:], p[16:])
	}
	return entries, nil
}

// readCopies gives the groups of copies that were removed, by the hash of their text, each once.
func (w *work) readCopies() (map[[16]byte][]uint64, error) {
	in := bufio.NewReaderSize(io.NewSectionReader(w.group.f, 0, w.state.Copies*copySize), 1<<16)
	copies := map[[16]byte][]uint64{}
	seen := map[[copySize]byte]bool{}
	var p [copySize]byte
	for range w.state.Copies {
		if _, err := io.ReadFull(in, p[:]); err != nil {
			return nil, fmt.Errorf("cannot read %s: %w", w.path(groupName), err)
		}
		if !seen[p] {
			seen[p] = true
			copies[[16]byte(p[:])] = append(copies[[16]byte(p[:])], binary.LittleEndian.Uint64(p[16:]))
		}
	}
	return copies, nil
}

// keys are those of a band, by document.
func (w *work) keys(band int) ([]uint64, error) {
	in := bufio.NewReaderSize(io.NewSectionReader(w.bands[band].f, 0, w.state.Docs*8), 1<<16)
	keys := make([]uint64, w.state.Docs)
	var p [8]byte
	for i := range keys {
		if _, err := io.ReadFull(in, p[:]); err != nil {
			return nil, fmt.Errorf("cannot read %s: %w", w.path(bandName(band)), err)
		}
		keys[i] = binary.LittleEndian.Uint64(p[:])
	}
	return keys, nil
}

// record reads a document back.
func (w *work) record(e indexEntry) (line []byte, r Record, err error) {
	line = make([]byte, e.length)
	if _, err := w.docs.f.ReadAt(line, e.offset); err != nil {
		return nil, r, fmt.Errorf("cannot read %s: %w", w.path(docsName), err)
	}
	if err := json.Unmarshal(line, &r); err != nil {
		return nil, r, fmt.Errorf("%s is damaged: remove the folder, or start anew: %w", w.path(docsName), err)
	}
	return line, r, nil
}
