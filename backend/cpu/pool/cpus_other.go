//go:build !linux && !darwin

package pool

import "runtime"

func readCPUs() cpus {
	n := runtime.NumCPU()
	return cpus{logical: n, cores: n, fast: n}
}

func cpuQuota() float64 { return 0 }
