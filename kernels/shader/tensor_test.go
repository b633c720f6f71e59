package shader

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/ledge-run/ledge/graph/dtype"
)

// tensorValue is column i of a row of a tile, as the table at TensorF32 says.
func tensorValue(l Layout, tile []uint32, row, i int) float32 {
	t := l.tensor()
	columns := 64 * t.steps
	unit := tile[t.tile+i/columns*(t.steps*t.step+t.head):][:t.steps*t.step+t.head]
	s, c := i%columns/64, i%64
	step, head := unit[s*t.step:][:t.step], unit[t.steps*t.step:]
	g, second, j, lane := row%8, row/8, c/16, row%8*4+c%16/4
	p, e := second+c%4/2*2, c%2 // register of fragment A, element of the pair
	word := func(plane, each, n int) uint32 { return step[plane+each*lane+n] }
	bit := func(w uint32, at int) uint32 { return w >> (at % 32) & 1 }
	nibble := func(w uint32) uint32 { return w >> (4*p + 16*e) & 15 }
	code := func(w uint32) uint32 { return w >> (4 * (p/2*4 + p%2 + 2*e)) & 15 }
	byteOf := func(w uint32, n int) int { return int(w >> (8 * n) & 255) }
	fifth := func() uint32 { return bit(word(128, 1, 0), 4+p%2*4+16*e+j+p/2*8) << 4 }
	two := func() uint32 { return word(0, 2, j/2) >> (p%2*2 + j%2*4 + p/2*8 + 16*e) & 3 }
	d := func(plane int) float32 { return half(step[plane+2*g+second] >> (16 * (c / 32))) }
	block := func(plane int, q int) float32 { return d(plane) * float32(q) }
	affine := func(plane int, q uint32) float32 {
		scale, minimum := step[plane+4*g+second], step[plane+4*g+2+second]
		return float32(half(scale>>(16*(c/32)))*float32(q)) + half(minimum>>(16*(c/32)))
	}
	byte32 := func(w uint32) int { return byteOf(w, c/32+2*second) }
	lowered := func(q uint32, scale int, minimum uint32) float32 {
		w := head[32+2*g+second]
		return float32(float32(half(w)*float32(scale))*float32(q)) - float32(half(w>>16)*float32(minimum))
	}
	plain := func(scale, q int) float32 { return float32(half(head[g]>>(16*second))*float32(scale)) * float32(q) }
	scale16 := func() int { return byteOf(step[t.step-16+2*g+c/32], c/16%2*2+second) - 128 }
	switch l {
	case TensorQ4_0:
		return block(128, int(nibble(word(0, 4, j)))-8)
	case TensorQ4_1:
		return affine(128, nibble(word(0, 4, j)))
	case TensorQ5_0:
		return block(160, int(nibble(word(0, 4, j))|fifth())-16)
	case TensorQ5_1:
		return affine(160, nibble(word(0, 4, j))|fifth())
	case TensorQ8_0:
		w := step[j/2*128+4*lane+j%2*2+p/2]
		return block(256, byteOf(w, p%2+2*e)-128)
	case TensorIQ4_NL:
		return block(128, int(iq4Curve[code(word(0, 4, j))]))
	case TensorMXFP4:
		exponent := byteOf(step[128+g], c/32+2*second)
		return math.Float32frombits(uint32(exponent)<<23) * float32(mxfp4Curve[code(word(0, 4, j))])
	case TensorQ4_K, TensorQ5_K:
		q := nibble(word(0, 4, j))
		if l == TensorQ5_K {
			q |= fifth()
		}
		return lowered(q, byte32(step[t.step-8+g]), uint32(byte32(head[4*g+s])))
	case TensorQ6_K:
		h, at := word(128, 2, j/2), 4+p%2*4+16*e+j%2*2+p/2*8
		return plain(scale16(), int(nibble(word(0, 4, j))|bit(h, at)<<4|bit(h, at+1)<<5)-32)
	case TensorIQ4_XS:
		return plain(byte32(step[128+g])-128, int(iq4Curve[code(word(0, 4, j))]))
	case TensorQ2_K:
		scale := step[64+g] >> (4*j + 16*second) & 15
		return lowered(two(), int(scale), head[4*g+s]>>(4*second+j/2*16+j%2*8)&15)
	case TensorQ3_K:
		third := bit(word(64, 1, 0), 2+p%2*2+j%2*4+16*e+j/2+p/2*8)
		return plain(scale16(), int(two()|third<<2)-4)
	}
	h := half(step[128*j+4*lane+p] >> (16 * e))
	switch l {
	case TensorF32:
		h += half(step[512+128*j+4*lane+p] >> (16 * e))
		return h * math.Float32frombits(tile[row])
	case TensorBF16:
		return h * math.Float32frombits(tile[row])
	}
	return h
}

// tensorCase is rows of random bytes, whose float16 and exponents are finite.
func tensorCase(t *testing.T, d dtype.DType, rows, k int) []byte {
	t.Helper()
	r := rand.New(rand.NewPCG(uint64(d), uint64(rows*k)))
	values := make([]float32, rows*k)
	for i := range values {
		values[i] = float32(r.NormFloat64() * math.Exp(r.NormFloat64()))
	}
	size, err := d.RowBytes(k)
	if err != nil {
		t.Fatal(err)
	}
	src := make([]byte, rows*size)
	if err := dtype.Quantize(d, src, values); err != nil {
		t.Fatal(err)
	}
	if n := d.BlockLen(); n > 1 { // all bits of blocks, but of those of scales few
		keep := len(src) / (rows * k / n)
		for b := 0; b < len(src); b += keep {
			for i := range keep {
				if !tensorFloats[d](i) {
					src[b+i] = byte(r.Uint32())
				}
			}
		}
	}
	return src
}

// tensorFloats says which bytes of a block are float16 or exponents.
var tensorFloats = func() map[dtype.DType]func(i int) bool {
	first := func(n int) func(int) bool { return func(i int) bool { return i < n } }
	last := func(n int) func(int) bool { return func(i int) bool { return i >= n } }
	return map[dtype.DType]func(int) bool{
		dtype.Q4_0: first(2), dtype.Q4_1: first(4), dtype.Q5_0: first(2), dtype.Q5_1: first(4), dtype.Q8_0: first(2), dtype.IQ4_NL: first(2),
		dtype.MXFP4: first(1), dtype.Q4_K: first(4), dtype.Q5_K: first(4), dtype.Q6_K: last(208), dtype.IQ4_XS: first(2),
		dtype.Q2_K: last(80), dtype.Q3_K: last(108),
	}
}()

// TestTensorLayouts reads packed matrices of every type again, value by value.
func TestTensorLayouts(t *testing.T) {
	for i := range tensorLayouts {
		l, d := TensorF32+Layout(i), tensorLayouts[i].dtype
		ks := []int{d.BlockLen(), 3 * d.BlockLen(), 1280}
		if d.BlockLen() == 1 {
			ks = []int{1, 67, 320}
		}
		for _, k := range ks {
			for _, rows := range []int{1, 16, 37} {
				t.Run(fmt.Sprint(l, " ", rows, "x", k), func(t *testing.T) { testTensorLayout(t, l, d, rows, k) })
			}
		}
	}
}

func testTensorLayout(t *testing.T, l Layout, d dtype.DType, rows, k int) {
	src := tensorCase(t, d, rows, k)
	want := make([]float32, rows*k)
	if err := dtype.Dequantize(d, want, src); err != nil {
		t.Fatal(err)
	}
	dst := make([]uint32, l.Uints(rows, k))
	for i := range dst {
		dst[i] = 0xdeadbeef
	}
	if err := l.Pack(dst, d, src, rows, k); err != nil {
		t.Fatal(err)
	}
	for r := range rows {
		largest := 0.0
		for _, v := range want[r*k:][:k] {
			largest = max(largest, math.Abs(float64(v)))
		}
		for i := range k {
			got, want := tensorValue(l, dst[r/16*l.TileUints(k):], r%16, i), want[r*k+i]
			bound := 0.0
			switch d {
			case dtype.F32:
				bound = max(math.Abs(float64(want))*0x1p-22, largest*0x1p-40)
			case dtype.BF16:
				bound = largest * 0x1p-40
			}
			if math.Abs(float64(got)-float64(want)) > bound || got != got {
				t.Fatalf("row %d, column %d is %v, want %v", r, i, got, want)
			}
		}
		unit := l.Unit()
		for i := k; i < (k+unit-1)/unit*unit; i++ {
			if got := tensorValue(l, dst[r/16*l.TileUints(k):], r%16, i); got != 0 {
				t.Fatalf("row %d, column %d behind the last one is %v", r, i, got)
			}
		}
	}
	for r := rows; r%16 != 0; r++ {
		for i := range k {
			if got := tensorValue(l, dst[r/16*l.TileUints(k):], r%16, i); got != 0 {
				t.Fatalf("row %d, column %d below the last row is %v", r, i, got)
			}
		}
	}
}

// TestTensorTraffic holds what kernels read against the file's bytes.
func TestTensorTraffic(t *testing.T) {
	for i := range tensorLayouts {
		l, d := TensorF32+Layout(i), tensorLayouts[i].dtype
		const rows, k = 4096, 4096
		size, _ := d.RowBytes(k)
		if have, most := 4*l.Uints(rows, k), rows*size*105/100; have > most {
			t.Errorf("%v takes %d bytes, the file %d", l, have, rows*size)
		}
	}
}

// TestTensorFloats packs rows whose values are as large and as small as they can be.
func TestTensorFloats(t *testing.T) {
	inf := float32(math.Inf(1))
	for _, row := range [][]float32{
		{math.MaxFloat32, -math.MaxFloat32, 1e30}, {1e-40, -3e-39}, {0x1p-126, 0x1p-149}, {0, 0}, {inf, 1, -inf}, {float32(math.NaN()), 2},
	} {
		src, largest := make([]byte, 4*len(row)), 0.0
		for i, v := range row {
			if a := math.Abs(float64(v)); a <= math.MaxFloat32 {
				largest = max(largest, a)
			}
			binary.LittleEndian.PutUint32(src[4*i:], math.Float32bits(v))
		}
		dst := make([]uint32, TensorF32.Uints(1, len(row)))
		if err := TensorF32.Pack(dst, dtype.F32, src, 1, len(row)); err != nil {
			t.Fatal(err)
		}
		for i, want := range row {
			got := tensorValue(TensorF32, dst, 0, i)
			bound := max(math.Abs(float64(want))*0x1p-22, largest*0x1p-40, 0x1p-140)
			if got != want && !(got != got && want != want) && !(math.Abs(float64(got-want)) <= bound) {
				t.Errorf("value %d of %v is %v", i, row, got)
			}
		}
	}
}

func BenchmarkTensorPack(b *testing.B) {
	for i := range tensorLayouts {
		l, d := TensorF32+Layout(i), tensorLayouts[i].dtype
		b.Run(d.String(), func(b *testing.B) {
			const rows, k = 256, 4096
			size, _ := d.RowBytes(k)
			src, dst := make([]byte, rows*size), make([]uint32, l.Uints(rows, k))
			b.SetBytes(int64(len(src)))
			for b.Loop() {
				if err := l.Pack(dst, d, src, rows, k); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestTensorBlocks: a product of one row runs on two blocks of each multiprocessor, whose
// rings have as many stages as fit: of GPUs of data centres, of an Orin, and of desktops.
func TestTensorBlocks(t *testing.T) {
	for _, c := range []struct{ shared, k, blocks, stages int }{
		{227, 4096, 264, 4}, {227, 8192, 264, 4}, {163, 4096, 264, 3}, {163, 8192, 264, 3}, {99, 2048, 264, 2}, {99, 4096, 132, 4},
	} {
		p := Product{K: c.k, Gated: true, Act: Silu, Norm: &NormIn{Eps: 1e-5}, Rows: Rows{Count: SizeT, Times: 1, Max: 1},
			Pieces: []Piece{{Layout: TensorQ4_0, Rows: 14336}, {Layout: TensorQ4_0, At: 1 << 24, Rows: 14336}}}
		f := Features{Tensor: true, Processors: 132, SharedMost: c.shared << 10}
		calls, err := p.Calls(f, false)
		if err != nil || len(calls) != 1 {
			t.Fatal(len(calls), err)
		}
		constants := calls[0].Constants
		if grid := calls[0].Grid(Sizes{T: 1}); grid != [3]uint32{uint32(c.blocks), 1, 1} || int(constants[5]) != c.stages*f.stage(TensorQ4_0) {
			t.Errorf("%+v: a grid of %d, rings of %d uints", c, grid, constants[5])
		}
		most := f.SharedMost
		if c.blocks > 132 {
			most = sharedOfTwo(most)
		}
		if n := ProductShared(constants); n > most {
			t.Errorf("%+v: %d bytes of shared memory of %d", c, n, most)
		}
	}
}

// TestTensorStrips: matrices of several types take a call for each, one after the other,
// and of the calls for one row and for a few just one runs.
func TestTensorStrips(t *testing.T) {
	p := Product{K: 4096, Rows: Rows{Count: SizeT, Times: 1}, Pieces: []Piece{
		{Layout: TensorQ4_K, Rows: 4096}, {Layout: TensorQ4_K, At: 1 << 24, Rows: 1024}, {Layout: TensorQ6_K, At: 1 << 25, Rows: 1024}}}
	for _, most := range []int{1, 5, 512} {
		p.Rows.Max = most
		list := p.fewTensor(Features{Tensor: true, Processors: 132, SharedMost: 227 << 10})
		for n := 1; n <= min(most, Few); n++ {
			var live []int
			for i, c := range list {
				if grid := c.Grid(Sizes{T: n}); grid[0] > 0 {
					live = append(live, i)
				}
			}
			alone := len(list) == 2
			if len(live) != 2 || list[live[0]].Constants[1] == list[live[1]].Constants[1] || (most == 1) != alone {
				t.Errorf("%d rows of %d: calls %d of %d run", n, most, live, len(list))
			}
		}
		for i, c := range list {
			if second := most > 1 && i%2 == 1; c.Free != second {
				t.Errorf("of %d rows, call %d: free %v", most, i, c.Free)
			}
		}
	}
}
