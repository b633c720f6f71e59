//go:build gles && cgo && !static && linux

package gles

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	gl "github.com/go-gl/gl/v3.1/gles2"
)

// GL_NVX_gpu_memory_info, in KiB.
const (
	memoryDedicated = 0x9047
	memoryAvailable = 0x9049
)

// onMemory finds the memory's size. OpenGL ES has no word for it; GPUs that are
// reached through it nearly always use the system's memory.
func (a *api) onMemory() {
	l := &a.limits
	if a.has("GL_NVX_gpu_memory_info") {
		total, free := integer(memoryDedicated), integer(memoryAvailable)
		gl.GetError()
		if total > 0 && free >= 0 && free <= total {
			l.MemoryTotal, l.MemoryFree = uint64(total)<<10, uint64(free)<<10
			return
		}
	}
	l.MemoryTotal, l.MemoryFree = systemMemory()
	l.Unified = true
}

// systemMemory is the system's memory in bytes, zeros where unknown.
func systemMemory() (total, free uint64) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, 0
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		name, rest, _ := strings.Cut(s.Text(), ":")
		var kib uint64
		if _, err := fmt.Sscan(rest, &kib); err != nil {
			continue
		}
		switch name {
		case "MemTotal":
			total = kib << 10
		case "MemAvailable":
			free = kib << 10
		}
	}
	return total, free
}
