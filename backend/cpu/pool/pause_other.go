//go:build !amd64 && !arm64

package pool

import (
	"sync/atomic"
	"time"
)

var (
	pauseWord  atomic.Uint32
	ticksStart = time.Now()
)

// pause passes a little time n times.
func pause(n uint32) {
	for range n {
		for range 8 {
			pauseWord.Load()
		}
	}
}

// ticks counts nanoseconds.
func ticks() uint64 { return uint64(time.Since(ticksStart)) }

func nominalTicksPerMs() uint64 { return uint64(time.Millisecond) }
