package selftest

import (
	bits "encoding/binary"
	"fmt"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph/dtype"
)

// TestSmallScales: a device that takes float16 numbers below the smallest normal
// one for zeros, as APIs of graphics allow, does not pass with types that have
// such scales in real models.
func TestSmallScales(t *testing.T) {
	scales := map[dtype.DType]struct{ block, at, n int }{ // bytes; float16 numbers
		dtype.Q8_0: {34, 0, 1}, dtype.Q4_K: {144, 0, 2}, dtype.Q5_K: {176, 0, 2}, dtype.Q6_K: {210, 208, 1},
	}
	for typ, where := range scales {
		for _, second := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v", typ, second), func(t *testing.T) {
				k := kind{weights: typ, cache: dtype.F16, second: second, limits: limitsOf([]int{rows})}
				g, err := k.network()
				if err != nil {
					t.Fatal(err)
				}
				specs, err := randomWeights(g, 1, spread)
				if err != nil {
					t.Fatal(err)
				}
				run := func(specs []backend.WeightSpec) []float32 {
					ref, err := NewReference(g, specs)
					if err != nil {
						t.Fatal(err)
					}
					m := &session{graph: g}
					out, err := ref.Run(m.batch(backend.Segment{Rows: rows, Pages: m.pages(0)}))
					if err != nil {
						t.Fatal(err)
					}
					return out[0]
				}
				want := run(specs)
				flushed := 0
				for i := range specs {
					if specs[i].DType != typ {
						continue
					}
					data, _, err := specs[i].Open()
					if err != nil {
						t.Fatal(err)
					}
					for b := where.at; b < len(data); b += where.block {
						for s := b; s < b+2*where.n; s += 2 {
							if h := bits.LittleEndian.Uint16(data[s:]); h&0x7fff != 0 && h&0x7c00 == 0 {
								bits.LittleEndian.PutUint16(data[s:], 0)
								flushed++
							}
						}
					}
				}
				if err := compareRows(run(specs), want); err == nil || flushed == 0 {
					t.Errorf("%d small scales were taken for zeros, and the results pass", flushed)
				}
			})
		}
	}
}
