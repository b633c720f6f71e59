package sched_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/runtime/kvcache"
	"github.com/ledge-run/ledge/runtime/sched"
)

// gated has every run wait for the test.
func gated(d *device) { d.entered, d.gate = make(chan struct{}, 1000), make(chan struct{}) }

// TestNoContext: a nil context must not end the scheduler's goroutine, and the program
// with it.
func TestNoContext(t *testing.T) {
	s, _ := start(t, 8, nil)
	st := s.NewStream(nil)
	defer st.Close()
	var none context.Context
	if err := st.Run(none, prompt(5, 1), sched.Top); err == nil || !strings.Contains(err.Error(), "context is nil") {
		t.Errorf("got %v", err)
	}
	if err := st.Run(context.Background(), prompt(5, 1), sched.Top); err != nil {
		t.Error(err)
	}
}

// TestCancel in every phase: before, in the queue, in a run alone, in a run
// with another. The stream can go on afterwards.
func TestCancel(t *testing.T) {
	resume := func(t *testing.T, st *sched.Stream, d *device, text []int32) {
		t.Helper()
		close(d.gate)
		if err := st.Run(context.Background(), text[st.Len():], sched.Top); err != nil {
			t.Fatal(err)
		}
		if err := right(st, sched.Top); err != nil || !slices.Equal(st.Tokens(), text) {
			t.Error(err, st.Tokens())
		}
		st.Close()
	}
	text := prompt(50, 3)

	t.Run("before", func(t *testing.T) {
		s, d := start(t, 8, gated)
		st := s.NewStream(nil)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := st.Run(ctx, text, sched.Top); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		resume(t, st, d, text)
	})
	t.Run("waiting", func(t *testing.T) {
		s, d := start(t, 8, gated)
		release, done := queue(t, d, s)
		st := s.NewStream(nil)
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
		defer cancel()
		time.AfterFunc(30*time.Millisecond, release)
		if err := st.Run(ctx, text, sched.Top); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		done()
		if n := len(d.seen()); n != 1 {
			t.Errorf("%d batches ran, want 1", n)
		}
		resume(t, st, d, text)
	})
	t.Run("running alone", func(t *testing.T) {
		s, d := start(t, 8, gated)
		st := s.NewStream(nil)
		ctx, cancel := context.WithCancel(context.Background())
		go func() {
			<-d.entered
			d.gate <- struct{}{} // the first piece of the prompt is finished
			<-d.entered
			cancel() // the second is not
		}()
		if err := st.Run(ctx, text, sched.Top); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if st.Len() != limits.Rows {
			t.Errorf("%d tokens stayed in the cache, want %d", st.Len(), limits.Rows)
		}
		resume(t, st, d, text)
	})
	t.Run("running with another", func(t *testing.T) {
		s, d := start(t, 8, gated)
		release, done := queue(t, d, s)
		a, b := s.NewStream(nil), s.NewStream(nil)
		ctx, cancel := context.WithCancel(context.Background())
		errs := make(chan error, 2)
		go func() { errs <- a.Run(ctx, text[:5], sched.Top) }()
		go func() { errs <- b.Run(context.Background(), text[:6], sched.Top) }()
		time.Sleep(20 * time.Millisecond)
		release()
		done()
		<-d.entered
		cancel()
		time.Sleep(5 * time.Millisecond)
		d.gate <- struct{}{} // the batch goes on for the other one
		for range 2 {
			if err := <-errs; err != nil {
				t.Errorf("the batch was finished, but %v", err)
			}
		}
		if err := right(b, sched.Top); err != nil {
			t.Error(err)
		}
		b.Close()
		resume(t, a, d, text)
	})
	t.Run("all of a batch", func(t *testing.T) {
		s, d := start(t, 8, gated)
		release, done := queue(t, d, s)
		ctx, cancel := context.WithCancel(context.Background())
		errs := make(chan error, 2)
		for range 2 {
			go func() {
				st := s.NewStream(nil)
				defer st.Close()
				errs <- st.Run(ctx, text[:5], sched.Top)
			}()
		}
		time.Sleep(20 * time.Millisecond)
		release()
		done()
		<-d.entered
		cancel()
		d.gate <- struct{}{}
		for range 2 {
			if err := <-errs; !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		}
	})
}

// TestFullCache: the stream that needs more pages than there are gets the
// error, others go on, and it can go on once there is room.
func TestFullCache(t *testing.T) {
	s, _ := start(t, 4, nil)
	a, b := s.NewStream(nil), s.NewStream(nil)
	ctx := context.Background()
	if err := a.Run(ctx, prompt(2*backend.PageTokens, 0), sched.Top); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		var full *kvcache.ErrFull
		if err := b.Run(ctx, prompt(3*backend.PageTokens, 1), sched.Top); !errors.As(err, &full) {
			t.Errorf("got %v", err)
		}
	})
	for range 10 {
		a.Truncate(a.Len() - 1)
		if err := a.Run(ctx, []int32{5}, sched.Top); err != nil {
			t.Error(err)
		}
		if err := right(a, sched.Top); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	have := b.Len()
	if have%limits.Rows != 0 && have%limits.Mixed != 0 || have > 2*backend.PageTokens {
		t.Errorf("%d tokens of the prompt were run", have)
	}
	a.Close()
	text := prompt(3*backend.PageTokens, 1)
	if err := b.Run(ctx, text[have:], sched.Top); err != nil {
		t.Fatal(err)
	}
	if err := right(b, sched.Top); err != nil {
		t.Error(err)
	}
	b.Close()
}

// TestRewind: a token that is run again has room, though another stream waits for some.
func TestRewind(t *testing.T) {
	s, _ := start(t, 2, nil)
	a, b := s.NewStream(nil), s.NewStream(nil)
	ctx := context.Background()
	text := prompt(backend.PageTokens+1, 0)
	if err := a.Run(ctx, text, sched.Top); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		at := a.Len() - 1
		a.Rewind(at)
		var full *kvcache.ErrFull
		if err := b.Run(ctx, []int32{1}, sched.Top); !errors.As(err, &full) {
			t.Errorf("another stream: %v", err)
		}
		if err := a.Run(ctx, text[at:], sched.Full); err != nil {
			t.Fatal(err)
		}
		if err := right(a, sched.Full); err != nil {
			t.Error(err)
		}
		a.Keep() // its last page is then another's, too
	}
	a.Close()
	b.Close()
}

// TestCloseWhileWaiting: streams in the queue and in a run get ErrClosed, and
// so do those that come later.
func TestCloseWhileWaiting(t *testing.T) {
	s, d := start(t, 8, gated)
	errs := make(chan error, 3)
	run := func() {
		st := s.NewStream(nil)
		defer st.Close()
		errs <- st.Run(context.Background(), prompt(5, 1), sched.Top)
	}
	go run()
	<-d.entered
	go run()
	go run()
	time.Sleep(10 * time.Millisecond)
	s.Close()
	for range 3 {
		if err := <-errs; !errors.Is(err, sched.ErrClosed) {
			t.Errorf("got %v", err)
		}
	}
	st := s.NewStream(nil)
	if err := st.Run(context.Background(), prompt(5, 1), sched.Top); !errors.Is(err, sched.ErrClosed) {
		t.Errorf("got %v", err)
	}
	st.Truncate(0)
	st.Fork().Close()
	st.Close()
}

// TestRunFails: an error goes to those of the batch; a token that no model has
// to its stream alone; the next batch runs again.
func TestRunFails(t *testing.T) {
	broken := errors.New("the kernel failed")
	s, _ := start(t, 8, func(d *device) {
		d.fail = func(n int) error {
			if n == 2 {
				return broken
			}
			return nil
		}
	})
	st := s.NewStream(nil)
	ctx := context.Background()
	text := prompt(70, 2)
	if err := st.Run(ctx, text, sched.Top); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if st.Len() != limits.Rows {
		t.Errorf("%d tokens, want %d", st.Len(), limits.Rows)
	}
	if err := st.Run(ctx, text[st.Len():], sched.Top); err != nil {
		t.Error(err)
	}
	if err := right(st, sched.Top); err != nil {
		t.Error(err)
	}
	for _, bad := range []int32{-1, vocab} {
		if err := st.Run(ctx, []int32{1, bad}, sched.Top); err == nil || !strings.Contains(err.Error(), "vocabulary") {
			t.Errorf("token %d: got %v", bad, err)
		}
	}
	var long *sched.ErrTooLong
	if err := st.Run(ctx, make([]int32, limits.Tokens), sched.Top); !errors.As(err, &long) || long.Tokens != 70+limits.Tokens || long.Limit != limits.Tokens {
		t.Errorf("got %v", err)
	}
	st.Close()
	st.Close()
	if err := st.Run(ctx, text, sched.Top); err == nil {
		t.Error("a closed stream ran")
	}
	st.Truncate(1)
	if err := st.Fork().Run(ctx, text, sched.Top); err == nil {
		t.Error("the fork of a closed stream ran")
	}
	if st.Save(&bytes.Buffer{}, "") == nil || st.Load(&bytes.Buffer{}, "") == nil {
		t.Error("a closed stream was saved or loaded")
	}
}

// TestRunAll gives each row once, in order, beside decoders; what each does,
// even leaving by a panic, does not disturb the scheduler.
func TestRunAll(t *testing.T) {
	s, d := start(t, 32, nil)
	ctx := context.Background()
	var wg sync.WaitGroup
	for i := range 2 {
		wg.Go(func() {
			st := s.NewStream(nil)
			defer st.Close()
			for range 50 {
				if err := st.Run(ctx, []int32{int32(i)}, sched.Top); err != nil {
					t.Error(err)
				}
				if err := right(st, sched.Top); err != nil {
					t.Error(err)
				}
			}
		})
	}
	text := prompt(2*limits.AllRows+3, 5)
	st := s.NewStream(nil)
	if err := st.Run(ctx, text[:4], sched.Nothing); err != nil {
		t.Fatal(err)
	}
	next := 4
	err := st.RunAll(ctx, text[4:], func(first int, logits []float32) error {
		if first != next || len(logits)%vocab != 0 {
			t.Errorf("rows from %d, want %d", first, next)
		}
		_ = s.Stats() // nothing is locked
		for ; len(logits) > 0; logits = logits[vocab:] {
			next++
			if x := sum(text[:next]); logits[x] != 1 {
				t.Errorf("row %d is wrong", next-1)
			}
		}
		return nil
	})
	if err != nil || next != len(text) {
		t.Error(err, next)
	}
	for _, b := range d.seen() {
		if b.want == sched.All && b.seqs != 1 {
			t.Error("a batch that reads all has several sequences")
		}
	}
	st.Truncate(0)
	enough := errors.New("enough")
	if err := st.RunAll(ctx, text, func(int, []float32) error { return enough }); !errors.Is(err, enough) || st.Len() != limits.AllRows {
		t.Error(err, st.Len())
	}
	func() {
		defer func() { _ = recover() }()
		_ = st.RunAll(ctx, text, func(int, []float32) error { panic("a bug of the caller") })
	}()
	if err := st.Run(ctx, text[:1], sched.All); err != nil {
		t.Error(err)
	}
	if err := st.Run(ctx, text, sched.All); err == nil {
		t.Error("more rows than fit were read in full")
	}
	wg.Wait()
	st.Close()
}

// TestPrefix: a later stream takes over what an earlier one left, and forks go
// their own ways.
func TestPrefix(t *testing.T) {
	s, _ := start(t, 16, nil)
	ctx := context.Background()
	text := prompt(100, 1)
	a := s.NewStream(text)
	if a.Len() != 0 {
		t.Fatal("nothing is known yet")
	}
	if err := a.Run(ctx, text, sched.Top); err != nil {
		t.Fatal(err)
	}
	a.Close()
	b := s.NewStream(text)
	if b.Len() != len(text)-1 || !slices.Equal(b.Tokens(), text[:99]) {
		t.Errorf("%d tokens are known, want 99", b.Len())
	}
	f := b.Fork()
	var saved bytes.Buffer
	if err := b.Save(&saved, "m"); err != nil {
		t.Fatal(err)
	}
	l := s.NewStream(nil)
	if err := l.Load(&saved, "m"); err != nil {
		t.Fatal(err)
	}
	for i, st := range []*sched.Stream{b, f, l} {
		if err := st.Run(ctx, prompt(20, i), sched.Full); err != nil {
			t.Fatal(err)
		}
	}
	for _, st := range []*sched.Stream{b, f, l} {
		st.Truncate(st.Len() - 1)
		if err := st.Run(ctx, []int32{9}, sched.Top); err != nil {
			t.Fatal(err)
		}
		if err := right(st, sched.Top); err != nil {
			t.Error(err)
		}
		st.Close()
	}
}

// TestSlowReader: a stream that does not come back for its next token holds
// others up once, not with every batch.
func TestSlowReader(t *testing.T) {
	s, _ := start(t, 64, nil)
	ctx := context.Background()
	slow, fast := s.NewStream(nil), s.NewStream(nil)
	defer slow.Close()
	defer fast.Close()
	if err := slow.Run(ctx, []int32{1}, sched.Top); err != nil {
		t.Fatal(err)
	}
	const n = 100
	best := time.Hour // of several: other processes may take the processors for a while
	for range 9 {
		begin := time.Now()
		for range n {
			if err := fast.Run(ctx, []int32{1}, sched.Top); err != nil {
				t.Fatal(err)
			}
		}
		best = min(best, time.Since(begin)/n)
	}
	if best > 250*time.Microsecond {
		t.Errorf("%v a token beside a stream that is away", best)
	}
}
