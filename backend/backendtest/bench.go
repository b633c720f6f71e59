package backendtest

import (
	"fmt"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
)

// Benchmark times single operations of the size they have in a model of about a
// billion parameters: a product with every weight type for one row and for 64,
// attention over contexts of different length, the row operations, and reading
// back. Products report the weight bytes read a second, so that one row can be
// held against the memory's speed, and the operations a second.
func Benchmark(b *testing.B, open func() (backend.Device, error)) {
	dev := mustOpen(b, open)
	const width, ffn, vocab = 2048, 5632, 32768
	for _, d := range productTypes() {
		for _, rows := range []int{1, 64} {
			c := one(graph.OpLinear, fmt.Sprintf("%s-%d-rows", d, rows), []int{rows}, func(b *graph.Builder) *graph.Node {
				return b.Linear(b.Input("x", graph.F32(T, C(width))), b.Weight("w", d, ffn, width))
			})
			size, _ := dtype.ByteSize(d, []int{ffn, width})
			benchCase(b, dev, c, prompt(rows), int64(size), 2*rows*width*ffn)
		}
	}
	for _, rows := range []int{1, 64} {
		for op, make := range map[graph.Op]func(g *graph.Builder, x *graph.Node) *graph.Node{
			graph.OpRMSNorm: func(g *graph.Builder, x *graph.Node) *graph.Node {
				return g.RMSNorm(x, g.Weight("w", dtype.F32, width), 1e-5)
			},
			graph.OpSilu:    func(g *graph.Builder, x *graph.Node) *graph.Node { return g.Add(graph.OpSilu, nil, x) },
			graph.OpGelu:    func(g *graph.Builder, x *graph.Node) *graph.Node { return g.Add(graph.OpGelu, nil, x) },
			graph.OpSoftmax: func(g *graph.Builder, x *graph.Node) *graph.Node { return g.Add(graph.OpSoftmax, nil, x) },
			graph.OpAdd:     func(g *graph.Builder, x *graph.Node) *graph.Node { return g.Add(graph.OpAdd, nil, x, x) },
		} {
			c := one(op, fmt.Sprintf("%d-rows", rows), []int{rows}, func(g *graph.Builder) *graph.Node {
				return make(g, g.Input("x", graph.F32(T, C(width))))
			})
			benchCase(b, dev, c, prompt(rows), int64(4*rows*width), 0)
		}
	}
	for _, context := range []int{64, 1024, 4096} {
		for _, rows := range []int{1, 64} {
			c := attnCase{kvHeads: 8, group: 4, keyDim: 64, cache: dtype.F16, steps: []step{{segs: []seg{{0, context - rows, rows}}}}}.build()
			c.name = fmt.Sprintf("context%d-%d-rows", context, rows)
			benchCase(b, dev, c, c.steps[0], int64(context)*8*64*2*2, 4*rows*context*32*64)
		}
	}
	for mode, name := range []string{"full", "top", "argmax"} {
		b.Run("readout/"+name, func(b *testing.B) {
			g := readoutGraph(vocab, 1)
			if why := unsupported(dev, g); why != "" {
				b.Skip(why)
			}
			m := compile(b, dev, g, nil, true)
			a := args(g, step{segs: []seg{{0, 0, 1}}, read: []int32{0}}, nil)
			o := &a.Outputs[0]
			o.Mode = backend.ReadMode(mode)
			o.IDs, o.Logits, o.LogSumExp = make([]int32, backend.TopCount), make([]float32, backend.TopCount), make([]float32, 1)
			repeat(b, m, a)
		})
	}
}

// benchCase runs one step over and over. bytes and flops are what a run reads
// and computes, 0 where that says nothing.
func benchCase(b *testing.B, dev backend.Device, c opCase, s step, bytes int64, flops int) {
	b.Run(c.op.String()+"/"+c.name, func(b *testing.B) {
		if why := unsupported(dev, c.graph); why != "" {
			b.Skip(why)
		}
		m := compile(b, dev, c.graph, weightsFor(b, c.graph, 1), true)
		b.SetBytes(bytes)
		repeat(b, m, args(c.graph, s, m.state))
		if flops > 0 {
			b.ReportMetric(float64(flops)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		}
	})
}

func repeat(b *testing.B, m *machine, a *backend.Args) {
	for range b.N {
		if err := m.submit(a); err != nil {
			b.Fatal(err)
		}
	}
}
