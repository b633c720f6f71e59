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
	const group = "/sys/fs/cgroup/memory."
	if limit, ok := readNumber(group + "max"); ok && limit < total {
		used, _ := readNumber(group + "current")
		total, free = limit, min(free, limit-min(used, limit))
	}
	return total, free
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
