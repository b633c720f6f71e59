package host

import (
	"strings"
	"testing"
	"testing/fstest"
)

const (
	mb = 1 << 20

	v2 = "35 24 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
	v1 = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n" +
		"32 31 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n" +
		"38 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
	stat = "anon 3145728\nfile 13631488\nshmem 1048576\nfile_mapped 2097152\ninactive_anon 4194304\n" +
		"active_anon 0\ninactive_file 8388608\nactive_file 4194304\nunevictable 0\nslab_reclaimable 524288\nworkingset_activate_file 77\n"
)

var namesV1 = strings.NewReplacer("inactive_file", "total_inactive_file", "active_file", "total_active_file")

// group adds a group's files to root: in dir, what it may use and does, and what of that
// is what. Names are those of the version; "" is no file.
func group(root fstest.MapFS, version2 bool, dir, limit, used, stat string) {
	names := filesV1
	if version2 {
		names = filesV2
	}
	for name, text := range map[string]string{names.limit: limit, names.used: used, "memory.stat": stat} {
		if text != "" {
			root[dir+"/"+name] = &fstest.MapFile{Data: []byte(text)}
		}
	}
}

func machine(groups, mounts string) fstest.MapFS {
	return fstest.MapFS{"proc/self/cgroup": {Data: []byte(groups)}, "proc/self/mountinfo": {Data: []byte(mounts)}}
}

// TestWithin: what a control group leaves of a machine of 64 MB, 48 of them free; in
// version 1 statistics have other names, and no limit is a number.
func TestWithin(t *testing.T) {
	for _, c := range []struct {
		name               string
		limit, usage, stat string // the files; "" for none
		total, free        uint64
	}{
		{"no group", "", "", "", 64 * mb, 48 * mb},
		{"no limit", "max\n", "16777216\n", stat, 64 * mb, 48 * mb},
		{"no limit, version 1", "9223372036854771712\n", "16777216\n", stat, 64 * mb, 48 * mb},
		{"a limit above the machine's memory", "134217728\n", "16777216\n", stat, 64 * mb, 48 * mb},
		{"a limit that makes no sense", "0\n", "16777216\n", stat, 64 * mb, 48 * mb},
		{"cached files are free", "20971520\n", "16777216\n", stat, 20 * mb, 16 * mb},
		{"active ones alone", "20971520\n", "16777216\n", "active_file 12582912\n", 20 * mb, 16 * mb},
		{"inactive ones alone", "20971520\n", "16777216\n", "inactive_file 12582912\n", 20 * mb, 16 * mb},
		{"memory of processes and tmpfs is not", "20971520\n", "16777216\n", "anon 12582912\nfile 4194304\nshmem 4194304\n", 20 * mb, 4 * mb},
		{"no statistics", "20971520\n", "16777216\n", "", 20 * mb, 4 * mb},
		{"odd statistics", "20971520\n", "16777216\n", "\nactive_file\ninactive_file x\nactive_file -1\n", 20 * mb, 4 * mb},
		{"statistics older than what is used", "20971520\n", "4194304\n", stat, 20 * mb, 20 * mb},
		{"more used than allowed", "4194304\n", "33554432\n", stat, 4 * mb, 0},
		{"nothing known of what is used", "20971520\n", "", stat, 20 * mb, 20 * mb},
		{"the machine has less", "62914560\n", "1048576\n", "", 60 * mb, 48 * mb},
	} {
		root := machine("4:memory:/docker/abc\n0::/\n", v1)
		group(root, false, "sys/fs/cgroup/memory/docker/abc", c.limit, c.usage, namesV1.Replace(c.stat))
		if total, free := leave(limits(root, 64*mb), 64*mb, 48*mb); total != c.total || free != c.free {
			t.Errorf("version 1, %s: %d bytes of %d are free, want %d of %d", c.name, free, total, c.free, c.total)
		}
		root = machine("0::/user.slice/a.service\n", v2)
		group(root, true, "sys/fs/cgroup/user.slice/a.service", c.limit, c.usage, c.stat)
		if total, free := leave(limits(root, 64*mb), 64*mb, 48*mb); total != c.total || free != c.free {
			t.Errorf("version 2, %s: %d bytes of %d are free, want %d of %d", c.name, free, total, c.free, c.total)
		}
	}
}

// TestAround: groups around the process's own count, as far as they can be seen, and
// no others.
func TestAround(t *testing.T) {
	// With what it holds itself and in groups inside it.
	const statV1 = "inactive_file 1048576\nactive_file 77\nhierarchical_memory_limit 20971520\n" +
		"total_inactive_file 8388608\ntotal_active_file 4194304\n"
	for _, c := range []struct {
		name           string
		groups, mounts string
		files          func(root fstest.MapFS)
		total, free    uint64
	}{
		{"nothing known", "", "", func(fstest.MapFS) {}, 64 * mb, 48 * mb},
		{"a service's slice", "0::/a.slice/b.service\n", v2, func(root fstest.MapFS) {
			group(root, true, "sys/fs/cgroup/a.slice", "20971520\n", "16777216\n", stat)
			group(root, true, "sys/fs/cgroup/a.slice/b.service", "max\n", "4194304\n", "")
		}, 20 * mb, 16 * mb},
		{"less is free in the wider group", "0::/a/b\n", v2, func(root fstest.MapFS) {
			group(root, true, "sys/fs/cgroup/a", "31457280\n", "29360128\n", "")
			group(root, true, "sys/fs/cgroup/a/b", "20971520\n", "4194304\n", "")
		}, 20 * mb, 2 * mb},
		{"a container with a namespace", "0::/\n", v2, func(root fstest.MapFS) {
			group(root, true, "sys/fs/cgroup", "20971520\n", "16777216\n", stat)
		}, 20 * mb, 16 * mb},
		{"a neighbour", "0::/a\n", v2, func(root fstest.MapFS) {
			group(root, true, "sys/fs/cgroup/b", "20971520\n", "16777216\n", stat)
		}, 64 * mb, 48 * mb},
		{"version 1", "4:memory:/docker/abc\n0::/\n", v1, func(root fstest.MapFS) {
			group(root, false, "sys/fs/cgroup/memory/docker", "20971520\n", "16777216\n", statV1)
			group(root, false, "sys/fs/cgroup/memory/docker/abc", "9223372036854771712\n", "4194304\n", "")
		}, 20 * mb, 16 * mb},
		{"a container of version 1", "4:memory:/docker/abc\n", "32 31 0:29 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n", func(root fstest.MapFS) {
			group(root, false, "sys/fs/cgroup/memory", "20971520\n", "16777216\n", statV1)
		}, 20 * mb, 16 * mb},
		{"version 1, another controller's tree", "4:memory:/a\n5:cpu:/b\n", v1, func(root fstest.MapFS) {
			group(root, false, "sys/fs/cgroup/memory/b", "20971520\n", "16777216\n", statV1)
		}, 64 * mb, 48 * mb},
		{"both", "4:memory:/a\n0::/a\n", v1, func(root fstest.MapFS) {
			group(root, false, "sys/fs/cgroup/memory/a", "31457280\n", "4194304\n", "")
			group(root, true, "sys/fs/cgroup/unified/a", "20971520\n", "4194304\n", "")
		}, 20 * mb, 16 * mb},
	} {
		root := machine(c.groups, c.mounts)
		c.files(root)
		if total, free := leave(limits(root, 64*mb), 64*mb, 48*mb); total != c.total || free != c.free {
			t.Errorf("%s: %d bytes of %d are free, want %d of %d", c.name, free, total, c.free, c.total)
		}
	}
}

func FuzzWithin(f *testing.F) {
	f.Add("0::/a\n", v2, "20971520\n", stat)
	f.Add("4:memory:/a\n", v1, "max", namesV1.Replace(stat))
	f.Fuzz(func(t *testing.T, groups, mounts, number, stat string) {
		root := machine(groups, mounts)
		for _, dir := range []string{"sys/fs/cgroup", "sys/fs/cgroup/a", "sys/fs/cgroup/memory/a"} {
			group(root, true, dir, number, number, stat)
			group(root, false, dir, number, number, stat)
		}
		if total, free := leave(limits(root, 64*mb), 64*mb, 48*mb); free > total {
			t.Errorf("%d bytes of %d are free", free, total)
		}
	})
}
