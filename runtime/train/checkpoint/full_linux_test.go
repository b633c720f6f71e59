package checkpoint

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/ledge-run/ledge/runtime/train/step"
)

// TestFullDisk: on a disk that gets full the last checkpoint stays, whole, and later
// there is room again.
func TestFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting a small file system needs root")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("a small file system cannot be mounted: %v", err)
	}
	defer func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }()
	s := Store{Dir: dir, Keep: 1}
	save(t, s, 1)
	large := step.State{Step: 2, Tensors: []step.Tensor{{Name: "x", DType: "f32", Elems: 100 << 10}}}
	_, err := s.Save(large, fill(2))
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "cannot write the checkpoint "+s.path(2)+": no space left on device") || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v", err)
	}
	c, skipped := latest(t, s)
	if holds(t, c, 1); len(skipped) > 0 {
		t.Error(skipped)
	}
	save(t, s, 3)
	c, _ = latest(t, s)
	holds(t, c, 3)
}
