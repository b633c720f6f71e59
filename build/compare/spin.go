package main

import (
	"context"
	"runtime"
	"time"
)

// spin keeps a processor busy.
func spin(ctx context.Context, processor int, limit time.Duration) error {
	runtime.LockOSThread()
	if err := pin(processor); err != nil {
		return err
	}
	for end := time.Now().Add(limit); time.Now().Before(end) && ctx.Err() == nil; {
		for i := 0; i < 1<<20; i++ {
			runtime.KeepAlive(i)
		}
	}
	return ctx.Err()
}
