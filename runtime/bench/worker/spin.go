package worker

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// spinLimit ends a spinner whose parent is gone.
const spinLimit = 10 * time.Minute

// spin keeps the last n processors busy until it is killed.
func spin(ctx context.Context, n int) error {
	var all sync.WaitGroup
	end := time.Now().Add(spinLimit)
	for i := range min(max(n, 1), runtime.NumCPU()) {
		all.Go(func() {
			runtime.LockOSThread()
			pin(runtime.NumCPU() - 1 - i)
			for time.Now().Before(end) && ctx.Err() == nil {
				for k := 0; k < 1<<20; k++ {
					runtime.KeepAlive(k)
				}
			}
		})
	}
	all.Wait()
	return ctx.Err()
}
