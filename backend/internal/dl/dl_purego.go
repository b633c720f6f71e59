//go:build !static && (darwin || (linux && !android && (amd64 || arm64 || riscv64)) || (android && cgo && arm64))

package dl

import (
	"errors"
	"sync"

	"github.com/ebitengine/purego"
)

// Supported: libraries can be loaded in this build.
const Supported = true

var errUnsupported = errors.New("not in this build")

func open(name string) (uintptr, error) {
	return purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_LOCAL)
}

func symbol(handle uintptr, name string) (uintptr, error) { return purego.Dlsym(handle, name) }

// Call calls a C function with up to 15 words and gives its first result. Memory
// that an argument points to is kept and stays where it is until the call
// returns; memory that such memory points to must not be Go's, or be pinned. It
// allocates: see CallWords.
//
//go:uintptrescapes
func Call(fn uintptr, args ...uintptr) uintptr {
	r, _, _ := purego.SyscallN(fn, args...)
	return r
}

// CallWords is Call for what happens again and again: it allocates nothing, but
// the caller keeps what pointers among the arguments point to, which must be on
// the heap (a field of something that lives longer) and not on a stack.
func CallWords(fn uintptr, args ...uintptr) uintptr {
	w := words.Get().(*[15]uintptr) // purego lets its arguments escape
	n := copy(w[:], args)
	r, _, _ := purego.SyscallN(fn, w[:n]...)
	words.Put(w)
	return r
}

var words = sync.Pool{New: func() any { return new([15]uintptr) }}

// Callback makes a C function of a Go function with words as arguments and
// result. There are few of them in a process and they are never freed: make them
// once.
func Callback(f any) uintptr { return purego.NewCallback(f) }
