//go:build !linux

package fakedriver

import "errors"

// lock: without a GPU that is emulated there is nothing to build.
func lock(string) (unlock func(), err error) {
	return nil, errors.New("GPUs are emulated on Linux alone")
}
