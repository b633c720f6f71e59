package worker

import "golang.org/x/sys/unix"

// pin keeps the calling thread on a processor, where the system lets it.
func pin(processor int) {
	var set unix.CPUSet
	set.Set(processor)
	_ = unix.SchedSetaffinity(0, &set) // else it runs where there is room
}
