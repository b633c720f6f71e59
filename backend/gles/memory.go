//go:build gles && cgo && !static && linux

package gles

import (
	gl "github.com/go-gl/gl/v3.1/gles2"

	"github.com/ledge-run/ledge/backend/internal/host"
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
	l.MemoryTotal, l.MemoryFree = host.Memory()
	l.Unified = true
}
