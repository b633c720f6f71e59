package backendtest

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
)

// Stopped has the process stopped for that long while it computes, as Ctrl-Z and paused
// containers do: runs go on afterwards. The device is to have a shorter time limit.
func Stopped(t *testing.T, open func() (backend.Device, error), long time.Duration) {
	if runtime.GOOS == "windows" {
		t.Skip("no signal stops a process there")
	}
	m, a := longRun(t, open)
	stop := exec.Command("sh", "-c", fmt.Sprintf("sleep 0.3; kill -STOP %d; sleep %g; kill -CONT %[1]d", os.Getpid(), long.Seconds()))
	if err := stop.Start(); err != nil {
		t.Fatal(err)
	}
	over := make(chan error, 1)
	go func() { over <- stop.Wait() }()
	var longest time.Duration
	for stopped := false; !stopped; {
		start := time.Now()
		err := m.submit(a)
		longest = max(longest, time.Since(start))
		if err != nil {
			t.Errorf("after %v: %v", longest, err)
			<-over // or it stops what comes next
			return
		}
		select {
		case err := <-over:
			if stopped = true; err != nil {
				t.Errorf("the process was not stopped: %v", err)
			}
		default:
		}
	}
	t.Logf("%v in one run", longest)
}

// longRun is a run that takes a while.
func longRun(t *testing.T, open func() (backend.Device, error)) (*machine, *backend.Args) {
	const rows, width = 64, 1024
	b := graph.NewBuilder("long", graph.Limits{T: rows, R: rows})
	x, w := b.Input("x", graph.F32(T, C(width))), b.Weight("w", dtype.F32, width, width)
	for range 6 {
		x = b.SoftCap(b.Linear(x, w), 4)
	}
	b.Output("y", x)
	g, err := b.Graph()
	if err != nil {
		t.Fatal(err)
	}
	m := compile(t, mustOpen(t, open), g, weightsFor(t, g, 1), true)
	a := &backend.Args{Inputs: []backend.Tensor{{F32: make([]float32, rows*width)}}, Outputs: []backend.Output{{F32: make([]float32, rows*width)}}}
	if err := m.submit(a); err != nil {
		t.Fatal(err)
	}
	return m, a
}
