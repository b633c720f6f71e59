package pool

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// The cost of a barrier with nothing between barriers.
func BenchmarkBarrier(b *testing.B) {
	for _, n := range []int{1, 2, 4, 8} {
		b.Run(fmt.Sprintf("threads=%d", n), func(b *testing.B) {
			p := testPool(b)
			b.ResetTimer()
			run(b, p, n, func(w *Worker) {
				for range b.N {
					w.Barrier()
				}
			})
		})
	}
}

var sink [8][64]float32

// work sums a 32 KiB part of its own, some µs.
func work(w *Worker, data []float32) {
	var s [8]float32
	for i := 0; i+8 <= len(data); i += 8 {
		for j := range s {
			s[j] += data[i+j]
		}
	}
	copy(sink[w.ID&7][:], s[:])
}

// The cost of a barrier between pieces of work in each core's cache: the
// difference between "with" and "without".
func BenchmarkBarrierInContext(b *testing.B) {
	for _, barrier := range []bool{false, true} {
		b.Run(fmt.Sprintf("barrier=%v", barrier), func(b *testing.B) {
			p := testPool(b)
			data := [2][]float32{make([]float32, 8192), make([]float32, 8192)}
			b.ResetTimer()
			run(b, p, 2, func(w *Worker) {
				for range b.N {
					work(w, data[w.ID])
					if barrier {
						w.Barrier()
					}
				}
			})
		})
	}
}

func BenchmarkRun(b *testing.B) {
	nothing := func(*Worker) {}
	for _, n := range []int{1, 2} {
		b.Run(fmt.Sprintf("hot/threads=%d", n), func(b *testing.B) {
			p := testPool(b)
			for b.Loop() {
				p.Run(bg, n, nothing)
			}
		})
	}
	b.Run("parked/threads=2", func(b *testing.B) {
		p := testPool(b)
		run(b, p, 2, nothing)
		var spent time.Duration
		for b.Loop() {
			time.Sleep(300 * time.Microsecond)
			t0 := time.Now()
			p.Run(bg, 2, nothing)
			spent += time.Since(t0)
		}
		b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N), "ns/Run")
	})
	b.Run("go+WaitGroup/threads=2", func(b *testing.B) {
		for b.Loop() {
			var wg sync.WaitGroup
			wg.Add(1)
			go func() { wg.Done() }()
			wg.Wait()
		}
	})
}

func BenchmarkYield(b *testing.B) {
	run(b, testPool(b), 1, func(w *Worker) {
		for b.Loop() {
			w.Yield()
		}
	})
}

func BenchmarkNext(b *testing.B) {
	for _, n := range []int{1, 2} {
		b.Run(fmt.Sprintf("threads=%d", n), func(b *testing.B) {
			p := testPool(b)
			run(b, p, n, func(w *Worker) {
				for i := w.Next(b.N); i >= 0; i = w.Next(b.N) {
				}
			})
		})
	}
}
