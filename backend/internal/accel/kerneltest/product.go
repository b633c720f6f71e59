package kerneltest

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/ref"
	"github.com/ledge-run/ledge/kernels/shader"
)

// productCase is a product of pieces with what is fused into it.
type productCase struct {
	k     int
	types []dtype.DType // of the pieces, in turn
	rows  []int
	banks []int // of the pieces; nil for one bank

	norm, weighted, add, bias, gated, residual bool
	scale, softCap                             float32
	large                                      float32 // factor of x; 0 means 1
	act                                        shader.Activation
}

func (c productCase) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "k%d", c.k)
	for i, n := range c.rows {
		fmt.Fprintf(&b, ",%v-%d", c.types[i%len(c.types)], n)
	}
	for _, s := range []struct {
		on   bool
		name string
	}{{c.banks != nil, "banks"}, {c.norm, "norm"}, {c.weighted, "weighted"}, {c.add, "add"}, {c.bias, "bias"}, {c.gated, "gated"},
		{c.residual, "residual"}, {c.scale != 0, "scale"}, {c.softCap != 0, "cap"}, {c.large != 0, fmt.Sprint("x", c.large)}, {c.act != 0, fmt.Sprint("act", c.act)}} {
		if s.on {
			b.WriteString("," + s.name)
		}
	}
	return b.String()
}

var computable = []dtype.DType{dtype.F32, dtype.F16, dtype.BF16, dtype.Q4_0, dtype.Q4_1, dtype.Q5_0, dtype.Q5_1, dtype.Q8_0,
	dtype.Q2_K, dtype.Q3_K, dtype.Q4_K, dtype.Q5_K, dtype.Q6_K, dtype.IQ4_NL, dtype.IQ4_XS, dtype.MXFP4}

func productCases() []productCase {
	var all []productCase
	for _, d := range computable {
		ks := []int{32, 576, 1536}
		switch d.BlockLen() {
		case 1:
			ks = []int{1, 33, 100, 576}
		case 256:
			ks = []int{256, 768, 2304}
		}
		for _, k := range ks {
			all = append(all, productCase{k: k, types: []dtype.DType{d}, rows: []int{70}})
		}
	}
	q8, q4, mixed := []dtype.DType{dtype.Q8_0}, []dtype.DType{dtype.Q4_0}, []dtype.DType{dtype.Q5_0, dtype.Q5_0, dtype.Q8_0}
	several := []dtype.DType{dtype.F32, dtype.Q4_1, dtype.F16, dtype.Q8_0}
	for act := shader.NoActivation; act <= shader.Relu; act++ {
		all = append(all,
			productCase{k: 64, types: q8, rows: []int{33}, act: act, scale: 0.5, bias: true},
			productCase{k: 64, types: mixed, rows: []int{21, 21}, act: act, gated: true, norm: true, weighted: true},
			productCase{k: 96, types: q4, rows: []int{600, 600}, act: act, gated: true, bias: true, softCap: 3, residual: true},
		)
	}
	return append(all,
		productCase{k: 576, types: mixed, rows: []int{576, 192, 192}, norm: true, weighted: true},
		productCase{k: 576, types: mixed, rows: []int{57, 19, 20}, norm: true, weighted: true, add: true, bias: true},
		productCase{k: 96, types: mixed, rows: []int{2000, 100, 57}, norm: true, bias: true, residual: true},
		productCase{k: 160, types: q4, rows: []int{96}, norm: true, add: true},
		productCase{k: 64, types: q8, rows: []int{46}, gated: true, act: shader.Silu},
		productCase{k: 64, types: q8, rows: []int{1}, norm: true, weighted: true},
		productCase{k: 64, types: mixed, rows: []int{7, 3, 2, 10, 4, 8}, bias: true, scale: 2, softCap: 4, residual: true},
		productCase{k: 64, types: several, rows: []int{17, 1, 30, 4}, bias: true, norm: true, weighted: true, add: true},
		productCase{k: 64, types: several, rows: []int{17, 1, 30, 4}, gated: true, bias: true, scale: 2, act: shader.Gelu, residual: true, softCap: 2, norm: true, weighted: true},
		productCase{k: 64, types: q8, rows: []int{30, 30}, banks: []int{0, 1}, gated: true, act: shader.Silu},
		productCase{k: 64, types: q8, rows: []int{30, 31, 9}, banks: []int{1, 1, 0}, bias: true},
		productCase{k: 32, types: q4, rows: []int{300000}},
		productCase{k: 8448, types: q4, rows: []int{20}, norm: true, weighted: true}, // more than registers hold of x
		productCase{k: 16640, types: q4, rows: []int{20}, residual: true},
	)
}

// bench is a product with its operands in a machine's buffers.
type bench struct {
	c       productCase
	f       shader.Features
	product shader.Product
	arena   Arena
	values  [][]float32 // of the pieces
	vectors []float32
	banks   [2][]uint32
	x, y, r []float32
	cols    int
}

// blocks are rows x k normal values as type d stores them, and those values.
func blocks(d dtype.DType, rows, k int, seed ...int) ([]byte, []float32, error) {
	v := random(newRand(seed...), rows*k)
	for i := range v {
		v[i] /= float32(math.Sqrt(float64(k)))
	}
	size, err := d.RowBytes(k)
	if err != nil {
		return nil, nil, err
	}
	raw := make([]byte, rows*size)
	if err := dtype.Quantize(d, raw, v); err != nil {
		return nil, nil, err
	}
	return raw, v, dtype.Dequantize(d, v, raw)
}

// piece packs a matrix into a bank, behind a gap.
func piece(f shader.Features, bank *[]uint32, number int, d dtype.DType, raw []byte, rows, k int) (shader.Piece, error) {
	l, _ := f.LayoutOf(d)
	*bank = append(*bank, Unset(gap)...)
	if l.Tensor() { // which is read by 16 bytes
		*bank = append(*bank, Unset(-len(*bank)&3)...)
	}
	p := shader.Piece{Layout: l, Bank: number, At: uint32(len(*bank)), Rows: rows}
	dst := make([]uint32, l.Uints(rows, k))
	err := l.Pack(dst, d, raw, rows, k)
	*bank = append(*bank, dst...)
	return p, err
}

func (b *bench) vector(n int, seed int) uint32 {
	at := len(b.vectors)
	b.vectors = append(b.vectors, random(newRand(n, seed), n)...)
	return uint32(at)
}

func newBench(t *testing.T, c productCase, f shader.Features, tokens int) *bench {
	b := &bench{c: c, f: f}
	p := &b.product
	p.K, p.Scale, p.Act, p.Gated, p.SoftCap = c.k, c.scale, c.act, c.gated, c.softCap
	p.Rows = shader.Rows{Count: shader.SizeT, Times: 1, Max: tokens}
	for i, n := range c.rows {
		d, bank := c.types[i%len(c.types)], 0
		if c.banks != nil {
			bank = c.banks[i]
		}
		raw, v, err := blocks(d, n, c.k, i, n, c.k)
		if err != nil {
			t.Fatal(err)
		}
		q, err := piece(f, &b.banks[bank], bank, d, raw, n, c.k)
		if err != nil {
			t.Fatal(err)
		}
		p.Pieces = append(p.Pieces, q)
		b.values = append(b.values, v)
		if c.bias {
			p.Bias = append(p.Bias, b.vector(n, i))
		}
		b.cols += n
	}
	if c.gated {
		b.cols /= 2
	}
	b.x = random(newRand(c.k), tokens*c.k)
	if c.large != 0 {
		// Units of very different sizes beside each other, and elements in them.
		for i := range b.x {
			b.x[i] *= c.large
			if i/32%3 == 1 {
				b.x[i] *= 1e-3
			}
			if i%32 == 5 {
				b.x[i] *= 100
			}
		}
	}
	p.X = b.arena.Value(b.x)
	if c.norm {
		p.Norm = &shader.NormIn{HasWeight: c.weighted, Eps: 1e-5}
		if c.weighted {
			p.Norm.Weight = b.vector(c.k, 100)
		}
	}
	if c.add {
		b.y = random(newRand(c.k, 2), tokens*c.k)
		p.Add = &shader.AddIn{HasWeight: true, Weight: b.vector(c.k, 101), Eps: 1e-6, Y: b.arena.Value(b.y), Out: b.arena.Room(tokens * c.k)}
	}
	if c.residual {
		b.r = random(newRand(c.k, 3), tokens*b.cols)
		at := b.arena.Value(b.r)
		p.Residual = &at
	}
	p.Out = b.arena.Room(tokens * b.cols)
	p.Scratch = b.arena.Room(p.ScratchFloats(f))
	return b
}

var activations = map[shader.Activation]func(float64) float64{
	shader.NoActivation: func(x float64) float64 { return x },
	shader.Silu:         ref.Silu, shader.Gelu: ref.Gelu, shader.GeluErf: ref.GeluErf, shader.Relu: ref.Relu,
}

// want is the result for the first rows, and x' of the added norm. With rounded, x
// is what the products by int8, or those on tensor cores, make of it.
func (b *bench) want(rows int, rounded bool) (out, added []float32) {
	c, p := b.c, b.product
	x := append([]float32(nil), b.x[:rows*c.k]...)
	if c.add {
		ref.RMSNorm(x, x, b.vectors[p.Add.Weight:][:c.k], c.k, p.Add.Eps)
		for i := range x {
			x[i] += b.y[i]
		}
		added = append(added, x...)
	}
	if c.norm {
		var w []float32
		if c.weighted {
			w = b.vectors[p.Norm.Weight:][:c.k]
		}
		ref.RMSNorm(x, x, w, c.k, p.Norm.Eps)
	}
	total := 0
	for _, n := range c.rows {
		total += n
	}
	q := x
	if rounded && !b.f.Tensor {
		q = roundQ8(x)
	}
	z := make([]float64, rows*total)
	first := 0
	for i, n := range c.rows {
		part, x := make([]float32, rows*n), x
		if rounded && p.Pieces[i].Layout.Tensor() {
			x = roundF16(x, c.k, p.Pieces[i].Layout.Unit(), c.norm)
		} else if p.Pieces[i].Layout.Ints() {
			x = q
		}
		ref.Linear(part, x, b.values[i], rows, n, c.k)
		for j, v := range part {
			f := float64(v)
			if c.bias {
				f += float64(b.vectors[int(p.Bias[i])+j%n])
			}
			if c.scale != 0 {
				f *= float64(c.scale)
			}
			z[j/n*total+first+j%n] = f
		}
		first += n
	}
	for t := range rows {
		for j := range b.cols {
			v := activations[c.act](z[t*total+j])
			if c.gated {
				v *= z[t*total+b.cols+j]
			}
			if c.softCap != 0 {
				v = ref.SoftCap(float64(c.softCap))(v)
			}
			if c.residual {
				v += float64(b.r[t*b.cols+j])
			}
			out = append(out, float32(v))
		}
	}
	return out, added
}

// testProducts compares with the reference, and all numbers of rows with each
// other: a row has the same bits whatever stands beside it.
func testProducts(t *testing.T, api accel.API) {
	f := api.Limits().Features
	f.IntDot = false
	for _, c := range productCases() {
		t.Run(c.String(), func(t *testing.T) { testProduct(t, api, f, c) })
	}
}

func testProduct(t *testing.T, api accel.API, f shader.Features, c productCase) {
	tokens, checked := 41, 41
	switch {
	case len(c.rows) == 1 && c.rows[0] > 100000:
		tokens, checked = 9, 1 // a big grid
	case c.bias:
		tokens, checked = 20, 20 // smaller tiles
	}
	b := newBench(t, c, f, tokens)
	m := New(t, api)
	m.Put(shader.Weights, 0, b.banks[0])
	m.Put(shader.Weights, 1, b.banks[1])
	m.Put(shader.Vectors, 0, Bits(b.vectors))
	b.arena.Load(m)
	p := b.product
	many, err := p.Calls(f, true)
	if err != nil {
		t.Fatal(err)
	}
	few, err := p.Calls(f, false)
	if err != nil {
		t.Fatal(err)
	}
	m.Do(shader.Sizes{T: tokens}, many...)
	b.arena.Check(m)
	all := m.Get(shader.Arena, 0)
	out, added := b.want(checked, f.IntDot || f.Tensor)
	got := ToFloats(all[p.Out:][:checked*b.cols])
	bound := b.bound(f)
	if f.IntDot {
		// Where the norm's last bit differs, an activation may round to the other side.
		bound = max(bound, 1e-6)
		exact, _ := b.want(checked, false)
		Near(t, "many rows against x that is not rounded", got, exact, 5e-4)
	}
	Near(t, "many rows", got, out, bound)
	if c.add {
		Near(t, "x with y added", ToFloats(all[p.Add.Out:][:len(added)]), added, 1e-12)
	}
	for _, n := range []int{1, 2, 5, 8} {
		b.arena.Load(m)
		list := few
		if n == 2 {
			list = many // whose calls for few rows do the work
		}
		m.Do(shader.Sizes{T: n}, list...)
		b.arena.Check(m)
		got := m.Get(shader.Arena, 0)
		Same(t, fmt.Sprint(n, " rows beside many"), got[p.Out:][:n*b.cols], all[p.Out:][:n*b.cols])
		if c.add {
			Same(t, fmt.Sprint("x' of ", n, " rows"), got[p.Add.Out:][:n*c.k], all[p.Add.Out:][:n*c.k])
		}
		if f.Tensor && (n == 1 || n == 5) { // a few blocks have all tiles, one after the other
			alone := f
			alone.Processors = 1
			list, err := p.Calls(alone, false)
			if err != nil {
				t.Fatal(err)
			}
			b.arena.Load(m)
			m.Do(shader.Sizes{T: n}, list...)
			b.arena.Check(m)
			Same(t, fmt.Sprint(n, " rows by few blocks beside many"), m.Get(shader.Arena, 0)[p.Out:][:n*b.cols], all[p.Out:][:n*b.cols])
		}
		if i := int(p.Out) + n*b.cols; n*b.cols < tokens*b.cols && got[i] != unset {
			t.Errorf("%d rows: a row more was written", n)
		}
	}
}

// testEmbed compares with dtype.Dequantize, bit by bit, where layouts hold all bits.
func testEmbed(t *testing.T, api accel.API) {
	for _, d := range computable {
		for _, k := range []int{d.BlockLen(), 3 * d.BlockLen(), 5 * d.BlockLen()} {
			t.Run(fmt.Sprintf("%v-%d", d, k), func(t *testing.T) {
				m := New(t, api)
				rows := []int{37, 20}
				var values []float32
				e := shader.Embed{K: k, IDs: 20}
				var banks [2][]uint32
				for i, n := range rows {
					raw, v, err := blocks(d, n, k, i, k)
					if err != nil {
						t.Fatal(err)
					}
					values = append(values, v...)
					q, err := piece(api.Limits().Features, &banks[i], i, d, raw, n, k)
					if err != nil {
						t.Fatal(err)
					}
					e.Pieces = append(e.Pieces, q)
					m.Put(shader.Weights, i, banks[i])
				}
				ids := []uint32{0, 36, 37, 56, 5, 5, 57, math.MaxUint32, 12}
				e.Rows = shader.Rows{Count: shader.SizeT, Times: 1, Max: len(ids)}
				var a Arena
				e.Out = a.Room(len(ids) * k)
				a.Load(m)
				m.Put(shader.Run, 0, append(make([]uint32, e.IDs), ids...))
				calls, err := e.Calls(api.Limits().Features)
				if err != nil {
					t.Fatal(err)
				}
				m.Do(shader.Sizes{T: len(ids)}, calls...)
				a.Check(m)
				got := m.Get(shader.Arena, 0)[e.Out:]
				for i, id := range ids {
					want := Unset(k) // no such row
					if int64(id) < int64(len(values)/k) {
						want = Bits(values[int(id)*k:][:k])
					}
					if d == dtype.F32 && api.Limits().Tensor && int64(id) < int64(len(values)/k) {
						// Two float16 hold 22 bits of a value.
						Near(t, fmt.Sprint("row ", id), ToFloats(got[i*k:][:k]), ToFloats(want), 1e-13)
						continue
					}
					Same(t, fmt.Sprint("row ", id), got[i*k:][:k], want)
				}
			})
		}
	}
}
