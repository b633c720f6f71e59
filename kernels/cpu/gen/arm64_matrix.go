package main

import "github.com/ledge-run/ledge/kernels/cpu/internal/packed"

// Products by SMMLA: an instruction multiplies two rows of activations by two rows
// of weights, eight columns of each, and adds to a register with the four sums.
//
// Two steps of weights, interleaved by ZIP1 and ZIP2, are two pairs of rows with
// eight columns. In the frame are
//
//	of a block: [8 columns][pair of rows] 16 bytes, 8 columns of each row
//	values of the rows: [pair] v, v, v', v'
//	results: [8 rows of weights][pair][pair of weights] 2 x 2
type matrixTile struct {
	*arrangedTile
	acts2 []list4 // by 8 columns: the pairs' activations; one or two of them
	raw2  list4   // a second vector of low bits
	z     q       // interleaved steps
}

// pairs is the number of pairs of rows.
func (t *matrixTile) pairs() int { return t.rows / 2 }

// resultRow loads the results of a row.
func (t *matrixTile) resultRow(i int) list4 {
	v, tmp := t.free[:4], t.free[4:8]
	name := [2]string{"zip1", "zip2"}[i%2]
	for part := range 2 {
		at := part*t.groupFloats()/2 + i/2*64
		t.ldp(tmp[0], tmp[1], matFloats, at)
		t.ldp(tmp[2], tmp[3], matFloats, at+32)
		for k := range 2 {
			t.three(name, "2d", v[2*part+k], tmp[2*k], tmp[2*k+1])
		}
	}
	return v
}

func (t *matrixTile) take() {
	t.part = 2
	t.read = t.newReader(t.f, tileValues, tileTmp, 2)
	for range t.pairs() {
		t.ints = append(t.ints, t.regs(4))
	}
	scratch := t.taken
	t.acts2 = append(t.acts2, t.regs(t.pairs()))
	if t.zipFirst() {
		t.acts2 = append(t.acts2, t.regs(t.pairs()))
	}
	t.raw2 = t.regs(2)
	t.z = t.reg()
	if t.zipFirst() {
		t.w = t.regs(1)
	}
	t.freeFrom(scratch)
}

// zipFirst reports whether two vectors of 4 bits are interleaved before they are
// taken apart, for both of their steps at once.
func (t *matrixTile) zipFirst() bool { return t.f.Low == 4 && t.f.High == 0 }

// arrange puts a record of the rows' activations into the frame.
func (t *matrixTile) arrange() {
	a := t.free[:8]
	p := t.free[8:10]
	for b := range 2 {
		for four := 0; four < t.rows; four += 4 {
			for i := range 4 {
				t.ldp(a[2*i], a[2*i+1], t.record[four+i], packed.BlockCols*b)
			}
			for c := range 4 {
				name := [2]string{"zip1", "zip2"}[c%2]
				for i := range 2 {
					t.three(name, "2d", p[i], a[4*i+c/2], a[4*i+2+c/2])
				}
				t.stp(p[0], p[1], matActs, b*t.arrangedD()/2+16*t.pairs()*c+8*four)
			}
		}
	}
	for pair := range t.pairs() {
		one, two := t.record[2*pair], t.record[2*pair+1]
		v, w := a[0], a[1]
		t.ldr('q', v, one, packed.ActScale)
		t.ldr('q', w, two, packed.ActScale)
		t.spread("zip1", v, w, t.arrangedD(), pair)
		switch {
		case t.f.Sub == 16:
			for _, r := range []struct {
				to   q
				from x
			}{{v, one}, {w, two}} {
				t.ldrUnscaled('q', r.to, r.from, packed.ActHalf32)
				if t.f.Min {
					t.two("scvtf", "4s", r.to, r.to)
				} else if _, shift := packed.Correction(t.f.Offset, 0, 0); shift < 0 {
					t.shift("sshr", "4s", r.to, r.to, -shift)
				}
			}
			t.spread("zip1", v, w, t.extraAt(0), pair)
			t.spread("zip2", v, w, t.extraAt(2), pair)
		case t.f.Min:
			t.spread("zip2", v, w, t.extraAt(0), pair) // d*sum comes after d
		case t.f.Offset != 0:
			at, _ := packed.Correction(t.f.Offset, 0, 0)
			t.ldr('d', v, one, at)
			t.ldr('d', w, two, at)
			t.spread("zip1", v, w, t.extraAt(0), pair)
		}
	}
}

// spread stores two vectors of a pair: from each row's two values, in the lower
// (zip1) or upper halves of v and w, the first of both rows twice, and the second.
func (t *matrixTile) spread(zip string, v, w q, at, pair int) {
	both, out := t.free[2], t.free[3]
	t.three(zip, "2d", both, v, w)
	for i, name := range []string{"trn1", "trn2"} {
		t.three(name, "4s", out, both, both)
		t.str('q', out, matActs, at+16*(t.pairs()*i+pair))
	}
}

func (t *matrixTile) start(b, s int) {
	c := t.acts2[0]
	if t.f.Offset != 0 {
		for i := 0; i < t.pairs(); i += 2 {
			t.ldp(c[i], c[i+1], matActs, t.extraAt(b*t.f.Subs()+s)+16*i)
		}
	}
	for i, ints := range t.ints {
		for _, r := range ints {
			if t.f.Offset != 0 {
				t.mov(r, c[i])
			} else {
				t.zero(r)
			}
		}
	}
}

// loadPairs loads the pairs' activations of 8 columns of a block.
func (t *matrixTile) loadPairs(to list4, b, eight int) {
	at := b*t.arrangedD()/2 + 16*t.pairs()*eight
	for i := 0; i < t.pairs(); i += 2 {
		t.ldp(to[i], to[i+1], matActs, at+16*i)
	}
}

// multiply adds the products with a pair of rows of weights.
func (t *matrixTile) multiply(w q, weights int, acts list4) {
	for i, ints := range t.ints {
		t.dot("smmla", ints[weights], acts[i], w)
	}
}

func (t *matrixTile) products(b, s, part int) {
	r := t.read
	if t.zipFirst() {
		for v := 0; v < 4; v += 2 {
			t.loadPairs(t.acts2[0], b, v/2)
			t.loadPairs(t.acts2[1], b, v/2+2)
			r.loadLow(r.raw, b, v, part)
			r.loadLow(t.raw2, b, v+1, part)
			for k := range 2 {
				t.three("zip1", "4s", t.z, r.raw[k], t.raw2[k])
				t.three("zip2", "4s", t.raw2[k], r.raw[k], t.raw2[k])
				for i, z := range []q{t.z, t.raw2[k]} {
					r.extract(0, t.w, list4{z})
					t.multiply(t.w[0], 2*k+i, t.acts2[0])
					r.extract(4, list4{z}, list4{z})
					t.multiply(z, 2*k+i, t.acts2[1])
				}
			}
		}
		return
	}
	first, n := 0, 4
	if t.f.Sub == 16 {
		first, n = 2*s, 2
	}
	for eight := first; eight < first+n; eight++ {
		j := 2 * eight
		if j%4 == 0 && (j == 4*s || t.f.High == 2) {
			r.loadHigh(b, j, part)
		}
		t.loadPairs(t.acts2[0], b, eight)
		one, two := r.raw, t.raw2
		if v, _ := packed.Place(t.f.Low, j); t.f.Low == 2 { // in the same vector
			r.loadLow(one, b, v, part)
			r.extract(j+1, two, one)
			r.extract(j, one, one)
		} else {
			r.loadLow(one, b, v, part)
			v, _ = packed.Place(t.f.Low, j+1)
			r.loadLow(two, b, v, part)
			r.extract(j, one, one)
			r.extract(j+1, two, two)
		}
		for k := range 2 {
			t.three("zip1", "4s", t.z, one[k], two[k])
			t.multiply(t.z, 2*k, t.acts2[0])
			t.three("zip2", "4s", two[k], one[k], two[k])
			t.multiply(two[k], 2*k+1, t.acts2[0])
		}
	}
}

// scaleInts is that of armTile on 2 x 2 results.
func (t *matrixTile) scaleInts(b, s, part int) {
	free := t.free
	next := func(n int) list4 {
		l := free[:n]
		free = free[n:]
		return l
	}
	scale := next(4)
	var least list4
	if t.f.Min {
		least = next(4)
	}
	if t.f.Min {
		t.scales(b, s, 2*part, scale[2:], least[2:], free)
	} else {
		t.scales(b, s, 2*part, scale[2:], nil, free)
	}
	for _, l := range []list4{scale, least} {
		if l == nil {
			continue
		}
		t.dup(l[0], "2d", l[2], 0)
		t.dup(l[1], "2d", l[2], 1)
		t.dup(l[2], "2d", l[3], 0)
		t.dup(l[3], "2d", l[3], 1)
	}
	d, sum, to := next(1)[0], next(1)[0], next(2)
	for i, v := range t.ints {
		for _, r := range v {
			t.two("scvtf", "4s", r, r)
		}
		for k, r := range v {
			t.three("fmul", "4s", r, r, scale[k])
		}
		t.ldr('q', d, matActs, t.arrangedD()+16*(t.pairs()*b+i))
		if t.f.Min {
			t.ldr('q', sum, matActs, t.extraAt(b*t.f.Subs()+s)+16*i)
		}
		if t.innerMin() {
			for k, r := range v {
				t.three("fmla", "4s", r, least[k], sum)
			}
		}
		for k := 0; k < 4; k += 2 {
			at := part*t.groupFloats()/2 + 64*i + 16*k
			t.ldp(to[0], to[1], matFloats, at)
			for n := range 2 {
				t.three("fmla", "4s", to[n], v[k+n], d)
			}
			if t.outerMin() {
				for n := range 2 {
					t.three(t.addMin(), "4s", to[n], least[k+n], sum)
				}
			}
			t.stp(to[0], to[1], matFloats, at)
		}
	}
}
