package pool

import (
	"runtime"

	"golang.org/x/sys/unix"
)

func readCPUs() cpus {
	m := cpus{logical: runtime.NumCPU()}
	m.cores = m.logical
	if n, err := unix.SysctlUint32("hw.physicalcpu"); err == nil && n > 0 {
		m.cores = min(int(n), m.logical)
	}
	m.fast = m.cores
	// Apple silicon: level 0 is the performance cores.
	if n, err := unix.SysctlUint32("hw.perflevel0.physicalcpu"); err == nil && n > 0 {
		m.fast = min(int(n), m.cores)
	}
	return m
}

func cpuQuota() float64 { return 0 }
