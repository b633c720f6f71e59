package console

import (
	"os"
	"path/filepath"
)

// SameFile reports whether two names are of one file, through links of both kinds; also of
// one that is not there yet.
func SameFile(a, b string) bool {
	x, err1 := filepath.Abs(a)
	y, err2 := filepath.Abs(b)
	if err1 == nil && err2 == nil && x == y {
		return true
	}
	s, err1 := os.Stat(a)
	t, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(s, t)
}
