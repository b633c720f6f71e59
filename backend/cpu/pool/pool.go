// Package pool runs CPU computations on one set of persistent workers per
// process, shared by all models and sessions.
//
// A computation is a function that runs on N workers at once; the goroutine
// that asked for it is worker 0, so a one-thread computation involves nobody
// else. Workers divide the work by [Split] (fixed parts) or [Worker.Next]
// (parts handed out on demand) and meet at [Worker.Barrier]:
//
//	err := pool.Shared().Run(ctx, threads, func(w *pool.Worker) {
//		lo, hi := pool.Split(rows, 16, w.ID, w.N)
//		gemv(y[lo:hi], weights, x)
//		w.Barrier()
//		...
//	})
//
// # Waiting
//
// Every wait (at a barrier, for the next Run, for the last worker) first spins
// for 50 µs, which is what makes a barrier cost some 100 ns, and then parks the
// goroutine, so an idle pool costs nothing and a machine with more work than
// cores does not melt down. Where parking proves short, a wait learns to look on
// for up to 1 ms between giving way to other goroutines and threads. With more
// workers than GOMAXPROCS there is no spin.
//
// # Living with Go's scheduler
//
// Workers occupy all of Go's processors, and assembly kernels cannot be
// preempted. Left alone they starve timers, the network and the garbage
// collector. So each worker calls runtime.Gosched about once a millisecond:
// Barrier, Next and Yield look at the cycle counter (about 10 ns) and do it when
// the millisecond has passed. The rule for the author of a computation is: never
// stay longer than a millisecond in kernels without calling one of the three,
// and never hold a mutex across them.
//
// # Determinism
//
// Which worker computes a value, and how many there are, must never change the
// value: the pool gives no ordering but the barrier's.
package pool

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// MaxThreads is the most workers one Run may ask for.
const MaxThreads = 1024

// ErrNested reports a Run on several workers from inside the function of
// another one: it would wait for itself.
var ErrNested = errors.New("pool: Run called from inside a Run's function: use the workers it already has, or ask for 1 thread")

// Pool is a set of persistent workers. Use the process-wide one, [Shared].
type Pool struct {
	turn   chan struct{} // capacity 1: holds a token while a Run has the workers
	serial sync.Pool     // of *Worker, for Runs on one thread
	pin    atomic.Bool
	crowd  crowd

	// The fields below belong to whoever holds the turn; the workers of a Run
	// read them after they see their start flag.
	workers []*Worker // workers[0] stands for the calling goroutine
	fn      func(*Worker)
	n       int
	seq     uint64 // number of the current Run, from 1
	base    uint64 // barrier phase at which the current Run begins
	crowded bool   // n is more than GOMAXPROCS
	pinned  bool
	closed  bool // tests only: workers leave at their next start

	_        [128]byte
	sleepers atomic.Int64 // workers of the current Run that are parked or about to
	poisoned atomic.Bool  // a worker of the current Run has panicked
	_        [128]byte

	mu     sync.Mutex
	caught *Panic // the first panic of the current Run
}

// Shared returns the pool of this process. It holds no goroutines until the
// first Run on more than one thread.
func Shared() *Pool { return shared() }

var shared = sync.OnceValue(newPool)

func newPool() *Pool {
	p := &Pool{turn: make(chan struct{}, 1)}
	p.serial.New = func() any { return newWorker(p, 0) }
	p.workers = []*Worker{newWorker(p, 0)}
	return p
}

// Panic is what Run panics with when fn panicked on any worker, the caller's own
// included. The other workers were unwound at their next barrier and are back.
type Panic struct {
	Value  any    // what fn panicked with
	Stack  []byte // the stack of the goroutine that panicked
	Worker int    // its Worker.ID
}

func (p *Panic) Error() string {
	return fmt.Sprintf("pool: worker %d panicked: %v\n\n%s", p.Worker, p.Value, p.Stack)
}

// Unwrap returns the panic's value if that is an error.
func (p *Panic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// errGoexit is the Panic value for a worker that left through runtime.Goexit.
var errGoexit = errors.New("runtime.Goexit called in a Run's function")

// Run calls fn on the given number of workers at once, one call each, and
// returns when all calls have returned. threads 0 is the automatic count of
// [Threads]; any other count is taken as it is, up to MaxThreads, also above the
// number of cores.
//
// Run returns an error, without having called fn, only if threads is out of
// range, if ctx ended before the workers were free, or, with ErrNested, if it was
// called from inside the function of a Run on several workers. A running fn is not
// interrupted by ctx. If fn panics, Run panics with a *Panic.
//
// One Run at a time has the workers; others wait for their turn in the order they
// came. A Run on one thread needs no worker: it calls fn at once, beside any other
// Run, and may be nested. To allocate nothing, pass the same func value each time
// instead of a new closure.
func (p *Pool) Run(ctx context.Context, threads int, fn func(*Worker)) error {
	if threads == 0 {
		threads = automatic()
	}
	return p.run(ctx, threads, trial{}, fn)
}

// run is Run; for a try, p.crowd is told how it went.
func (p *Pool) run(ctx context.Context, threads int, try trial, fn func(*Worker)) error {
	if threads < 0 || threads > MaxThreads {
		return fmt.Errorf("pool: %d threads: want 1 to %d, or 0 for automatic", threads, MaxThreads)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("pool: run not started: %w", err)
	}
	if threads == 1 {
		p.runSerial(fn)
		return nil
	}
	select {
	case p.turn <- struct{}{}:
	default: // busy: queue; a channel serves its senders first come, first served
		if nested() {
			return ErrNested
		}
		select {
		case p.turn <- struct{}{}:
		case <-ctx.Done():
			return fmt.Errorf("pool: run not started, other runs had the workers: %w", ctx.Err())
		}
	}
	p.begin(threads, fn)
	w := p.workers[0]
	back, t0 := false, ticks()
	defer func() {
		if !back { // runtime.Goexit in fn on this goroutine
			p.end(trial{}, 0)
		}
	}()
	call(w, fn)
	back = true
	if caught := p.end(try, t0); caught != nil {
		panic(caught)
	}
	return nil
}

// SetPin says whether workers lock their OS threads and bind them to one CPU
// each, fast cores and separate physical cores first, from the next Run on. The
// calling goroutine's thread is bound for the time of a Run and then gets its
// former CPUs back. A pinned pool is steadier on a machine of its own and slower
// on a shared one. Only Linux can; elsewhere the error is errors.ErrUnsupported.
// Runs on one thread are never pinned.
func (p *Pool) SetPin(on bool) error {
	if on && !canPin {
		return fmt.Errorf("pool: binding threads to CPUs on %s: %w", runtime.GOOS, errors.ErrUnsupported)
	}
	p.pin.Store(on)
	return nil
}

// begin starts workers 1 to n-1 on fn and readies worker 0. The turn is held.
func (p *Pool) begin(n int, fn func(*Worker)) {
	for id := len(p.workers); id < n; id++ {
		w := newWorker(p, id)
		w.seq = p.seq
		p.workers = append(p.workers, w)
		go w.loop()
	}
	p.n, p.fn = n, fn
	p.crowded = n > runtime.GOMAXPROCS(0)
	p.pinned = p.pin.Load() && !p.crowded && n <= len(machine().order)
	p.seq++
	for _, w := range p.workers[1:n] {
		tell(&w.start, p.seq)
		w.unpark()
	}
	w := p.workers[0]
	w.prepare(p.seq)
	if p.pinned {
		w.bindCaller()
	}
}

// end waits for the other workers, tidies up, gives the turn away and returns
// the panic of the Run, if any. t0 is when it began, for a try.
func (p *Pool) end(try trial, t0 uint64) (caught *Panic) {
	w := p.workers[0]
	w.leave()
	for _, other := range w.peers[1:] {
		if !w.wait(&other.done, w.seq, &w.patience) {
			w.sleepUntil(&other.done, w.seq, nil)
		}
	}
	if try.want > 0 {
		waited := w.waited // the wait just now included
		for _, other := range w.peers[1:] {
			waited = max(waited, other.waitedInAll)
		}
		p.crowd.judge(w.N, try.want, try.size, w.duration(ticks()-t0), w.duration(waited), time.Now())
	}
	p.base = w.phase
	if p.poisoned.Load() {
		for _, other := range w.peers {
			p.base = max(p.base, other.arrived.Load())
		}
		p.poisoned.Store(false)
		p.mu.Lock()
		caught, p.caught = p.caught, nil
		p.mu.Unlock()
	}
	p.fn = nil
	w.chunks().Store(0)
	if p.pinned {
		w.unbindCaller()
	}
	<-p.turn
	return caught
}

// runSerial runs fn on the calling goroutine as the only worker.
func (p *Pool) runSerial(fn func(*Worker)) {
	w := p.serial.Get().(*Worker)
	w.N = 1
	w.peers = append(w.peers[:0], w)
	w.chunks().Store(0)
	callSerial(w, fn)
	p.serial.Put(w)
}

func callSerial(w *Worker, fn func(*Worker)) {
	defer func() {
		if v := recover(); v != nil {
			panic(&Panic{Value: v, Stack: debug.Stack(), Worker: 0})
		}
	}()
	fn(w)
}

// aborted is what workers panic with to unwind when another one has panicked.
type aborted struct{}

func (aborted) Error() string { return "pool: another worker of this Run panicked" }

// call runs fn on w and turns a panic into a poisoned Run. It returns unless fn
// called runtime.Goexit. Its frame marks goroutines that are inside a Run: see
// nested.
//
//go:noinline
func call(w *Worker, fn func(*Worker)) {
	back := false
	defer func() {
		if back {
			return
		}
		v := recover()
		if _, ok := v.(aborted); ok {
			return
		}
		if v == nil { // panic(nil) does not arrive as nil
			v = errGoexit
		}
		w.pool.poison(&Panic{Value: v, Stack: debug.Stack(), Worker: w.ID})
		w.wakePeers()
	}()
	fn(w)
	back = true
}

// poison records the first panic of a Run and makes every barrier give up.
func (p *Pool) poison(caught *Panic) {
	p.mu.Lock()
	if p.caught == nil {
		p.caught = caught
	}
	p.mu.Unlock()
	p.poisoned.Swap(true) // an exchange, as in tell
}

var callEntry = reflect.ValueOf(call).Pointer()

// nested reports whether the calling goroutine is inside call, that is, works
// for a Run. It walks the stack (some µs), so only callers that would have to
// wait ask. A goroutine started by fn is not seen.
func nested() bool {
	var pcs [64]uintptr
	for skip := 2; ; skip += len(pcs) {
		n := runtime.Callers(skip, pcs[:])
		for _, pc := range pcs[:n] {
			if f := runtime.FuncForPC(pc - 1); f != nil && f.Entry() == callEntry {
				return true
			}
		}
		if n < len(pcs) {
			return false
		}
	}
}
