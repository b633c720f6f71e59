package main

import (
	"fmt"

	"github.com/ledge-run/ledge/kernels/cpu/internal/packed"
)

// An arrangedTile multiplies eight rows of activations, or four. These are
// arranged in the frame, 256 columns at a time, in the order in which the
// instructions want them, and serve several row groups:
//
//	256 columns of activations, as records:
//	    [block] 32 columns of the rows
//	    [block] the rows' d
//	    what else the format needs likewise, of blocks or of halves
//	d and m of a unit
//	results by group: [8 rows of weights][row]
//
// How, is up to the instruction.
type arrangedTile struct {
	*armTile
	way    way
	inLine int // bytes of a value of each row
}

// A way is an instruction's arrangement of activations and results.
type way interface {
	take()                    // registers
	arrange()                 // a record
	start(b, s int)           // first values of sums
	products(b, s, part int)  // adds a sub-block's
	scaleInts(b, s, part int) // adds the sums to results
	resultRow(i int) list4    // loads a row of results
}

const (
	arrangedRows   = 8   // or four
	arrangedGroups = 8   // at most, in a call
	arrangedCols   = 256 // at once
)

// arrangedD is where d is in an arranged record.
func (t *arrangedTile) arrangedD() int { return t.rows * packed.ActCols }

// groupFloats is the size of the results of a group.
func (t *arrangedTile) groupFloats() int { return 4 * t.rows * packed.Rows }

// General registers besides those of armTile.
const (
	matActs, matFloats = x(20), x(21)
	matW, matUnits     = x(22), x(23) // the weights of the first group; units to go
	matNow, matStride  = x(24), x(25) // units at once; size of a group
	matGroupCount      = x(26)
)

// extra reports how many values of each row a record has besides the two d: for
// each block or half, what an offset takes off, or what a minimum is times.
func (t *arrangedTile) extra() int {
	switch {
	case t.f.Sub == 16:
		return 4
	case t.f.Offset != 0 || t.f.Min:
		return 2
	}
	return 0
}

// extraAt is where value i of those begins.
func (t *arrangedTile) extraAt(i int) int { return t.arrangedD() + (2+i)*t.inLine }

func (t *arrangedTile) recordBytes() int { return t.extraAt(t.extra()) }

// Places in the frame.
func (t *arrangedTile) recordsAt() int { return t.mAt + 64 }
func (t *arrangedTile) floatsAt() int {
	return t.recordsAt() + arrangedCols/packed.ActCols*t.recordBytes()
}

func (t *arrangedTile) write() {
	t.dAt = frameAt
	t.mAt = t.dAt + 64
	frame := t.floatsAt() + arrangedGroups*t.groupFloats() - 8
	t.begin(fmt.Sprintf("%s%dx1", formatName(t.f), t.rows), tileParams, "", frame, fmt.Sprintf(
		"FN multiplies rows of activations, %d at once, with row groups, at most %d.", t.rows, arrangedGroups))
	t.way.take()
	t.pointers("dst", tileDst, "ldd", tileLdd, "w", matW, "units", matUnits, "x", tileX, "ldx", tileLdx)
	for i := range t.rows {
		t.record = append(t.record, tileX+x(i))
		if i > 0 {
			t.line("ADD %v, %v, %v", tileLdx, tileX+x(i-1), tileX+x(i))
		}
	}
	t.line("MOVD $%d, %v", t.f.UnitBytes(), tileTmp)
	t.line("MUL %v, %v, %v", tileTmp, matUnits, matStride)
	t.clearFloats()

	chunk, more := t.newLabel("chunk"), t.newLabel("whole")
	group, unit, record := t.newLabel("group"), t.newLabel("unit"), t.newLabel("record")
	t.at(chunk)
	t.line("MOVD $%d, %v", arrangedCols/t.f.Unit, matNow)
	t.line("CMP %v, %v", matNow, matUnits)
	t.line("BGE %s", more)
	t.line("MOVD %v, %v", matUnits, matNow)
	t.at(more)
	t.line("ADD $%d, RSP, %v", t.recordsAt(), matActs)
	t.line("MOVD $%d, %v", t.f.Unit/packed.ActCols, tileTmp)
	t.line("MUL %v, %v, %v", tileTmp, matNow, tileRecords)
	t.times(tileRecords, func() {
		t.way.arrange()
		for _, r := range t.record {
			t.line("ADD $%d, %v, %v", packed.ActBytes, r, r)
		}
		t.line("ADD $%d, %v, %v", t.recordBytes(), matActs, matActs)
	})

	t.arg("groups", matGroupCount)
	t.line("ADD $%d, RSP, %v", t.floatsAt(), matFloats)
	t.line("MOVD %v, %v", matW, tileLdx)
	t.at(group)
	t.line("MOVD %v, %v", tileLdx, tileValues)
	t.line("ADD $%d, RSP, %v", t.recordsAt(), matActs)
	t.line("MOVD %v, %v", matNow, tileUnits)
	if t.short() {
		t.line("ADD $%d, %v, %v", t.f.ValuesAt(), tileValues, tileValues)
	}
	t.at(unit)
	if !t.short() {
		t.openUnit()
		t.at(record)
	}
	for b := range 2 {
		t.block(b)
	}
	t.line("ADD $%d, %v, %v", t.recordBytes(), matActs, matActs)
	if t.short() {
		t.line("ADD $%d, %v, %v", t.f.UnitBytes(), tileValues, tileValues)
	} else {
		t.line("ADD $%d, %v, %v", 2*t.f.BlockBytes(), tileValues, tileValues)
		t.line("SUBS $1, %v, %v", tileRecords, tileRecords)
		t.line("BNE %s", record)
	}
	t.line("SUBS $1, %v, %v", tileUnits, tileUnits)
	t.line("BNE %s", unit)
	t.line("ADD %v, %v, %v", matStride, tileLdx, tileLdx)
	t.line("ADD $%d, %v, %v", t.groupFloats(), matFloats, matFloats)
	t.line("SUBS $1, %v, %v", matGroupCount, matGroupCount)
	t.line("BNE %s", group)
	t.line("MOVD $%d, %v", t.f.UnitBytes(), tileTmp)
	t.line("MADD %v, %v, %v, %v", matNow, matW, tileTmp, matW)
	t.line("SUBS %v, %v, %v", matNow, matUnits, matUnits)
	t.line("BNE %s", chunk)

	t.arg("groups", tileGroups)
	t.line("ADD $%d, RSP, %v", t.floatsAt(), matFloats)
	next, last := t.newLabel("next"), t.newLabel("last")
	t.line("SUB $%d, %v, %v", t.groupFloats(), matFloats, matFloats)
	t.at(next)
	t.line("ADD $%d, %v, %v", t.groupFloats(), matFloats, matFloats)
	t.storeGroups(next, last, t.way.resultRow)
	t.ret()
}

func (t *arrangedTile) clearFloats() {
	z := t.free[0]
	t.zero(z)
	t.arg("groups", matGroupCount)
	t.line("ADD $%d, RSP, %v", t.floatsAt(), matFloats)
	t.times(matGroupCount, func() {
		for i := 0; i < t.groupFloats(); i += 32 {
			t.stpPost(z, z, matFloats, 32)
		}
	})
}

// block multiplies a block of weights.
func (t *arrangedTile) block(b int) {
	for s := range t.f.Subs() {
		for part := range 2 {
			t.way.start(b, s)
			t.way.products(b, s, part)
			t.way.scaleInts(b, s, part)
		}
	}
}
