package cuda

import (
	"strings"
	"testing"

	"github.com/ledge-run/ledge/kernels/shader"
)

// TestProducts: every call of a product has a variant for the GPU that it is for, with
// no more shared memory than it has, and every variant has a call.
func TestProducts(t *testing.T) {
	used := map[string]bool{}
	for capability, shared := range map[int]int{72: 96 << 10, 75: 64 << 10, 86: 99 << 10, 87: 163 << 10, 90: 227 << 10} {
		for _, processors := range []int{1, 8, 200} {
			f := shader.Features{Tensor: true, TensorBasic: capability < TensorFrom, SharedMost: shared, Processors: processors}
			for _, p := range someProducts() {
				calls, err := p.Calls(f, true)
				if err != nil {
					t.Fatal(err)
				}
				for _, c := range calls {
					b, err := Find(c.Kernel, c.Constants, capability)
					if err != nil {
						t.Errorf("%+v: %v", p, err)
						continue
					}
					if b.Dynamic > shared {
						t.Errorf("%s for %d: a launch gives %d bytes of shared memory", b.Name, capability, b.Dynamic)
					}
					used[b.Name] = true
				}
			}
		}
	}
	for _, u := range Units() {
		for _, target := range Targets {
			name := u.Entry + "." + target.Arch
			if u.For(target) && (strings.HasPrefix(name, "product") || strings.HasPrefix(name, "tile")) && !used[name] {
				t.Errorf("nothing calls %s", name)
			}
		}
	}
}

// someProducts have every type, alone, beside others and gated, of few columns and of
// so many that shared memory does not hold x.
func someProducts() []shader.Product {
	var all []shader.Product
	layouts := len(shader.TensorNames())
	piece := func(i int) shader.Piece { return shader.Piece{Layout: shader.TensorF32 + shader.Layout(i), Rows: 512} }
	for i := range layouts {
		for _, k := range []int{256, 4096, 14336, 65536, 1 << 18} {
			p := shader.Product{K: k, Rows: shader.Rows{Count: shader.SizeT, Times: 1, Max: 512}, Pieces: []shader.Piece{piece(i)}}
			mixed, gated, both, torn := p, p, p, p
			next := (i + 1) % layouts
			mixed.Pieces = []shader.Piece{piece(i), piece(next), piece(i)}
			gated.Pieces, gated.Gated = []shader.Piece{piece(i), piece(i)}, true
			both.Pieces, both.Gated = []shader.Piece{piece(i), piece(next), piece(i), piece(next)}, true
			torn.Pieces, torn.Gated = []shader.Piece{piece(i), piece(next)}, true
			all = append(all, p, mixed, gated, both, torn)
		}
	}
	return all
}
