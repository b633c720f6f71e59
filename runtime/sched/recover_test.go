package sched_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/runtime/kvcache"
	"github.com/ledge-run/ledge/runtime/sched"
)

var errLost = errors.New("lost")

// fragile is a device that loses its pages in the runs or copies that it is told
// to, and is recovered by forgetting them.
type fragile struct {
	*device
	cache *kvcache.Cache

	mu      sync.Mutex
	calls   int
	breaks  map[int]bool // by number of the call
	broken  bool
	found   int // recoveries
	gives   func(ctx context.Context) error
	recover time.Duration
}

func (f *fragile) call() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	if f.broken || f.breaks[f.calls] {
		f.broken = true
		for i := range f.pages {
			for k := range f.pages[i] {
				f.pages[i][k] = -1000
			}
		}
		return errLost
	}
	return nil
}

func (f *fragile) run(ctx context.Context, b *sched.Batch) error {
	if err := f.call(); err != nil {
		return err
	}
	return f.device.run(ctx, b)
}

func (f *fragile) CopyPage(dst, src int) error {
	if err := f.call(); err != nil {
		return err
	}
	return f.device.CopyPage(dst, src)
}

func (f *fragile) recovery(ctx context.Context, err error) error {
	if !errors.Is(err, errLost) {
		return err
	}
	time.Sleep(f.recover)
	if f.gives != nil {
		if err := f.gives(ctx); err != nil {
			return err
		}
	}
	f.mu.Lock()
	f.broken = false
	f.found++
	f.mu.Unlock()
	f.cache.Lose()
	return nil
}

func startFragile(t *testing.T, pages int, breaks ...int) (*sched.Scheduler, *fragile) {
	t.Helper()
	f := &fragile{device: &device{t: t, pages: make([][backend.PageTokens]int32, pages)}, breaks: map[int]bool{}}
	for _, n := range breaks {
		f.breaks[n] = true
	}
	f.cache = kvcache.New(f, pages)
	l := limits
	l.Recover = f.recovery
	before := runtime.NumGoroutine()
	s := sched.New(f.cache, l, f.run)
	t.Cleanup(func() {
		s.Close()
		for i := 0; runtime.NumGoroutine() > before; i++ {
			if i > 200 {
				t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
				return
			}
			time.Sleep(time.Millisecond)
		}
	})
	return s, f
}

// follow runs what a generation would: each token is the one that the last row
// names. It returns the tokens.
func follow(ctx context.Context, st *sched.Stream, prompt []int32, n int) ([]int32, error) {
	todo := prompt[st.Len():]
	var out []int32
	for len(out) < n {
		if err := st.Run(ctx, todo, sched.Top); err != nil {
			return out, err
		}
		out = append(out, st.IDs[0])
		todo = out[len(out)-1:]
	}
	return out, nil
}

func prompts(i int) []int32 {
	p := make([]int32, 50+7*i)
	for k := range p {
		p[k] = int32(1 + (k*k+k/40*i)%7)
	}
	return p
}

// TestRecover has every call of one generation fail, and pairs of them.
func TestRecover(t *testing.T) {
	plain, _ := start(t, 16, nil)
	st := plain.NewStream(nil)
	want, err := follow(context.Background(), st, prompts(1), 12)
	if err != nil {
		t.Fatal(err)
	}
	st.Close()
	for first := 1; first <= 13; first++ {
		for second := first; second <= first+3; second++ {
			s, f := startFragile(t, 16, first, second)
			st := s.NewStream(nil)
			got, err := follow(context.Background(), st, prompts(1), 12)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%d and %d fail: %v, want %v: %v", first, second, got, want, err)
			}
			if n := len(prompts(1)) + 11; st.Len() != n || f.found == 0 {
				t.Errorf("%d and %d fail: %d tokens, want %d; %d recoveries", first, second, st.Len(), n, f.found)
			}
			st.Close()
		}
	}
}

// TestRecoverMany: streams with a common beginning, which fit the cache only as
// long as they share its pages, in several states when the content is lost.
func TestRecoverMany(t *testing.T) {
	shared := make([]int32, 5*backend.PageTokens+20)
	for k := range shared {
		shared[k] = int32(k % 5)
	}
	const streams = 5
	text := func(i int) []int32 { return append(slices.Clone(shared), prompts(i)[:9+i]...) }
	var want [streams][]int32
	plain, _ := start(t, 64, nil)
	for i := range streams {
		st := plain.NewStream(nil)
		want[i], _ = follow(context.Background(), st, text(i), 10)
		st.Close()
	}
	for n := 1; n <= 40; n++ {
		s, f := startFragile(t, 6+2*streams, 12+n) // a tenth of what they would take alone
		base := s.NewStream(nil)
		if err := base.Run(context.Background(), shared, sched.Nothing); err != nil {
			t.Fatal(err)
		}
		base.Pause()
		var wg sync.WaitGroup
		for i := range streams {
			st := base.Fork()
			wg.Go(func() {
				defer st.Close()
				got, err := follow(context.Background(), st, text(i), 10)
				if err != nil || !slices.Equal(got, want[i]) {
					t.Errorf("call %d fails, stream %d: %v, want %v: %v", n, i, got, want[i], err)
				}
			})
		}
		wg.Wait()
		if f.found != 1 && f.calls >= 12+n {
			t.Errorf("call %d fails: %d recoveries", n, f.found)
		}
		// The one that was idle, and whoever comes later.
		if got, err := follow(context.Background(), base, text(2), 10); err != nil || !slices.Equal(got, want[2]) {
			t.Errorf("call %d fails, the base: %v, want %v: %v", n, got, want[2], err)
		}
		base.Close()
		late := s.NewStream(text(3))
		if late.Len() == 0 {
			t.Errorf("call %d fails: nothing is known of the prefix later", n)
		}
		if got, err := follow(context.Background(), late, text(3), 10); err != nil || !slices.Equal(got, want[3]) {
			t.Errorf("call %d fails, later: %v, want %v: %v", n, got, want[3], err)
		}
		late.Close()
		if st := s.Stats(); st.FreePages != st.Pages {
			t.Errorf("call %d fails: %d of %d pages are free", n, st.FreePages, st.Pages)
		}
	}
}

// TestRecoverWants: all rows, saved streams, truncated and forked ones.
func TestRecoverWants(t *testing.T) {
	p := prompts(3)
	rows := func(s *sched.Scheduler) (out []float32) {
		st := s.NewStream(nil)
		defer st.Discard()
		if err := st.RunAll(context.Background(), p, func(_ int, l []float32) error {
			out = append(out, l...)
			return nil
		}); err != nil {
			t.Error(err)
		}
		return out
	}
	plain, _ := start(t, 16, nil)
	want := rows(plain)
	for n := 1; n <= 5; n++ {
		s, f := startFragile(t, 16, n)
		if got := rows(s); !slices.Equal(got, want) || f.found != 1 {
			t.Errorf("run %d fails: other rows", n)
		}
	}
	s, f := startFragile(t, 16)
	ctx := context.Background()
	st := s.NewStream(nil)
	if err := st.Run(ctx, p, sched.Top); err != nil {
		t.Fatal(err)
	}
	st.Pause()
	f.cache.Lose()
	if err := st.Save(io.Discard, "m"); err != nil {
		t.Errorf("saving: %v", err)
	}
	f.cache.Lose()
	st.Truncate(len(p) - 3)
	if st.Len() != len(p)-3 {
		t.Errorf("%d tokens after truncating", st.Len())
	}
	g := st.Fork()
	for i, x := range []*sched.Stream{st, g} {
		if err := x.Run(ctx, p[len(p)-3:], sched.Full); err != nil || !slices.Equal(x.Logits, want[len(want)-vocab:]) {
			t.Errorf("stream %d: other logits: %v", i, err)
		}
		x.Close()
	}
}

// TestRecoverSaves: streams are saved whose lost tokens another has read again, alone
// and while others wait.
func TestRecoverSaves(t *testing.T) {
	s, f := startFragile(t, 16)
	a := s.NewStream(nil)
	if err := a.Run(context.Background(), prompts(0), sched.Top); err != nil {
		t.Fatal(err)
	}
	a.Pause()
	streams := []*sched.Stream{a, a.Fork(), a.Fork(), a.Fork()}
	f.cache.Lose()
	if err := a.Save(io.Discard, "m"); err != nil {
		t.Fatal(err)
	}
	saved := make(chan error)
	for _, st := range streams[1:] {
		go func() { saved <- st.Save(io.Discard, "m") }()
	}
	for range streams[1:] {
		select {
		case err := <-saved:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("saving a stream hangs")
		}
	}
	for _, st := range streams {
		st.Close()
	}
}

// TestRecoverNot: a recovery that fails, one that is given up, and closing.
func TestRecoverNot(t *testing.T) {
	s, f := startFragile(t, 16, 2)
	worse := errors.New("worse")
	f.gives = func(context.Context) error { return fmt.Errorf("%w: %w", errLost, worse) }
	st := s.NewStream(nil)
	if _, err := follow(context.Background(), st, prompts(0), 12); !errors.Is(err, worse) || st.Len() != limits.Rows {
		t.Errorf("%d tokens, %v", st.Len(), err)
	}
	entered := make(chan struct{})
	f.gives = func(ctx context.Context) error {
		close(entered)
		for ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		return ctx.Err()
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-entered; cancel() }()
	if _, err := follow(ctx, st, prompts(0), 12); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	f.gives = nil
	if got, err := follow(context.Background(), st, prompts(0), 12); err != nil || len(got) != 12 {
		t.Errorf("then: %v, %v", got, err)
	}
	f.mu.Lock()
	f.broken = true
	f.mu.Unlock()
	again := make(chan struct{})
	f.gives = func(ctx context.Context) error {
		close(again)
		<-ctx.Done() // a batch of several has no channel but that of closing
		return ctx.Err()
	}
	go func() { <-again; s.Close() }()
	if err := st.Run(context.Background(), []int32{1}, sched.Top); !errors.Is(err, sched.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	st.Close()
}
