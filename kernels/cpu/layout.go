package cpu

import (
	"fmt"
	"math"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/cpu/internal/packed"
)

// GroupRows is the number of weight rows that lie interleaved in a row group,
// the unit in which the rows of a product are shared out.
const GroupRows = packed.Rows

// Layout is a way of arranging weights in memory. Its Name and Version are the
// key of caches of packed weights: the bytes change only with them.
type Layout struct {
	Name    string
	Version string
}

// String returns name and version, as in "rows16-2".
func (l Layout) String() string { return l.Name + "-" + l.Version }

// rows16 is the layout of all levels.
//
// A matrix of R rows and C columns is ceil(R/16) row groups, each of the same
// size; rows beyond R are zero. In a group plain types (f32, f16, bf16) lie as C
// panels of 16 values: column by column, the 16 rows of the group side by side;
// quantised types lie as package packed says, columns beyond C being zero.
var rows16 = Layout{Name: "rows16", Version: "2"}

// packing says how a dtype is packed.
type packing struct {
	plain  int // bytes of a value in panels; 0: quantised
	id     int // of the format, its index in packed.Formats
	format *packed.Format
	pack   packFunc
}

// packFuncs take the file formats apart.
var packFuncs = map[dtype.DType]packFunc{
	dtype.Q4_0: packQ4_0, dtype.Q4_1: packQ4_1, dtype.Q5_0: packQ5_0, dtype.Q5_1: packQ5_1, dtype.Q8_0: packQ8_0,
	dtype.Q2_K: packQ2_K, dtype.Q3_K: packQ3_K, dtype.Q4_K: packQ4_K, dtype.Q5_K: packQ5_K, dtype.Q6_K: packQ6_K,
	dtype.IQ4_NL: packQ4_0, dtype.IQ4_XS: packIQ4_XS, dtype.MXFP4: packMXFP4,
}

// packings are the packings of all types that have one, by type.
var packings = func() (all [dtype.NumDTypes]packing) {
	all[dtype.F32].plain, all[dtype.F16].plain, all[dtype.BF16].plain = 4, 2, 2
	for i := range packed.Formats {
		f := &packed.Formats[i]
		all[f.DType] = packing{id: i, format: f, pack: packFuncs[f.DType]}
	}
	return all
}()

func packingOf(dt dtype.DType) (*packing, bool) {
	if int(dt) >= len(packings) {
		return nil, false
	}
	p := &packings[dt]
	return p, p.plain > 0 || p.format != nil
}

// groupBytes is the size of a row group of cols columns.
func (p *packing) groupBytes(cols int) int {
	if p.plain > 0 {
		return cols * GroupRows * p.plain
	}
	return p.format.Units(cols) * p.format.UnitBytes()
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
