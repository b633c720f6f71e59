package packcache

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

// fileIdentity names a file's place and state, and when that last changed. No
// user can set the time of a change of the file's node.
func fileIdentity(_ string, st os.FileInfo) (string, time.Time) {
	s, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return "", time.Time{}
	}
	m, c := time.Unix(s.Mtim.Unix()), time.Unix(s.Ctim.Unix())
	return fmt.Sprintf("%d %d %d %d %d", s.Dev, s.Ino, s.Size, m.UnixNano(), c.UnixNano()), later(m, c)
}
