package shader

import "math"

// Flags of linear.part.
const (
	flagNormWeight = 2
	flagAddWeight  = 8
	flagBias       = 16
	flagGated      = 32
	flagCap        = 64
	flagResidual   = 128

	actShift   = 8
	pieceShift = 16 // bit of each piece: it has the second layout
)

// callPieces is the most pieces of a call, callLayouts the most layouts.
const (
	callPieces  = 4
	callLayouts = 2
)

// part is consecutive pieces that one call takes.
type part struct {
	pieces  []Piece
	biases  []uint32 // nil, or of each piece
	first   int      // matrix rows before
	rows    int
	layouts []Layout // one or two
	dot     bool     // by dot products of int8
	half    bool     // in float16
}

// parts cuts the pieces into as few calls as possible.
func (p Product) parts(f Features) []part {
	var all []part
	first := 0
	for i, q := range p.Pieces {
		last := len(all) - 1
		dot := f.IntDot && q.Layout.Ints() && p.K%unitLen == 0
		half := f.Half && q.Layout.Ints() && !dot
		if last < 0 || all[last].dot != dot || all[last].half != half || !all[last].take(q) {
			all = append(all, part{first: first, dot: dot, half: half})
			last++
			all[last].take(q)
		}
		if p.Bias != nil {
			all[last].biases = append(all[last].biases, p.Bias[i])
		}
		first += q.Rows
	}
	return all
}

// take adds a piece if the part's call has room for it.
func (a *part) take(q Piece) bool {
	known := false
	for _, l := range a.layouts {
		known = known || l == q.Layout
	}
	if len(a.pieces) == callPieces || len(a.pieces) > 0 && a.pieces[0].Bank != q.Bank || !known && len(a.layouts) == callLayouts {
		return false
	}
	if !known {
		a.layouts = append(a.layouts, q.Layout)
	}
	a.pieces = append(a.pieces, q)
	a.rows += q.Rows
	return true
}

func (a *part) second(q Piece) bool { return len(a.layouts) == 2 && q.Layout == a.layouts[1] }

// bytes of the pieces.
func (a *part) bytes(k int) int64 {
	n := 0
	for _, q := range a.pieces {
		n += q.Rows * q.Layout.RowUints(k)
	}
	return 4 * int64(n)
}

// between is a grid for runs of so many rows, and nothing for others.
func (p Product) between(least, most int, grid func(rows int) [3]uint32) func(Sizes) [3]uint32 {
	return func(s Sizes) [3]uint32 {
		if n := p.Rows.Of(s); n >= least && n <= most {
			return grid(n)
		}
		return [3]uint32{}
	}
}

// byRow is a grid of x groups for each row, as GROUP_Z * 32768 + GROUP_Y.
func byRow(x, rows int) [3]uint32 {
	if rows < 1 {
		return [3]uint32{}
	}
	g := Groups(rows)
	return [3]uint32{uint32(x), g[0], g[1]}
}

// calls for parts whose epilogue is within them.
func (p Product) calls(f Features, parts []part, many bool) []Call {
	var list []Call
	for _, tokens := range []int{1, 4} {
		for i := range parts {
			if tokens == 1 || p.Rows.Max > 1 {
				list = append(list, p.few(f, parts[i], tokens))
			}
		}
	}
	// One of the calls does something in a run, or those for the parts, which do
	// not touch each other: one barrier is enough.
	for i := range list[1:] {
		list[1+i].Free = true
	}
	if !many || p.Rows.Max <= Few {
		return list
	}
	x, added := p.X, p.Add
	if p.Norm != nil {
		rows := Extent{Times: p.Rows.Times, Sizes: []Size{p.Rows.Count}}
		norm := func(from, to uint32, has bool, weight uint32, eps float32, add *uint32) {
			n := Norm{Kind: NormRMS, Cols: p.K, Rows: rows, X: from, Out: to, Eps: eps, Add: add}
			if has {
				n.Weight = &weight
			}
			for _, c := range n.Calls(Features{}) {
				grid, traffic := c.Grid, c.Traffic
				c.Grid = func(s Sizes) [3]uint32 {
					if p.Rows.Of(s) <= Few {
						return [3]uint32{}
					}
					return grid(s)
				}
				c.Traffic = p.when(Few+1, math.MaxInt, traffic)
				list = append(list, c)
			}
		}
		if added != nil {
			norm(x, added.Out, added.HasWeight, added.Weight, added.Eps, &added.Y)
			x = added.Out
		}
		norm(x, p.Scratch, p.Norm.HasWeight, p.Norm.Weight, p.Norm.Eps, nil)
		x = p.Scratch
	}
	free := p.Norm == nil
	if p.quantFloats(parts) > 0 {
		c := p.quantize(x)
		c.Free, free = free, false
		list = append(list, c)
	}
	for i := range parts {
		c := p.tile(parts[i], x)
		c.Free = i > 0 || free
		list = append(list, c)
	}
	return list
}

// when is n for runs of so many rows.
func (p Product) when(least, most int, n func(Sizes) int64) func(Sizes) int64 {
	return func(s Sizes) int64 {
		if rows := p.Rows.Of(s); rows < least || rows > most {
			return 0
		}
		return n(s)
	}
}

// laneShift is the logarithm of the lanes that share a row of n units: 32, or
// fewer where that leaves many of them idle. It decides the order of sums, so
// nothing but n may matter.
func laneShift(n int) uint32 {
	best, bestWork := uint32(5), float64(n)/float64((n+31)/32*32)
	for shift := uint32(4); shift >= 3; shift-- {
		lanes := 1 << shift
		if work := float64(n) / float64((n+lanes-1)/lanes*lanes); work > bestWork*1.3 {
			best, bestWork = shift, work
		}
	}
	return best
}

// few is the kernel product for runs of one row, or of 2 to Few by four.
func (p Product) few(f Features, a part, tokens int) Call {
	// Rows of an invocation: more of them read x less often, fewer give a small
	// matrix to more workgroups.
	rows := 1
	switch {
	case a.rows >= 2048:
		rows = 4
	case a.rows >= 512 || p.Gated:
		rows = 2
	}
	columns, outs := rows, a.rows
	if p.Gated {
		columns, outs = rows/2, a.rows/2
	}
	each := workgroup >> laneShift(units(p.K)) * columns
	least, most := 1, 1
	if tokens > 1 {
		least, most = 2, Few
	}
	// One row's sums of the lanes fit a subgroup's shuffles; four rows' need so many
	// of them that shared memory is faster.
	kernel, more := a.kernel("product"), []uint32(nil)
	if lanes := 1 << laneShift(units(p.K)); kernel == "product" && tokens == 1 && f.Subgroup >= lanes && f.Subgroup <= workgroup {
		kernel, more = "product_subgroup", []uint32{uint32(f.Subgroup)}
	}
	c := p.linear(kernel, a, p.X, true)
	c.Constants = append(c.Constants, uint32(rows), uint32(tokens), p.prologue())
	c.Constants = append(c.Constants, more...)
	c.Grid = p.between(least, most, func(n int) [3]uint32 {
		g := Groups((outs + each - 1) / each)
		g[2] = uint32((n + tokens - 1) / tokens)
		return g
	})
	c.Traffic, c.Streamed = p.when(least, most, c.Traffic), p.when(least, most, c.Streamed)
	return c
}

// prologue is the constant PROLOGUE.
func (p Product) prologue() uint32 {
	switch {
	case p.Add != nil:
		return 2
	case p.Norm != nil:
		return 1
	}
	return 0
}

// The rows of the matrix that a workgroup of the kernel tile takes, and those of
// the batch for each quad that an invocation has.
const tileRows, tileTokens = 64, 32

func (p Product) tile(a part, x uint32) Call {
	tiles := (a.rows + tileRows - 1) / tileRows
	quads := 1
	if p.Rows.Max > tileTokens {
		quads = 2
	}
	c := p.linear(a.kernel("tile"), a, x, false)
	c.Params[18] = p.quants()
	c.Constants = append(c.Constants, uint32(quads))
	c.Grid = p.between(Few+1, math.MaxInt, func(n int) [3]uint32 {
		g := Groups(tiles)
		g[2] = uint32((n + quads*tileTokens - 1) / (quads * tileTokens))
		return g
	})
	c.Traffic, c.Streamed = p.when(Few+1, math.MaxInt, c.Traffic), p.when(Few+1, math.MaxInt, c.Streamed)
	return c
}

// linear is what product and tile have in common: linear.part lists the parameters.
func (p Product) linear(kernel string, a part, x uint32, prologue bool) Call {
	total := p.matrixRows()
	first, rows := a.first, a.rows
	if p.Gated {
		total, rows = total/2, rows/2 // one part: first is 0
	}
	params, flags := p.params(x, p.Out+uint32(first), total, rows)
	floats := p.K + rows
	if p.Residual != nil {
		params[11] = *p.Residual + uint32(first)
		floats += rows
	}
	if prologue && p.Norm != nil {
		if p.Norm.HasWeight {
			flags |= flagNormWeight
		}
		params[12], params[13] = p.Norm.Weight, math.Float32bits(p.Norm.Eps)
		if p.Add != nil {
			if p.Add.HasWeight {
				flags |= flagAddWeight
			}
			params[14], params[15], params[16], params[17] = p.Add.Weight, math.Float32bits(p.Add.Eps), p.Add.Y, p.Add.Out
			floats += 2 * p.K
		}
	}
	end := 0
	for i := range callPieces {
		at := 20 + 3*i
		params[at] = math.MaxUint32
		if i >= len(a.pieces) {
			continue
		}
		q := a.pieces[i]
		// In uints that wrap: with the row's number times its length it is right.
		params[at+1] = q.At - uint32(end*q.Layout.RowUints(p.K))
		if a.biases != nil {
			params[at+2] = a.biases[i] - uint32(end)
		}
		if a.second(q) {
			flags |= 1 << (pieceShift + i)
		}
		if end += q.Rows; i < len(a.pieces)-1 {
			params[at] = uint32(end)
		}
	}
	params[1] = flags
	weights := a.bytes(p.K)
	return Call{
		Kernel:    kernel,
		Constants: []uint32{workgroup, uint32(a.layouts[0]), uint32(a.layouts[len(a.layouts)-1])},
		Buffers:   [4]Role{Weights, Vectors, Arena, Run},
		Bank:      a.pieces[0].Bank,
		Params:    params,
		Traffic:   func(s Sizes) int64 { return weights + 4*int64(p.Rows.Of(s))*int64(floats) },
		Streamed:  func(Sizes) int64 { return weights },
	}
}

// params are those of the epilogue, and flags.
func (p Product) params(x, out uint32, total, rows int) (params []uint32, flags uint32) {
	params = make([]uint32, 32)
	scale := p.Scale
	if scale == 0 {
		scale = 1
	}
	params[0], params[2], params[3], params[4] = uint32(p.K), laneShift(units(p.K)), x, out
	params[5], params[8] = uint32(total), uint32(rows)
	params[6], params[7] = p.Rows.params()
	params[9], params[10] = math.Float32bits(scale), math.Float32bits(p.SoftCap)
	flags = uint32(p.Act) << actShift
	if p.Bias != nil {
		flags |= flagBias
	}
	if p.Gated {
		flags |= flagGated
	}
	if p.SoftCap != 0 {
		flags |= flagCap
	}
	if p.Residual != nil {
		flags |= flagResidual
	}
	return params, flags
}

// epilogue gates rows of sums, biased and scaled, that lie at x.
func (p Product) epilogue(x uint32) Call {
	rows := p.matrixRows() / 2
	p.Bias, p.Scale = nil, 0
	params, flags := p.params(x, p.Out, rows, rows)
	floats := 3 * rows
	if p.Residual != nil {
		params[11] = *p.Residual
		floats += rows
	}
	params[1] = flags
	return Call{
		Kernel:    "epilogue",
		Constants: []uint32{workgroup},
		Buffers:   [4]Role{None, Vectors, Arena, Run},
		Params:    params,
		Grid:      func(s Sizes) [3]uint32 { return byRow((rows+workgroup-1)/workgroup, p.Rows.Of(s)) },
		Traffic:   func(s Sizes) int64 { return 4 * int64(p.Rows.Of(s)) * int64(floats) },
		Streamed:  func(Sizes) int64 { return 0 },
	}
}
