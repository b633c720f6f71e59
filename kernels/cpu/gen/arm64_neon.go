package main

import "github.com/ledge-run/ledge/kernels/cpu/internal/packed"

// Products of bytes at the NEON level. A register of a step has four rows of
// weights times four columns. SMULL and SMLAL multiply its lower half, two rows,
// SMULL2 and SMLAL2 the upper half, with the four activations of the step, and
// add products of a column into lanes of 16 bits. Those hold the sums of all steps
// of a sub-block, at most 8 times 31*127 or 4 times 63*127; of 8-bit weights only
// two products, which SADALP adds to lanes of 32 bits.

// neonSums takes registers for sums. With several rows the lower halves' ones
// become the dot products.
func (t *armTile) neonSums() {
	for range t.rows {
		sums := t.regs(4)
		t.wide = append(t.wide, sums)
		if t.part == 2 {
			t.ints = append(t.ints, list4{sums[0], sums[2]})
		} else {
			t.ints = append(t.ints, t.regs(t.part))
		}
	}
	if large(t.f) {
		t.sum = t.regs(2)
	}
}

// neonSteps is dotSteps by SMULL, for all steps of a sub-block, or, of one in
// halves, for one of those.
func (t *armTile) neonSteps(b, pair, first int, steps []int) {
	begin := steps[0] == 0 || t.f.Sub < packed.BlockCols
	if large(t.f) {
		t.neonLarge(b, pair, steps)
	} else {
		t.eachStep(b, pair, steps, func(j int, w list4) {
			name := "smlal"
			if begin {
				name, begin = "smull", false
			}
			for i := range t.wide {
				t.dupAct(t.x, i, j)
				for k := range w {
					t.longer(name, "8h", "8b", t.wide[i][2*k], w[k], t.x)
					t.longer(name+"2", "8h", "16b", t.wide[i][2*k+1], w[k], t.x)
				}
			}
		})
	}
	if steps[len(steps)-1] != 7 && t.f.Sub == packed.BlockCols {
		return
	}
	for i, ints := range t.ints {
		for k := range 2 {
			lo, hi := t.wide[i][2*k], t.wide[i][2*k+1]
			if !large(t.f) {
				t.resized("saddlp", "4s", "8h", lo, lo)
				t.resized("saddlp", "4s", "8h", hi, hi)
			}
			t.three("addp", "4s", ints[first+k], lo, hi)
		}
	}
}

// dupAct repeats the activations of a step.
func (t *armTile) dupAct(to q, i, j int) {
	a, lane := t.act(i, j)
	t.dup(to, "4s", a, lane)
}

// neonLarge takes steps in twos.
func (t *armTile) neonLarge(b, pair int, steps []int) {
	begin := steps[0] == 0
	r := t.read
	w := [2]list4{t.w, r.raw}
	for n := 0; n < len(steps); n += 2 {
		both := [2]int{steps[n], steps[n+1]}
		if t.f.Low == 4 && t.whole() { // those of a vector
			both = [2]int{n/2 + 4, n / 2}
			r.loadLow(r.raw, b, n/2, pair)
			r.extract(both[0], w[0], r.raw)
			r.extract(both[1], w[1], r.raw)
		} else {
			for k, j := range both {
				v, _ := packed.Place(t.f.Low, j)
				r.loadLow(w[k], b, v, pair)
				r.extract(j, w[k], w[k])
			}
		}
		for i := range t.wide {
			t.dupAct(t.x, i, both[0])
			t.dupAct(t.x2, i, both[1])
			for k := range 2 {
				lo, hi := t.wide[i][2*k], t.wide[i][2*k+1]
				t.longer("smull", "8h", "8b", t.sum[0], w[0][k], t.x)
				t.longer("smull2", "8h", "16b", t.sum[1], w[0][k], t.x)
				t.longer("smlal", "8h", "8b", t.sum[0], w[1][k], t.x2)
				t.longer("smlal2", "8h", "16b", t.sum[1], w[1][k], t.x2)
				add := "sadalp"
				if begin {
					add = "saddlp"
				}
				t.resized(add, "4s", "8h", lo, t.sum[0])
				t.resized(add, "4s", "8h", hi, t.sum[1])
			}
		}
		begin = false
	}
}
