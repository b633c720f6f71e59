package main

import "golang.org/x/sys/unix"

// pin keeps the calling thread on a processor.
func pin(processor int) error {
	var set unix.CPUSet
	set.Set(processor)
	return unix.SchedSetaffinity(0, &set)
}
