package run

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Record is a line of the log: a step.
type Record struct {
	Step            int      `json:"step"`
	Loss            float64  `json:"loss"` // before the step
	Norm            float64  `json:"norm"` // of the gradients, before clipping
	Rate            float64  `json:"rate"`
	Tokens          int      `json:"tokens"` // read
	Labels          int      `json:"labels"` // learnt from
	Epoch           float64  `json:"epoch"`
	TokensPerSecond float64  `json:"tokens_per_second"`
	Valid           *float64 `json:"valid,omitempty"`    // loss on the validation data, after the step
	ValidOf         string   `json:"valid_of,omitempty"` // which data these are: others' losses are not comparable
}

// logFile is the log on disk. Lines after a checkpoint are cut off when a run goes on from
// it: they come again.
type logFile struct {
	f   *os.File
	w   *bufio.Writer
	all []Record

	size, last int64 // bytes of all lines, and of the last one
}

const maxRecord = 1 << 16

// openLog opens a log whose records end with a step. A file that does not begin with a
// record is not touched where a run begins, unless it is to be replaced.
func openLog(path string, last int, replace bool) (*logFile, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	l := &logFile{f: f}
	l.all, l.size, l.last = parseLog(f, last)
	if last == 0 && !replace {
		err = checkLog(f)
	}
	if err == nil {
		err = f.Truncate(l.size)
	}
	if err == nil {
		_, err = f.Seek(l.size, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, reason(err)), f.Close())
	}
	l.w = bufio.NewWriter(f)
	return l, nil
}

// checkLog refuses what no run has written.
func checkLog(f io.ReadSeeker) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	head, err := bufio.NewReaderSize(f, maxRecord).ReadBytes('\n')
	if len(head) == 0 && errors.Is(err, io.EOF) {
		return nil
	}
	var rec Record
	if err == nil {
		err = json.Unmarshal(head, &rec)
	}
	if err != nil || rec.Step < 1 {
		return errors.New("it is there, and is no log of a training: --restart replaces it, --out takes another folder")
	}
	return nil
}

// parseLog reads the records up to a step, and how many bytes they and the last take. Steps may be
// missing: of what is written between two checkpoints a cut in power may leave less than
// the checkpoints have. What follows a line that is none is of no use.
func parseLog(r io.Reader, last int) (all []Record, size, end int64) {
	b := bufio.NewReaderSize(r, maxRecord)
	for at := 0; ; {
		line, err := b.ReadSlice('\n')
		var rec Record
		if err != nil || json.Unmarshal(bytes.TrimSpace(line), &rec) != nil || rec.Step <= at || rec.Step > last {
			return all, size, end
		}
		at = rec.Step
		all = append(all, rec)
		end = int64(len(line))
		size += end
	}
}

func (l *logFile) add(r Record) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	l.all = append(l.all, r)
	n, err := l.w.Write(append(line, '\n'))
	l.last = int64(n)
	l.size += l.last
	return err
}

// amend puts a record in the place of the last one, on the disk at once.
func (l *logFile) amend(r Record) error {
	if err := l.w.Flush(); err != nil {
		return err
	}
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	begin := l.size - l.last
	if _, err := l.f.WriteAt(line, begin); err != nil {
		return err
	}
	l.last = int64(len(line))
	l.size = begin + l.last
	if err := l.f.Truncate(l.size); err != nil {
		return err
	}
	if _, err := l.f.Seek(l.size, io.SeekStart); err != nil {
		return err
	}
	l.all[len(l.all)-1] = r
	return l.f.Sync()
}

// flush makes what has been added durable.
func (l *logFile) flush() error {
	if err := l.w.Flush(); err != nil {
		return err
	}
	return l.f.Sync()
}

func (l *logFile) close() error { return errors.Join(l.w.Flush(), l.f.Close()) }

// reason is what is wrong with a file, without its name.
func reason(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
