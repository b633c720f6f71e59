package pool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var bg = context.Background()

// TestMain lets LEDGE_TEST_PIN=1 run everything with bound threads.
func TestMain(m *testing.M) {
	testPin = os.Getenv("LEDGE_TEST_PIN") != ""
	os.Exit(m.Run())
}

var testPin bool

// testPool returns a pool whose workers leave when the test ends.
func testPool(t testing.TB) *Pool {
	p := newPool()
	p.pin.Store(testPin && canPin)
	t.Cleanup(p.close)
	return p
}

// close sends the workers of a test's pool home.
func (p *Pool) close() {
	p.turn <- struct{}{}
	p.closed = true
	for _, w := range p.workers[1:] {
		tell(&w.start, 1<<62)
		w.unpark()
	}
	<-p.turn
}

func run(t testing.TB, p *Pool, threads int, fn func(*Worker)) {
	t.Helper()
	if err := p.Run(bg, threads, fn); err != nil {
		t.Fatal(err)
	}
}

// Every worker runs once, with its own ID; counts change from Run to Run.
func TestRun(t *testing.T) {
	p := testPool(t)
	for _, n := range []int{1, 2, 3, 1, 7, 2, 16, 4, 5} {
		var calls [16]atomic.Int32
		run(t, p, n, func(w *Worker) {
			if w.N != n {
				panic(fmt.Sprintf("N is %d, want %d", w.N, n))
			}
			calls[w.ID].Add(1)
		})
		for id := range calls {
			want := int32(0)
			if id < n {
				want = 1
			}
			if got := calls[id].Load(); got != want {
				t.Fatalf("%d threads: worker %d called %d times, want %d", n, id, got, want)
			}
		}
	}
}

// Between two barriers everyone sees what everyone wrote, in plain memory (the
// race detector watches).
func TestBarrier(t *testing.T) {
	p := testPool(t)
	for _, n := range []int{1, 2, 3, 4, 5, 8, 13} {
		const rounds = 200
		cells := make([]int, n)
		run(t, p, n, func(w *Worker) {
			for r := range rounds {
				cells[w.ID] = r
				w.Barrier()
				for id, v := range cells {
					if v != r {
						panic(fmt.Sprintf("%d threads, round %d: worker %d sees %d from %d", n, r, w.ID, v, id))
					}
				}
				w.Barrier()
			}
		})
	}
}

// Workers that are late by more than the spin make others park, at barriers and
// at the end.
func TestParkedWaits(t *testing.T) {
	p := testPool(t)
	for late := range 3 {
		order := make([]int, 0, 8)
		run(t, p, 3, func(w *Worker) {
			for r := range 4 {
				if w.ID == late {
					time.Sleep(time.Millisecond)
					order = append(order, r)
				}
				w.Barrier()
				if len(order) != r+1 {
					panic("barrier passed too early")
				}
				w.Barrier()
			}
			if w.ID == late {
				time.Sleep(time.Millisecond)
				order = append(order, -1)
			}
		})
		if len(order) != 5 {
			t.Fatalf("Run came back before worker %d", late)
		}
	}
}

// Of two workers that each tell a flag and then look at the other's, one sees it: what
// parking rests on. By plain stores QEMU lets both miss it now and then.
func TestTell(t *testing.T) {
	if runtime.GOMAXPROCS(0) < 2 {
		t.Skip("two workers at once need two processors")
	}
	type apart struct {
		_ [128]byte
		atomic.Uint64
		_ [128]byte
	}
	const rounds = 50000
	var flag, met [2]apart
	var saw [2][rounds + 1]bool
	work := func(me int) {
		meet := func(n uint64) {
			met[me].Store(n)
			for looks := 0; met[1-me].Load() < n; looks++ {
				if looks > 300 {
					runtime.Gosched()
				}
			}
		}
		for i := uint64(1); i <= rounds; i++ {
			meet(i)
			tell(&flag[me].Uint64, i)
			saw[me][i] = flag[1-me].Load() >= i
		}
	}
	done := make(chan struct{})
	go func() { defer close(done); work(1) }()
	work(0)
	<-done
	neither := 0
	for i := 1; i <= rounds; i++ {
		if !saw[0][i] && !saw[1][i] {
			neither++
		}
	}
	if neither > 0 {
		t.Errorf("in %d of %d rounds neither saw the other", neither, rounds)
	}
}

func TestNext(t *testing.T) {
	p := testPool(t)
	for _, n := range []int{1, 2, 3, 6} {
		for _, chunks := range []int{0, 1, 2, 5, 100, -3} {
			seen := make([][3]atomic.Int32, max(chunks, 0))
			run(t, p, n, func(w *Worker) {
				for loop := range 3 {
					for i := w.Next(chunks); i >= 0; i = w.Next(chunks) {
						seen[i][loop].Add(1)
					}
					w.Barrier()
				}
			})
			for i := range seen {
				for loop := range 3 {
					if got := seen[i][loop].Load(); got != 1 {
						t.Fatalf("%d threads, %d chunks, loop %d: chunk %d handed out %d times", n, chunks, loop, i, got)
					}
				}
			}
		}
	}
}

// catch returns the Panic that f panics with.
func catch(t *testing.T, f func()) (caught *Panic) {
	t.Helper()
	defer func() {
		caught, _ = recover().(*Panic)
	}()
	f()
	t.Fatal("no panic")
	return nil
}

func explode() { panic(errors.New("boom")) }

func TestPanic(t *testing.T) {
	p := testPool(t)
	for _, n := range []int{1, 2, 5} {
		for bad := range n {
			unwound := make([]bool, n)
			caught := catch(t, func() {
				p.Run(bg, n, func(w *Worker) {
					defer func() { unwound[w.ID] = true }()
					w.Barrier()
					if w.ID == bad {
						time.Sleep(time.Duration(bad) * time.Millisecond / 2) // others park, or not
						explode()
					}
					w.Barrier()
					w.Barrier()
					t.Error("a barrier opened without a worker")
				})
			})
			if caught.Worker != bad || caught.Value.(error).Error() != "boom" || errors.Unwrap(caught).Error() != "boom" {
				t.Fatalf("%d threads, worker %d panics: caught %v from %d", n, bad, caught.Value, caught.Worker)
			}
			if !strings.Contains(string(caught.Stack), "pool.explode") || !strings.Contains(caught.Error(), "pool.explode") {
				t.Fatalf("the stack does not show the place of the panic:\n%s", caught.Stack)
			}
			for id, ok := range unwound {
				if !ok {
					t.Fatalf("worker %d of %d is not back", id, n)
				}
			}
			// The pool still works.
			var sum atomic.Int32
			run(t, p, n, func(w *Worker) { w.Barrier(); sum.Add(1); w.Barrier() })
			if int(sum.Load()) != n {
				t.Fatalf("after a panic: %d workers, want %d", sum.Load(), n)
			}
		}
	}
}

// A worker that leaves while another waits for it at a barrier is found out.
func TestBarrierMisuse(t *testing.T) {
	p := testPool(t)
	for _, n := range []int{2, 3, 5} {
		for leaver := range n {
			caught := catch(t, func() {
				p.Run(bg, n, func(w *Worker) {
					if w.ID != leaver {
						w.Barrier()
					}
				})
			})
			if err, _ := caught.Value.(error); !errors.Is(err, errBarrier) {
				t.Fatalf("%d threads, %d leaves: %v", n, leaver, caught.Value)
			}
			run(t, p, n, func(w *Worker) { w.Barrier() })
		}
	}
}

// runtime.Goexit in fn (a t.FailNow, say) ends neither the pool nor the Run of others.
func TestGoexit(t *testing.T) {
	p := testPool(t)
	for _, n := range []int{1, 2, 3} {
		for bad := range n {
			done := make(chan any)
			go func() {
				returned := false
				defer func() {
					v := recover()
					if v == nil && !returned {
						v = "goexit"
					}
					done <- v
				}()
				p.Run(bg, n, func(w *Worker) {
					if w.ID == bad {
						runtime.Goexit()
					}
					w.Barrier()
				})
				returned = true
			}()
			v := <-done
			if bad == 0 {
				if v != "goexit" {
					t.Fatalf("Goexit on the caller: got %v", v)
				}
			} else if caught, ok := v.(*Panic); !ok || !errors.Is(caught, errGoexit) {
				t.Fatalf("Goexit on worker %d: got %v", bad, v)
			}
			for range 3 {
				run(t, p, n, func(w *Worker) { w.Barrier() })
			}
		}
	}
}

func TestNested(t *testing.T) {
	p := testPool(t)
	errs := make([]error, 3)
	inner := make([]error, 3)
	run(t, p, 3, func(w *Worker) {
		errs[w.ID] = p.Run(bg, 2, func(*Worker) { panic("nested fn ran") })
		inner[w.ID] = p.Run(bg, 1, func(w *Worker) { w.Barrier() })
		w.Barrier()
	})
	for id := range errs {
		if !errors.Is(errs[id], ErrNested) {
			t.Errorf("worker %d: nested Run: %v, want ErrNested", id, errs[id])
		}
		if inner[id] != nil {
			t.Errorf("worker %d: nested Run on one thread: %v", id, inner[id])
		}
	}
	// Inside a one-thread Run the workers are free.
	run(t, p, 1, func(*Worker) { run(t, p, 2, func(w *Worker) { w.Barrier() }) })
}

func TestRunErrors(t *testing.T) {
	p := testPool(t)
	nothing := func(*Worker) { t.Error("fn called") }
	for _, n := range []int{-1, MaxThreads + 1} {
		if err := p.Run(bg, n, nothing); err == nil {
			t.Errorf("%d threads: no error", n)
		}
	}
	ctx, cancel := context.WithCancel(bg)
	started, release := make(chan bool), make(chan bool)
	go p.Run(bg, 2, func(w *Worker) {
		if w.ID == 0 {
			started <- true
			<-release
		}
	})
	<-started
	waited := make(chan error)
	go func() { waited <- p.Run(ctx, 2, nothing) }()
	time.Sleep(5 * time.Millisecond)
	cancel()
	if err := <-waited; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled while waiting: %v", err)
	}
	release <- true
	if err := p.Run(ctx, 2, nothing); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %v", err)
	}
	run(t, p, 0, func(*Worker) {})
}

// Runs that wait get the workers in the order they came.
func TestFair(t *testing.T) {
	p := testPool(t)
	started, release := make(chan bool), make(chan bool)
	go p.Run(bg, 2, func(w *Worker) {
		if w.ID == 0 {
			started <- true
			<-release
		}
	})
	<-started
	var order []int // written by one Run at a time
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			p.Run(bg, 2, func(w *Worker) {
				if w.ID == 0 {
					order = append(order, i)
				}
			})
		})
		time.Sleep(3 * time.Millisecond)
	}
	close(release)
	wg.Wait()
	for i, v := range order {
		if v != i {
			t.Fatalf("order %v", order)
		}
	}
}

// Many short Runs from many goroutines, with changing thread counts, panics and
// barriers.
func TestManyCallers(t *testing.T) {
	p := testPool(t)
	callers, runs := 8, 100
	if testing.Short() {
		runs = 20
	}
	var total, want atomic.Int64
	var active atomic.Int32
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for r := range runs {
				n := 1 + (c+r)%4
				want.Add(int64(n))
				fn := func(w *Worker) {
					if w.ID == 0 && w.N > 1 {
						if active.Add(1) != 1 {
							t.Error("two Runs at once")
						}
						defer active.Add(-1)
					}
					w.Barrier()
					total.Add(1)
					w.Barrier()
					if r%32 == 31 && w.ID == w.N-1 {
						panic("now and then")
					}
				}
				func() {
					defer func() {
						if caught := recover(); (caught != nil) != (r%32 == 31) {
							t.Errorf("run %d: caught %v", r, caught)
						}
					}()
					if err := p.Run(bg, n, fn); err != nil {
						t.Error(err)
					}
				}()
			}
		})
	}
	wg.Wait()
	if total.Load() != want.Load() {
		t.Errorf("%d calls, want %d", total.Load(), want.Load())
	}
}

func TestNoAllocation(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool forget")
	}
	p := testPool(t)
	fn := func(w *Worker) { w.Barrier(); w.Next(0) }
	for _, n := range []int{1, 2, 4} {
		if got := testing.AllocsPerRun(100, func() { p.Run(bg, n, fn) }); got != 0 {
			t.Errorf("%d threads: %v allocations per Run, want 0", n, got)
		}
	}
}

func TestSetPin(t *testing.T) {
	p := testPool(t)
	err := p.SetPin(true)
	if !canPin {
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("SetPin: %v, want ErrUnsupported", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, pin := range []bool{true, false, true, false} {
		p.SetPin(pin)
		for _, n := range []int{2, 3} {
			var bound atomic.Int32
			run(t, p, n, func(w *Worker) {
				if boundCPUs() == 1 {
					bound.Add(1)
				}
				w.Barrier()
			})
			want := 0
			if pin && n <= min(len(machine().order), runtime.GOMAXPROCS(0)) || machine().logical == 1 {
				want = n
			}
			if int(bound.Load()) != want {
				t.Errorf("pin %v: %d of %d workers bound to one CPU, want %d", pin, bound.Load(), n, want)
			}
		}
		if got := boundCPUs(); got != machine().logical {
			t.Errorf("pin %v: the caller has %d CPUs after the Run, want %d", pin, got, machine().logical)
		}
	}
}

func TestSplit(t *testing.T) {
	for n := range 70 {
		for _, align := range []int{-1, 0, 1, 2, 7, 16, 100} {
			for of := 1; of < 9; of++ {
				at, small, large := 0, n+1, 0
				for id := range of {
					lo, hi := Split(n, align, id, of)
					if lo != at || hi < lo || (hi != n && hi%max(align, 1) != 0) {
						t.Fatalf("Split(%d, %d, %d, %d) = %d, %d after %d", n, align, id, of, lo, hi, at)
					}
					at, small, large = hi, min(small, hi-lo), max(large, hi-lo)
				}
				if at != n || (n%max(align, 1) == 0 && large-small > max(align, 1)) {
					t.Fatalf("Split(%d, %d, …, %d): ends at %d, sizes %d to %d", n, align, of, at, small, large)
				}
			}
		}
	}
	for _, bad := range [][4]int{{-5, 1, 0, 2}, {5, 1, -1, 2}, {5, 1, 2, 2}} {
		if lo, hi := Split(bad[0], bad[1], bad[2], bad[3]); lo != 0 || hi != 0 {
			t.Errorf("Split(%v) = %d, %d, want nothing", bad, lo, hi)
		}
	}
}
