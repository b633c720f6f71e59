//go:build !(linux || darwin)

package packcache

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// fileIdentity names a file's place and state, and when that last changed.
func fileIdentity(path string, st os.FileInfo) (string, time.Time) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", time.Time{}
	}
	return fmt.Sprintf("%q %d %d", abs, st.Size(), st.ModTime().UnixNano()), st.ModTime()
}
