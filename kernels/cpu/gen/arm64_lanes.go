package main

import "github.com/ledge-run/ledge/kernels/cpu/internal/packed"

// Products of eight rows by SDOT by element: four activations, a lane of a
// register, for all rows of weights. In the frame are
//
//	of a block: [half][row] 16 bytes, the activations of four steps
//	values of the rows: [row] v
//	results: [8 rows of weights][row]
//
// A half is 16 columns. Where a vector of weights has a step of each, it is two
// columns' steps of each instead, so that the vector is loaded once.
type laneTile struct {
	*arrangedTile
	acts8 list4 // the rows' activations of four steps
}

func (t *laneTile) take() {
	t.part = 2
	t.read = t.newReader(t.f, tileValues, tileTmp, 1)
	for range t.rows {
		t.ints = append(t.ints, t.regs(2))
	}
	scratch := t.taken
	t.acts8 = t.regs(t.rows)
	if t.f.High == 0 && t.f.Low < 8 {
		t.w = t.regs(2)
	}
	t.freeFrom(scratch)
}

// mixed reports whether halves are two steps of either half of the block.
func (t *laneTile) mixed() bool { return t.f.Low == 4 && t.f.High == 0 }

func (t *laneTile) arrange() {
	a, p := t.free[:4], t.free[4:6]
	for b := range 2 {
		for i := 0; i < t.rows; i += 2 {
			t.ldp(a[0], a[1], t.record[i], packed.BlockCols*b)
			t.ldp(a[2], a[3], t.record[i+1], packed.BlockCols*b)
			for half, zip := range []string{"zip1", "zip2"} {
				one, two := a[half], a[2+half]
				if t.mixed() {
					one, two = p[0], p[1]
					t.three(zip, "2d", one, a[0], a[1])
					t.three(zip, "2d", two, a[2], a[3])
				}
				t.stp(one, two, matActs, t.halfAt(b, half)+16*i)
			}
		}
	}
	t.transpose(packed.ActScale, "zip1", t.arrangedD(), nil)
	switch {
	case t.f.Sub == 16:
		change := func(r q) {
			if t.f.Min {
				t.two("scvtf", "4s", r, r)
			} else if _, shift := packed.Correction(t.f.Offset, 0, 0); shift < 0 {
				t.shift("sshr", "4s", r, r, -shift)
			}
		}
		t.transpose(packed.ActHalf32, "zip1", t.extraAt(0), change)
		t.transpose(packed.ActHalf32, "zip2", t.extraAt(2), change)
	case t.f.Min:
		t.transpose(packed.ActScale, "zip2", t.extraAt(0), nil) // d*sum comes after d
	case t.f.Offset != 0:
		at, _ := packed.Correction(t.f.Offset, 0, 0)
		t.transpose(at, "zip1", t.extraAt(0), nil)
	}
}

// transpose stores, of two values that each row has in a record, the first of all
// rows, then the second.
func (t *laneTile) transpose(from int, zip string, to int, change func(r q)) {
	r, out := t.free[:4], t.free[4]
	for four := 0; four < t.rows; four += 4 {
		for i := range r {
			if from%16 == 0 {
				t.ldr('q', r[i], t.record[four+i], from)
			} else {
				t.ldrUnscaled('q', r[i], t.record[four+i], from)
			}
			if change != nil {
				change(r[i])
			}
		}
		t.three(zip, "4s", r[0], r[0], r[1])
		t.three(zip, "4s", r[2], r[2], r[3])
		for i, name := range []string{"zip1", "zip2"} {
			t.three(name, "2d", out, r[0], r[2])
			t.str('q', out, matActs, to+i*t.inLine+4*four)
		}
	}
}

// halfAt is where a half of a block is in a record.
func (t *laneTile) halfAt(b, half int) int { return b*t.arrangedD()/2 + half*t.arrangedD()/4 }

func (t *laneTile) start(b, s int) {
	c := t.acts8[:2]
	if t.f.Offset != 0 {
		t.ldp(c[0], c[1], matActs, t.extraAt(b*t.f.Subs()+s))
	}
	for i, ints := range t.ints {
		for _, r := range ints {
			if t.f.Offset != 0 {
				t.dup(r, "4s", c[i/4], i%4)
			} else {
				t.zero(r)
			}
		}
	}
}

func (t *laneTile) products(b, s, part int) {
	r := t.read
	halves := []int{0, 1}
	if t.f.Sub == 16 {
		halves = halves[s : s+1]
	}
	for n, half := range halves {
		for i := 0; i < t.rows; i += 2 {
			t.ldp(t.acts8[i], t.acts8[i+1], matActs, t.halfAt(b, half)+16*i)
		}
		if n == 0 || t.f.High == 2 {
			r.loadHigh(b, 4*half, part)
		}
		steps := []int{4 * half, 4*half + 1, 4*half + 2, 4*half + 3}
		if t.mixed() {
			steps = []int{2 * half, 2*half + 4, 2*half + 1, 2*half + 5}
		}
		for _, in := range r.vectorsOf(steps) {
			v, _ := packed.Place(t.f.Low, in[0])
			for k, j := range in {
				last := k == len(in)-1
				if k == 0 || t.w == nil {
					r.loadLow(r.raw, b, v, part)
				}
				w := r.raw
				if !last && t.w != nil {
					w = t.w
				}
				r.extract(j, w, r.raw)
				lane := j % 4
				if t.mixed() {
					lane = j%2 + j/4*2
				}
				for i, ints := range t.ints {
					for k := range ints {
						t.dotElement("sdot", ints[k], w[k], t.acts8[i], lane)
					}
				}
			}
		}
	}
}

// scaleInts is that of armTile on arranged values.
func (t *laneTile) scaleInts(b, s, part int) {
	free := t.free
	next := func(n int) list4 {
		l := free[:n]
		free = free[n:]
		return l
	}
	scale := next(2)
	var least, sum list4
	if t.f.Min {
		least = next(2)
	}
	t.scales(b, s, 2*part, scale, least, free)
	d, to := next(2), next(2)
	t.ldp(d[0], d[1], matActs, t.arrangedD()+b*t.inLine)
	if t.f.Min {
		sum = next(2)
		t.ldp(sum[0], sum[1], matActs, t.extraAt(b*t.f.Subs()+s))
	}
	for i, v := range t.ints {
		for _, r := range v {
			t.two("scvtf", "4s", r, r)
		}
		for k, r := range v {
			t.three("fmul", "4s", r, r, scale[k])
		}
		if t.innerMin() {
			for k, r := range v {
				t.element("fmla", r, least[k], sum[i/4], i%4)
			}
		}
		at := part*t.groupFloats()/2 + 32*i
		t.ldp(to[0], to[1], matFloats, at)
		for k, r := range v {
			t.element("fmla", to[k], r, d[i/4], i%4)
		}
		if t.outerMin() {
			for k := range v {
				t.element(t.addMin(), to[k], least[k], sum[i/4], i%4)
			}
		}
		t.stp(to[0], to[1], matFloats, at)
	}
}

// resultRow loads the results of a row.
func (t *laneTile) resultRow(i int) list4 {
	v := t.free[:4]
	for part := range 2 {
		t.ldp(v[2*part], v[2*part+1], matFloats, part*t.groupFloats()/2+32*i)
	}
	return v
}
