package trust

import "syscall"

// withUs has a process end when the thread does that starts it, so that none is left
// over when this process ends at once.
func withUs(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGKILL }
