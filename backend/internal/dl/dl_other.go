//go:build static || !(darwin || (linux && !android && (amd64 || arm64 || riscv64)) || (android && cgo && arm64))

package dl

import "errors"

// Supported: libraries can be loaded in this build.
const Supported = false

var errUnsupported = errors.New("this build of Ledge cannot load drivers' libraries: it is a static one, or one for a system where that needs cgo")

func open(string) (uintptr, error) { return 0, errUnsupported }

func symbol(uintptr, string) (uintptr, error) { return 0, errUnsupported }

// Call does nothing here: there is no library whose function could be called.
func Call(uintptr, ...uintptr) uintptr { return 0 }

// CallWords does nothing here.
func CallWords(uintptr, ...uintptr) uintptr { return 0 }

// Callback does nothing here.
func Callback(any) uintptr { return 0 }
