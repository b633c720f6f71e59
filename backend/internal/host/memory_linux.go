// Package host knows what devices need to know of the machine that they are in.
package host

import (
	"bufio"
	"os"
	"strconv"
	"strings"
)

// Memory is what the machine has and what is available, in bytes, within the
// process's control group; zero if unknown.
func Memory() (total, free uint64) {
	total, free = machineMemory()
	return within("/sys/fs/cgroup", total, free)
}

// within is what a control group (version 2) leaves of the machine's memory. What the
// group uses includes the files that it has read and written: after a download and its
// checksum that is the whole model.
func within(group string, total, free uint64) (uint64, uint64) {
	limit, ok := readNumber(group + "/memory.max")
	if !ok || limit >= total {
		return total, free
	}
	used, _ := readNumber(group + "/memory.current")
	used -= min(used, fileCache(group+"/memory.stat"))
	return limit, min(free, limit-min(used, limit))
}

// fileCache is a group's cached files, which the kernel drops before it kills. Docker and
// Kubernetes take only inactive ones for free. Active ones count here, as in MemAvailable:
// a model is active once it was read twice, by its checksum and by loading. Files of tmpfs
// and locked ones are in neither number.
func fileCache(path string) (size uint64) {
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		name, value, _ := strings.Cut(s.Text(), " ")
		if name != "inactive_file" && name != "active_file" {
			continue
		}
		if n, err := strconv.ParseUint(value, 10, 64); err == nil {
			size += n
		}
	}
	return size
}

// readNumber reads a file that holds one number; "max", no limit, is none.
func readNumber(path string) (uint64, bool) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
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
