package shader

import "math"

// manyFloats is the floats of scratch that manyCalls uses.
func (p Product) manyFloats() int {
	if p.Rows.Max <= Few {
		return 0
	}
	_, end := p.prepared()
	n := int(end-p.Scratch) + 3 // Scratch may be anywhere
	if p.Gated && p.pairs() == nil {
		n += p.Rows.Max * p.matrixRows()
	}
	return n
}

// manyCalls are the calls for runs of more than Few rows on a device with
// Features.Tensor: x is normed and rounded by prepare_tensor, for each length of units
// that the matrices have, and multiplied by tile_tensor. They do nothing in other runs.
func (p Product) manyCalls(f Features) []Call {
	xs, end := p.prepared()
	var list []Call
	from := p
	for i, x := range xs {
		list = append(list, from.prepare(x))
		if i == 0 && p.Add != nil { // x' is there now
			from.X, from.Add = p.Add.Out, nil
		}
	}
	if !p.Gated {
		return append(list, p.tiles(f, xs, p.strips())...)
	}
	if strips := p.pairs(); strips != nil {
		return append(list, p.tiles(f, xs, strips)...)
	}
	plain := p
	plain.Act, plain.Gated, plain.SoftCap, plain.Residual = NoActivation, false, 0, nil
	plain.Out = end
	list = append(list, plain.tiles(f, xs, plain.strips())...)
	c := p.epilogue(plain.Out)
	grid := c.Grid
	c.Grid = func(s Sizes) [3]uint32 {
		if p.Rows.Of(s) <= Few {
			return [3]uint32{}
		}
		return grid(s)
	}
	c.Traffic = p.when(Few+1, math.MaxInt, c.Traffic)
	return append(list, c)
}

// strip is consecutive pieces of one layout and bank, which one call takes. Of a gated
// product they are gates and partners in turn, of as many rows.
type strip struct {
	pieces []Piece
	biases []uint32 // nil, or of each piece
	first  int      // of out's columns
	rows   int      // of them
}

// add takes a piece, or a pair, if the strip has room for it.
func (s *strip) add(rows int, biases []uint32, pieces ...Piece) bool {
	if n := len(s.pieces); n > 0 {
		if n+len(pieces) > callPieces || s.pieces[0].Layout != pieces[0].Layout || s.pieces[0].Bank != pieces[0].Bank {
			return false
		}
	}
	s.pieces = append(s.pieces, pieces...)
	s.biases = append(s.biases, biases...)
	s.rows += rows
	return true
}

// strips cuts the pieces into as few strips as possible.
func (p Product) strips() []strip {
	var all []strip
	first := 0
	for i, q := range p.Pieces {
		all = addTo(all, first, q.Rows, p.biasOf(i, 0), q)
		first += q.Rows
	}
	return all
}

func addTo(all []strip, first, rows int, biases []uint32, pieces ...Piece) []strip {
	if n := len(all); n > 0 && all[n-1].add(rows, biases, pieces...) {
		return all
	}
	s := strip{first: first}
	s.add(rows, biases, pieces...)
	return append(all, s)
}

// biasOf is the bias of a piece from a row on, if there are biases.
func (p Product) biasOf(piece, row int) []uint32 {
	if p.Bias == nil {
		return nil
	}
	return []uint32{p.Bias[piece] + uint32(row)}
}

// pairs cuts the pieces of a gated product so that every gate's piece has one of as
// many partners; nil, if tiles, layouts or banks forbid it.
func (p Product) pairs() []strip {
	half := p.matrixRows() / 2
	var all []strip
	// Gates are at row a of piece i, partners at row b of piece j.
	i, a, j, b := 0, 0, 0, half
	for j < len(p.Pieces) && b >= p.Pieces[j].Rows {
		b -= p.Pieces[j].Rows
		j++
	}
	for first := 0; first < half; {
		g, u := p.Pieces[i], p.Pieces[j]
		rows := min(g.Rows-a, u.Rows-b, half-first)
		if g.Layout != u.Layout || g.Bank != u.Bank || a%g.Layout.TileRows() != 0 || b%u.Layout.TileRows() != 0 {
			return nil
		}
		biases := append(p.biasOf(i, a), p.biasOf(j, b)...)
		all = addTo(all, first, rows, biases, g.part(p.K, a, rows), u.part(p.K, b, rows))
		first += rows
		if a += rows; a == g.Rows {
			i, a = i+1, 0
		}
		if b += rows; b == u.Rows {
			j, b = j+1, 0
		}
	}
	return all
}

// part is rows of a piece from one on where a tile begins.
func (q Piece) part(k, from, rows int) Piece {
	q.At += uint32(from / q.Layout.TileRows() * q.Layout.TileUints(k))
	q.Rows = rows
	return q
}

// prepare is the call of the kernel prepare_tensor.
func (p Product) prepare(x prepared) Call {
	params, _ := p.params(p.X, 0, 0, 0)
	flags := uint32(0)
	floats := p.K + 2*x.halfFloats(p.K)
	if x.sums {
		floats += x.halfFloats(p.K) / 8
	}
	if p.Norm != nil {
		params[12], params[13] = p.Norm.Weight, math.Float32bits(p.Norm.Eps)
		if p.Norm.HasWeight {
			flags |= flagNormWeight
		}
	}
	if p.Add != nil {
		params[14], params[15], params[16], params[17] = p.Add.Weight, math.Float32bits(p.Add.Eps), p.Add.Y, p.Add.Out
		if p.Add.HasWeight {
			flags |= flagAddWeight
		}
		floats += 2 * p.K
	}
	params[1], params[2] = flags, uint32(p.stride())
	params[18], params[19], params[20], params[21] = x.powers, x.at, x.halves, uint32(x.unit/tensorStep)
	return Call{
		Kernel:    "prepare_tensor",
		Constants: []uint32{prepareThreads, p.prologue(), flag(x.sums)},
		Buffers:   [4]Role{None, Vectors, Arena, Run},
		Params:    params,
		Grid:      p.between(Few+1, math.MaxInt, func(n int) [3]uint32 { return byRow(1, n) }),
		Traffic: p.when(Few+1, math.MaxInt, func(s Sizes) int64 {
			return 4 * int64(p.Rows.Of(s)) * int64(floats)
		}),
		Streamed: func(Sizes) int64 { return 0 },
	}
}

// prepareThreads are those of prepare_tensor: the norm's order of sums is for as many.
const prepareThreads = 256

// tiles are the calls of the kernel tile_tensor: for each strip one of each shape that
// some run takes.
func (p Product) tiles(f Features, xs []prepared, strips []strip) []Call {
	var list []Call
	for _, s := range strips {
		var x prepared
		for _, have := range xs {
			if have.unit == s.pieces[0].Layout.Unit() {
				x = have
			}
		}
		used := [len(tileShapes)]bool{}
		for n := Few + 1; n <= p.Rows.Max; n++ {
			used[p.shapeOf(f, s, n)] = true
		}
		for shape, is := range used {
			if is {
				c := p.tileOf(f, x, s, shape)
				c.Free = len(list) > 0
				list = append(list, c)
			}
		}
	}
	return list
}

// blocks is how many a strip has for n rows of x.
func (p Product) blocks(s strip, shape tileShape, n int) int {
	rows, step := shape.rows, 1
	if p.Gated {
		rows, step = rows/2, 2
	}
	all := 0
	for i := 0; i < len(s.pieces); i += step {
		all += (s.pieces[i].Rows + rows - 1) / rows
	}
	return all * ((n + shape.tokens - 1) / shape.tokens)
}

// shapeOf is the shape that is the fastest for n rows of x.
func (p Product) shapeOf(f Features, s strip, n int) int {
	processors, shared := f.Processors, f.SharedMost
	if processors == 0 {
		processors = someProcessors
	}
	if shared == 0 {
		shared = someShared
	}
	best, least := lastShape, math.Inf(1)
	if f.TensorBasic {
		return best
	}
	for i, shape := range tileShapes {
		if TileShared(tileConstants(s.pieces[0].Layout, i)) > shared {
			continue
		}
		rounds := (p.blocks(s, shape, n) + processors - 1) / processors
		if time := float64(rounds*shape.rows*shape.tokens) / shape.speed; time < least {
			best, least = i, time
		}
	}
	return best
}

func (p Product) tileOf(f Features, x prepared, s strip, shape int) Call {
	c := p.tensorLinear(s, x.halves)
	c.Kernel, c.Constants = "tile_tensor", tileConstants(s.pieces[0].Layout, shape)
	c.Params[2], c.Params[12], c.Params[13] = uint32(p.stride()), x.powers, x.at
	rows := x.halfFloats(p.K) // that it reads of each row of x
	if x.sums && s.pieces[0].Layout.sums() {
		rows += rows / 8
	}
	runs := func(bytes func(Sizes) int64) func(Sizes) int64 {
		return func(z Sizes) int64 {
			if n := p.Rows.Of(z); n <= Few || p.shapeOf(f, s, n) != shape {
				return 0
			}
			return bytes(z)
		}
	}
	c.Grid = func(z Sizes) [3]uint32 {
		n := p.Rows.Of(z)
		if n <= Few || p.shapeOf(f, s, n) != shape {
			return [3]uint32{}
		}
		return Groups(p.blocks(s, tileShapes[shape], n))
	}
	traffic := c.Traffic
	c.Traffic = runs(func(z Sizes) int64 { return traffic(z) + 4*int64(p.Rows.Of(z))*int64(rows) })
	c.Streamed = runs(c.Streamed)
	return c
}
