//go:build unix

package trust

import "golang.org/x/sys/unix"

// usable tells whether the user may use a device.
func usable(path string) bool { return unix.Access(path, unix.R_OK|unix.W_OK) == nil }
