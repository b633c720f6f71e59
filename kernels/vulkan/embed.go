// Package vulkan holds what Vulkan needs of package shader's kernels: the prelude
// of their dialect, and each of them as SPIR-V.
package vulkan

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io"
	"sync"
)

//go:generate go run ./gen

// Prelude says what the dialect's words stand for.
//
//go:embed prelude.glsl
var Prelude string

// IntDotSuffix follows the name of a kernel whose code has that instruction.
const IntDotSuffix = ".intdot"

//go:embed *.spv.gz
var files embed.FS

// Code is a kernel's SPIR-V, made by go generate. With intDot it may be one that
// needs the capability of dot products of four int8, which the device must have
// been opened with; both compute the same.
func Code(kernel string, intDot bool) ([]byte, error) {
	if intDot {
		if packed, err := files.ReadFile(kernel + IntDotSuffix + ".spv.gz"); err == nil {
			return Unpack(packed)
		}
	}
	packed, err := files.ReadFile(kernel + ".spv.gz")
	if err != nil {
		return nil, fmt.Errorf("vulkan: no kernel %q in this build (go generate ./kernels/vulkan)", kernel)
	}
	return Unpack(packed)
}

// Unpack gives the code that a file of the build has.
func Unpack(packed []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("vulkan: a kernel: %w", err)
	}
	code, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("vulkan: a kernel: %w", err)
	}
	return code, nil
}

// Version names the kernels: it differs where any of their code does.
var Version = sync.OnceValue(func() string {
	h := sha256.New()
	entries, _ := files.ReadDir(".")
	for _, e := range entries {
		code, _ := files.ReadFile(e.Name())
		fmt.Fprintf(h, "%s %d\n", e.Name(), len(code))
		h.Write(code)
	}
	return hex.EncodeToString(h.Sum(nil)[:6])
})
