package shader

import (
	"math"
)

// Kernels product_tensor: their constants are the threads of a block, the type (a layout's
// number from TensorF32 on), the most rows of x (1 or Few), the tiles of an item, the columns
// of x that a warp holds at a time, and the uints of a warp's ring of weights on their way
// (product_stream.h).
const productThreads = 256

// ProductVariant is constants that the kernel product_tensor is compiled for.
type ProductVariant struct {
	Name        string
	Basic       bool   // for devices with Features.TensorBasic; else for those without
	Type, NT, R uint32 // as product.cu has them
}

// ProductVariants lists all of them.
func ProductVariants() []ProductVariant {
	var all []ProductVariant
	for i, name := range TensorNames() {
		for _, v := range []ProductVariant{
			{Name: "1", NT: 1, R: 1}, {Name: "1x2", NT: 1, R: 2}, {Name: "8x2", NT: Few, R: 2}, {Name: "8", NT: Few, R: 1, Basic: true},
		} {
			v.Name, v.Type = name+"_"+v.Name, uint32(i)
			all = append(all, v)
		}
	}
	return all
}

// Worst is the constants of a variant's calls that take the most shared memory on a
// device with so much for a block (Features.SharedMost).
func (v ProductVariant) Worst(most int) []uint32 {
	c := []uint32{productThreads, v.Type, v.NT, v.R, 0}
	for c[4] = 512; ProductShared(c) <= most; c[4] += 256 {
	}
	c[4] -= 256
	return c
}

// Memory is the bytes that a variant's sums and factors take of ProductShared, and Stage
// the uints of a stage of its ring; 0 for one that has none.
func (v ProductVariant) Memory() int { return 4 * productFloats(int(v.NT), int(v.R)) }
func (v ProductVariant) Stage() int {
	return Features{TensorBasic: v.Basic}.stage(TensorF32 + Layout(v.Type))
}

// productFloats are those of product.cu's Memory, which keeps what follows on lines of 128 bytes.
func productFloats(nt, r int) int {
	buffers := 2
	if nt > 1 {
		buffers = 1
	}
	return (2*nt + 8*nt + 8 + buffers*8*16*r*nt + 31) &^ 31
}

// ProductShared is the bytes of shared memory that the kernel product_tensor wants with
// these constants; product.cu says what lies there.
func ProductShared(c []uint32) int {
	nt, r, columns := int(c[2]), int(c[3]), int(c[4])
	pad := 0
	if nt > 1 {
		pad = 16
	}
	bytes := 4*productFloats(nt, r) + 4*8*nt*(columns/2+pad+columns/16)
	if len(c) > 5 {
		bytes += 4 * 8 * int(c[5])
	}
	return bytes
}

// tensorFloats is ScratchFloats for devices with tensor cores.
func (p Product) tensorFloats(f Features) int {
	n := p.manyFloats()
	if p.Gated && (f.TensorBasic || p.pairs() == nil) {
		n = max(n, min(p.Rows.Max, Few)*p.matrixRows())
	}
	return n
}

// tensorCalls is Calls for devices with tensor cores.
func (p Product) tensorCalls(f Features, many bool) []Call {
	list := p.fewTensor(f)
	if many && p.Rows.Max > Few {
		list = append(list, p.manyCalls(f)...)
	}
	return list
}

// fewTensor are the calls for runs of up to Few rows.
func (p Product) fewTensor(f Features) []Call {
	strips := p.strips()
	if p.Gated {
		if strips = p.pairs(); strips == nil || f.TensorBasic {
			plain := p
			plain.Act, plain.Gated, plain.SoftCap, plain.Residual = NoActivation, false, 0, nil
			plain.Out = p.Scratch
			c := p.epilogue(plain.Out)
			grid := c.Grid
			c.Grid = func(s Sizes) [3]uint32 {
				if p.Rows.Of(s) > Few {
					return [3]uint32{}
				}
				return grid(s)
			}
			c.Traffic = p.when(1, Few, c.Traffic)
			return append(plain.fewTensor(f), c)
		}
	}
	var list []Call
	if f.TensorBasic {
		for _, s := range strips {
			list = append(list, p.fewOf(f, s, Few, 1, Few))
		}
		return free(list)
	}
	// Strips come one after the other, though they do not touch each other: from sm_90 on a
	// kernel can begin before the one before it has ended, if that is one.
	for _, s := range strips {
		_, whole := p.columns(f, s.pieces[0].Layout, 1, 2) // for one row all of x has to be there
		switch {
		case !whole:
			list = append(list, p.fewOf(f, s, Few, 1, Few))
		case p.Rows.Max > 1:
			list = append(list, free([]Call{p.fewOf(f, s, 1, 1, 1), p.fewOf(f, s, Few, 2, Few)})...)
		default:
			list = append(list, p.fewOf(f, s, 1, 1, 1))
		}
	}
	return list
}

// free has one barrier before calls of which one does something in a run, or which do not
// touch each other.
func free(list []Call) []Call {
	for i := range list[1:] {
		list[1+i].Free = true
	}
	return list
}

// fewOf is a call of the kernel product_tensor for nt rows of x, in runs of so many.
func (p Product) fewOf(f Features, s strip, nt, least, most int) Call {
	layout, typ := s.pieces[0].Layout, uint32(s.pieces[0].Layout-TensorF32)
	processors := f.Processors
	if processors == 0 {
		processors = someProcessors
	}
	r, own := 1, 1 // tiles of an item, and those of them that are stored
	switch {
	case p.Gated:
		r = 2
	case nt > 1 && !f.TensorBasic: // x is read once for both
		r, own = 2, 2
	}
	items := s.items(p.Gated, own)
	c := p.tensorLinear(s, p.X)
	c.Kernel = "product_tensor"
	columns, _ := p.columns(f, layout, nt, r)
	c.Constants = []uint32{productThreads, typ, uint32(nt), uint32(r), columns, 0}
	ring, resident := f.ring(layout, c.Constants)
	c.Constants[5] = ring
	c.Params[2], c.Params[18] = uint32(items), p.prologue()
	floats := p.K
	if p.Norm != nil {
		if p.Norm.HasWeight {
			c.Params[1] |= flagNormWeight
		}
		c.Params[12], c.Params[13] = p.Norm.Weight, math.Float32bits(p.Norm.Eps)
	}
	if p.Add != nil {
		if p.Add.HasWeight {
			c.Params[1] |= flagAddWeight
		}
		c.Params[14], c.Params[15], c.Params[16], c.Params[17] = p.Add.Weight, math.Float32bits(p.Add.Eps), p.Add.Y, p.Add.Out
		floats += 2 * p.K
	}
	blocks := min(items, resident*processors)
	traffic, streamed := c.Traffic, c.Streamed
	c.Grid = p.between(least, most, func(int) [3]uint32 { return [3]uint32{uint32(blocks), 1, 1} })
	c.Traffic = p.when(least, most, func(z Sizes) int64 { return traffic(z) + 4*int64(p.Rows.Of(z))*int64(floats) })
	c.Streamed = p.when(least, most, streamed)
	return c
}

// columns is how many columns of x a warp holds, and whether these are all of its slice:
// if there is room for them.
func (p Product) columns(f Features, l Layout, nt, r int) (columns uint32, all bool) {
	shared, unit := f.sharedMost(), l.Unit()
	units, slices := (p.K+unit-1)/unit, Slices(p.K, unit)
	bytes := func(columns uint32) int {
		return ProductShared([]uint32{productThreads, 0, uint32(nt), uint32(r), columns, uint32(f.stage(l))})
	}
	columns = uint32((units+slices-1)/slices*unit+255) / 256 * 256
	if bytes(columns) <= shared {
		return columns, true
	}
	for columns = 256; bytes(columns+256) <= sharedOfTwo(shared); columns += 256 {
	}
	return columns, false
}

// items is how many a strip has, of so many tiles of out's rows.
func (s strip) items(gated bool, tiles int) int {
	n, step := 0, 1
	if gated {
		step = 2
	}
	for i := 0; i < len(s.pieces); i += step {
		n += (s.pieces[i].Rows + tensorRows*tiles - 1) / (tensorRows * tiles)
	}
	return n
}

// tensorLinear is what kernels on tensor cores have in common: linear.h lists the
// parameters. Its traffic is that of the weights, of out and of what is added to it.
func (p Product) tensorLinear(s strip, x uint32) Call {
	total := p.matrixRows()
	if p.Gated {
		total /= 2
	}
	params, flags := p.params(x, p.Out+uint32(s.first), total, s.rows)
	floats := s.rows
	if p.Residual != nil {
		params[11] = *p.Residual + uint32(s.first)
		floats += s.rows
	}
	end, weights := 0, int64(0)
	for i := range callPieces {
		at := 20 + 3*i
		if i < len(s.pieces) {
			q := s.pieces[i]
			weights += 4 * int64(q.Layout.Uints(q.Rows, p.K))
			params[at+1] = q.At
			begin := end
			if p.Gated && i%2 == 1 {
				begin -= q.Rows
			} else {
				end += q.Rows
			}
			if s.biases != nil {
				params[at+2] = s.biases[i] - uint32(begin) // wraps; with the row it is right
			}
		}
		params[at] = uint32(end)
	}
	params[1] = flags
	return Call{
		Buffers:  [4]Role{Weights, Vectors, Arena, Run},
		Bank:     s.pieces[0].Bank,
		Params:   params,
		Traffic:  func(z Sizes) int64 { return weights + 4*int64(p.Rows.Of(z))*int64(floats) },
		Streamed: func(Sizes) int64 { return weights },
	}
}
