//go:build darwin || linux

package packcache

import "syscall"

// diskSpace is the size of the disk of dir, and what this user may still write.
func diskSpace(dir string) (total, free int64, err error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, 0, err
	}
	return int64(min(st.Blocks, 1<<40)) * int64(st.Bsize), int64(min(st.Bavail, 1<<40)) * int64(st.Bsize), nil
}
