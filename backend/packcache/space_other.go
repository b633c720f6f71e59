//go:build !(darwin || linux)

package packcache

import "errors"

// diskSpace is unknown on this system: a full disk shows when it is full.
func diskSpace(string) (total, free int64, err error) { return 0, 0, errors.ErrUnsupported }
