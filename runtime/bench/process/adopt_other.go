//go:build !linux

package process

import "os/exec"

// adopt can do nothing here: what begins a session of its own is lost sight of.
func adopt(*exec.Cmd) (end func()) { return func() {} }

// run starts a command, and waits for its end.
func run(cmd *exec.Cmd) error { return cmd.Run() }
