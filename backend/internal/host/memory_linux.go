// Package host knows what devices need to know of the machine that they are in.
package host

import (
	"bufio"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ledge-run/ledge/backend/internal/cgroup"
)

// Memory is what the machine has and what is available, in bytes, within the
// process's control groups; zero if unknown.
func Memory() (total, free uint64) {
	total, free = machineMemory()
	return leave(limitsNow(total), total, free)
}

// limited is a group that allows less than the machine has.
type limited struct {
	group cgroup.Group
	limit uint64
}

// known are the groups that were found a moment ago: a start asks ten times, and looking for
// them takes longer than reading what one uses.
var known struct {
	sync.Mutex
	limits []limited
	until  time.Time
}

func limitsNow(total uint64) []limited {
	known.Lock()
	defer known.Unlock()
	if now := time.Now(); now.After(known.until) {
		known.limits, known.until = limits(os.DirFS("/"), total), now.Add(time.Second)
	}
	return known.limits
}

// limits are the groups whose limits hold. root is the file system's root.
func limits(root fs.FS, total uint64) (all []limited) {
	cgroup.Each(root, "memory", func(g cgroup.Group) {
		if limit, ok := number(g.Read(filesOf(g).limit)); ok && limit > 0 && limit < total {
			all = append(all, limited{g, limit})
		}
	})
	return all
}

// leave is what control groups leave of the machine's memory.
func leave(groups []limited, total, free uint64) (uint64, uint64) {
	for _, l := range groups {
		names := filesOf(l.group)
		used, _ := number(l.group.Read(names.used))
		used -= min(used, fileCache(l.group.Read("memory.stat"), names.cached))
		total, free = min(total, l.limit), min(free, l.limit-min(used, l.limit))
	}
	return total, free
}

func filesOf(g cgroup.Group) *files {
	if g.V2 {
		return &filesV2
	}
	return &filesV1
}

// files are those of a group of memory, and the lines of memory.stat that have its cached
// files. All count what groups inside it use, too; in version 1 no limit is a huge one.
type files struct {
	limit, used string
	cached      [2]string
}

var (
	filesV1 = files{"memory.limit_in_bytes", "memory.usage_in_bytes", [2]string{"total_inactive_file", "total_active_file"}}
	filesV2 = files{"memory.max", "memory.current", [2]string{"inactive_file", "active_file"}}
)

// fileCache is a group's cached files. They are in what it uses (after a download and its
// checksum that is the whole model), but the kernel drops them before it kills. Docker and
// Kubernetes take only inactive ones for free. Active ones count here, as in MemAvailable:
// a model is active once it was read twice, by its checksum and by loading. Files of tmpfs
// and locked ones are in neither number.
func fileCache(stat string, names [2]string) (size uint64) {
	for line := range strings.Lines(stat) {
		name, value, _ := strings.Cut(line, " ")
		if n, ok := number(value); ok && slices.Contains(names[:], name) {
			size += n
		}
	}
	return size
}

// number reads a file's one number; "max", no limit, is none.
func number(text string) (uint64, bool) {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 64)
	return n, err == nil
}

func machineMemory() (total, free uint64) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, 0
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		name, rest, _ := strings.Cut(s.Text(), ":")
		n, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		if err != nil {
			continue
		}
		switch name {
		case "MemTotal":
			total = n << 10
		case "MemAvailable":
			free = n << 10
		}
	}
	return total, free
}
