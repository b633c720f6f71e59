package accel

import (
	"fmt"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/internal/bind"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/shader"
)

// layout says where the buffer that the host fills for a run has what, in uints
// from its start. First comes the header (shader.RunT and the like).
type layout struct {
	rows     uint32         // the row table
	pages    uint32         // page tables, one after the other
	pageRoom int            // uints of them
	angles   []uint32       // of each table: a row's cosines and sines, row by row
	inputs   map[int]uint32 // by node ID
	size     int
}

func (e *executable) newLayout(most dtype.Binding) layout {
	l := layout{inputs: map[int]uint32{}, size: shader.RunHeader}
	take := func(n int) uint32 {
		at := l.size
		l.size = roundUp(at+n, 4)
		return uint32(at)
	}
	if len(e.Graph.States) > 0 {
		l.rows = take(most.T * shader.RowInfo)
		// A sequence has one segment as a rule; few rows have room for any case.
		l.pageRoom = min(most.T, 2*max(1, most.S)) * most.P
		l.pages = take(l.pageRoom)
	}
	for _, t := range e.tables {
		l.angles = append(l.angles, take(most.T*t.Attr.Dims))
	}
	for _, n := range e.Inputs {
		elems, _ := n.Type.Shape.NumElems(most) // Verify has checked it at the graph's own limits
		l.inputs[n.ID] = take(elems)
	}
	return l
}

// fill writes the run's arguments.
func (l *list) fill(s *shader.Sizes) error {
	w := l.words
	w[shader.RunT], w[shader.RunR], w[shader.RunS], w[shader.RunP] = uint32(s.T), uint32(s.R), uint32(s.S), uint32(s.P)
	w[shader.RunLongest] = uint32(s.Longest)
	for i, n := range l.Inputs {
		to := w[l.layout.inputs[n.ID]:]
		if n.Type.DType == dtype.F32 {
			copy(to, uintsOf(l.Args.Inputs[i].F32))
		} else {
			copy(to, uintsOf(l.Args.Inputs[i].I32))
		}
	}
	for i, t := range l.tables {
		to := w[l.layout.angles[i]:]
		pos := l.Ints(t.pos)
		t.Prepare(pos)
		for r, p := range pos {
			copy(to[r*t.Attr.Dims:], uintsOf(t.At(p)))
		}
	}
	if len(l.Graph.States) == 0 {
		return nil
	}
	return l.fillRows()
}

// fillRows writes the row table and the page tables. A segment whose pages stand
// in the table of another already shares it. One without rows has no number: kernels
// tell by the last row's whether every segment has one row.
func (l *list) fillRows() error {
	rows, tables := l.words[l.layout.rows:], l.words[l.layout.pages:][:l.layout.pageRoom]
	used, row, number := 0, 0, 0
	for i := range l.Args.Segments {
		seg := &l.Args.Segments[i]
		if seg.Rows == 0 {
			continue
		}
		need := seg.Pages[:backend.PagesFor(seg.Start+seg.Rows)]
		at := find(tables[:used], need)
		if at < 0 {
			if at = used; len(need) > len(tables)-used {
				return fmt.Errorf("segment %d: the batch's segments list more than %d different pages", i, l.layout.pageRoom)
			}
			used += copy(tables[used:], uintsOf(need))
		}
		for r := range seg.Rows {
			info := rows[row*shader.RowInfo:][:shader.RowInfo]
			info[0], info[1] = uint32(seg.Start+r), l.layout.pages+uint32(at)
			info[2], info[3] = uint32(seg.Start+seg.Rows-1), uint32(number)
			row++
		}
		number++
	}
	return nil
}

// find is where need stands in table, or -1.
func find(table []uint32, need []int32) int {
	for at := 0; at+len(need) <= len(table); at++ {
		same := true
		for i, p := range need {
			if table[at+i] != uint32(p) {
				same = false
				break
			}
		}
		if same {
			return at
		}
	}
	return -1
}

// sizesOf are the sizes of a bound run.
func sizesOf(r *bind.Run) shader.Sizes {
	s := shader.Sizes{T: r.Size.T, R: r.Size.R, S: r.Size.S, P: r.Size.P}
	for i := range r.Args.Segments {
		seg := &r.Args.Segments[i]
		if seg.Rows > 0 {
			s.Longest = max(s.Longest, seg.Start+seg.Rows)
			s.Cached += seg.Rows*seg.Start + seg.Rows*(seg.Rows+1)/2
			s.Segments++
		}
	}
	return s
}
