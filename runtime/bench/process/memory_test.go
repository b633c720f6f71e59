package process_test

import (
	"runtime"
	"testing"

	"github.com/ledge-run/ledge/runtime/bench/process"
)

// Memory tells what is held, which is no more than what was held at most, as far as counters
// that each processor keeps by itself for a while agree.
func TestMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells")
	}
	now, err := process.Memory(process.Resident)
	if err != nil {
		t.Fatal(err)
	}
	peak, err := process.Memory(process.Peak)
	if err != nil || now < 1<<20 || peak < now/2 {
		t.Errorf("%d bytes now, at most %d, %v", now, peak, err)
	}
	if n, err := process.Memory("VmNone"); err == nil || n != 0 {
		t.Errorf("a figure that is not there is %d, %v", n, err)
	}
}
