package cpu

import (
	"unsafe"

	kernels "github.com/ledge-run/ledge/kernels/cpu"
)

// Bytes is the arena and all scratch: see backend.Sized.
func (e *executable) Bytes() int64 {
	s := &e.shared
	n := len(e.arena.bytes) + len(e.scratch.bytes) + size(s.parts) + size(s.sums) + size(s.task) + s.train.size()
	for _, top := range s.top {
		n += size(top)
	}
	for _, l := range e.workers {
		n += size(l.acts.f32) + size(l.acts.q8) + size(l.tile) + size(l.row) + size(l.attend) + size(l.merge) + size(l.store) +
			size(l.parts) + size(l.top) + size(l.spare) + size(l.sums) + l.train.size()
	}
	return int64(n)
}

func (s *trainShared) size() int {
	return size(s.packed[0]) + size(s.packed[1]) + size(s.sums) + size(s.norms) + size(s.matrix) + size(s.logits) + size(s.more) + size(s.column)
}

func (l *trainLocal) size() int {
	return size(l.gemm) + size(l.row) + size(l.capped) + size(l.soft) + size(l.scores) + size(l.store)
}

// size is the bytes that a slice's memory takes.
func size[T float32 | float64 | byte | kernels.Candidate | kernels.ExpSum | attendTask](s []T) int {
	var one T
	return cap(s) * int(unsafe.Sizeof(one))
}
