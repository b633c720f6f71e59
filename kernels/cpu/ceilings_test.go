package cpu

import (
	"encoding/binary"
	"testing"
)

func TestRead(t *testing.T) {
	r := newRand(5)
	eachLevel(t, func(t *testing.T, k *Kernels) {
		for _, n := range []int{0, 1, 7, 8, 63, 64, 511, 512, 513, 1024, 2048, 4096 + 24, 8*callBytes + 512 + 9} {
			b := make([]byte, n)
			for i := range b {
				b[i] = byte(r.Uint32())
			}
			var want uint64
			for i := 0; i < n; i += 8 {
				var word [8]byte
				copy(word[:], b[i:])
				want ^= binary.LittleEndian.Uint64(word[:])
			}
			for i, name := range k.ReadLoops() {
				if got := k.Read(i, b); got != want {
					t.Errorf("%s: %d bytes give %x, want %x", name, n, got, want)
				}
			}
		}
	})
}

func TestDots(t *testing.T) {
	eachLevel(t, func(t *testing.T, k *Kernels) {
		one := k.Dots(1)
		if got := k.Dots(1<<16 + 3); got != one*(1<<16+3) {
			t.Errorf("a turn is %d operations, %d turns are %d", one, 1<<16+3, got)
		}
		if k.asm != nil && one == 0 || k.Dots(0) != 0 {
			t.Errorf("a turn is %d operations, no turn is %d", one, k.Dots(0))
		}
	})
}
