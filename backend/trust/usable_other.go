//go:build !unix

package trust

// usable tells whether the user may use a device.
func usable(string) bool { return true }
