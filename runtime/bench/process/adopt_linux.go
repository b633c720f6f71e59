package process

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// runMark begins the name of a variable that a run's processes inherit, each run's its own.
const runMark = "LEDGE_BENCH_RUN_"

// adopting counts the runs during which this process is given those of its descendants
// whose parents have ended.
var adopting struct {
	sync.Mutex
	runs    int
	waited  map[int]bool   // commands of runs: Wait takes note of their ends
	others  map[int]string // other children that were there before, when each was started
	adopted map[int]string // those that runs before have left
}

// run starts a command, and waits for its end.
func run(cmd *exec.Cmd) error {
	adopting.Lock() // or it could end, and be taken for an orphan, before it is known
	err := cmd.Start()
	if err == nil {
		adopting.waited[cmd.Process.Pid] = true
	}
	adopting.Unlock()
	if err != nil {
		return err
	}
	err = cmd.Wait()
	adopting.Lock()
	delete(adopting.waited, cmd.Process.Pid)
	adopting.Unlock()
	return err
}

// children are those of this process, when each was started, but for some.
func children(but map[int]string) map[int]string {
	all := map[int]string{}
	for _, p := range processes()[os.Getpid()] {
		if but[p.pid] != p.start {
			all[p.pid] = p.start
		}
	}
	return all
}

// reap takes note of the end of an orphan of a run, for nobody else does. It is a child
// by adoption: of the children that this process has started itself, its runs' are
// known, and so are those that were there before; others are in this process's group,
// where a run puts none.
func reap(p entry) {
	adopting.Lock()
	defer adopting.Unlock()
	if p.group != unix.Getpgrp() && !adopting.waited[p.pid] && adopting.others[p.pid] != p.start {
		_, _ = unix.Wait4(p.pid, nil, unix.WNOHANG, nil)
	}
}

// adopt marks a command, and has what it starts stay below this process, even what
// begins a session of its own. What is called at the end kills those that are left.
func adopt(cmd *exec.Cmd) (end func()) {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	mark := runMark + hex.EncodeToString(b[:]) + "=1"
	cmd.Env = append(cmd.Env, mark)
	adopting.Lock()
	defer adopting.Unlock()
	if adopting.runs++; adopting.runs == 1 {
		adopting.waited, adopting.others = map[int]bool{}, children(adopting.adopted)
		_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) // since Linux 3.4; else the group is all that ends
	}
	return func() {
		if cmd.Process != nil {
			endMarked([]byte(mark), cmd.Process.Pid)
		}
		adopting.Lock()
		defer adopting.Unlock()
		if adopting.runs--; adopting.runs == 0 {
			_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
			adopting.adopted = children(adopting.others)
		}
	}
}

// endMarked kills the descendants of this process that have a mark or are of a group,
// with theirs, until there are none. Those of other runs, and whatever else this process
// has started, have another mark or none.
func endMarked(mark []byte, group int) {
	killed := map[int]string{} // when each was started: numbers are used again
	began, quiet := time.Now(), 0
	for ; ; time.Sleep(2 * time.Millisecond) {
		left := false
		var walk func(below map[int][]entry, parent int, ours bool)
		walk = func(below map[int][]entry, parent int, ours bool) {
			children := below[parent]
			delete(below, parent) // /proc is no picture of one moment: nobody is met twice
			for _, p := range children {
				mine := ours || p.group == group || killed[p.pid] == p.start
				switch {
				case mine && p.ended && p.parent == os.Getpid(): // a child by adoption: nobody else takes note
					_, _ = unix.Wait4(p.pid, nil, unix.WNOHANG, nil)
				case killed[p.pid] == p.start:
					left = true // on its way, or its parent is
				case p.ended: // by itself: which run's it was cannot be seen any more
					if p.parent == os.Getpid() {
						reap(p)
					}
				default:
					is, known := marked(p.pid, mark)
					if mine = mine || is; mine && p.kill() {
						killed[p.pid], left = p.start, true
					} else if !mine && !known && time.Since(began) < beginning {
						left = true
					}
				}
				walk(below, p.pid, mine)
			}
		}
		walk(processes(), os.Getpid(), false)
		// One may have begun while the others were looked at, and lost its parent.
		if quiet++; left {
			quiet = 0
		}
		if quiet == 2 || time.Since(began) > grace {
			return
		}
	}
}

// entry is a process, as /proc shows it.
type entry struct {
	pid, parent, group int
	start              string // in ticks since the machine's start
	ended              bool
}

// processes are those that there are, by their parents.
func processes() map[int][]entry {
	below := map[int][]entry{}
	all, _ := filepath.Glob("/proc/[0-9]*") // the pattern is right
	for _, dir := range all {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		if e, ok := look(pid); ok {
			below[e.parent] = append(below[e.parent], e)
		}
	}
	return below
}

// look reads what /proc has of a process.
func look(pid int) (entry, bool) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return entry{}, false
	}
	// The name before may have spaces and brackets in it.
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(fields) < 20 {
		return entry{}, false
	}
	parent, err1 := strconv.Atoi(fields[1])
	group, err2 := strconv.Atoi(fields[2])
	return entry{pid, parent, group, fields[19], fields[0] == "Z" || fields[0] == "X"}, err1 == nil && err2 == nil
}

// beginning is how long a process may have no variables because its program is only
// being loaded.
const beginning = 50 * time.Millisecond

// marked reports whether a process was started with a mark among its variables; not
// known is what has none, perhaps none yet.
func marked(pid int, mark []byte) (is, known bool) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	return err == nil && bytes.Contains(append([]byte{0}, data...), bytes.Join([][]byte{nil, mark, nil}, []byte{0})), err != nil || len(data) > 0
}

// kill kills a process, if the number is still its own.
func (e entry) kill() bool {
	p, err := os.FindProcess(e.pid) // holds the process itself, since Linux 5.3
	if err != nil {
		return false
	}
	defer func() { _ = p.Release() }()
	now, ok := look(e.pid)
	return ok && now.start == e.start && p.Kill() == nil
}
