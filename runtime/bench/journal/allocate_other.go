//go:build !linux

package journal

import "os"

// allocate cannot hold room here.
func allocate(*os.File, int64, int64) error { return nil }
