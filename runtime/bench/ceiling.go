package bench

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/ledge-run/ledge/kernels/cpu"
)

// Ceiling is what the machine can do at most with a number of threads: no
// token can be generated faster than its bytes are read, and no prompt faster
// than its products are made.
type Ceiling struct {
	Threads int     `json:"n_threads"`
	ReadGBs float64 `json:"read_gbs"`  // 1e9 bytes a second
	Loop    string  `json:"read_loop"` // the quickest way to read
	Level   string  `json:"level"`     // the kernels' level
}

// ReadCeiling measures how fast threads read size bytes of memory (huge pages
// where the system has them) and do nothing else. Every way in which the kernels
// can read is tried passes times, in turn; the result is the median of the
// quickest. size should be several times the last cache.
func ReadCeiling(ctx context.Context, size, threads, passes int) (Ceiling, error) {
	c := Ceiling{Threads: threads}
	const least = 1 << 20
	if threads < 1 || passes < 1 || size/max(threads, 1) < least {
		return c, fmt.Errorf("bench: %d passes of %d threads over %d bytes: a pass needs a thread, and each 1 MiB", passes, threads, size)
	}
	k, err := cpu.Select("")
	if err != nil {
		return c, fmt.Errorf("bench: %w", err)
	}
	c.Level = k.Level().String()
	mem, free, err := hugeMemory(size)
	if err != nil {
		return c, fmt.Errorf("bench: memory to read: %w", err)
	}
	defer free()
	share := size / threads &^ (least - 1)
	g := newGang(threads)
	defer g.end()
	g.run(func(i int) { // the first touch
		b := mem[i*share : (i+1)*share]
		for j := range b {
			b[j] = byte(j)
		}
	})
	loops := k.ReadLoops()
	rates := make([][]float64, len(loops))
	for range passes {
		for l := range loops {
			if err := ctx.Err(); err != nil {
				return c, context.Cause(ctx)
			}
			took := g.run(func(i int) { k.Read(l, mem[i*share:(i+1)*share]) })
			rates[l] = append(rates[l], float64(share*threads)/max(took.Seconds(), 1e-9)/1e9)
		}
	}
	for l, r := range rates {
		if m := median(r); m > c.ReadGBs {
			c.ReadGBs, c.Loop = m, loops[l]
		}
	}
	return c, nil
}

// DotCeiling measures how many operations a second, in 1e9, threads make with
// the level's int8 dot product, a product and its addition being two: the median
// of passes. It is 0 where the kernels have no such instruction.
func DotCeiling(ctx context.Context, threads, passes int) (float64, error) {
	if threads < 1 || passes < 1 {
		return 0, fmt.Errorf("bench: %d passes of %d threads", passes, threads)
	}
	k, err := cpu.Select("")
	if err != nil {
		return 0, fmt.Errorf("bench: %w", err)
	}
	if k.Dots(1) == 0 {
		return 0, nil
	}
	g := newGang(threads)
	defer g.end()
	var rates []float64
	for range passes {
		if err := ctx.Err(); err != nil {
			return 0, context.Cause(ctx)
		}
		const turns = 1 << 22
		took := g.run(func(int) { k.Dots(turns) })
		rates = append(rates, float64(threads*k.Dots(1))*turns/max(took.Seconds(), 1e-9)/1e9)
	}
	return median(rates), nil
}

// median is the middle of the values, which it sorts; of an even number the
// mean of the middle two.
func median(x []float64) float64 {
	slices.Sort(x)
	n := len(x)
	return (x[(n-1)/2] + x[n/2]) / 2
}

// A gang is threads of the system that wait for work.
type gang struct {
	work []chan func(i int)
	done sync.WaitGroup
}

func newGang(n int) *gang {
	g := &gang{work: make([]chan func(int), n)}
	for i := range g.work {
		g.work[i] = make(chan func(int))
		go func() {
			runtime.LockOSThread()
			for f := range g.work[i] {
				f(i)
				g.done.Done()
			}
		}()
	}
	return g
}

// run has every thread call f with its number, and says how long all took.
func (g *gang) run(f func(i int)) time.Duration {
	g.done.Add(len(g.work))
	start := time.Now()
	for _, w := range g.work {
		w <- f
	}
	g.done.Wait()
	return time.Since(start)
}

func (g *gang) end() {
	for _, w := range g.work {
		close(w)
	}
}
