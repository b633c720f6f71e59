package packed

import (
	"testing"

	"github.com/ledge-run/ledge/graph/dtype"
)

// TestSizes holds what the layout promises of each type: parts begin at
// multiples of a cache line, and a group is hardly larger than its rows in the
// file.
func TestSizes(t *testing.T) {
	for i, f := range Formats {
		if Find(f.DType) != i {
			t.Errorf("%v: found as %d", f.DType, Find(f.DType))
		}
		if f.ValuesAt()%64 != 0 || f.UnitBytes()%64 != 0 {
			t.Errorf("%v: values at %d of %d: not at cache lines", f.DType, f.ValuesAt(), f.UnitBytes())
		}
		if f.Unit%f.DType.BlockLen() != 0 || f.Unit%BlockCols != 0 || f.Unit%ActCols != 0 {
			t.Errorf("%v: a unit of %d columns", f.DType, f.Unit)
		}
		if bits := f.Low + f.High; f.Curve == nil && !f.Signed && f.Offset > f.Max() || f.Curve != nil && bits != 4 {
			t.Errorf("%v: %d bits", f.DType, bits)
		}
		file, err := f.DType.RowBytes(f.Unit)
		if err != nil {
			t.Fatal(err)
		}
		if over := float64(f.UnitBytes())/float64(Rows*file) - 1; over < 0 || over > 0.055 {
			t.Errorf("%v: %.1f %% more than in the file", f.DType, 100*over)
		}
	}
	if Find(dtype.F32) != -1 {
		t.Error("f32 has an integer format")
	}
}

// TestPlaces checks that the steps of a plane fill it, each bit once.
func TestPlaces(t *testing.T) {
	for _, bits := range []int{1, 2, 4, 8} {
		var used [8]uint8
		for j := range Steps {
			v, shift := Place(bits, j)
			mask := uint8(1<<bits-1) << shift
			if v >= bits || used[v]&mask != 0 {
				t.Fatalf("%d bits, step %d: vector %d, bit %d", bits, j, v, shift)
			}
			used[v] |= mask
		}
		for v := range bits {
			if used[v] != 0xff {
				t.Errorf("%d bits: vector %d has %08b", bits, v, used[v])
			}
		}
	}
}

func TestActRowBytes(t *testing.T) {
	for cols, want := range map[int]int{0: 0, 1: 256, 64: 256, 128: 256, 129: 512, 576: 1280} {
		if got := ActRowBytes(cols); got != want {
			t.Errorf("%d columns: %d bytes, want %d", cols, got, want)
		}
	}
	if ActEnd > ActBytes {
		t.Error("a record's fields overrun it")
	}
}
