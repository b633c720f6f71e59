package cpu

import (
	"strings"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
)

// TestCacheSize: a page takes what the declaration says a token takes, in q8_0
// 8.5 bits an element; and its layout names the type.
func TestCacheSize(t *testing.T) {
	d, err := Open(backend.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	const heads, dim, layers = 3, 64, 5
	for typ, bits := range map[dtype.DType]int{dtype.F32: 64, dtype.F16: 32, dtype.Q8_0: 17} { // of a key and a value
		var decls []graph.StateDecl
		token := 0
		for i := range layers {
			decls = append(decls, graph.StateDecl{Name: string(rune('a' + i)), Kind: graph.Paged, KVHeads: heads, KeyDim: dim, ValueDim: dim, DType: typ})
			token += decls[i].TokenBytes()
		}
		s, err := d.NewState(backend.StateSpec{Decls: decls, Pages: 2, Sequences: 1})
		if err != nil {
			t.Fatal(err)
		}
		want := layers * heads * dim * bits / 8
		if token != want || s.PageBytes() != backend.PageTokens*want {
			t.Errorf("%v: a page has %d bytes, a token %d; want %d and %d", typ, s.PageBytes(), token, backend.PageTokens*want, want)
		}
		if !strings.Contains(s.Layout(), typ.String()) {
			t.Errorf("the layout %q does not name %v", s.Layout(), typ)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
