package shader

// TopCount is how many candidates Top gives of a row.
const TopCount = 128

// ArgMax finds the largest of each row of Cols floats, the first of equal ones;
// NaN is passed over. Out has ArgMaxUints for each row from uint To on:
// the id (^0 if the row has no number) and the float (NaN then).
type ArgMax struct {
	Cols    int
	Rows    Extent
	X       uint32
	Scratch uint32 // room for ScratchFloats
	Max     int    // rows of any run
	To      uint32 // in the buffer Out, in uints
}

// ArgMaxUints is the uints of a row's result in the buffer Out.
const ArgMaxUints = 2

// Top finds the TopCount best of each row, the best first, equal ones by id, NaN
// passed over, and the logarithm of the sum of all exponentials. Out has TopUints
// for each row from uint To on: TopCount ids, as many floats, and that logarithm;
// where the row has fewer numbers, ids are ^0 and floats NaN.
type Top struct {
	Cols    int
	Rows    Extent
	X       uint32
	Scratch uint32 // room for ScratchFloats
	Max     int    // rows of any run
	To      uint32 // in the buffer Out, in uints
}

// TopUints is the uints of a row's result in the buffer Out.
const TopUints = 2*TopCount + 1

// argMaxSizes are a workgroup of ArgMax, and how many floats of a row it takes.
func argMaxSizes(f Features) (threads, chunk int) {
	if f.Tensor {
		return 256, 2048
	}
	return workgroup, 4096
}

// ScratchFloats is the floats of Scratch that the calls need.
func (a ArgMax) ScratchFloats(f Features) int {
	_, chunk := argMaxSizes(f)
	chunks := (a.Cols + chunk - 1) / chunk
	if chunks == 1 {
		return 0
	}
	return a.Max * chunks * ArgMaxUints
}

// Calls is a call that finds the best of each part of a row, and one for the best
// of those; a single one if the row is one part.
func (a ArgMax) Calls(f Features) []Call {
	threads, chunk := argMaxSizes(f)
	call := func(from, to uint32, n int, first, last bool) Call {
		chunks := (n + chunk - 1) / chunk
		if last {
			chunks = 1
		}
		read := n
		if !first {
			read = n * ArgMaxUints
		}
		return Call{
			Kernel:    "argmax",
			Constants: []uint32{uint32(threads), flag(first), flag(last)},
			Buffers:   [4]Role{Arena, Run, Out},
			Params:    []uint32{from, to, uint32(n), uint32(chunks), a.Rows.times(), a.Rows.code()},
			Grid:      perGroup(a.Rows.Mul(chunks), 1),
			Traffic:   bytesOf(a.Rows, read+chunks*ArgMaxUints),
		}
	}
	chunks := (a.Cols + chunk - 1) / chunk
	if chunks == 1 {
		return []Call{call(a.X, a.To, a.Cols, true, true)}
	}
	return []Call{call(a.X, a.Scratch, a.Cols, true, false), call(a.Scratch, a.To, chunks, false, true)}
}

// topPartial is the uints that a workgroup of Top leaves of a part of a row: TopCount
// keys, as many ids, the largest float and the sum of exponentials relative to it.
const topPartial = 2*TopCount + 2

// topSizes are a workgroup of Top, how many floats of a row it takes, and how many of
// the lists that such workgroups leave.
func topSizes(f Features) (threads, chunk, lists int) {
	if f.Tensor {
		return 512, 4096, 64
	}
	return workgroup, 8 * TopCount, 8
}

// ScratchFloats is the floats of Scratch that the calls need.
func (t Top) ScratchFloats(f Features) int {
	_, chunk, lists := topSizes(f)
	parts, sum := (t.Cols+chunk-1)/chunk, 0
	for parts > 1 {
		sum += parts
		parts = (parts + lists - 1) / lists
	}
	return t.Max * sum * topPartial
}

// Calls is a call that finds the best of parts of the rows, and as many more as it takes
// to merge some of those (topSizes) at a time.
func (t Top) Calls(f Features) []Call {
	threads, size, lists := topSizes(f)
	var calls []Call
	from, room, n := t.X, t.Scratch, t.Cols
	for first := true; ; first = false {
		parts := (n + size - 1) / size
		last, to := parts == 1, room
		read, written := n, parts*topPartial
		if !first {
			read = n * topPartial
		}
		if last {
			to, written = t.To, TopUints
		}
		calls = append(calls, Call{
			Kernel:    "top",
			Constants: []uint32{uint32(threads), flag(first), flag(last)},
			Buffers:   [4]Role{Arena, Run, Out},
			Params:    []uint32{from, to, uint32(n), uint32(parts), t.Rows.times(), t.Rows.code()},
			Grid:      perGroup(t.Rows.Mul(parts), 1),
			Traffic:   bytesOf(t.Rows, read+written),
		})
		if last {
			return calls
		}
		from, n, size = room, parts, lists
		room += uint32(t.Max*parts) * topPartial
	}
}
