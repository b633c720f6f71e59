package cgroup

import (
	"slices"
	"testing"
	"testing/fstest"
)

// TestEach: which groups are found, from within outwards. Of what limits they have, the tests
// of backend/cpu/pool and backend/internal/host have more.
func TestEach(t *testing.T) {
	const mounts = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n" +
		"32 31 0:29 / /v1/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n" +
		"33 31 0:31 /docker /v1/memory rw - cgroup cgroup rw,memory\n" +
		"38 31 0:38 / /v2 rw shared:9 - cgroup2 cgroup2 rw\n"
	for _, c := range []struct {
		name, controller, groups, mounts string
		want                             []string
	}{
		{"no groups", "cpu", "", mounts, nil},
		{"no mounts", "cpu", "0::/a\n", "", nil},
		{"version 2", "cpu", "0::/a/b\n", mounts, []string{"v2/a/b", "v2/a", "v2"}},
		{"version 1", "cpu", "3:memory:/m\n2:cpu,cpuacct:/a\n", mounts, []string{"v1/cpu,cpuacct/a", "v1/cpu,cpuacct"}},
		{"another controller", "memory", "3:memory:/docker/m\n2:cpu,cpuacct:/a\n", mounts, []string{"v1/memory/m", "v1/memory"}},
		{"both", "cpu", "2:cpu,cpuacct:/\n0::/a\n", mounts, []string{"v1/cpu,cpuacct", "v2/a", "v2"}},
		{"outside what is mounted", "memory", "3:memory:/dockers/m\n", mounts, []string{"v1/memory"}},
		{"a space", "cpu", "0::/a\n", `35 24 0:30 / /my\040groups rw - cgroup2 none rw`, []string{"my groups/a", "my groups"}},
		{"nonsense", "cpu", "0::a\n0:/b\nx\n", mounts + "1 2 3 - cgroup2\n" + "1 1 0:1 / / rw - cgroup2 none rw\n", nil},
	} {
		var got []string
		root := fstest.MapFS{"proc/self/cgroup": {Data: []byte(c.groups)}, "proc/self/mountinfo": {Data: []byte(c.mounts)}}
		Each(root, c.controller, func(g Group) { got = append(got, g.dir) })
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
