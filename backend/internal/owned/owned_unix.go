//go:build unix

package owned

import (
	"fmt"
	"os"
	"syscall"
)

// openFile follows no link and waits for nothing: the file was looked at before,
// and may have been exchanged since.
func openFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
}

// check asks that the user or root owns a file and that nobody else may write to
// it. A group that is the user's own (the same number, as most Linux systems give
// every user one) is no one else.
func check(path string, st os.FileInfo) error {
	s, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	me := uint32(os.Geteuid())
	if s.Uid != me && s.Uid != 0 {
		return fmt.Errorf("%s belongs to user %d: %w", path, s.Uid, ErrNotOwned)
	}
	mode := st.Mode().Perm()
	private := s.Gid == me && s.Gid == s.Uid
	if mode&0o002 != 0 || mode&0o020 != 0 && !private {
		return fmt.Errorf("%s has mode %04o: %w (chmod go-w helps)", path, mode, ErrNotOwned)
	}
	return nil
}
