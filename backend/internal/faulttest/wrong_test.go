package faulttest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ledge-run/ledge/backend/trust"
	"github.com/ledge-run/ledge/runtime/engine"
)

// TestWrong: a driver that runs no kernel is refused by the self-test: an error if
// it was asked for, otherwise the CPU does it.
func TestWrong(t *testing.T) {
	each(t, 10*time.Minute, func(f *faulty) {
		want := f.right()
		f.tell("wrong")
		o := f.options(f.name)
		o.Prover = &trust.Prover{InProcess: true}
		if got := generate(f.model, o); got.err == nil || !strings.Contains(got.err.Error(), "self-test failed") || len(got.text) > 0 {
			f.Errorf("named: %+v", got)
		} else if err := one(got.err); err != nil {
			f.Error(err)
		}
		o.Device = ""
		if got := generate(f.model, o); got.err != nil || !slices.Equal(got.text, want) || got.device != "cpu" || !strings.Contains(got.said, "self-test failed") {
			f.Errorf("picked: %+v", got)
		}
	})
}

// TestWrongLater: a driver that passed and computes wrongly later. Whether a number
// is the right one cannot be told without computing it, so that stale results may
// give any text; but nothing crashes, and what cannot be a result is found: ids
// that are none, and numbers that are missing. Then what was given is right.
func TestWrongLater(t *testing.T) {
	each(t, 10*time.Minute, func(f *faulty) {
		want := f.right()
		for _, fault := range []string{"wrong", "wild", "nan"} {
			noticed, silent := 0, 0
			if fault != "wrong" && !f.reads {
				continue
			}
			for n := 1; n <= 400; n = next(n) {
				f.tell("%s=%d", fault, n)
				picked := generate(f.model, f.options(""))
				if picked.err != nil && fault != "wrong" {
					f.Errorf("%s=%d, picked: %v", fault, n, picked.err)
				}
				f.tell("%s=%d", fault, n)
				named := generate(f.model, f.options(f.name))
				switch {
				case named.err != nil:
					noticed++
					if err := one(named.err); err != nil {
						f.Errorf("%s=%d: %v", fault, n, err)
					}
					if fault == "nan" && !strings.Contains(named.err.Error(), "NaN") {
						f.Errorf("%s=%d: %v", fault, n, named.err)
					}
					if fault != "wrong" && (len(named.text) > len(want) || !slices.Equal(named.text, want[:len(named.text)]) || !slices.Equal(picked.text, want)) {
						f.Errorf("%s=%d: got %v and %v, want %v", fault, n, named.text, picked.text, want)
					}
				case !slices.Equal(named.text, want):
					silent++
					if fault != "wrong" {
						f.Errorf("%s=%d: got %v, want %v, and nobody says so", fault, n, named.text, want)
					}
				}
			}
			f.Logf("%s: %d times noticed, %d times not", fault, noticed, silent)
			if fault != "wrong" && noticed == 0 {
				f.Errorf("%s: never noticed", fault)
			}
		}
		f.after(want)
	})
}

func next(n int) int {
	if full {
		return n + 1
	}
	return 2*n + 1
}

// TestGarbage: what a driver says of itself is random, for the self-test as well.
func TestGarbage(t *testing.T) {
	each(t, 20*time.Minute, func(f *faulty) {
		want := f.right()
		used := 0
		seeds := 8
		if full {
			seeds = 100
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(seeds)*10*time.Second)
		defer cancel()
		for n := 1; n <= seeds && ctx.Err() == nil; n++ {
			o := f.options("")
			o.Prover = &trust.Prover{InProcess: true}
			f.tell("garbage=%d", n)
			got := f.generate(ctx, o)
			if got.err != nil && !errors.Is(got.err, context.DeadlineExceeded) || got.err == nil && !slices.Equal(got.text, want) {
				f.Errorf("garbage %d: %+v, want %v", n, got, want)
			}
			if got.device != "cpu" {
				used++
			}
		}
		f.Logf("used %d of %d times", used, seeds)
		f.after(want)
	})
}

// generate is generate while ctx lasts, until the model is open.
func (f *faulty) generate(ctx context.Context, o engine.Options) (out outcome) {
	m, err := engine.Open(ctx, f.model, o)
	if err != nil {
		return outcome{err: err}
	}
	return use(m)
}
