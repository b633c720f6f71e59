// Package dl loads drivers' libraries when the program runs, so that one binary
// starts on machines that have none of them. It is the only package that knows
// purego, the way to call C without cgo.
package dl

import (
	"fmt"
	"strings"
)

// Library is a loaded library. It is never unloaded: drivers leave threads and
// callbacks behind.
type Library struct {
	handle uintptr
	Name   string // as it was found
}

// Open loads the first of the named libraries that there is.
func Open(names ...string) (*Library, error) {
	var errs []string
	for _, n := range names {
		h, err := open(n)
		if err == nil && h != 0 {
			return &Library{h, n}, nil
		}
		if err != nil {
			errs = append(errs, err.Error())
		}
	}
	if !Supported {
		return nil, errUnsupported
	}
	return nil, fmt.Errorf("no library %s: %s", strings.Join(names, ", "), strings.Join(errs, "; "))
}

// Symbol is the address of a function, an error if the library has none of that
// name.
func (l *Library) Symbol(name string) (uintptr, error) {
	a, err := symbol(l.handle, name)
	if err != nil || a == 0 {
		return 0, fmt.Errorf("%s has no function %s", l.Name, name)
	}
	return a, nil
}
