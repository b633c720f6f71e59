// Package model carries the default model: household commands in Chinese and
// English become the lines of package home. It is linked into the program ledge,
// and into nothing else.
package model

import (
	_ "embed"
	"fmt"
	"unsafe"

	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// docs/default-model.md says how it is made.
//
//go:embed home.gguf
var data []byte

// Open gives the model's file.
func Open() (*gguf.File, error) {
	f, err := gguf.Parse(aligned(data))
	if err != nil {
		return nil, fmt.Errorf("the built-in model: %w", err)
	}
	return f, nil
}

// Size is the number of bytes that it has.
func Size() int64 { return int64(len(data)) }

// align is what tensors count on: within the file they lie at multiples of it.
const align = 32

// aligned copies what the linker has put elsewhere.
func aligned(b []byte) []byte {
	if uintptr(unsafe.Pointer(unsafe.SliceData(b)))%align == 0 {
		return b
	}
	room := make([]byte, len(b)+align)
	skip := align - int(uintptr(unsafe.Pointer(unsafe.SliceData(room)))%align)
	return room[skip:][:copy(room[skip:], b)]
}
