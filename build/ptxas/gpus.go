package main

// gpu is a kind of GPU: a number of NVIDIA's, for which an assembler makes code, and
// the limits of it that decide how many blocks are in a multiprocessor at once.
type gpu struct {
	capability int
	what       string
	tool       tool
	warps      int // that a multiprocessor holds
	blocks     int
	shared     int // KiB of a multiprocessor
	most       int // KiB that a block may have of it
}

// tool is an assembler: its folder, and its version as it prints it.
type tool struct{ folder, version string }

// The versions that build/ptxas.sh fetches.
var (
	tool12 = tool{"12", "V12.9.86"}
	tool13 = tool{"13", "V13.5.37"}
)

var gpus = []gpu{
	{72, "Xavier", tool12, 64, 32, 96, 96},
	{75, "Turing", tool12, 32, 16, 64, 64},
	{80, "A100", tool12, 64, 32, 164, 163},
	{86, "GeForce 30", tool12, 48, 16, 100, 99},
	{87, "Orin", tool12, 48, 16, 164, 163},
	{89, "GeForce 40", tool12, 48, 24, 100, 99},
	{90, "H100", tool12, 64, 32, 228, 227},
	{100, "B200", tool13, 64, 32, 228, 227},
	{110, "Thor", tool13, 48, 24, 228, 227},
	{120, "GeForce 50", tool13, 48, 24, 100, 99},
	{121, "GB10", tool13, 48, 24, 100, 99},
}

const (
	warpThreads    = 32
	partitions     = 4     // of a multiprocessor: a warp stays in one
	partitionWords = 16384 // registers of one
	registerUnit   = 256   // registers that a warp gets more or less of
	sharedUnit     = 128   // bytes of shared memory that a block gets more or less of
	kib            = 1024
)

// reserved is the bytes of shared memory that the system takes of each block.
func (g gpu) reserved() int {
	if g.capability < 80 {
		return 0
	}
	return kib
}

// resident is the blocks of a kernel that a multiprocessor holds at once.
func (g gpu) resident(registers, shared, threads int) int {
	warps := roundUp(threads, warpThreads) / warpThreads
	each := max(registerUnit, roundUp(registers*warpThreads, registerUnit))
	n := min(g.blocks, g.warps/warps, partitions*(partitionWords/each)/warps)
	if bytes := roundUp(shared+g.reserved(), sharedUnit); bytes > 0 {
		n = min(n, g.shared*kib/bytes)
	}
	return n
}

func roundUp(n, unit int) int { return (n + unit - 1) / unit * unit }
