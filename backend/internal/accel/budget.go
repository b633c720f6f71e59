package accel

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
