package encode

import (
	"sync"
	"sync/atomic"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/cpu"
)

// Parallel has workers share n rows, per rows at a time: next gives each the next ones
// that nobody has. The error is the first worker's that has one.
func Parallel(k *cpu.Kernels, d dtype.DType, threads, per, n int, work func(e *Encoder, next func() (from, to int, ok bool)) error) error {
	var taken atomic.Int64
	next := func() (from, to int, ok bool) {
		from = int(taken.Add(int64(per))) - per
		return from, min(from+per, n), from < n
	}
	errs := make([]error, min(threads, (n+per-1)/per))
	var all sync.WaitGroup
	for id := range errs {
		all.Go(func() {
			e, err := With(k, d)
			if err == nil {
				err = work(e, next)
			}
			errs[id] = err
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
