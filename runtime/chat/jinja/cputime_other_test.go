//go:build !unix

package jinja

import "time"

var started = time.Now()

// cpuTime is the wall clock where processor time cannot be had.
func cpuTime() time.Duration { return time.Since(started) }
