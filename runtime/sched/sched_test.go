package sched_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/runtime/kvcache"
	"github.com/ledge-run/ledge/runtime/sched"
)

const vocab = 64

// device is a runner whose "cache" holds one int32 a token: the token itself.
// The logits of a row name the sum of all tokens up to it, read back from the
// pages, so a wrong page, order or row is seen.
type device struct {
	t     *testing.T
	pages [][backend.PageTokens]int32

	mu      sync.Mutex
	batches []batch
	gate    chan struct{} // if set, every run takes one from it first; closed it lets all through
	entered chan struct{} // if set, every run says so
	fail    func(n int) error
	delay   time.Duration
}

type batch struct {
	rows, seqs, reads int
	want              sched.Want
}

func (d *device) Layout() string { return "test" }
func (d *device) PageBytes() int { return 4 * backend.PageTokens }
func (d *device) Close() error   { return nil }

func (d *device) CopyPage(dst, src int) error {
	d.pages[dst] = d.pages[src]
	return nil
}

func (d *device) ReadPage(page int, dst []byte) error {
	_, err := binary.Encode(dst, binary.LittleEndian, d.pages[page][:])
	return err
}

func (d *device) WritePage(page int, src []byte) error {
	_, err := binary.Decode(src, binary.LittleEndian, d.pages[page][:])
	return err
}

var limits = sched.Limits{Rows: 32, Mixed: 8, Seqs: 4, AllRows: 16, Tokens: 1000, Vocab: vocab}

func start(t *testing.T, pages int, set func(*device)) (*sched.Scheduler, *device) {
	t.Helper()
	d := &device{t: t, pages: make([][backend.PageTokens]int32, pages)}
	if set != nil {
		set(d)
	}
	before := runtime.NumGoroutine()
	s := sched.New(kvcache.New(d, pages), limits, d.run)
	t.Cleanup(func() {
		s.Close()
		s.Close()
		for i := 0; runtime.NumGoroutine() > before; i++ {
			if i > 200 {
				t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
				return
			}
			time.Sleep(time.Millisecond)
		}
	})
	return s, d
}

func (d *device) run(ctx context.Context, b *sched.Batch) error {
	if d.entered != nil {
		d.entered <- struct{}{}
	}
	if d.gate != nil {
		select {
		case <-d.gate:
		case <-ctx.Done():
		}
	}
	d.mu.Lock()
	d.batches = append(d.batches, batch{len(b.Tokens), len(b.Segments), len(b.Rows), b.Want})
	n := len(d.batches)
	d.mu.Unlock()
	time.Sleep(d.delay)
	if err := ctx.Err(); err != nil {
		return err
	}
	if d.fail != nil {
		if err := d.fail(n); err != nil {
			return err
		}
	}
	if len(b.Tokens) > limits.Rows || len(b.Segments) > limits.Seqs || b.Want == sched.All && len(b.Tokens) > limits.AllRows {
		d.t.Errorf("a batch of %d rows in %d sequences, reading %d", len(b.Tokens), len(b.Segments), b.Want)
	}
	sums := make([]int32, len(b.Tokens))
	row := 0
	for i, seg := range b.Segments {
		if seg.Seq != i || len(seg.Pages)*backend.PageTokens < seg.Start+seg.Rows {
			d.t.Errorf("segment %d: %+v", i, seg)
		}
		for k := range seg.Rows {
			at := seg.Start + k
			if int(b.Positions[row]) != at {
				d.t.Errorf("row %d is at position %d, want %d", row, b.Positions[row], at)
			}
			d.pages[seg.Pages[at/backend.PageTokens]][at%backend.PageTokens] = b.Tokens[row]
			for j := range at + 1 {
				sums[row] += d.pages[seg.Pages[j/backend.PageTokens]][j%backend.PageTokens]
			}
			row++
		}
	}
	b.Count = 2
	b.IDs, b.Logits, b.LogSumExp, b.Hidden = nil, nil, nil, nil
	for _, r := range b.Rows {
		x := sums[r] % vocab
		b.LogSumExp = append(b.LogSumExp, float32(x)+0.5)
		b.Hidden = append(b.Hidden, float32(x), 1, 2)
		switch b.Want {
		case sched.Top:
			b.IDs = append(b.IDs, x, x+1)
			b.Logits = append(b.Logits, 2, 1)
		case sched.Full, sched.All:
			logits := make([]float32, vocab)
			logits[x] = 1
			b.Logits = append(b.Logits, logits...)
		}
	}
	return nil
}

func (d *device) seen() []batch {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.batches)
}

func prompt(n, seed int) []int32 {
	out := make([]int32, n)
	for i := range out {
		out[i] = int32((i*7 + seed) % vocab)
	}
	return out
}

func sum(tokens []int32) int32 {
	s := int32(0)
	for _, t := range tokens {
		s += t
	}
	return s % vocab
}

// right says whether the last run of st gave what it should.
func right(st *sched.Stream, want sched.Want) error {
	x := sum(st.Tokens())
	ok := true
	switch want {
	case sched.Top:
		ok = len(st.IDs) == 2 && st.IDs[0] == x && len(st.Logits) == 2 && st.LogSumExp == float32(x)+0.5
	case sched.Full:
		ok = len(st.Logits) == vocab && st.Logits[x] == 1
	case sched.Hidden:
		ok = len(st.Hidden) == 3 && st.Hidden[0] == float32(x)
	}
	if !ok {
		return fmt.Errorf("want %d after %d tokens: ids %v, %d logits, hidden %v", x, st.Len(), st.IDs, len(st.Logits), st.Hidden)
	}
	return nil
}

// TestManyStreams: more streams than a batch holds, that read different things
// after prompts of different lengths, all get their own results.
func TestManyStreams(t *testing.T) {
	s, d := start(t, 64, func(d *device) { d.delay = 50 * time.Microsecond })
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			st := s.NewStream(nil)
			defer st.Close()
			want := []sched.Want{sched.Top, sched.Full, sched.Hidden, sched.Top}[i%4]
			for _, n := range []int{3 + 11*i, 1, 1, 1, 2, 1, 40, 1, 1} {
				if err := st.Run(context.Background(), prompt(n, i), want); err != nil {
					t.Error(err)
					return
				}
				if err := right(st, want); err != nil {
					t.Error(err)
				}
				if i%3 == 0 && n == 2 {
					st.Truncate(st.Len() - 1)
				}
			}
		})
	}
	wg.Wait()
	most := 0
	for _, b := range d.seen() {
		most = max(most, b.seqs)
	}
	if most < 2 {
		t.Error("no batch had more than one sequence")
	}
	if st := s.Stats(); st.FreePages != st.Pages {
		t.Errorf("%d of %d pages are free after all streams were closed", st.FreePages, st.Pages)
	}
}

// queue occupies the runner with a first batch, so that what comes after it
// waits; release ends it, done waits until it has ended.
func queue(t *testing.T, d *device, s *sched.Scheduler) (release func(), done func()) {
	t.Helper()
	st := s.NewStream(nil)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := st.Run(context.Background(), []int32{1}, sched.Nothing); err != nil {
			t.Error(err)
		}
		st.Close()
	})
	<-d.entered
	return func() { d.gate <- struct{}{} }, wg.Wait
}

// TestLongPromptBesideDecoder: while a long prompt is read, the decoder goes on,
// and batches that have its token have few rows of the prompt.
func TestLongPromptBesideDecoder(t *testing.T) {
	s, d := start(t, 64, func(d *device) { d.delay = 200 * time.Microsecond })
	ctx := context.Background()
	decoder, long := s.NewStream(nil), s.NewStream(nil)
	defer decoder.Close()
	defer long.Close()
	if err := decoder.Run(ctx, []int32{1}, sched.Top); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	over := make(chan struct{})
	wg.Go(func() {
		defer close(over)
		if err := long.Run(ctx, prompt(400, 0), sched.Top); err != nil {
			t.Error(err)
		}
	})
	tokens := 0
	for reading := true; reading; tokens++ {
		select {
		case <-over:
			reading = false
		default:
		}
		if err := decoder.Run(ctx, []int32{1}, sched.Top); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	for i, b := range d.seen() {
		if b.seqs == 2 && b.rows > 1+limits.Mixed {
			t.Errorf("batch %d has %d rows", i, b.rows)
		}
	}
	if tokens < 400/limits.Rows {
		t.Errorf("%d tokens while a prompt of 400 was read in at least %d batches", tokens, 400/limits.Rows)
	}
	if err := errors.Join(right(long, sched.Top), right(decoder, sched.Top)); err != nil {
		t.Error(err)
	}
}

// TestNobodyStarves: decoders that fill every batch, and a stream that reads
// something else, a prompt, and one that reads all, which come too.
func TestNobodyStarves(t *testing.T) {
	s, d := start(t, 128, func(d *device) { d.delay = 50 * time.Microsecond })
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var mu sync.Mutex
	count := map[int]int{}
	for i := range 2 * limits.Seqs {
		wg.Go(func() {
			st := s.NewStream(nil)
			defer st.Close()
			for st.Len() < 900 {
				if err := st.Run(ctx, []int32{1}, sched.Top); err != nil {
					if !errors.Is(err, context.Canceled) {
						t.Error(err)
					}
					return
				}
				mu.Lock()
				count[i]++
				mu.Unlock()
			}
		})
	}
	var others sync.WaitGroup
	for i, want := range []sched.Want{sched.Hidden, sched.Full, sched.Nothing, sched.Top} {
		others.Go(func() {
			st := s.NewStream(nil)
			defer st.Close()
			if err := st.Run(context.Background(), prompt(70, i), want); err != nil {
				t.Error(err)
			}
			if err := right(st, want); err != nil {
				t.Error(err)
			}
		})
	}
	others.Go(func() {
		st := s.NewStream(nil)
		defer st.Close()
		if err := st.RunAll(context.Background(), prompt(40, 9), func(int, []float32) error { return nil }); err != nil {
			t.Error(err)
		}
	})
	others.Wait()
	before := len(d.seen())
	cancel()
	wg.Wait()
	if before > 400 {
		t.Errorf("%d batches until all others were through", before)
	}
	least, most := 1<<30, 0
	for i := range 2 * limits.Seqs {
		least, most = min(least, count[i]), max(most, count[i])
	}
	if most > 2*least+10 {
		t.Errorf("decoders made from %d to %d tokens: that is not fair", least, most)
	}
}

// gated has every run wait for the test.
func gated(d *device) { d.entered, d.gate = make(chan struct{}, 1000), make(chan struct{}) }

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
	begin := time.Now()
	const n = 900
	for range n {
		if err := fast.Run(ctx, []int32{1}, sched.Top); err != nil {
			t.Fatal(err)
		}
	}
	if per := time.Since(begin) / n; per > 250*time.Microsecond {
		t.Errorf("%v a token beside a stream that is away", per)
	}
}
