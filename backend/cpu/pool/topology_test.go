package pool

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// tree makes a file system from "name" and "text" pairs.
func tree(pairs ...string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for i := 0; i+1 < len(pairs); i += 2 {
		fsys[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return fsys
}

// Mounts as Debian 12 (version 2 only), Docker with and without a group
// namespace, and an older system with both versions show them.
const (
	mountsV2       = "24 30 0:22 / /proc rw - proc proc rw\n35 24 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
	mountsV2Docker = "700 650 0:30 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n"
	mountsV1       = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n" +
		"32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n" +
		"33 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n" +
		"38 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
)

func TestCgroupQuota(t *testing.T) {
	const cg, mi = "proc/self/cgroup", "proc/self/mountinfo"
	for _, c := range []struct {
		name string
		fsys fstest.MapFS
		want float64
	}{
		{"no files", tree(), 0},
		{"no mounts", tree(cg, "0::/\n"), 0},
		{"v2 root, no cpu.max", tree(cg, "0::/\n", mi, mountsV2), 0},
		{"v2 max", tree(cg, "0::/a\n", mi, mountsV2, "sys/fs/cgroup/a/cpu.max", "max 100000\n"), 0},
		{"v2 half", tree(cg, "0::/a\n", mi, mountsV2, "sys/fs/cgroup/a/cpu.max", "50000 100000\n"), 0.5},
		{"v2 without a period", tree(cg, "0::/a\n", mi, mountsV2, "sys/fs/cgroup/a/cpu.max", "250000\n"), 2.5},
		{"v2 nested: the parent is tighter", tree(cg, "0::/a/b/c\n", mi, mountsV2,
			"sys/fs/cgroup/a/cpu.max", "150000 100000\n",
			"sys/fs/cgroup/a/b/cpu.max", "max 100000\n",
			"sys/fs/cgroup/a/b/c/cpu.max", "400000 100000\n"), 1.5},
		{"v2 nested: the leaf is tighter", tree(cg, "0::/a/b\n", mi, mountsV2,
			"sys/fs/cgroup/a/cpu.max", "800000 100000\n",
			"sys/fs/cgroup/a/b/cpu.max", "300000 200000\n",
			"sys/fs/cgroup/other/cpu.max", "1000 100000\n"), 1.5},
		{"v2 container with namespace", tree(cg, "0::/\n", mi, mountsV2, "sys/fs/cgroup/cpu.max", "200000 100000\n"), 2},
		{"v2 container without namespace", tree(cg, "0::/docker/abc\n", mi, mountsV2Docker, "sys/fs/cgroup/cpu.max", "100000 100000\n"), 1},
		{"v2 group outside the mount", tree(cg, "0::/../other\n", mi, mountsV2Docker, "sys/fs/cgroup/cpu.max", "100000 100000\n"), 1},
		{"v2 mount with a space", tree(cg, "0::/a\n", mi, `35 24 0:30 / /my\040groups rw - cgroup2 none rw`, "my groups/a/cpu.max", "100000 50000"), 2},
		{"v1", tree(cg, "3:cpuset:/\n2:cpu,cpuacct:/user/x\n0::/\n", mi, mountsV1,
			"sys/fs/cgroup/cpu,cpuacct/user/x/cpu.cfs_quota_us", "350000\n",
			"sys/fs/cgroup/cpu,cpuacct/user/x/cpu.cfs_period_us", "100000\n",
			"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n",
			"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"), 3.5},
		{"v1 without limit", tree(cg, "2:cpu,cpuacct:/\n", mi, mountsV1,
			"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n",
			"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"), 0},
		{"v1 without period", tree(cg, "2:cpu,cpuacct:/\n", mi, mountsV1,
			"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "100000\n"), 0},
		{"both: the tighter", tree(cg, "2:cpu,cpuacct:/\n0::/a\n", mi, mountsV1,
			"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "300000\n",
			"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n",
			"sys/fs/cgroup/unified/a/cpu.max", "200000 100000"), 2},
	} {
		if got := cgroupQuota(c.fsys); got != c.want {
			t.Errorf("%s: %v CPUs, want %v", c.name, got, c.want)
		}
	}
	for _, nonsense := range []string{"", "\n", "-5 100000", "0 100000", "100000 0", "100000 -1", "ten 100000", "1 2 3", "99999999999999999999 1", "max"} {
		fsys := tree(cg, "0::/a\n", mi, mountsV2, "sys/fs/cgroup/a/cpu.max", nonsense)
		if got := cgroupQuota(fsys); got != 0 {
			t.Errorf("cpu.max %q: %v CPUs, want no limit", nonsense, got)
		}
	}
}

// cores describes CPUs to topology: siblings and capacity ("" for no file).
func cores(cpus ...[2]string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for i, c := range cpus {
		dir := fmt.Sprintf("sys/devices/system/cpu/cpu%d/", i)
		if c[0] != "" {
			fsys[dir+"topology/thread_siblings_list"] = &fstest.MapFile{Data: []byte(c[0] + "\n")}
		}
		if c[1] != "" {
			fsys[dir+"cpu_capacity"] = &fstest.MapFile{Data: []byte(c[1] + "\n")}
		}
	}
	return fsys
}

func TestTopology(t *testing.T) {
	all8 := []int{0, 1, 2, 3, 4, 5, 6, 7}
	for _, c := range []struct {
		name    string
		fsys    fstest.MapFS
		allowed []int
		want    cpus
	}{
		{"nothing known", tree(), []int{0, 1, 2}, cpus{3, 3, 3, []int{0, 1, 2}}},
		{"nothing allowed", tree(), nil, cpus{1, 1, 1, nil}},
		{"SMT, siblings apart", cores([2]string{"0,2"}, [2]string{"1,3"}, [2]string{"0,2"}, [2]string{"1,3"}), []int{3, 2, 1, 0}, cpus{4, 2, 2, []int{0, 1, 2, 3}}},
		{"SMT, siblings adjacent", cores([2]string{"0-1"}, [2]string{"0-1"}, [2]string{"2-3"}, [2]string{"2-3"}), []int{0, 1, 2, 3}, cpus{4, 2, 2, []int{0, 2, 1, 3}}},
		{"SMT, only second siblings allowed", cores([2]string{"0-1"}, [2]string{"0-1"}, [2]string{"2-3"}, [2]string{"2-3"}), []int{1, 3}, cpus{2, 2, 2, []int{1, 3}}},
		{"big.LITTLE as RK3588", cores([2]string{"0", "530"}, [2]string{"1", "530"}, [2]string{"2", "530"}, [2]string{"3", "530"},
			[2]string{"4", "1024"}, [2]string{"5", "1024"}, [2]string{"6", "1024"}, [2]string{"7", "1024"}), all8, cpus{8, 8, 8, []int{4, 5, 6, 7, 0, 1, 2, 3}}},
		{"three clusters as in a phone", cores([2]string{"0", "250"}, [2]string{"1", "250"}, [2]string{"2", "250"}, [2]string{"3", "250"},
			[2]string{"4", "780"}, [2]string{"5", "780"}, [2]string{"6", "780"}, [2]string{"7", "1024"}), all8, cpus{8, 8, 4, []int{7, 4, 5, 6, 0, 1, 2, 3}}},
		{"only the little ones allowed", cores([2]string{"0", "250"}, [2]string{"1", "250"}, [2]string{"2", "1024"}), []int{0, 1}, cpus{2, 2, 2, []int{0, 1}}},
		{"nonsense", cores([2]string{"x", "fast"}, [2]string{"0-", "-1"}, [2]string{"9-1", "99999999999"}, [2]string{"7"}), []int{0, 1, 2, 3}, cpus{4, 4, 4, []int{0, 1, 2, 3}}},
	} {
		got := topology(c.fsys, c.allowed)
		if got.logical != c.want.logical || got.cores != c.want.cores || got.fast != c.want.fast || !slices.Equal(got.order, c.want.order) {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestResolve(t *testing.T) {
	smt := cpus{logical: 8, cores: 4, fast: 4}
	phone := cpus{logical: 8, cores: 8, fast: 4}
	for _, c := range []struct {
		want, procs int
		m           cpus
		quota       float64
		n           int
		note        string // a part of it
	}{
		{0, 8, cpus{8, 8, 8, nil}, 0, 8, ""},
		{0, 8, smt, 0, 4, "4 physical cores"},
		{0, 8, phone, 0, 4, "4 of 8 cores are fast"},
		{0, 2, smt, 0, 2, ""},
		{0, 8, smt, 2.5, 3, "allows 2.5 CPUs"},
		{0, 8, smt, 0.1, 1, "allows 0.1 CPUs"},
		{0, 8, smt, 1e300, 4, "4 physical cores"},
		{0, 8, cpus{8, 8, 8, nil}, 1e300, 8, ""},
		{0, 0, cpus{}, 0, 1, ""},
		{1, 8, smt, 0, 1, ""},
		{6, 8, smt, 0, 6, ""},
		{9, 8, smt, 0, 8, "9 threads asked for, 8 used: this process may use 8"},
		{9, 2, smt, 0, 2, "GOMAXPROCS is 2"},
		{4, 8, smt, 1.5, 4, "expect"},
		{5000, 5000, cpus{5000, 5000, 5000, nil}, 0, MaxThreads, "asked for"},
	} {
		n, note, err := resolve(c.want, c.procs, c.m, c.quota)
		if err != nil || n != c.n || !strings.Contains(note, c.note) || (c.note == "") != (note == "") {
			t.Errorf("resolve(%d, %d, %+v, %v) = %d, %q, %v; want %d, …%q…", c.want, c.procs, c.m, c.quota, n, note, err, c.n, c.note)
		}
	}
	if _, _, err := Threads(-1); err == nil {
		t.Error("Threads(-1): no error")
	}
	n, note, err := Threads(0)
	if n < 1 || err != nil {
		t.Errorf("Threads(0) = %d, %q, %v", n, note, err)
	}
	t.Logf("this machine: %d threads %q, %+v, quota %v", n, note, machine(), cpuQuota())
}

func FuzzCgroupQuota(f *testing.F) {
	f.Add("0::/a/b\n", mountsV2, "50000 100000\n")
	f.Add("2:cpu,cpuacct:/a/b\n0::/\n", mountsV1, "max 100000")
	f.Add("0::/../x\n", mountsV2Docker, "1 1")
	f.Add("0::/a\n", `1 1 0:1 /\134 /sys/fs\040 rw - cgroup2 none rw`, "")
	f.Fuzz(func(t *testing.T, cgroup, mountinfo, limit string) {
		fsys := tree("proc/self/cgroup", cgroup, "proc/self/mountinfo", mountinfo,
			"sys/fs/cgroup/cpu.max", limit, "sys/fs/cgroup/a/cpu.max", limit, "sys/fs/cgroup/a/b/cpu.max", limit,
			"sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", limit, "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000")
		if q := cgroupQuota(fsys); !(q >= 0) {
			t.Fatalf("quota %v", q)
		}
	})
}

func FuzzCPUList(f *testing.F) {
	for _, s := range []string{"0", "0-3,8,10-11\n", "", ",", "3-1", "0-4294967295", "-", "16383", "16384"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		list, err := parseCPUList(s)
		if err != nil {
			return
		}
		if len(list) == 0 || len(list) > maxCPUs {
			t.Fatalf("%d CPUs", len(list))
		}
		for _, n := range list {
			if n < 0 || n >= maxCPUs {
				t.Fatalf("CPU %d", n)
			}
		}
	})
}

// A file without end does not fill the memory.
func TestReadSmallIsBounded(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "big"), make([]byte, 5<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := readSmall(os.DirFS(dir), "big")
	if err != nil || len(text) != 4<<20 {
		t.Errorf("%d bytes, %v", len(text), err)
	}
}
