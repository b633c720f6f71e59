package tokenizer

import (
	"hash/maphash"
	"math/bits"
)

// index finds a token by its text: an open-addressing hash table over strings
// held elsewhere. It is built much faster than a map and is never changed.
type index struct {
	seed  maphash.Seed
	mask  uint32
	slots []indexSlot
	texts []string
}

type indexSlot struct {
	hash uint32
	id   int32 // position in texts plus 1; 0: empty
}

// touched makes a zero slice whose memory is there already. Memory fresh from
// the system that is read before it is written costs two page faults, of which the
// second interrupts all processors: half the time of filling a table.
func touched[T any](n int) []T {
	s := make([]T, n)
	clear(s)
	return s
}

// newIndex indexes texts[id] for all ids that keep allows (nil: all). When a
// text occurs twice it returns the ids of the first such pair.
func newIndex(texts []string, count int, keep func(id int) bool) (x *index, dup [2]int32, ok bool) {
	size := uint32(1) << bits.Len32(uint32(max(count, 4))*3/2)
	x = &index{seed: maphash.MakeSeed(), mask: size - 1, slots: touched[indexSlot](int(size)), texts: texts}
	for id := range texts {
		if keep != nil && !keep(id) {
			continue
		}
		h := uint32(maphash.String(x.seed, texts[id]))
		i := h & x.mask
		for x.slots[i].id != 0 {
			if x.slots[i].hash == h && texts[x.slots[i].id-1] == texts[id] {
				return nil, [2]int32{x.slots[i].id - 1, int32(id)}, false
			}
			i = (i + 1) & x.mask
		}
		x.slots[i] = indexSlot{hash: h, id: int32(id) + 1}
	}
	return x, dup, true
}

// hash is the hash of a text that find and the ranks go by.
func (x *index) hash(s string) uint64 { return maphash.String(x.seed, s) }

// find returns the id of the token whose text is s, or -1.
func (x *index) find(s string) int32 { return x.findHashed(s, x.hash(s)) }

// findHashed is find for a text whose hash is known.
func (x *index) findHashed(s string, hash uint64) int32 {
	h := uint32(hash)
	for i := h & x.mask; x.slots[i].id != 0; i = (i + 1) & x.mask {
		if x.slots[i].hash == h && x.texts[x.slots[i].id-1] == s {
			return x.slots[i].id - 1
		}
	}
	return -1
}

// ranks tells which pairs of texts merge, and in what order. A pair is known by
// a 64-bit mix of the two texts' hashes, which are secret and differ from run
// to run: that a pair is taken for another has a chance of about 1 in 10^13 for
// a million pairs looked up. So building it takes no look at the tokens.
type ranks struct {
	mask  uint64
	slots []rankSlot
}

type rankSlot struct {
	pair uint64
	rank int32 // plus 1; 0: empty
}

func newRanks(count int) *ranks {
	size := 1 << bits.Len(uint(max(count, 4))*3/2)
	return &ranks{mask: uint64(size - 1), slots: touched[rankSlot](size)}
}

// pairOf mixes the hashes of two texts; the order counts.
func pairOf(left, right uint64) uint64 {
	hi, lo := bits.Mul64(left^0x9E3779B97F4A7C15, bits.RotateLeft64(right, 32)|1)
	return hi ^ lo
}

// add gives a pair its rank, unless it has one: the first counts.
func (r *ranks) add(left, right uint64, rank int32) {
	pair := pairOf(left, right)
	i := pair & r.mask
	for ; r.slots[i].rank != 0; i = (i + 1) & r.mask {
		if r.slots[i].pair == pair {
			return
		}
	}
	r.slots[i] = rankSlot{pair, rank + 1}
}

// get returns the rank of a pair, or -1.
func (r *ranks) get(left, right uint64) int32 {
	pair := pairOf(left, right)
	for i := pair & r.mask; r.slots[i].rank != 0; i = (i + 1) & r.mask {
		if r.slots[i].pair == pair {
			return r.slots[i].rank - 1
		}
	}
	return -1
}

// runeBytes inverts GPT-2's alphabet, in which byte-level BPE writes each byte
// as one printable character: the byte of each code point below 0x144 (-1: not
// in the alphabet).
var runeBytes = func() (from [0x144]int16) {
	for i := range from {
		from[i] = -1
	}
	n := rune(256)
	for b := range 256 {
		r := rune(b)
		if b < 0x21 || b > 0x7E && b < 0xA1 || b == 0xAD {
			r, n = n, n+1
		}
		from[r] = int16(b)
	}
	return from
}()

// appendBytes appends the bytes that s spells in GPT-2's alphabet; ok is false,
// and dst unchanged, when some character is not in it.
func appendBytes(dst []byte, s string) (out []byte, ok bool) {
	n := len(dst)
	for s != "" && s[0] > ' ' && s[0] < 0x7F { // stand for themselves
		dst = append(dst, s[0])
		s = s[1:]
	}
	for _, r := range s {
		if r >= rune(len(runeBytes)) || runeBytes[r] < 0 {
			return dst[:n], false
		}
		dst = append(dst, byte(runeBytes[r]))
	}
	return dst, true
}

// parseByte reads a byte token's text, "<0x0A>".
func parseByte(s string) (byte, bool) {
	if len(s) != 6 || s[:3] != "<0x" || s[5] != '>' {
		return 0, false
	}
	v := 0
	for _, c := range []byte(s[3:5]) {
		switch {
		case '0' <= c && c <= '9':
			v = v<<4 | int(c-'0')
		case 'A' <= c && c <= 'F':
			v = v<<4 | int(c-'A'+10)
		case 'a' <= c && c <= 'f':
			v = v<<4 | int(c-'a'+10)
		default:
			return 0, false
		}
	}
	return byte(v), true
}

const hexDigits = "0123456789ABCDEF"

// byteText is the text of the token for byte b, "<0x0A>".
func byteText(b byte) string {
	return string([]byte{'<', '0', 'x', hexDigits[b>>4], hexDigits[b&15], '>'})
}
