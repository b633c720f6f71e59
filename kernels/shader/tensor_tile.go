package shader

import "fmt"

// tileShape is a variant of the kernel tile_tensor: the rows of w and of x that a block
// has, and how fast it gets on where there are blocks enough, relative to the largest.
// The last one fits every GPU, and is all that there is with Features.TensorBasic.
type tileShape struct {
	rows, tokens int
	threads      uint32
	speed        float64
}

var tileShapes = [...]tileShape{{128, 128, 256, 1}, {64, 64, 128, 0.75}, {64, 32, 128, 0.55}}

const lastShape = len(tileShapes) - 1

// Where nothing is known of a GPU: a middle-sized one, with what all have since Xavier.
const (
	someProcessors = 32
	someShared     = 96 << 10
)

// TileVariant is constants that the kernel tile_tensor is compiled for: of blocks of so
// many threads, the layout's number from TensorF32 on, and the shape's.
type TileVariant struct {
	Name      string // the layout, and the rows of w and of x of a block: q4_0_64x32
	Basic     bool   // for devices with Features.TensorBasic, too
	Constants []uint32
}

// TileVariants lists all of them.
func TileVariants() []TileVariant {
	var all []TileVariant
	for l := TensorF32; l < layouts; l++ {
		for i, s := range tileShapes {
			all = append(all, TileVariant{fmt.Sprintf("%s_%dx%d", l.tensor().name, s.rows, s.tokens), i == lastShape, tileConstants(l, i)})
		}
	}
	return all
}

func tileConstants(l Layout, shape int) []uint32 {
	return []uint32{tileShapes[shape].threads, uint32(l - TensorF32), uint32(shape)}
}

// TileShared is the bytes of shared memory that the kernel tile_tensor wants with these
// constants; tile.cu says what lies there.
func TileShared(c []uint32) int {
	l, s := TensorF32+Layout(c[1]), tileShapes[c[2]]
	t := l.tensor()
	stages, tiles := 4, s.rows/tensorRows
	if l == TensorF32 {
		stages = 3
	}
	units := 2
	if t.steps == 1 {
		units = stages
	}
	unit := 4 * t.head * tiles
	if l.sums() {
		unit += 16 * t.steps * s.tokens
	}
	n := stages*(128*s.tokens+4*t.step*tiles) + units*unit + 32*s.tokens + 4*t.tile*tiles
	return max(n, 4*s.tokens*(s.rows+4))
}

// sums reports whether the layout has minimums, which are multiplied with sums of x.
func (l Layout) sums() bool {
	switch l {
	case TensorQ4_1, TensorQ5_1, TensorQ4_K, TensorQ5_K, TensorQ2_K:
		return true
	}
	return false
}

// prepared is x as the kernel tile_tensor reads it: for units of so many columns, with
// or without sums. Its places are floats of the arena.
type prepared struct {
	unit               int
	sums               bool
	halves, powers, at uint32 // at: the sums
}

// stride is the distance of what rows have one float of.
func (p Product) stride() int { return (p.Rows.Max + 3) &^ 3 }

// halfFloats is the length of a row in float16.
func (x prepared) halfFloats(k int) int { return (k + x.unit - 1) / x.unit * x.unit / 2 }

// prepared lists what x has to be made for these pieces, and the float where that ends.
func (p Product) prepared() ([]prepared, uint32) {
	var all []prepared
	for _, q := range p.Pieces {
		fits := func(x prepared) bool { return x.unit == q.Layout.Unit() }
		found := false
		for i := range all {
			if fits(all[i]) {
				all[i].sums = all[i].sums || q.Layout.sums()
				found = true
			}
		}
		if !found {
			all = append(all, prepared{unit: q.Layout.Unit(), sums: q.Layout.sums()})
		}
	}
	at := (p.Scratch + 3) &^ 3 // what copy16 reads is aligned
	for i := range all {
		x := &all[i]
		x.halves = at
		at += uint32(p.Rows.Max * x.halfFloats(p.K))
		x.powers = at
		at += uint32(sliceMost * p.stride())
		x.at = at
		if x.sums {
			at += uint32(x.halfFloats(p.K) / 32 * p.stride() * 4)
		}
	}
	return all, at
}
