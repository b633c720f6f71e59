// Package host knows what devices need to know of the machine that they are in.
package host

import (
	"bufio"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/ledge-run/ledge/backend/internal/cgroup"
)

// Memory is what the machine has and what is available, in bytes, within the
// process's control groups; zero if unknown.
func Memory() (total, free uint64) {
	total, free = machineMemory()
	return within(os.DirFS("/"), total, free)
}

// within is what control groups leave of the machine's memory. root is the file system's
// root.
func within(root fs.FS, total, free uint64) (uint64, uint64) {
	cgroup.Each(root, "memory", func(g cgroup.Group) {
		names := &filesV1
		if g.V2 {
			names = &filesV2
		}
		limit, ok := number(g.Read(names.limit))
		if !ok || limit == 0 {
			return
		}
		used, _ := number(g.Read(names.used))
		used -= min(used, fileCache(g.Read("memory.stat"), names.cached))
		total, free = min(total, limit), min(free, limit-min(used, limit))
	})
	return total, free
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
