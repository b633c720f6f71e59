package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/ledge-run/ledge/runtime/files"
	"github.com/ledge-run/ledge/runtime/train/step"
)

// Store is a folder of checkpoints.
type Store struct {
	Dir  string
	Keep int // so many are kept; at least 1

	// Grid, if it is not 0, is of the steps whose checkpoints are kept: those of
	// other steps go as soon as there is a later one, so that a run that was
	// interrupted ends with the same checkpoints as one that was not.
	Grid int

	Spare int // the checkpoint of this step is kept, too; 0 for none
}

const (
	prefix = "step-"
	suffix = ".ckpt"
)

func (s Store) path(step int) string {
	return filepath.Join(s.Dir, fmt.Sprintf("%s%09d%s", prefix, step, suffix))
}

// stepOf reads the number in a file's name.
func stepOf(name string) (int, bool) {
	digits, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return 0, false
	}
	if digits, ok = strings.CutSuffix(digits, suffix); !ok {
		return 0, false
	}
	n, err := strconv.Atoi(digits)
	return n, err == nil && n >= 0
}

// Steps lists the steps of which there is a checkpoint, the last first.
func (s Store) Steps() ([]int, error) {
	entries, err := os.ReadDir(s.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []int
	for _, e := range entries {
		if n, ok := stepOf(e.Name()); ok {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	slices.Reverse(all)
	return all, nil
}

// Latest opens the last checkpoint that is whole, nil if there is none. Those after it
// that are damaged are passed over, and named in skipped. One that cannot be read, or is
// of another version, is an error: the run would go on before it, and remove it then.
func (s Store) Latest() (c *Checkpoint, skipped []error, err error) {
	steps, err := s.Steps()
	if err != nil {
		return nil, nil, err
	}
	for _, n := range steps {
		c, err := Open(s.path(n))
		if err == nil && c.State.Step != n {
			err = errors.Join(fmt.Errorf("%s: %w", c.Path, damaged("it is of step %d", c.State.Step)), c.Close())
		}
		switch {
		case err == nil:
			return c, skipped, nil
		case !errors.Is(err, ErrDamaged):
			return nil, skipped, err
		}
		skipped = append(skipped, err)
	}
	return nil, skipped, nil
}

// Open opens the checkpoint of a step.
func (s Store) Open(step int) (*Checkpoint, error) { return Open(s.path(step)) }

// Save writes a checkpoint, and removes those that are not to be kept: the oldest, and
// any of later steps, which belong to a run that this one has left behind. read gives a
// tensor's bytes. If it fails, what was there is as it was.
func (s Store) Save(st step.State, read func(x step.Tensor, dst []byte) error) (path string, err error) {
	path = s.path(st.Step)
	fail := func(err error) (string, error) {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return "", fmt.Errorf("cannot write the checkpoint %s: %w", path, err)
	}
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return fail(err)
	}
	if err := s.sweep(); err != nil {
		return fail(err)
	}
	if err := files.Replace(path, func(f *os.File) error { return write(f, st, read) }); err != nil {
		return fail(err)
	}
	if err := files.SyncDir(s.Dir); err != nil {
		return fail(err)
	}
	return path, s.prune(st.Step)
}

// sweep removes what a killed program left half written.
func (s Store) sweep() error {
	entries, err := os.ReadDir(s.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if name, ok := files.PartOf(e.Name()); ok {
			if _, ok := stepOf(name); ok {
				err = errors.Join(err, os.Remove(filepath.Join(s.Dir, e.Name())))
			}
		}
	}
	return err
}

// prune leaves the last ones up to a step.
func (s Store) prune(last int) error {
	steps, err := s.Steps()
	if err != nil {
		return err
	}
	kept := 0
	for _, n := range steps {
		onGrid := s.Grid == 0 || n%s.Grid == 0
		if n == last || n < last && onGrid && kept < max(1, s.Keep) {
			kept++
			continue
		}
		if n < last && n == s.Spare {
			continue
		}
		err = errors.Join(err, os.Remove(s.path(n)))
	}
	return err
}

// Clear removes all checkpoints.
func (s Store) Clear() error {
	steps, err := s.Steps()
	if err != nil {
		return err
	}
	for _, n := range steps {
		err = errors.Join(err, os.Remove(s.path(n)))
	}
	return errors.Join(err, s.sweep())
}
