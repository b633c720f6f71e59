//go:build unix

package trust

import (
	"errors"
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

// endedBy names the signal with which somebody ended a process, "" if nobody did: crashes
// have others. A process that ends itself after one says so as shells do.
func endedBy(err error) string {
	var e *exec.ExitError
	if !errors.As(err, &e) {
		return ""
	}
	status, _ := e.Sys().(syscall.WaitStatus)
	for _, s := range []syscall.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGKILL, syscall.SIGTERM} {
		if status.Signaled() && status.Signal() == s || e.ExitCode() == 128+int(s) {
			if s == syscall.SIGKILL {
				return s.String() + ": by the system, if memory ran out"
			}
			return s.String()
		}
	}
	return ""
}
