package bench

import (
	"context"
	"testing"
	"unsafe"
)

func TestReadCeiling(t *testing.T) {
	ctx := context.Background()
	for _, threads := range []int{1, 2, 3} {
		c, err := ReadCeiling(ctx, 8<<20, threads, 2)
		if err != nil {
			t.Fatal(err)
		}
		// Less than any machine reads, more than any.
		if c.Threads != threads || c.ReadGBs < 0.05 || c.ReadGBs > 1e5 || c.Loop == "" || c.Level == "" {
			t.Errorf("%d threads: %+v", threads, c)
		}
	}
	for _, bad := range []struct{ size, threads, passes int }{{8 << 20, 0, 1}, {8 << 20, -1, 1}, {8 << 20, 1, 0}, {1 << 20, 2, 1}, {0, 1, 1}} {
		if c, err := ReadCeiling(ctx, bad.size, bad.threads, bad.passes); err == nil {
			t.Errorf("%+v gave %+v", bad, c)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	if c, err := ReadCeiling(ctx, 8<<20, 1, 1); err == nil {
		t.Errorf("a cancelled context gave %+v", c)
	}
	if p, err := DotCeiling(ctx, 1, 1); err == nil && p != 0 {
		t.Errorf("a cancelled context gave %v GOPS", p)
	}
}

func TestDotCeiling(t *testing.T) {
	p, err := DotCeiling(context.Background(), 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if p != 0 && (p < 0.1 || p > 1e6) {
		t.Errorf("%v GOPS", p)
	}
	if _, err := DotCeiling(context.Background(), 0, 1); err == nil {
		t.Error("no threads gave no error")
	}
}

// TestGang: every thread runs every piece of work once, and run waits for all.
func TestGang(t *testing.T) {
	g := newGang(3)
	defer g.end()
	var count [3]int
	for n := 1; n <= 5; n++ {
		g.run(func(i int) { count[i]++ })
		if count != [3]int{n, n, n} {
			t.Fatalf("after %d turns the threads ran %v times", n, count)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		x    []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{5, 1, 3}, 3}, {[]float64{4, 1, 3, 2}, 2.5}} {
		if got := median(c.x); got != c.want {
			t.Errorf("median of %v is %v, want %v", c.x, got, c.want)
		}
	}
}

func TestHugeMemory(t *testing.T) {
	b, free, err := hugeMemory(5 << 20)
	if err != nil {
		t.Fatal(err)
	}
	defer free()
	if len(b) != 5<<20 || uintptr(unsafe.Pointer(&b[0]))%64 != 0 {
		t.Errorf("%d bytes at %p", len(b), &b[0])
	}
	b[0], b[len(b)-1] = 1, 1
}
