// Package cgroup finds the control groups of Linux that a process is in: containers and
// services are limited by them.
//
// Formats: cgroups(7), proc_pid_mountinfo(5), Documentation/admin-guide/cgroup-v2.rst.
package cgroup

import (
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Group is a control group: a folder of files.
type Group struct {
	V2   bool // or it is one of version 1, whose files have other names
	root fs.FS
	dir  string
}

// Read gives the text of one of its files, "" if it is missing.
func (g Group) Read(name string) string { return read(g.root, path.Join(g.dir, name)) }

func read(root fs.FS, name string) string {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return ""
	}
	return string(text)
}

// Each calls f with the process's group and all groups around it that are visible: a
// limit of any of them holds. Of version 1, which has a tree for each controller
// ("cpu", "memory"), it takes that controller's. root is the file system's root.
func Each(root fs.FS, controller string, f func(Group)) {
	v1, v2 := parseGroups(read(root, "proc/self/cgroup"), controller)
	for line := range strings.Lines(read(root, "proc/self/mountinfo")) {
		m, ok := parseMount(line)
		if !ok {
			continue
		}
		var group string
		switch {
		case m.fstype == "cgroup2":
			group = v2
		case m.fstype == "cgroup" && slices.Contains(strings.Split(m.options, ","), controller):
			group = v1
		}
		top := strings.TrimPrefix(path.Clean(m.point), "/")
		if group == "" || top == "" || !fs.ValidPath(top) {
			continue
		}
		for dir := path.Join(top, below(group, m.root)); ; dir = path.Dir(dir) {
			f(Group{m.fstype == "cgroup2", root, dir})
			if len(dir) <= len(top) {
				break
			}
		}
	}
}

// parseGroups returns the paths of the process's version 1 group for a controller and
// of its version 2 group from /proc/self/cgroup; "" for none.
func parseGroups(text, controller string) (v1, v2 string) {
	for line := range strings.Lines(text) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(f) != 3 || !strings.HasPrefix(f[2], "/") {
			continue
		}
		switch {
		case f[0] == "0" && f[1] == "":
			v2 = path.Clean(f[2])
		case slices.Contains(strings.Split(f[1], ","), controller):
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
