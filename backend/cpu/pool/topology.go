package pool

import (
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// topology reads, for the allowed CPU numbers, which share a physical core and
// how fast each is, from Linux's /sys (root is the file system's root):
//
//	sys/devices/system/cpu/cpuN/topology/core_cpus_list (thread_siblings_list before 5.3)
//	sys/devices/system/cpu/cpuN/cpu_capacity (relative speed, 1024 the fastest)
//
// Where a file is missing, a CPU is a core of its own, and as fast as the others.
func topology(root fs.FS, allowed []int) cpus {
	type cpu struct{ num, core, thread, capacity int }
	var all []cpu
	threads := map[int]int{} // core -> CPUs seen
	speed := map[int]int{}   // core -> capacity
	fastest := 0
	allowed = slices.Clone(allowed)
	slices.Sort(allowed)
	for _, num := range slices.Compact(allowed) {
		dir := fmt.Sprintf("sys/devices/system/cpu/cpu%d/", num)
		c := cpu{num: num, core: num}
		for _, name := range []string{"core_cpus_list", "thread_siblings_list"} {
			text, err := readSmall(root, dir+"topology/"+name)
			if err != nil {
				continue
			}
			// A core is called by its first CPU, allowed or not.
			if list, err := parseCPUList(text); err == nil && slices.Contains(list, num) {
				c.core = slices.Min(list)
				break
			}
		}
		if text, err := readSmall(root, dir+"cpu_capacity"); err == nil {
			if v, err := strconv.Atoi(strings.TrimSpace(text)); err == nil && v > 0 && v < 1<<20 {
				c.capacity = v
			}
		}
		c.thread = threads[c.core]
		threads[c.core]++
		speed[c.core] = max(speed[c.core], c.capacity)
		fastest = max(fastest, c.capacity)
		all = append(all, c)
	}
	slices.SortStableFunc(all, func(a, b cpu) int {
		return cmp.Or(cmp.Compare(a.thread, b.thread), cmp.Compare(b.capacity, a.capacity))
	})
	m := cpus{logical: max(len(all), 1), cores: max(len(threads), 1)}
	for _, v := range speed {
		if 2*v >= fastest {
			m.fast++
		}
	}
	m.fast = max(m.fast, 1)
	for _, c := range all {
		m.order = append(m.order, c.num)
	}
	return m
}

// maxCPUs bounds CPU numbers and list lengths; Linux's own limit is 8192.
const maxCPUs = 1 << 14

// parseCPUList reads Linux's list format, "0-3,8,10-11".
func parseCPUList(text string) ([]int, error) {
	var list []int
	for part := range strings.SplitSeq(strings.TrimSpace(text), ",") {
		first, last, isRange := strings.Cut(part, "-")
		lo, err := strconv.ParseUint(first, 10, 32)
		hi := lo
		if err == nil && isRange {
			hi, err = strconv.ParseUint(last, 10, 32)
		}
		if err != nil || hi < lo || hi >= maxCPUs || len(list)+int(hi-lo) >= maxCPUs {
			return nil, fmt.Errorf("pool: CPU list part %q: want N or N-M with N up to M, below %d", part, maxCPUs)
		}
		for n := lo; n <= hi; n++ {
			list = append(list, int(n))
		}
	}
	return list, nil
}

// readSmall reads a file of /proc or /sys, at most 4 MiB of it.
func readSmall(root fs.FS, name string) (string, error) {
	f, err := root.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 4<<20))
	return string(text), err
}
