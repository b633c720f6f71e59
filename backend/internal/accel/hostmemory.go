package accel

import (
	"bufio"
	"fmt"
	"os"
)

// HostMemory is the system's memory and what programs can still have of it, in
// bytes; zeros where that is not told.
func HostMemory() (total, free uint64) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, 0
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		var name string
		var kib uint64
		if _, err := fmt.Sscan(s.Text(), &name, &kib); err != nil {
			continue
		}
		switch name {
		case "MemTotal:":
			total = kib << 10
		case "MemAvailable:":
			free = kib << 10
		}
	}
	return total, free
}

// budget is what values, weights and caches may take. Drivers of GPUs that use the
// host's memory count all of it as theirs, and give more than there is: the system
// would end the process when it is written to.
func (l *Limits) budget(hostFree uint64) uint64 {
	memory := l.MemoryFree
	if memory == 0 {
		memory = l.MemoryTotal
	}
	if l.Unified && hostFree > 0 && (memory == 0 || memory > hostFree) {
		memory = hostFree
	}
	return memory - memory/16 // what the driver itself needs, and grows by
}
