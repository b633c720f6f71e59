//go:build cuda && cgo && linux && !android && !static

package driver

/*
#cgo CFLAGS: -fvisibility=hidden
#cgo LDFLAGS: -ldl
#include "shim.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"unsafe"
)

// MinVersion is the oldest driver that will do, as cuDriverGetVersion counts: that of
// CUDA 11.4, which JetPack 5 has.
const MinVersion = 11040

// soname is the name of the driver's library, by which the system's loader finds it.
const soname = "libcuda.so.1"

// folders have the library where the system's loader may not look: JetPack 5 and 6,
// WSL, containers, NixOS, and, last, the newer driver that a toolkit may bring along.
var folders = []string{
	"/usr/lib/aarch64-linux-gnu/tegra",
	"/usr/lib/aarch64-linux-gnu/nvidia",
	"/usr/lib/wsl/lib",
	"/usr/local/nvidia/lib64",
	"/run/opengl-driver/lib",
	"/usr/local/cuda/compat",
}

// Libraries are the names to load, in order: a path where there is a slash.
func Libraries() []string {
	if l := os.Getenv("LEDGE_LIBCUDA"); l != "" {
		return []string{l}
	}
	names := []string{soname}
	for _, f := range folders {
		names = append(names, filepath.Join(f, soname))
	}
	return names
}

// ErrNotInstalled is wrapped by Open's error where there is no driver.
var ErrNotInstalled = errors.New("the CUDA driver is not installed")

// Open loads the driver and initialises it. Only the first call does; later ones
// return what it returned. It may be called by several goroutines.
func Open() error { return open() }

var open = sync.OnceValue(func() error {
	path, err := load(Libraries())
	if err != nil {
		return err
	}
	v, err := Version()
	if err != nil {
		return fmt.Errorf("%s: its version: %w", path, err)
	}
	if v < MinVersion {
		return fmt.Errorf("%s is a driver for CUDA %s, and %s is the oldest that will do: update it (to 470 or later; on a Jetson, to JetPack 5 or later)",
			path, VersionText(v), VersionText(MinVersion))
	}
	runtime.LockOSThread() // the driver may leave something with the thread
	defer runtime.UnlockOSThread()
	if err := check(C.ledge_cuda_init()); err != nil {
		return fmt.Errorf("%s does not start: %w%s", path, err, advice(err))
	}
	return nil
})

// load loads the first library that there is.
func load(names []string) (string, error) {
	var broken []string
	for _, n := range names {
		why := loadOne(n)
		if why == "" {
			return n, nil
		}
		if _, err := os.Stat(n); err == nil || !strings.Contains(why, n+": cannot open shared object file") {
			broken = append(broken, why)
		}
	}
	if len(broken) > 0 {
		return "", fmt.Errorf("the CUDA driver cannot be loaded: %s", strings.Join(broken, "; "))
	}
	if len(names) == 1 {
		return "", fmt.Errorf("%w: no library %s", ErrNotInstalled, names[0])
	}
	return "", fmt.Errorf("%w: no library %s", ErrNotInstalled, soname)
}

// loadOne loads a library and says why it cannot, else "".
func loadOne(name string) string {
	n := C.CString(name)
	defer C.free(unsafe.Pointer(n))
	why := C.ledge_cuda_load(n)
	if why == nil {
		return ""
	}
	defer C.free(unsafe.Pointer(why))
	return C.GoString(why)
}

// Has reports whether the loaded driver has a function, by the driver's own name for
// it (cuGraphAddKernelNode_v2). Before Open it has none.
func Has(symbol string) bool {
	s := C.CString(symbol)
	defer C.free(unsafe.Pointer(s))
	return C.ledge_cuda_has(s) != 0
}

// Version is the newest CUDA that the driver knows: 12040 for CUDA 12.4.
func Version() (int, error) {
	var v C.int
	if err := check(C.cuDriverGetVersion(&v)); err != nil {
		return 0, err
	}
	return int(v), nil
}

// VersionText is a version as it is usually written: 12.4 for 12040.
func VersionText(v int) string { return fmt.Sprintf("%d.%d", v/1000, v%1000/10) }
