package dtype

// Simple encoders for the K-quants. Each group takes its range (from zero or its
// minimum, whichever is lower, to its maximum) or its largest magnitude as its
// scale; the group scales are rounded to multiples of the super-block's scale;
// and the values are then rounded with the scales as they will be read back.
// ggml's own encoders also search for scales of less squared error.

// affineGroups finds, for groups of n values, a scale and a minimum (as a
// non-negative number to subtract) so that levels steps cover the group, and
// rounds both to limit steps of the float16 scales it stores at d and m.
func affineGroups(src []float32, n, levels, limit int, d, m []byte) (scales, mins []byte, s, t []float32) {
	groups := superLen / n
	s, t = make([]float32, groups), make([]float32, groups)
	for g := range s {
		lo, hi := minMax(src[g*n : (g+1)*n])
		lo = min(lo, 0)
		s[g], t[g] = (hi-lo)/float32(levels), -lo
	}
	scales, s = roundScales(s, limit, d)
	mins, t = roundScales(t, limit, m)
	return scales, mins, s, t
}

// roundScales rounds non-negative values to multiples, at most limit, of a
// float16 stored at d, and returns the multiples and the values they stand for.
func roundScales(v []float32, limit int, d []byte) (q []byte, r []float32) {
	storeF16(d, abs32(signedMax(v))/float32(limit))
	unit := loadF16(d)
	id := inverse(unit)
	q, r = make([]byte, len(v)), make([]float32, len(v))
	for i := range v {
		k := nearest(v[i]*id, 0, limit)
		q[i], r[i] = byte(k), unit*float32(k)
	}
	return q, r
}

func quantQ2_K(dst []byte, src []float32) {
	for ; len(src) > 0; dst, src = dst[84:], src[superLen:] {
		clear(dst[:84])
		scales, mins, s, t := affineGroups(src, 16, 3, 15, dst[80:], dst[82:])
		for g := range scales {
			dst[g] = scales[g] | mins[g]<<4
		}
		for i, v := range src[:superLen] {
			g := i / 16
			at, shift := twoBitsAt(i)
			dst[16+at] |= byte(nearest((v+t[g])*inverse(s[g]), 0, 3)) << shift
		}
	}
}

func quantQ4_K(dst []byte, src []float32) {
	for ; len(src) > 0; dst, src = dst[144:], src[superLen:] {
		clear(dst[:144])
		scales, mins, s, t := affineGroups(src, 32, 15, 63, dst, dst[2:])
		packScaleMins(dst[4:], [8]byte(scales), [8]byte(mins))
		for i, v := range src[:superLen] {
			g := i / 32
			at, shift := nibbleAt(i)
			dst[16+at] |= byte(nearest((v+t[g])*inverse(s[g]), 0, 15)) << shift
		}
	}
}

func quantQ5_K(dst []byte, src []float32) {
	for ; len(src) > 0; dst, src = dst[176:], src[superLen:] {
		clear(dst[:176])
		scales, mins, s, t := affineGroups(src, 32, 31, 63, dst, dst[2:])
		packScaleMins(dst[4:], [8]byte(scales), [8]byte(mins))
		for i, v := range src[:superLen] {
			g := i / 32
			at, shift := nibbleAt(i)
			q := nearest((v+t[g])*inverse(s[g]), 0, 31)
			dst[48+at] |= byte(q&15) << shift
			dst[16+i%32] |= byte(q>>4) << g
		}
	}
}

// symmetricGroups finds a signed scale for each of 16 groups, so that the value
// of the largest magnitude lands on the most negative code -levels, and rounds
// it to [-limit, limit-1] steps of the float16 scale it stores at d.
func symmetricGroups(src []float32, levels, limit int, d []byte) (scales [16]int, s [16]float32) {
	for g := range s {
		s[g] = signedMax(src[16*g:16*g+16]) / float32(-levels)
	}
	storeF16(d, signedMax(s[:])/float32(-limit))
	unit := loadF16(d)
	id := inverse(unit)
	for g := range s {
		scales[g] = nearest(s[g]*id, -limit, limit-1)
		s[g] = unit * float32(scales[g])
	}
	return scales, s
}

func quantQ3_K(dst []byte, src []float32) {
	for ; len(src) > 0; dst, src = dst[110:], src[superLen:] {
		clear(dst[:110])
		scales, s := symmetricGroups(src, 4, 32, dst[108:])
		packQ3Scales(dst[96:108], scales)
		for i, v := range src[:superLen] {
			q := nearest(v*inverse(s[i/16]), -4, 3) + 4
			at, shift := twoBitsAt(i)
			dst[32+at] |= byte(q&3) << shift
			dst[i%32] |= byte(q>>2) << (i / 32)
		}
	}
}

func quantQ6_K(dst []byte, src []float32) {
	for ; len(src) > 0; dst, src = dst[210:], src[superLen:] {
		clear(dst[:210])
		scales, s := symmetricGroups(src, 32, 128, dst[208:])
		for g, k := range scales {
			dst[192+g] = byte(int8(k))
		}
		for i, v := range src[:superLen] {
			q := nearest(v*inverse(s[i/16]), -32, 31) + 32
			l, ls, h, hs := sixBitsAt(i)
			dst[l] |= byte(q&15) << ls
			dst[128+h] |= byte(q>>4) << hs
		}
	}
}
