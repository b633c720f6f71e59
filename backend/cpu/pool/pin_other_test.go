//go:build !linux

package pool

import "time"

func boundCPUs() int { return 0 }

func cpuTime() (time.Duration, bool) { return 0, false }
