package shader_test

import (
	"slices"
	"testing"

	"github.com/ledge-run/ledge/kernels/shader"
)

// TestDotCalls: with int8, matrices of integers and of floats never share a call, x
// is quantised once before those for many rows, and only in runs of many.
func TestDotCalls(t *testing.T) {
	p := shader.Product{
		K: 64, Rows: shader.Rows{Count: shader.SizeT, Times: 1, Max: 20},
		Pieces: []shader.Piece{{Layout: shader.LayoutQ4_0, Rows: 8}, {Layout: shader.LayoutF16, Rows: 8}, {Layout: shader.LayoutQ8_0, Rows: 8}},
	}
	kernels := func(f shader.Features, rows int) (all []string) {
		calls, err := p.Calls(f, true)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range calls {
			if g := c.Grid(shader.Sizes{T: rows}); g[0]*g[1]*g[2] > 0 {
				all = append(all, c.Kernel)
			}
		}
		return all
	}
	dot, float := shader.Features{IntDot: true}, shader.Features{}
	for _, c := range []struct {
		f    shader.Features
		rows int
		want []string
	}{
		{dot, 1, []string{"product_dot", "product", "product_dot"}},
		{dot, 5, []string{"product_dot", "product", "product_dot"}},
		{dot, 20, []string{"quantize", "tile_dot", "tile", "tile_dot"}},
		{float, 1, []string{"product", "product"}},
		{float, 20, []string{"tile", "tile"}},
	} {
		if have := kernels(c.f, c.rows); !slices.Equal(have, c.want) {
			t.Errorf("%d rows, int8 %v: %v, want %v", c.rows, c.f.IntDot, have, c.want)
		}
	}
	if have, want := p.ScratchFloats(dot), 20*2*10; have != want {
		t.Errorf("scratch of %d floats, want %d", have, want)
	}
	if have := p.ScratchFloats(float); have != 0 {
		t.Errorf("scratch of %d floats without int8", have)
	}
	p.Pieces, p.K = p.Pieces[:1], 65 // no whole units: in floats
	if have := kernels(dot, 20); !slices.Equal(have, []string{"tile"}) {
		t.Errorf("65 columns: %v", have)
	}
}
