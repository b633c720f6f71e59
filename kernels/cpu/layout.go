package cpu

import (
	"fmt"
	"math"

	"github.com/ledge-run/ledge/graph/dtype"
)

// GroupRows is the number of weight rows that lie interleaved in a row group,
// the unit in which the rows of a product are shared out.
const GroupRows = 16

// pairCols is the number of columns in the unit of packed integer weights and of
// quantised activations: two blocks of 32.
const pairCols = 64

// Layout is a way of arranging weights in memory. Its Name and Version are the
// key of caches of packed weights: the bytes change only with them.
type Layout struct {
	Name    string
	Version string
}

// String returns name and version, as in "rows16-1".
func (l Layout) String() string { return l.Name + "-" + l.Version }

// rows16 is the layout of all amd64 levels and of the generic one.
//
// A matrix of R rows and C columns is ceil(R/16) row groups, each of the same
// size; rows beyond R are zero. In a group
//
//   - plain types (f32, f16, bf16) lie as C panels of 16 values: column by
//     column, the 16 rows of the group side by side;
//   - integer types lie as ceil(C/64) pairs of blocks of 32 columns. A pair has
//     its scales, [sub-block][16 rows] in f16 or f32, then likewise its minimums
//     if the type has any, then the values of its two blocks. In a block, chunk j
//     of 64 bytes has for each row 4 bytes. Types of 8 bits a value: columns
//     4j..4j+3, 8 chunks. Types of 4 bits: columns 4j..4j+3 in the lower and
//     16+4j..16+4j+3 in the upper halves, 4 chunks.
//
// A value is scale*q + minimum, where q is the stored integer minus the format's
// offset, or an entry of the format's table.
var rows16 = Layout{Name: "rows16", Version: "1"}

// valueKind says how the integers of a packed format are stored.
type valueKind uint8

const (
	nibbles   valueKind = iota // unsigned 4 bits
	indices                    // 4-bit indices into a table of int8
	unsigned8                  // unsigned 8 bits, at most 63
	signed8                    // int8
)

// formatID numbers the packed integer formats; the assembly kernels are tables
// indexed by it.
type formatID uint8

const (
	fmtNib16       formatID = iota // q4_0
	fmtNib16Min                    // q4_1
	fmtNib32Min                    // q4_k
	fmtNib32Sub                    // q3_k
	fmtNib32SubMin                 // q2_k
	fmtIdx16                       // iq4_nl
	fmtIdx32                       // iq4_xs, mxfp4
	fmtByte16                      // q5_0
	fmtByte16Min                   // q5_1
	fmtByte32Min                   // q5_k
	fmtByte32Sub                   // q6_k
	fmtInt16                       // q8_0

	numFormats
)

// format describes a packed integer format.
type format struct {
	kind     valueKind
	wide     bool // scales and minimums are f32, not f16
	min      bool // there are minimums
	offset   int  // subtracted from the stored integer
	subLen   int  // columns that share a scale: 32 or 16
	maxValue int  // of the stored integer, for unsigned kinds
}

var formats = [numFormats]format{
	fmtNib16:       {kind: nibbles, offset: 8, subLen: 32, maxValue: 15},
	fmtNib16Min:    {kind: nibbles, min: true, subLen: 32, maxValue: 15},
	fmtNib32Min:    {kind: nibbles, wide: true, min: true, subLen: 32, maxValue: 15},
	fmtNib32Sub:    {kind: nibbles, wide: true, offset: 4, subLen: 16, maxValue: 7},
	fmtNib32SubMin: {kind: nibbles, wide: true, min: true, subLen: 16, maxValue: 3},
	fmtIdx16:       {kind: indices, subLen: 32},
	fmtIdx32:       {kind: indices, wide: true, subLen: 32},
	fmtByte16:      {kind: unsigned8, offset: 16, subLen: 32, maxValue: 31},
	fmtByte16Min:   {kind: unsigned8, min: true, subLen: 32, maxValue: 31},
	fmtByte32Min:   {kind: unsigned8, wide: true, min: true, subLen: 32, maxValue: 31},
	fmtByte32Sub:   {kind: unsigned8, wide: true, offset: 32, subLen: 16, maxValue: 63},
	fmtInt16:       {kind: signed8, subLen: 32},
}

// scaleBytes is the size of a pair's scales, and of its minimums.
func (f *format) scaleBytes() int {
	n := pairCols / f.subLen * GroupRows * 2
	if f.wide {
		n *= 2
	}
	return n
}

// valuesAt is where the values begin in a pair.
func (f *format) valuesAt() int {
	if f.min {
		return 2 * f.scaleBytes()
	}
	return f.scaleBytes()
}

// blockBytes is the size of the values of one of a pair's two blocks.
func (f *format) blockBytes() int {
	if f.kind <= indices {
		return 32 * GroupRows / 2
	}
	return 32 * GroupRows
}

func (f *format) pairBytes() int { return f.valuesAt() + 2*f.blockBytes() }

// The int8 values behind the codes of iq4_nl, iq4_xs and mxfp4: see the same
// tables in graph/dtype. They are parts of the file formats.
var (
	curveIQ4   = [16]int8{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}
	curveMXFP4 = [16]int8{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}
)

// packing says how a dtype is packed.
type packing struct {
	plain int // bytes of a value in panels; 0: integer format
	id    formatID
	curve *[16]int8
	pack  packFunc
}

func packingOf(dt dtype.DType) (packing, bool) {
	switch dt {
	case dtype.F32:
		return packing{plain: 4}, true
	case dtype.F16, dtype.BF16:
		return packing{plain: 2}, true
	case dtype.Q4_0:
		return packing{id: fmtNib16, pack: packQ4_0}, true
	case dtype.Q4_1:
		return packing{id: fmtNib16Min, pack: packQ4_1}, true
	case dtype.Q4_K:
		return packing{id: fmtNib32Min, pack: packQ4_K}, true
	case dtype.Q3_K:
		return packing{id: fmtNib32Sub, pack: packQ3_K}, true
	case dtype.Q2_K:
		return packing{id: fmtNib32SubMin, pack: packQ2_K}, true
	case dtype.IQ4_NL:
		return packing{id: fmtIdx16, curve: &curveIQ4, pack: packQ4_0}, true
	case dtype.IQ4_XS:
		return packing{id: fmtIdx32, curve: &curveIQ4, pack: packIQ4_XS}, true
	case dtype.MXFP4:
		return packing{id: fmtIdx32, curve: &curveMXFP4, pack: packMXFP4}, true
	case dtype.Q5_0:
		return packing{id: fmtByte16, pack: packQ5_0}, true
	case dtype.Q5_1:
		return packing{id: fmtByte16Min, pack: packQ5_1}, true
	case dtype.Q5_K:
		return packing{id: fmtByte32Min, pack: packQ5_K}, true
	case dtype.Q6_K:
		return packing{id: fmtByte32Sub, pack: packQ6_K}, true
	case dtype.Q8_0:
		return packing{id: fmtInt16, pack: packQ8_0}, true
	}
	return packing{}, false
}

// groupBytes is the size of a row group of cols columns.
func (p *packing) groupBytes(cols int) int {
	if p.plain > 0 {
		return cols * GroupRows * p.plain
	}
	return (cols + pairCols - 1) / pairCols * formats[p.id].pairBytes()
}

// Supports reports whether the layout has a packed form for the type.
func (Layout) Supports(dt dtype.DType) bool {
	_, ok := packingOf(dt)
	return ok
}

// PackedSize is the number of bytes that Pack writes for a matrix of rows x cols
// values: cols is the length of a row, the dimension that a product sums over.
func (l Layout) PackedSize(dt dtype.DType, rows, cols int) (int, error) {
	p, ok := packingOf(dt)
	if !ok {
		return 0, fmt.Errorf("cpu: layout %v has no packed form for %v", l, dt)
	}
	if rows < 0 || cols < 0 || cols%dt.BlockLen() != 0 {
		return 0, fmt.Errorf("cpu: cannot pack a %v matrix of %d rows of %d values: rows are whole blocks of %d", dt, rows, cols, dt.BlockLen())
	}
	groups := Groups(rows)
	if cols > math.MaxInt/(GroupRows*8) || groups > 0 && p.groupBytes(cols) > math.MaxInt/groups {
		return 0, fmt.Errorf("cpu: a %v matrix of %d rows of %d values does not fit in memory", dt, rows, cols)
	}
	return groups * p.groupBytes(cols), nil
}

// Groups is the number of row groups of a matrix of that many rows.
func Groups(rows int) int { return rows/GroupRows + min(rows%GroupRows, 1) }

// Matrix is a packed weight matrix of Rows x Cols values. Data has the size that
// PackedSize says and should begin at a multiple of 64 bytes.
type Matrix struct {
	DType      dtype.DType
	Rows, Cols int
	Data       []byte
}

// Groups is the number of row groups of the matrix.
func (w *Matrix) Groups() int { return Groups(w.Rows) }
