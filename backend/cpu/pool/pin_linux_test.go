package pool

import (
	"time"

	"golang.org/x/sys/unix"
)

// boundCPUs returns how many CPUs the calling thread may use.
func boundCPUs() int {
	var set unix.CPUSet
	unix.SchedGetaffinity(0, &set)
	return set.Count()
}

// cpuTime returns what this process has used so far.
func cpuTime() (time.Duration, bool) {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0, false
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), true
}
