package shader

// Extent is a number of elements, rows or the like: Times times each of the sizes
// of the run, at most four. The rows of a value [T, 3, 64] that is normed over 64
// are {3, [SizeT]}, the elements of [T, T] are {1, [SizeT, SizeT]}.
type Extent struct {
	Times int
	Sizes []Size
}

// Const is a number that no run changes.
func Const(n int) Extent { return Extent{Times: n} }

// Each is n for every one of the sizes.
func Each(n int, sizes ...Size) Extent { return Extent{n, sizes} }

// Of is the number in a run.
func (e Extent) Of(s Sizes) int {
	n := e.Times
	for _, z := range e.Sizes {
		n *= Rows{Count: z, Times: 1}.Of(s)
	}
	return n
}

// Mul is n times as many.
func (e Extent) Mul(n int) Extent { return Extent{e.Times * n, e.Sizes} }

// times and code are the arguments of EXTENT in common.comp: a byte of code for
// each size, one more than its place in the header of the buffer Run.
func (e Extent) times() uint32 { return uint32(e.Times) }

func (e Extent) code() uint32 {
	code, at := uint32(0), 0
	for _, z := range e.Sizes {
		if place, _ := (Rows{Count: z, Times: 1}).params(); place != constantRows {
			code |= (place + 1) << (8 * at)
			at++
		}
	}
	return code
}

// gridX is how many workgroups stand in the first direction when there are more
// than the 65,535 that every device has.
const gridX = 32768

// Groups is a grid of n workgroups that a kernel numbers as
// GROUP_Y * 32768 + GROUP_X; there may be some more.
func Groups(n int) [3]uint32 {
	switch {
	case n <= 0:
		return [3]uint32{}
	case n <= gridX:
		return [3]uint32{uint32(n), 1, 1}
	}
	return [3]uint32{gridX, uint32((n + gridX - 1) / gridX), 1}
}

// perGroup is a grid with a workgroup for each n of e.
func perGroup(e Extent, n int) func(Sizes) [3]uint32 {
	return func(s Sizes) [3]uint32 { return Groups((e.Of(s) + n - 1) / n) }
}

// bytesOf is the traffic of n floats for each of e.
func bytesOf(e Extent, n int) func(Sizes) int64 {
	return func(s Sizes) int64 { return 4 * int64(e.Of(s)) * int64(n) }
}

func flag(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

// offset is *p, or 0.
func offset(p *uint32) uint32 {
	if p == nil {
		return 0
	}
	return *p
}
