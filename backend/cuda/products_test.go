//go:build cuda && cgo && linux && !android && !static

package cuda

import (
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/shader"
)

// shape is a product of one row of x as a model's layers have it.
type shape struct {
	name        string
	typ         dtype.DType
	k           int
	rows        []int // of the pieces
	gated, norm bool
}

// shapes are those of Llama 3 8B, and of layers that are twice as wide.
var shapes = []shape{
	{"8b.qkv", dtype.Q4_0, 4096, []int{4096, 1024, 1024}, false, true},
	{"8b.attn_output", dtype.Q4_0, 4096, []int{4096}, false, false},
	{"8b.gate_up", dtype.Q4_0, 4096, []int{14336, 14336}, true, true},
	{"8b.down", dtype.Q4_0, 14336, []int{4096}, false, false},
	{"8b.output", dtype.Q6_K, 4096, []int{128256}, false, true},
	{"8b.qkv", dtype.Q4_K, 4096, []int{4096, 1024, 1024}, false, true},
	{"8b.gate_up", dtype.Q4_K, 4096, []int{14336, 14336}, true, true},
	{"8b.down", dtype.Q6_K, 14336, []int{4096}, false, false},
	{"wide.gate_up", dtype.Q4_0, 8192, []int{28672, 28672}, true, true},
	{"wide.down", dtype.Q4_0, 28672, []int{8192}, false, false},
	{"wide.gate_up", dtype.Q4_K, 8192, []int{28672, 28672}, true, true},
	{"wide.down", dtype.Q4_K, 28672, []int{8192}, false, false},
}

// chain is products of a shape one after the other, each with weights of its own, so
// that these come from memory and not from a cache.
type chain struct {
	d               *device
	recording       accel.Recording
	buffers         []accel.Buffer
	products, bytes int // how many, and what all of them read of weights
}

func (c *chain) close() error {
	var errs []error
	if c.recording != nil {
		errs = append(errs, c.recording.Close())
	}
	for _, b := range c.buffers {
		errs = append(errs, b.Close())
	}
	return errors.Join(errs...)
}

// run runs it once.
func (c *chain) run() error {
	f, err := c.d.Submit([]accel.Recording{c.recording}, nil)
	if err != nil {
		return err
	}
	return f.Wait()
}

// buffer allocates, and fills what it is given.
func (c *chain) buffer(what string, size int, use accel.Use, data []byte) (accel.Buffer, error) {
	b, err := c.d.Allocate(what, size, use)
	if err != nil {
		return nil, err
	}
	c.buffers = append(c.buffers, b)
	if use == accel.Upload {
		copy(b.Host(), data)
		return b, nil
	}
	for at := 0; at < size && len(data) > 0; at += len(data) {
		if err := b.Write(at, data[:min(len(data), size-at)]); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// newChain makes as many products as so many bytes of weights are, two at least, and goes
// through them until there are so many products.
func newChain(d *device, s shape, bytes, products int) (*chain, error) {
	const group = 64 // rows that are made, again and again
	f := d.Limits().Features
	layout, _ := f.LayoutOf(s.typ)
	weights, err := packed(layout, s.typ, group, s.k)
	if err != nil {
		return nil, err
	}
	room := func(rows int) int { return (rows + group - 1) / group * len(weights) / 4 }
	rows, uints := 0, 0
	for _, n := range s.rows {
		rows, uints = rows+n, uints+room(n)
	}
	different := max(2, bytes/(4*uints))
	rounds := max(1, (products+different-1)/different)
	c := &chain{d: d, products: rounds * different}
	c.bytes = c.products * 4 * uints
	fail := func(err error) (*chain, error) { return nil, errors.Join(err, c.close()) }

	x := normal(s.k)
	header := make([]byte, 4*shader.RunHeader)
	binary.LittleEndian.PutUint32(header[4*shader.RunT:], 1)
	var bound [4]accel.Buffer
	for i, b := range []struct {
		what string
		size int
		use  accel.Use
		data []byte
	}{
		{"weights", different * 4 * uints, accel.Local, slices.Repeat(weights, 1+(16<<20)/len(weights))},
		{"vectors", len(x), accel.Local, x},
		{"arena", len(x) + 4*rows, accel.Local, x},
		{"run", len(header), accel.Upload, header},
	} {
		if bound[i], err = c.buffer(b.what, b.size, b.use, b.data); err != nil {
			return fail(err)
		}
	}
	p := shader.Product{K: s.k, Rows: shader.Rows{Count: shader.SizeT, Times: 1, Max: 1}, Gated: s.gated, Out: uint32(s.k)}
	if s.norm {
		p.Norm = &shader.NormIn{HasWeight: true, Eps: 1e-5}
	}
	if s.gated {
		p.Act = shader.Silu
	}
	var list []accel.Dispatch
	var grids []byte
	for i := range c.products {
		p.Pieces = nil
		at := i % different * uints
		for _, n := range s.rows {
			p.Pieces = append(p.Pieces, shader.Piece{Layout: layout, At: uint32(at), Rows: n})
			at += room(n)
		}
		calls, err := p.Calls(f, false)
		if err != nil {
			return fail(err)
		}
		for _, call := range calls {
			program, err := d.Program(call.Kernel, call.Constants)
			if err != nil {
				return fail(err)
			}
			list = append(list, accel.Dispatch{Label: s.name, Program: program, Params: call.Params, Buffers: bound, GridAt: len(grids)})
			for _, n := range call.Grid(shader.Sizes{T: 1}) {
				grids = binary.LittleEndian.AppendUint32(grids, n)
			}
		}
	}
	grid, err := c.buffer("grids", len(grids), accel.Upload, grids)
	if err != nil {
		return fail(err)
	}
	for i := range list {
		list[i].Grid = grid
	}
	if c.recording, err = d.Record(list); err != nil {
		return fail(err)
	}
	return c, nil
}

// stored is rows of normal values as a type stores them.
func stored(typ dtype.DType, rows, k int) ([]byte, error) {
	r := rand.New(rand.NewPCG(3, uint64(k)))
	v := make([]float32, rows*k)
	for i := range v {
		v[i] = float32(r.NormFloat64()) / 64
	}
	size, err := typ.RowBytes(k)
	if err != nil {
		return nil, err
	}
	raw := make([]byte, rows*size)
	return raw, dtype.Quantize(typ, raw, v)
}

// packed is the same as a type's layout has them.
func packed(layout shader.Layout, typ dtype.DType, rows, k int) ([]byte, error) {
	raw, err := stored(typ, rows, k)
	if err != nil {
		return nil, err
	}
	to := make([]uint32, layout.Uints(rows, k))
	if err := layout.Pack(to, typ, raw, rows, k); err != nil {
		return nil, err
	}
	out := make([]byte, 0, 4*len(to))
	for _, u := range to {
		out = binary.LittleEndian.AppendUint32(out, u)
	}
	return out, nil
}

// normal is so many normal values, as bytes.
func normal(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	var out []byte
	for range n {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(r.NormFloat64())))
	}
	return out
}

// TestChain: what BenchmarkProducts measures computes what it should, on the emulated GPU.
func TestChain(t *testing.T) {
	d := opened(t, "capability=90 processors=4")
	for _, s := range []shape{
		{"plain", dtype.Q4_0, 320, []int{96, 70}, false, false},
		{"normed", dtype.Q6_K, 512, []int{130}, false, true},
	} {
		c, err := newChain(d, s, 1, 3)
		if err != nil {
			t.Fatal(err)
		}
		if c.products != 4 { // twice two
			t.Errorf("%s: %d products", s, c.products)
		}
		if err := c.run(); err != nil {
			t.Fatal(err)
		}
		rows := 0
		for _, n := range s.rows {
			rows += n
		}
		out := make([]byte, 4*rows)
		if err := c.buffers[2].Read(4*s.k, out); err != nil {
			t.Fatal(err)
		}
		got, want := floats(out), rowsBy(t, s)
		for i, x := range got {
			row := i
			if len(s.rows) > 1 && i >= s.rows[0] {
				row -= s.rows[0]
			}
			if y := want[row%64]; !(math.Abs(float64(x)-y) <= 2e-3*math.Max(1, math.Abs(y))) { // x is rounded to float16
				t.Errorf("%s: row %d is %v, not %v", s, i, x, y)
			}
		}
		if err := c.close(); err != nil {
			t.Error(err)
		}
	}
}

func floats(raw []byte) []float32 {
	out := make([]float32, len(raw)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return out
}

// rowsBy is what the first 64 rows of a shape's product come to, in float64.
func rowsBy(t *testing.T, s shape) []float64 {
	t.Helper()
	raw, err := stored(s.typ, 64, s.k)
	if err != nil {
		t.Fatal(err)
	}
	w := make([]float32, 64*s.k)
	if err := dtype.Dequantize(s.typ, w, raw); err != nil {
		t.Fatal(err)
	}
	x := floats(normal(s.k))
	factor := 1.0
	if s.norm { // whose weights are x, too
		sum := 0.0
		for _, v := range x {
			sum += float64(v) * float64(v)
		}
		factor = 1 / math.Sqrt(sum/float64(s.k)+1e-5)
	}
	out := make([]float64, 64)
	for i := range out {
		for j, v := range x {
			y := float64(v)
			if s.norm {
				y *= factor * y
			}
			out[i] += float64(w[i*s.k+j]) * y
		}
	}
	return out
}

func (s shape) String() string { return s.name + "." + s.typ.String() }

// BenchmarkProducts is how fast a GPU's products of one row read weights, by themselves:
// in chains as decoding has them, and apart, with kernels that begin when the one before
// has ended.
func BenchmarkProducts(b *testing.B) {
	d := openGPU(b)
	overlap := d.overlap
	for _, s := range shapes {
		for _, way := range []struct {
			name    string
			overlap bool
		}{{"chained", true}, {"apart", false}} {
			if way.overlap && !overlap {
				continue
			}
			b.Run(s.String()+"/"+way.name, func(b *testing.B) {
				d.overlap = way.overlap
				c, err := newChain(d, s, int(min(512<<20, d.Limits().MemoryFree/4)), 200) // in which a launch is not noticed
				if err != nil {
					b.Fatal(err)
				}
				defer c.close()
				var took []time.Duration
				for range max(b.N, 8) + 1 {
					start := time.Now()
					if err := c.run(); err != nil {
						b.Fatal(err)
					}
					took = append(took, time.Since(start))
				}
				took = took[1:] // the first builds the graph
				slices.Sort(took)
				median := took[len(took)/2].Seconds()
				b.ReportMetric(median/float64(c.products)*1e6, "us/product")
				b.ReportMetric(float64(c.bytes)/median/1e9, "GB/s")
			})
		}
	}
}
