package accel

import (
	"testing"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/shader"
)

// TestInPieces: what runs long is cut by its work and by the number of calls, in
// order and without loss; what a token takes is one piece.
func TestInPieces(t *testing.T) {
	product := func(bytes int64) call {
		return call{Call: shader.Call{Buffers: [4]shader.Role{shader.Weights}, Streamed: func(shader.Sizes) int64 { return bytes }}}
	}
	cache := func(bytes int64) call {
		return call{Call: shader.Call{Buffers: [4]shader.Role{shader.Arena}, Streamed: func(s shader.Sizes) int64 { return bytes * int64(s.Cached) }}}
	}
	var small []call
	for range 2*mostDispatches + 3 {
		small = append(small, call{})
	}
	const rows, pages = 512, 16
	for name, c := range map[string]struct {
		calls []call
		want  []int
	}{
		"none":        {nil, nil},
		"small calls": {small, []int{mostDispatches, mostDispatches, 3}},
		"products":    {[]call{product(mostWork / rows / 2), product(mostWork / rows / 2), {}, product(1), product(mostWork)}, []int{3, 1, 1}},
		"attention":   {[]call{cache(mostWork / rows / pages / 64), cache(1), {}}, []int{1, 2}},
	} {
		for _, many := range []bool{false, true} {
			l := &list{many: many, max: dtype.Binding{T: rows, R: 1, S: 1, P: pages}}
			var sizes []int
			at := 0
			for _, piece := range l.inPieces(c.calls) {
				sizes = append(sizes, len(piece))
				if &piece[0] != &c.calls[at] {
					t.Errorf("%s: a piece does not begin at call %d", name, at)
				}
				at += len(piece)
			}
			want := c.want
			if !many && len(c.calls) > 0 {
				want = []int{len(c.calls)}
			}
			if len(sizes) != len(want) {
				t.Errorf("%s, many %v: pieces of %v, want %v", name, many, sizes, want)
				continue
			}
			for i := range want {
				if sizes[i] != want[i] {
					t.Errorf("%s, many %v: pieces of %v, want %v", name, many, sizes, want)
				}
			}
		}
	}
}
