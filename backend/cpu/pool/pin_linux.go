package pool

import (
	"runtime"

	"golang.org/x/sys/unix"
)

const canPin = true

// binding is the state of a goroutine's thread: locked and bound to a CPU, or
// neither. The zero value is neither.
type binding struct {
	bound  bool
	former unix.CPUSet
}

func (b *binding) is() bool { return b.bound }

// to locks the goroutine to its thread and binds that to the CPU for worker id.
// If the system refuses, the thread stays free.
func (b *binding) to(id int) {
	if b.bound {
		return
	}
	cpus := machine().order
	if len(cpus) == 0 {
		return
	}
	runtime.LockOSThread()
	var set unix.CPUSet
	set.Set(cpus[id%len(cpus)])
	if unix.SchedGetaffinity(0, &b.former) != nil || unix.SchedSetaffinity(0, &set) != nil {
		runtime.UnlockOSThread()
		return
	}
	b.bound = true
}

// undo gives the thread its former CPUs back and unlocks it.
func (b *binding) undo() {
	if !b.bound {
		return
	}
	b.bound = false
	if unix.SchedSetaffinity(0, &b.former) != nil {
		return // stay locked: a thread bound to one CPU must not serve others
	}
	runtime.UnlockOSThread()
}

func (w *Worker) bindCaller()   { w.bound.to(0) }
func (w *Worker) unbindCaller() { w.bound.undo() }

// osYield lets another thread have this CPU.
func osYield() { unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }
