package pool

func ticksPerSecond() uint64

// nominalTicksPerMs is what the system says; firmware that says 0 gets the
// usual 24 MHz.
func nominalTicksPerMs() uint64 {
	if hz := ticksPerSecond(); hz >= 1000 {
		return hz / 1000
	}
	return 24_000
}
