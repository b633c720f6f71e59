package shader

import "math"

// Ints reports whether the layout's values are integers with scales, so that dot
// products of int8 and products in float16 can compute with them.
func (l Layout) Ints() bool { return l >= LayoutQ4_0 && int(l) < len(layoutNames) }

// kernel is the part's variant of a kernel.
func (a *part) kernel(float string) string {
	switch {
	case a.dot:
		return float + "_dot"
	case a.half:
		return float + "_half"
	}
	return float
}

// quantWords is what x takes as int8 of a unit of a row: 8 words, the scale, and
// the sums of both halves.
const quantWords = 10

// quantFloats is the scratch that x takes as int8 before the calls for many rows.
func (p Product) quantFloats(parts []part) int {
	if p.Rows.Max <= Few {
		return 0
	}
	for i := range parts {
		if parts[i].dot {
			return p.Rows.Max * units(p.K) * quantWords
		}
	}
	return 0
}

// quants is where it lies.
func (p Product) quants() uint32 { return p.Scratch + uint32(p.normFloats()) }

// quantize writes x as int8 in runs of many rows.
func (p Product) quantize(x uint32) Call {
	params := make([]uint32, 8)
	params[0], params[3], params[4] = uint32(p.K), x, p.quants()
	params[6], params[7] = p.Rows.params()
	n := units(p.K)
	grid := func(rows int) [3]uint32 { return byRow((n+workgroup-1)/workgroup, rows) }
	return Call{
		Kernel:    "quantize",
		Constants: []uint32{workgroup},
		Buffers:   [4]Role{None, None, Arena, Run},
		Params:    params,
		Grid:      p.between(Few+1, math.MaxInt, grid),
		Traffic: p.when(Few+1, math.MaxInt, func(s Sizes) int64 {
			return 4 * int64(p.Rows.Of(s)) * int64(p.K+n*quantWords)
		}),
		Streamed: func(Sizes) int64 { return 0 },
	}
}
