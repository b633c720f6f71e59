package shader

// Rings of the kernel product_tensor: weights on their way to a warp, in stages of a few
// steps.
const (
	productBlocks = 2        // that fit a multiprocessor at a time
	productWarps  = 8        // of a block
	mostStages    = 4        // that wait_for_oldest of product_stream.h knows
	copyUints     = 128      // that a warp copies at once
	ringBytes     = 14 << 10 // of a warp: on an H200 7 and 10 KiB were no faster, and no slower for large matrices
)

// sharedMost is the shared memory that a block may have.
func (f Features) sharedMost() int {
	if f.SharedMost == 0 {
		return someShared
	}
	return f.SharedMost
}

// sharedOfTwo is what each of two blocks may have so that both fit a multiprocessor,
// which has, and keeps, 1 KiB for each block beside what a block may have.
func sharedOfTwo(most int) int { return (most - 1024) / productBlocks }

// stage is the uints of a stage of a ring: four steps, or fewer of those that are large,
// filled up to whole copies of a warp; 0 for what comes without a ring.
func (f Features) stage(l Layout) int {
	t := l.tensor()
	n := 4*t.step + t.head
	switch {
	case f.TensorBasic || t.step > 512:
		return 0
	case t.step == 512:
		n = t.step
	case t.step > 256:
		n = 2 * t.step
	}
	return (n + copyUints - 1) / copyUints * copyUints
}

// ring is the uints of a warp's ring, and how many blocks of a call with these constants,
// but for the ring, fit a multiprocessor at a time.
func (f Features) ring(l Layout, c []uint32) (uints uint32, blocks int) {
	shared, stage := f.sharedMost(), f.stage(l)
	rest := func(room int) int { return (room - ProductShared(c)) / (4 * productWarps) } // uints of a warp
	if stage == 0 {
		if ProductShared(c) > sharedOfTwo(shared) {
			return 0, 1
		}
		return 0, productBlocks
	}
	blocks, room := productBlocks, rest(sharedOfTwo(shared))
	if room < 2*stage {
		blocks, room = 1, rest(shared)
	}
	n := min(room/stage, max(ringBytes/(4*stage), 2), mostStages)
	return uint32(max(n, 1) * stage), blocks
}
