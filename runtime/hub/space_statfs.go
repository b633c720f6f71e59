//go:build darwin || linux

package hub

import "syscall"

// freeSpace is how many bytes this user may still write to the disk of dir.
func freeSpace(dir string) (int64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return -1, err
	}
	return int64(min(st.Bavail, 1<<40)) * int64(st.Bsize), nil
}
