package journal

import (
	"errors"
	"os"
)

// fill writes so much and takes it back, which shows that there is room for it.
func fill(f *os.File, from, size int64) error {
	_, err := f.WriteAt(make([]byte, size), from)
	return errors.Join(err, f.Truncate(from))
}
