//go:build unix

package trust

import (
	"os/exec"
	"syscall"
)

// separate prepares a process that a terminal's Ctrl-C and Ctrl-Z leave alone: they are
// for this one, which may end it. It is ended with what it started, compilers of drivers.
func separate(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	withUs(c.SysProcAttr)
	c.Cancel = func() error {
		_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
		return c.Process.Kill()
	}
}
