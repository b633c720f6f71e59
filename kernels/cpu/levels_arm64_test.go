package cpu

import (
	"fmt"
	"testing"

	"github.com/ledge-run/ledge/kernels/cpu/internal/packed"
)

// TestArmLevelsAgree holds more than the contract asks: the levels of arm64 do
// the same operations on float32 in the same order, and dot products are exact,
// so their results have the same bits.
func TestArmLevelsAgree(t *testing.T) {
	for _, l := range Levels()[2:] {
		t.Run(l.String(), func(t *testing.T) { agree(t, kernelsOf(NEON), kernelsOf(l)) })
	}
}

// BenchmarkProduct is a product with a matrix of 128 rows: build/arm64/count.py
// counts the instructions that it takes.
func BenchmarkProduct(b *testing.B) {
	k, err := Select("")
	if err != nil {
		b.Fatal(err)
	}
	for i := range packed.Formats {
		dt := packed.Formats[i].DType
		b.Run(dt.String(), func(b *testing.B) {
			for _, m := range []int{1, 2, 4, 8} {
				for _, cols := range []int{1024, 2048} {
					b.Run(fmt.Sprintf("%dx%d", m, cols), func(b *testing.B) {
						const rows = 8 * GroupRows
						acts := randomActs(k, cols, m)
						p, _ := packingOf(dt)
						w := &Matrix{dt, rows, cols, make([]byte, 8*p.groupBytes(cols))}
						dst := make([]float32, m*rows)
						for b.Loop() {
							k.MatMul(dst, rows, acts, m, w, 0, 8)
						}
					})
				}
			}
		})
	}
}
