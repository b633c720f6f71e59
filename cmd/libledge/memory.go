//go:build cgo && linux

package main

// #include <stdlib.h>
// #include "calls.h"
import "C"

import (
	"strings"
	"unicode/utf8"
	"unsafe"
)

// number is what arrays of the caller's hold.
type number interface{ ~int32 | ~float32 }

// arrayOf is an array of the caller's as a slice, without a copy.
func arrayOf[T number](p unsafe.Pointer, n C.size_t) []T { return unsafe.Slice((*T)(p), int(n)) }

// textOf copies text of the caller's.
func textOf(p unsafe.Pointer, n C.size_t) string { return string(unsafe.Slice((*byte)(p), int(n))) }

// stringOf copies text that ends with a zero byte; NULL is "".
func stringOf(p *C.char) string {
	if p == nil {
		return ""
	}
	return C.GoString(p)
}

// give copies a result to an array of the caller's. The count is what there is, also
// where there is no room for it.
func give[T number](to unsafe.Pointer, capacity C.size_t, count *C.size_t, what string, have []T) error {
	*count = C.size_t(len(have))
	if capacity == 0 && to == nil || len(have) == 0 {
		return nil
	}
	if err := room(capacity, len(have), what); err != nil {
		return err
	}
	copy(arrayOf[T](to, C.size_t(len(have))), have)
	return nil
}

// room checks an array's capacity.
func room(capacity C.size_t, need int, what string) error {
	if uint64(capacity) >= uint64(need) {
		return nil
	}
	return &failure{
		code: C.LEDGE_ERROR_BUFFER, text: what + " do not fit: the count says how much room they need",
		need: C.uint64_t(need), have: C.uint64_t(capacity),
	}
}

// put copies text to a field of fixed size; what is too long is cut off, not inside a
// character.
func put(field []C.char, text string) {
	n := min(len(text), len(field)-1)
	for n < len(text) && n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	for i := range n {
		field[i] = C.char(text[i])
	}
	field[n] = 0
}

// strung keeps texts for C while a callback reads them.
type strung []*C.char

// add gives a text that ends with its first zero byte, if it has one.
func (s *strung) add(text string) *C.char {
	text, _, _ = strings.Cut(text, "\x00")
	p := C.CString(text)
	*s = append(*s, p)
	return p
}

func (s *strung) free() {
	for _, p := range *s {
		C.free(unsafe.Pointer(p))
	}
}
