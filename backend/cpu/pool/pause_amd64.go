package pool

// nominalTicksPerMs is the first guess, on the low side: a counter faster than
// 1 GHz makes the first yield come early, and yields measure the rate.
func nominalTicksPerMs() uint64 { return 1_000_000 }
