package pool

import (
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync"
)

// cpus is what the system says about the CPUs this process may use.
type cpus struct {
	logical int   // CPUs, at least 1
	cores   int   // physical cores among them, at least 1
	fast    int   // physical cores at least half as fast as the fastest
	order   []int // CPU numbers, best to use first; empty where binding is impossible
}

// machine is read once: later the process's own threads may be bound.
var machine = sync.OnceValue(readCPUs)

// automatic is the thread count for Run(ctx, 0, fn), found once.
var automatic = sync.OnceValue(func() int {
	n, _, _ := Threads(0)
	return n
})

// Threads returns how many threads to compute with when the user asked for want.
//
// With want 0 that is the least of GOMAXPROCS, the physical cores this process
// is allowed to use (of a big.LITTLE machine the fast ones) and its cgroup's CPU
// quota rounded up, and at least 1. A larger want is capped at the CPUs that can run
// at the same time, because workers that wait at a barrier for one without a CPU
// lose far more than it gains; a quota does not cap it. note is empty or says,
// in a sentence for the user, what limited the count. A negative want is an error.
func Threads(want int) (n int, note string, err error) {
	return resolve(want, runtime.GOMAXPROCS(0), machine(), cpuQuota())
}

// resolve is Threads for a machine. quota is in CPUs; 0 means none.
func resolve(want, procs int, m cpus, quota float64) (n int, note string, err error) {
	if want < 0 {
		return 0, "", fmt.Errorf("pool: %d threads: want a positive number, or 0 for automatic", want)
	}
	limit, why := m.logical, fmt.Sprintf("this process may use %d", m.logical)
	if procs < limit {
		limit, why = procs, fmt.Sprintf("GOMAXPROCS is %d", procs)
	}
	limit = min(limit, MaxThreads)
	if want > limit {
		return limit, fmt.Sprintf("%d threads asked for, %d used: %s", want, limit, why), nil
	}
	quotaCPUs := math.MaxInt32
	if quota > 0 && quota < math.MaxInt32 {
		quotaCPUs = max(1, int(math.Ceil(quota)))
	}
	if want > 0 {
		if want > quotaCPUs {
			note = fmt.Sprintf("%d threads used, but the cgroup allows %.2g CPUs: expect them to be stopped now and then", want, quota)
		}
		return want, note, nil
	}
	var notes []string
	n = limit
	if m.fast < n {
		n = m.fast
		switch {
		case m.fast < m.cores:
			notes = append(notes, fmt.Sprintf("%d of %d cores are fast ones", m.fast, m.cores))
		default:
			notes = append(notes, fmt.Sprintf("%d CPUs are %d physical cores", m.logical, m.cores))
		}
	}
	if quotaCPUs < n {
		n = quotaCPUs
		notes = append(notes, fmt.Sprintf("the cgroup allows %.2g CPUs", quota))
	}
	n = max(n, 1)
	if len(notes) > 0 {
		note = fmt.Sprintf("%d threads: %s", n, strings.Join(notes, ", "))
	}
	return n, note, nil
}
