//go:build !(darwin || linux || windows)

package hub

import "errors"

// freeSpace is unknown on this system: a full disk shows when it is full.
func freeSpace(string) (int64, error) { return -1, errors.ErrUnsupported }
