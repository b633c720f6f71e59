// Package journal keeps records in a file that only grows, a line of JSON each. A
// record is on the disk before the next is measured; an interrupted write is cut off
// when the file is opened again; two programs cannot write at once.
package journal

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/files"
)

// Journal is a file that is open for appending.
type Journal struct {
	Records []record.Record // all of it
	Cut     int             // bytes of an interrupted write that were cut off when it was opened

	f    *os.File
	path string
	size int64
}

// ErrLocked is that another program writes to the journal.
var ErrLocked = errors.New("another ledge-bench writes to it: wait for its end, or choose another journal")

// reserve is how much room there must be before a round is measured: more than a
// record takes.
const reserve = 256 << 10

// maxLine bounds a record.
const maxLine = 16 << 20

// Read reads a journal without touching it. A last line that an interrupted write
// left is passed over; a file with anything else in it than records is refused.
func Read(path string) ([]record.Record, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all, _, err := parse(f, path)
	return all, err
}

// parse reads records, and says how long the whole lines are.
func parse(r io.Reader, path string) (all []record.Record, whole int64, err error) {
	b := bufio.NewReaderSize(r, 64<<10)
	for n := 1; ; n++ {
		line, err := readLine(b)
		if errors.Is(err, io.EOF) {
			if len(line) == 0 {
				return all, whole, nil
			}
			rec, err := decode(line)
			switch {
			case err == nil: // it lacks its end only
				return append(all, rec), whole, nil
			case torn(line, len(all) > 0):
				return all, whole, nil
			}
			return nil, 0, fmt.Errorf("%s, line %d: %w; nor is it the beginning of one: take the line out, or name another file as the journal", path, n, err)
		}
		if err == nil && len(bytes.TrimSpace(line)) > 0 {
			var rec record.Record
			if rec, err = decode(line); err == nil {
				all = append(all, rec)
			}
		}
		if err != nil {
			return nil, 0, fmt.Errorf("%s, line %d: %w", path, n, err)
		}
		whole += int64(len(line))
	}
}

// readLine reads a line with its end. What is left at the end of the file comes with
// io.EOF.
func readLine(b *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := b.ReadSlice('\n')
		if line = append(line, part...); len(line) > maxLine {
			return nil, fmt.Errorf("it is longer than %d MiB: that is no record", maxLine>>20)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

// opening is what every record begins with.
var opening = []byte(fmt.Sprintf(`{"version":%d,"suite":{"name":"`, record.Version))

// torn reports whether a line without an end is what an interrupted write leaves: the
// beginning of a record, zeros behind it or instead of it. Where no record is before it
// the file may be anybody's: all of the opening must be there, or nothing but zeros.
func torn(line []byte, after bool) bool {
	if json.Valid(line) {
		return false // whole, but no record
	}
	line = bytes.TrimRight(line, "\x00")
	if len(line) == 0 {
		return true // zeros alone are nobody's
	}
	if !after || len(line) >= len(opening) {
		return bytes.HasPrefix(line, opening)
	}
	return bytes.HasPrefix(opening, line)
}

func decode(line []byte) (record.Record, error) {
	var r record.Record
	if err := json.Unmarshal(line, &r); err != nil {
		return r, fmt.Errorf("no record: %w", err)
	}
	if r.Version > record.Version || r.Version < 1 {
		return r, fmt.Errorf("a record of version %d; this program reads up to %d", r.Version, record.Version)
	}
	if what := r.Lacks(); what != "" {
		return r, fmt.Errorf("a record without %s: ledge-bench wrote none like it", what)
	}
	return r, nil
}

// Open opens a journal for appending, makes it if there is none, and locks it.
func Open(path string) (j *Journal, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	free, err := files.TryLock(f)
	if err == nil && !free {
		err = ErrLocked
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	j = &Journal{f: f, path: path}
	if j.Records, j.size, err = parse(f, path); err != nil {
		return nil, err
	}
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	if rest := end - j.size; rest > 0 {
		if err := j.mend(rest); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return j, nil
}

// mend ends a last line that lacks only its end, or cuts it off: parse has seen that it
// is one or the other.
func (j *Journal) mend(rest int64) error {
	line := make([]byte, rest)
	if _, err := j.f.ReadAt(line, j.size); err != nil {
		return err
	}
	if _, err := decode(line); err == nil {
		if _, err := j.f.WriteAt([]byte("\n"), j.size+rest); err != nil {
			return err
		}
		j.size += rest + 1
		return j.f.Sync()
	}
	j.Cut = int(rest)
	return j.f.Truncate(j.size)
}

// Path is the file's.
func (j *Journal) Path() string { return j.path }

// Reserve sees to it that there is room for another record, so that a disk that is
// full is known before a round was measured for nothing.
func (j *Journal) Reserve() error {
	err := fill(j.f, j.size, reserve) // knows limits of files, too
	if err == nil {
		err = allocate(j.f, j.size, reserve)
	}
	if err != nil {
		return j.explain("make room for another round in", err)
	}
	return nil
}

// Add appends a record and returns when it is on the disk. If it fails, the file is
// as before.
func (j *Journal) Add(r record.Record) error {
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("a record of %s: %w", r.Case, err)
	}
	if len(line) >= maxLine {
		return fmt.Errorf("a record of %s has %d bytes: that is more than a journal takes", r.Case, len(line))
	}
	line = append(line, '\n')
	_, err = j.f.WriteAt(line, j.size)
	if err == nil {
		err = j.f.Sync()
	}
	if err != nil {
		return j.explain("write to", errors.Join(err, j.f.Truncate(j.size)))
	}
	j.size += int64(len(line))
	j.Records = append(j.Records, r)
	return nil
}

// explain says what did not work and what is still there.
func (j *Journal) explain(what string, err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return fmt.Errorf("cannot %s the journal %s: %w; its %d rounds are kept: free space and run the same command again, it goes on where it stopped",
		what, j.path, err, len(j.Records))
}

// Close closes the file, which ends the lock.
func (j *Journal) Close() error {
	// What was reserved and not used is given back.
	return errors.Join(j.f.Truncate(j.size), j.f.Close())
}
