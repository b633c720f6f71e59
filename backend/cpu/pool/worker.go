package pool

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"
)

// Worker is one of the N workers of a Run. It is valid only inside the function
// it was given to, and only on the goroutine that function runs on.
type Worker struct {
	ID int // 0 to N-1; 0 is the goroutine that called Run. Read only.
	N  int // number of workers of this Run. Read only.

	pool         *Pool
	peers        []*Worker     // the workers of this Run, by ID
	wake         chan struct{} // capacity 1: one token per unpark
	seq          uint64        // the Run this worker works, or last worked, for
	phase        uint64        // value of arrived after the last finished barrier
	tick         uint64        // ticks() at the last yield
	tickTime     time.Time     // the same moment by the clock
	waited       uint64        // ticks of this Run spent waiting so far
	waitedInAll  uint64        // waited, when the worker came back: for the caller
	perMs        uint64        // measured ticks per millisecond
	crowded      bool          // this Run has more workers than can run at once
	patience     patience      // of waits within a Run
	idlePatience patience      // of waits for the next Run
	bound        binding       // CPU binding of this goroutine's thread

	// Two cache lines apart each: processors fetch lines in pairs.
	_       [128]byte
	arrived atomic.Uint64 // progress through barriers: written here, watched by others
	done    atomic.Uint64 // the last Run this worker came back from
	_       [128]byte
	start   atomic.Uint64 // the last Run this worker was told to start: written by the caller
	parked  atomic.Uint64 // 1: waits, or is about to wait, for a token in wake
	_       [128]byte
	counter atomic.Int64 // worker 0: chunks handed out by Next
	_       [128]byte
}

func newWorker(p *Pool, id int) *Worker {
	return &Worker{
		ID: id, N: 1, pool: p,
		wake:     make(chan struct{}, 1),
		tick:     ticks(),
		tickTime: time.Now(),
		perMs:    nominalTicksPerMs(),
		patience: leastPatience, idlePatience: leastPatience,
	}
}

// Barrier waits until all N workers have called it, and makes what each wrote
// before it visible to all after it. All workers of a Run must pass the same
// barriers: if one returns from fn while another waits for it, the Run panics.
func (w *Worker) Barrier() {
	// A dissemination barrier: in round k each worker says that it got there
	// and waits for the one 2^k before it, so ceil(log2 N) rounds suffice. Each
	// worker writes one word of its own, which only grows, and none is shared by
	// writers. With two workers it is one exchange and one load each.
	phase := w.phase
	for step := 1; step < w.N; step <<= 1 {
		phase++
		tell(&w.arrived, phase)
		if w.pool.sleepers.Load() != 0 {
			w.wakePeers()
		}
		if step == 1 {
			w.Yield() // here nobody waits for us yet in vain
		}
		from := w.ID - step
		if from < 0 {
			from += w.N
		}
		peer := w.peers[from]
		if peer.arrived.Load() < phase && !w.wait(&peer.arrived, phase, &w.patience) {
			w.sleepUntil(&peer.arrived, phase, peer)
		}
	}
	if w.N == 1 {
		w.Yield()
	}
	w.phase = phase
}

// Yield lets other goroutines run if this worker has not done so for about a
// millisecond. It costs about 10 ns otherwise. Call it at least once per
// millisecond of work without Barrier or Next.
func (w *Worker) Yield() {
	if ticks()-w.tick >= w.perMs {
		w.yield()
	}
}

func (w *Worker) yield() {
	// Measure the cycle counter's rate over the last period on the way.
	d, t := time.Since(w.tickTime), ticks()-w.tick
	if d > 100*time.Microsecond && d < time.Second && t < 1<<40 {
		nominal := nominalTicksPerMs()
		w.perMs = min(max(t*uint64(time.Millisecond)/uint64(d), nominal/100+1), nominal*100)
	}
	// Whoever is let in may itself yield after a few µs, as runtime.GC does after
	// each span it sweeps. So go on while somebody takes the offer, for up to 0.1 ms.
	for t0 := ticks(); ; {
		t1 := ticks()
		runtime.Gosched()
		t2 := ticks()
		if t2-t1 < w.perMs/1000 || t2-t0 > w.perMs/10 || w.bound.is() {
			break
		}
	}
	w.tick, w.tickTime = ticks(), time.Now()
}

// Next hands out the numbers 0 to chunks-1, each to one worker, and then -1 to
// every worker: the loop for parts of uneven cost.
//
//	for i := w.Next(chunks); i >= 0; i = w.Next(chunks) {
//
// All workers of the Run must call it with the same chunks until they get -1, and
// two such loops must have a Barrier between them.
func (w *Worker) Next(chunks int) int {
	c := w.chunks()
	i := c.Add(1) - 1
	if i < int64(chunks) {
		w.Yield()
		return int(i)
	}
	// Each worker is told -1 once; the last one makes the counter ready for the
	// next loop, which nobody enters before that worker reaches the barrier.
	if i == int64(max(chunks, 0)+w.N-1) {
		c.Store(0)
	}
	return -1
}

// chunks returns the counter that the workers of this Run share.
func (w *Worker) chunks() *atomic.Int64 { return &w.peers[0].counter }

// patience is how long a wait goes on before it parks, in 1/1024 ms.
//
// It begins with the 50 µs of the spin. Parking then is right if the other side is
// away for long: it has a long part to compute, or no CPU. But waking a thread
// takes 40 to 200 µs, so that at the next barrier the one who woke it loses
// patience and parks in turn, and so on for ever. So each kind of wait learns: if it
// parked and was woken within 1 ms, it waits twice as long next time, and if it
// parked for longer or outlasted the spin without parking, less long.
type patience uint64

const (
	leastPatience patience = 51 // 50 µs
	mostPatience  patience = 1024
)

// parked takes in that a wait had to park for t ticks, perMs a millisecond.
func (p *patience) parked(t, perMs uint64) {
	if t <= perMs {
		*p = min(*p*2, mostPatience)
	} else {
		p.waited()
	}
}

// waited takes in that a wait outlasted the spin.
func (p *patience) waited() { *p = max(*p*3/4, leastPatience) }

// wait waits for flag to reach v, and reports whether it did before patience
// ran out. The first 50 µs are a spin; then it looks between giving way to other
// goroutines and threads. With more workers than can run at once there is no
// spin.
func (w *Worker) wait(flag *atomic.Uint64, v uint64, p *patience) bool {
	for range 32 {
		if flag.Load() >= v {
			return true
		}
		pause(1)
	}
	spin, limit := w.perMs/20, w.perMs*uint64(*p)/1024
	if w.crowded {
		spin = 0
	}
	for t0 := ticks(); ; {
		t := ticks() - t0
		if t >= spin {
			if t >= limit {
				w.waited += t
				return flag.Load() >= v
			}
			if w.bound.is() { // changing threads would cost more than it gives
				w.Yield()
			} else {
				runtime.Gosched()
			}
			osYield()
		}
		for range 16 {
			if flag.Load() >= v {
				w.waited += t
				if t >= spin {
					p.waited()
				}
				return true
			}
			pause(1)
		}
	}
}

// sleepUntil parks until flag reaches v. At a barrier, from is the worker waited
// for, and sleepUntil panics if it cannot come any more; with from nil (the
// caller waiting for its workers to come back) it always waits.
func (w *Worker) sleepUntil(flag *atomic.Uint64, v uint64, from *Worker) {
	p := w.pool
	t0 := ticks()
	// Who makes progress tells its flag, then looks at sleepers and parked;
	// who goes to sleep sets these, then looks at the flag: one sees the other.
	p.sleepers.Add(1)
	for {
		tell(&w.parked, 1)
		gone := false
		if from != nil {
			gone = p.poisoned.Load() || from.done.Load() >= w.seq && flag.Load() < v
		}
		if gone || flag.Load() >= v {
			if !w.parked.CompareAndSwap(1, 0) {
				<-w.wake // somebody was faster: take the token
			}
		} else {
			<-w.wake
			w.tick, w.tickTime = ticks(), time.Now() // parking was a yield
		}
		if flag.Load() >= v {
			break
		}
		if gone {
			p.sleepers.Add(-1)
			if p.poisoned.Load() {
				panic(aborted{})
			}
			panic(fmt.Errorf("%w: worker %d of %d waits at a Barrier, worker %d returned without it", errBarrier, w.ID, w.N, from.ID))
		}
	}
	p.sleepers.Add(-1)
	t := ticks() - t0
	w.patience.parked(t, w.perMs)
	w.waited += t
}

// duration is t ticks as time.
func (w *Worker) duration(t uint64) time.Duration {
	return time.Duration(float64(t) / float64(w.perMs) * float64(time.Millisecond))
}

var errBarrier = errors.New("pool: workers disagree about barriers")

// tell sets a flag before its caller looks at another's. By Go's memory model Store
// would do. But QEMU's user mode lets an x86 processor delay an arm64 program's store past
// the loads that follow, so that of two workers, one about to park, neither sees the other
// and both wait for ever, if seldom. An exchange is a barrier there, too; on amd64 it is the
// instruction that Store compiles to.
func tell(flag *atomic.Uint64, v uint64) { flag.Swap(v) }

// unpark wakes w if it is parked.
func (w *Worker) unpark() {
	if w.parked.Load() != 0 && w.parked.CompareAndSwap(1, 0) {
		w.wake <- struct{}{}
	}
}

// wakePeers wakes the parked workers of the Run, to look again at what they
// wait for.
func (w *Worker) wakePeers() {
	for _, peer := range w.peers {
		if peer != w {
			peer.unpark()
		}
	}
}

// prepare takes over the settings of Run seq.
func (w *Worker) prepare(seq uint64) {
	p := w.pool
	w.seq = seq
	w.waited = 0
	w.phase = p.base
	w.crowded = p.crowded
	w.N = p.n
	w.peers = p.workers[:p.n]
}

// leave says that w has come back from fn.
func (w *Worker) leave() {
	w.waitedInAll = w.waited
	tell(&w.done, w.seq)
	if w.pool.sleepers.Load() != 0 {
		w.wakePeers()
	}
}

// loop is the life of workers 1 and up.
func (w *Worker) loop() {
	working := false
	defer func() {
		if working { // runtime.Goexit in fn: a new goroutine takes over
			w.bound.undo()
			w.leave()
			go w.loop()
		}
	}()
	for {
		seq := w.awaitStart()
		p := w.pool
		if p.closed {
			w.bound.undo()
			return
		}
		w.prepare(seq)
		if p.pinned {
			w.bound.to(w.ID)
		} else {
			w.bound.undo()
		}
		working = true
		call(w, p.fn)
		working = false
		w.leave()
		w.Yield()
	}
}

// awaitStart waits for the next Run and returns its number.
func (w *Worker) awaitStart() uint64 {
	if !w.wait(&w.start, w.seq+1, &w.idlePatience) {
		t0 := ticks()
		for {
			tell(&w.parked, 1)
			if w.start.Load() > w.seq {
				if !w.parked.CompareAndSwap(1, 0) {
					<-w.wake
				}
				break
			}
			<-w.wake
			if w.start.Load() > w.seq {
				break
			}
		}
		w.tick, w.tickTime = ticks(), time.Now()
		w.idlePatience.parked(w.tick-t0, w.perMs)
	}
	return w.start.Load()
}
