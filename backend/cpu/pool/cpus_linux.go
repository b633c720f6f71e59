package pool

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// readCPUs asks for the main thread's CPUs: other threads may be bound.
func readCPUs() cpus {
	var set unix.CPUSet
	var allowed []int
	if unix.SchedGetaffinity(os.Getpid(), &set) == nil {
		for n := range len(set) * 64 {
			if set.IsSet(n) {
				allowed = append(allowed, n)
			}
		}
	}
	if len(allowed) == 0 { // refused, or more than 1024 CPUs
		n := runtime.NumCPU()
		return cpus{logical: n, cores: n, fast: n}
	}
	return topology(os.DirFS("/"), allowed)
}

func cpuQuota() float64 { return cgroupQuota(os.DirFS("/")) }
