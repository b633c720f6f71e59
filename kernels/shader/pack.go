package shader

import "github.com/ledge-run/ledge/graph/dtype"

// Pack brings rows x k values of type d into the layout: dst has rows times
// RowUints(k) uints, src the bytes of the file.
func (l Layout) Pack(dst []uint32, d dtype.DType, src []byte, rows, k int) error { panic("unfinished") }
