package cpu

import (
	"encoding/binary"
	"unsafe"
)

type readFunc func(dst, p *byte, n int)

// ceilings are a level's loops that measure what the machine can do at most.
type ceilings struct {
	reads   [len(readNames)]readFunc
	dots    func(n int)
	perDots int
}

var readNames = [...]string{"in order", "with prefetch", "four streams"}

// ReadLoops names the ways in which Read reads: which is the fastest differs
// between processors.
func (k *Kernels) ReadLoops() []string {
	if levelCeilings(k.level) == nil {
		return readNames[:1]
	}
	return readNames[:]
}

// Read reads all of b in the way given by an index of ReadLoops, as fast as it
// can and to no end but that: what a kernel reads is measured against it. It
// returns the exclusive or of b's 64-bit words, with zeros after its end.
func (k *Kernels) Read(loop int, b []byte) uint64 {
	var line [64]byte
	n := 0
	if c := levelCeilings(k.level); c != nil {
		// Assembly cannot be preempted, so a call is given a bounded amount of work.
		for len(b)-n >= 512 {
			size := min(8*callBytes, (len(b)-n)&^511)
			var part [64]byte
			c.reads[loop](&part[0], &b[n], size)
			for i := range line {
				line[i] ^= part[i]
			}
			n += size
		}
	}
	var sum uint64
	for i := 0; i < len(line); i += 8 {
		sum ^= binary.LittleEndian.Uint64(line[i:])
	}
	return sum ^ readWords(b[n:])
}

// readWords is Read in plain Go.
func readWords(b []byte) uint64 {
	var s0, s1, s2, s3 uint64
	w := unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/8)
	for ; len(w) >= 8; w = w[8:] {
		s0 ^= w[0] ^ w[4]
		s1 ^= w[1] ^ w[5]
		s2 ^= w[2] ^ w[6]
		s3 ^= w[3] ^ w[7]
	}
	for _, v := range w {
		s0 ^= v
	}
	if tail := b[len(b)&^7:]; len(tail) > 0 {
		var last [8]byte
		copy(last[:], tail)
		s0 ^= binary.LittleEndian.Uint64(last[:])
	}
	return s0 ^ s1 ^ s2 ^ s3
}

// Dots keeps the level's int8 dot product busy with values in registers, turns
// times, and returns the number of operations that it did (a product and its
// addition are two): the most that products of quantised weights can reach. It
// returns 0 where there is no such loop.
func (k *Kernels) Dots(turns int) int {
	c := levelCeilings(k.level)
	if c == nil || turns < 1 {
		return 0
	}
	const most = 1 << 16 // a call lasts a fraction of a millisecond
	for n := turns; n > 0; n -= most {
		c.dots(min(n, most))
	}
	return turns * c.perDots * 4 * 2
}
