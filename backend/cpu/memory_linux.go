package cpu

import (
	"bufio"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ledge-run/ledge/backend"
)

// allocate gives cleared memory outside Go's heap, in huge pages where the
// system has them: reading weights is then up to 40 % faster. Pages that are
// never touched cost nothing.
func allocate(what string, size int) (memory, error) {
	if size == 0 {
		return memory{}, nil
	}
	const huge = 2 << 20
	if size > huge {
		// Linux promises more than it has and kills who believes it: ask first.
		if _, free := systemMemory(); free > 0 && uint64(size) > free {
			return memory{}, &backend.ErrOutOfMemory{What: what, Need: uint64(size), Have: free}
		}
	}
	length := size
	if size >= huge {
		length = size + huge // room to begin at a multiple of a huge page
	}
	b, err := unix.Mmap(-1, 0, length, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		_, free := systemMemory()
		return memory{}, &backend.ErrOutOfMemory{What: what, Need: uint64(size), Have: free}
	}
	m := memory{whole: b, bytes: b[:size:size]}
	if size >= huge {
		off := -int(address(b)) & (huge - 1)
		m.bytes = b[off : off+size : off+size]
		_ = unix.Madvise(m.bytes[:size&^(huge-1)], unix.MADV_HUGEPAGE) // only a hint
	}
	return m, nil
}

func (m memory) free() error {
	if m.unmap != nil {
		return m.unmap()
	}
	if m.whole == nil {
		return nil
	}
	return unix.Munmap(m.whole)
}

// systemMemory is what the machine has and what is available, in bytes, within
// the process's control group; zero if unknown.
func systemMemory() (total, free uint64) {
	total, free = machineMemory()
	const group = "/sys/fs/cgroup/memory."
	if limit, ok := readNumber(group + "max"); ok && limit < total {
		used, _ := readNumber(group + "current")
		total, free = limit, min(free, limit-min(used, limit))
	}
	return total, free
}

// readNumber reads a file that holds one number; "max", no limit, is none.
func readNumber(path string) (uint64, bool) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	return n, err == nil
}

func machineMemory() (total, free uint64) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, 0
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		name, rest, _ := strings.Cut(s.Text(), ":")
		n, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		if err != nil {
			continue
		}
		switch name {
		case "MemTotal":
			total = n << 10
		case "MemAvailable":
			free = n << 10
		}
	}
	return total, free
}

func processorName() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "processor"
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		name, rest, _ := strings.Cut(s.Text(), ":")
		if strings.TrimSpace(name) == "model name" || strings.TrimSpace(name) == "Model" {
			return strings.TrimSpace(rest)
		}
	}
	return "processor"
}
