package pool

import (
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// cgroupQuota returns how many CPUs' worth of time the process's control groups
// allow, or 0 for no limit. root is the file system's root. It looks in version 2
// groups (cpu.max) and version 1 groups (cpu.cfs_quota_us, cpu.cfs_period_us), in
// the process's group and all groups around it that are visible, and takes the least.
// Files that are missing or make no sense count as no limit.
//
// Formats: cgroups(7), proc_pid_mountinfo(5), Documentation/admin-guide/cgroup-v2.rst.
func cgroupQuota(root fs.FS) float64 {
	groups, err := readSmall(root, "proc/self/cgroup")
	if err != nil {
		return 0
	}
	mounts, err := readSmall(root, "proc/self/mountinfo")
	if err != nil {
		return 0
	}
	v1, v2 := parseCgroups(groups)
	least := 0.0
	for line := range strings.Lines(mounts) {
		m, ok := parseMount(line)
		if !ok {
			continue
		}
		var group string
		var limit func(root fs.FS, dir string) float64
		switch {
		case m.fstype == "cgroup2" && v2 != "":
			group, limit = v2, limitV2
		case m.fstype == "cgroup" && v1 != "" && slices.Contains(strings.Split(m.options, ","), "cpu"):
			group, limit = v1, limitV1
		default:
			continue
		}
		top := strings.TrimPrefix(path.Clean(m.point), "/")
		if top == "" || !fs.ValidPath(top) {
			continue
		}
		for dir := path.Join(top, below(group, m.root)); ; dir = path.Dir(dir) {
			if q := limit(root, dir); q > 0 && (least == 0 || q < least) {
				least = q
			}
			if len(dir) <= len(top) {
				break
			}
		}
	}
	return least
}

// parseCgroups returns the paths of the process's version 1 group for "cpu" and
// of its version 2 group from /proc/self/cgroup; "" for none.
func parseCgroups(text string) (v1, v2 string) {
	for line := range strings.Lines(text) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(f) != 3 || !strings.HasPrefix(f[2], "/") {
			continue
		}
		switch {
		case f[0] == "0" && f[1] == "":
			v2 = path.Clean(f[2])
		case slices.Contains(strings.Split(f[1], ","), "cpu"):
			v1 = path.Clean(f[2])
		}
	}
	return v1, v2
}

type mount struct{ root, point, fstype, options string }

// parseMount reads one line of /proc/self/mountinfo:
//
//	36 35 98:0 /root /mount/point rw,noatime master:1 - fstype source options
func parseMount(line string) (mount, bool) {
	before, after, ok := strings.Cut(line, " - ")
	f, g := strings.Fields(before), strings.Fields(after)
	if !ok || len(f) < 5 || len(g) < 3 {
		return mount{}, false
	}
	return mount{root: unescape(f[3]), point: unescape(f[4]), fstype: g[0], options: g[2]}, true
}

// unescape undoes the kernel's \ooo for space, tab, newline and backslash.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if v, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(v))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// below returns group relative to the group that is mounted, or "" when it lies
// outside that, as seen from inside some containers.
func below(group, mounted string) string {
	rest, ok := strings.CutPrefix(group, strings.TrimSuffix(mounted, "/"))
	if !ok || rest != "" && rest[0] != '/' {
		return ""
	}
	return strings.TrimPrefix(rest, "/")
}

// limitV2 reads "QUOTA PERIOD" in µs, QUOTA possibly "max".
func limitV2(root fs.FS, dir string) float64 {
	text, err := readSmall(root, path.Join(dir, "cpu.max"))
	f := strings.Fields(text)
	if err != nil || len(f) < 1 || len(f) > 2 {
		return 0
	}
	if len(f) == 1 {
		f = append(f, "100000")
	}
	return ratio(f[0], f[1])
}

// limitV1 reads quota and period in µs from two files; quota -1 is no limit.
func limitV1(root fs.FS, dir string) float64 {
	quota, err := readSmall(root, path.Join(dir, "cpu.cfs_quota_us"))
	if err != nil {
		return 0
	}
	period, err := readSmall(root, path.Join(dir, "cpu.cfs_period_us"))
	if err != nil {
		return 0
	}
	return ratio(strings.TrimSpace(quota), strings.TrimSpace(period))
}

// ratio returns quota/period if both are positive whole numbers, else 0.
func ratio(quota, period string) float64 {
	q, err := strconv.ParseInt(quota, 10, 64)
	if err != nil || q <= 0 {
		return 0
	}
	p, err := strconv.ParseInt(period, 10, 64)
	if err != nil || p <= 0 {
		return 0
	}
	return float64(q) / float64(p)
}
