package accel

import (
	"slices"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/internal/bind"
	"github.com/ledge-run/ledge/kernels/shader"
)

// TestFillRows: a row's slot, page table, last slot and segment. Segments without rows are
// not counted: they change neither the table nor the grids.
func TestFillRows(t *testing.T) {
	const rows, pages = 1, 40
	one, two := []int32{3}, []int32{5, 2}
	for _, c := range []struct {
		name string
		segs []backend.Segment
		want []uint32
	}{
		{"decoding", []backend.Segment{{Start: 9, Rows: 1, Pages: one}, {Start: 70, Rows: 1, Pages: two}},
			[]uint32{9, 40, 9, 0, 70, 41, 70, 1}},
		{"a prompt beside a token", []backend.Segment{{Rows: 2, Pages: one}, {Start: 64, Rows: 1, Pages: two}},
			[]uint32{0, 40, 1, 0, 1, 40, 1, 0, 64, 41, 64, 1}},
		{"one sequence in two segments", []backend.Segment{{Start: 62, Rows: 1, Pages: two}, {Start: 63, Rows: 2, Pages: two}},
			[]uint32{62, 40, 62, 0, 63, 41, 64, 1, 64, 41, 64, 1}},
		{"empty before", []backend.Segment{{}, {Start: 1, Rows: 2, Pages: one}},
			[]uint32{1, 40, 2, 0, 2, 40, 2, 0}},
		{"empty between", []backend.Segment{{Rows: 1, Pages: one}, {Start: 7, Pages: two}, {Start: 2, Rows: 2, Pages: two}},
			[]uint32{0, 40, 0, 0, 2, 41, 3, 1, 3, 41, 3, 1}},
		{"empty after", []backend.Segment{{Rows: 2, Pages: one}, {}},
			[]uint32{0, 40, 1, 0, 1, 40, 1, 0}},
		{"nothing else", []backend.Segment{{}, {}}, nil},
	} {
		l := &list{executable: &executable{Run: &bind.Run{Args: &backend.Args{Segments: c.segs}}},
			layout: layout{rows: rows, pages: pages, pageRoom: 8}, words: make([]uint32, 48)}
		if err := l.fillRows(); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		table := l.words[rows:pages]
		if got := table[:len(c.want)]; !slices.Equal(got, c.want) || slices.Max(table[len(c.want):]) != 0 {
			t.Errorf("%s: the row table is %v, want %v", c.name, table, c.want)
		}
		numbers := 0
		if n := len(c.want); n > 0 {
			numbers = int(c.want[n-shader.RowInfo+3]) + 1
		}
		if n := sizesOf(l.Run).Segments; n != numbers {
			t.Errorf("%s: %d segments with rows, the row table has %d", c.name, n, numbers)
		}
	}
}
