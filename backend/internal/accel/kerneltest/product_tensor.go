package kerneltest

import (
	"fmt"
	"testing"

	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/shader"
)

// tensorBound is the error of a product whose x is rounded to float16.
const tensorBound = 3e-7

// testTiles is testProducts for the kernels of many rows on tensor cores: every type
// and every shape of a block's tile, with ragged ends on all sides.
func testTiles(t *testing.T, api accel.API) {
	f := api.Limits().Features
	if !f.Tensor {
		t.Skip("the device has no such kernels")
	}
	ran := map[string]bool{}
	for i, c := range tileCases() {
		t.Run(c.String(), func(t *testing.T) {
			tokens := []int{33, 130, 9}[i%3]
			if c.rows[0] > 120 {
				tokens = 128
			}
			if c.rows[0] == 128 {
				tokens = 300
			}
			testTile(t, api, f, c, tokens, ran)
		})
	}
	for _, v := range shader.TileVariants() {
		if (v.Basic || !f.TensorBasic) && !ran[fmt.Sprint(v.Constants)] && !t.Failed() {
			t.Errorf("%s was not tested", v.Name)
		}
	}
}

func tileCases() []productCase {
	var all []productCase
	for i, d := range computable {
		one := []dtype.DType{d}
		ks := []int{64, 576, 1536, 2048}
		if d.BlockLen() == 256 {
			ks = []int{256, 768, 1536, 2048}
		}
		all = append(all, // four types have all widths
			productCase{k: ks[i%4], types: one, rows: []int{129}},
			productCase{k: ks[(i+2)%4], types: one, rows: []int{65}, norm: true, weighted: true},
			productCase{k: ks[1], types: one, rows: []int{70, 70}, gated: true, act: shader.Silu, bias: true})
	}
	q4, k4, two := []dtype.DType{dtype.Q4_0}, []dtype.DType{dtype.Q4_K}, []dtype.DType{dtype.Q4_K, dtype.Q6_K}
	return append(all,
		productCase{k: 64, types: q4, rows: []int{128}},
		productCase{k: 256, types: k4, rows: []int{128}, norm: true},
		productCase{k: 256, types: two, rows: []int{130, 30}, norm: true, weighted: true, add: true, bias: true, residual: true, scale: 0.5},
		productCase{k: 320, types: []dtype.DType{dtype.Q4_0, dtype.F16}, rows: []int{40, 40}, gated: true, act: shader.GeluErf, softCap: 2, residual: true},
		productCase{k: 256, types: []dtype.DType{dtype.Q4_K, dtype.Q8_0}, rows: []int{20, 30}, bias: true},                                               // two lengths of units
		productCase{k: 256, types: []dtype.DType{dtype.Q4_K, dtype.Q8_0}, rows: []int{20, 30}, norm: true, add: true},                                    // and x' in between
		productCase{k: 64, types: q4, rows: []int{160}, gated: true, act: shader.Gelu},                                                                   // one matrix, in halves
		productCase{k: 64, types: q4, rows: []int{46}, gated: true, act: shader.Gelu},                                                                    // that tiles do not have
		productCase{k: 256, types: k4, rows: []int{64, 40, 64, 40}, banks: []int{0, 1, 0, 1}, gated: true, act: shader.Silu, bias: true, residual: true}, // torn by banks
		productCase{k: 64, types: q4, rows: []int{32, 64, 48, 48}, gated: true, bias: true},                                                              // and by pieces
		productCase{k: 64, types: q4, rows: []int{17, 1, 30, 4, 200, 5}, bias: true},
	)
}

// testTile runs a product by the shapes of tiles that GPUs of one processor, of some, and
// of very many take, and adds to seen which ones these were.
func testTile(t *testing.T, api accel.API, f shader.Features, c productCase, tokens int, seen map[string]bool) {
	b := newBench(t, c, f, tokens)
	m := New(t, api)
	m.Put(shader.Weights, 0, b.banks[0])
	m.Put(shader.Weights, 1, b.banks[1])
	m.Put(shader.Vectors, 0, Bits(append(b.vectors, 0)))
	p := b.product
	out, added := b.want(tokens, false)
	var first []uint32
	ran := map[string]bool{}
	run := func(calls []shader.Call, rows int) []uint32 {
		b.arena.Load(m)
		m.Do(shader.Sizes{T: rows}, calls...)
		b.arena.Check(m)
		return m.Get(shader.Arena, 0)
	}
	for _, processors := range []int{1, 8, 4000} {
		f.Processors, f.SharedMost = processors, 227<<10
		calls, err := p.Calls(f, true)
		if err != nil {
			t.Fatal(err)
		}
		s := shader.Sizes{T: tokens}
		var live []shader.Call
		shapes := ""
		for _, call := range calls {
			if call.Grid(s) == [3]uint32{} {
				continue
			}
			call.Free = false // the call before it may be one that is left out
			live = append(live, call)
			if call.Kernel == "tile_tensor" {
				shapes += fmt.Sprint(call.Constants)
				seen[fmt.Sprint(call.Constants)] = true
			}
		}
		if shapes == "" {
			t.Fatalf("%d processors: nothing multiplies %d rows", processors, tokens)
		}
		if ran[shapes] {
			continue
		}
		ran[shapes] = true
		all := run(live, tokens)
		if first == nil {
			first = all
			Near(t, shapes, ToFloats(all[p.Out:][:len(out)]), out, tensorBound)
			if c.add {
				Near(t, "x with y added", ToFloats(all[p.Add.Out:][:len(added)]), added, 1e-12)
			}
			continue
		}
		Same(t, shapes+" beside the first shape", all[p.Out:][:len(out)], first[p.Out:][:len(out)])
	}
	few, err := p.Calls(f, false)
	if err != nil {
		t.Fatal(err)
	}
	Same(t, "3 rows beside many", run(few, 3)[p.Out:][:3*b.cols], first[p.Out:][:3*b.cols])
}
