package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// spin keeps the last processors busy until it is killed, and says once that they are.
// It ends, too, when its parent is gone or its limit has passed.
func spin(ctx context.Context, j *Job, ready func() error) error {
	n := min(max(j.Settings.Busy, 1), runtime.NumCPU())
	var all, turning sync.WaitGroup
	var ended atomic.Bool // read in the loops: a context has a lock
	turning.Add(n)
	for i := range n {
		all.Go(func() {
			runtime.LockOSThread()
			pin(runtime.NumCPU() - 1 - i)
			for first := true; !ended.Load(); first = false {
				for k := 0; k < 1<<20; k++ {
					runtime.KeepAlive(k)
				}
				if first {
					turning.Done()
				}
			}
		})
	}
	defer func() { ended.Store(true); all.Wait() }()
	turning.Wait()
	if err := ready(); err != nil {
		return err
	}
	limit := time.NewTimer(j.Limit)
	defer limit.Stop()
	look := time.NewTicker(time.Second)
	defer look.Stop()
	for parent := os.Getppid(); ; {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-limit.C:
			return fmt.Errorf("the measurement did not end within %v", j.Limit)
		case <-look.C:
			if os.Getppid() != parent {
				return errors.New("who asked to keep processors busy is gone")
			}
		}
	}
}
