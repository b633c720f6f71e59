package run

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
)

// TestFullDisk: when the disk gets full, training stops with one line that says what is
// left, and goes on when there is room.
func TestFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting a small file system needs root")
	}
	r := numbers(t)
	r.Train.Steps, r.Checkpoint.Keep = 30, 100
	want, _ := whole(t, r)
	r.Out = t.TempDir()
	if err := syscall.Mount("tmpfs", r.Out, "tmpfs", 0, "size=900k"); err != nil {
		t.Skipf("a small file system cannot be mounted: %v", err)
	}
	defer func() { _ = syscall.Unmount(r.Out, syscall.MNT_DETACH) }()
	_, err := Run(t.Context(), r, Options{Device: device(t, 1)})
	if !errors.Is(err, syscall.ENOSPC) || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "training stopped at step ") ||
		!strings.Contains(err.Error(), "is whole: the same command goes on from it") {
		t.Fatalf("error %v", err)
	}
	if err := syscall.Mount("tmpfs", r.Out, "tmpfs", syscall.MS_REMOUNT, "size=8m"); err != nil {
		t.Fatal(err)
	}
	res := train(t, r, Options{})
	if got := hashOf(t, res.Model); res.Steps != 30 || got != want {
		t.Errorf("%+v: another model", res)
	}
}
