package sched_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
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
		case sched.Best:
			b.Count, b.LogSumExp = 1, nil
			b.IDs = append(b.IDs, x)
			b.Logits = append(b.Logits, 2)
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
	case sched.Best:
		ok = slices.Equal(st.IDs, []int32{x}) && slices.Equal(st.Logits, []float32{2})
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
			want := []sched.Want{sched.Top, sched.Full, sched.Hidden, sched.Best}[i%4]
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

// TestBestBesideTop: who reads the best candidate alone shares a batch with who reads
// several, and gets what it asked for; with who reads whole rows it does not.
func TestBestBesideTop(t *testing.T) {
	for _, c := range []struct {
		wants, batches []sched.Want
	}{
		{[]sched.Want{sched.Best, sched.Best}, []sched.Want{sched.Best}},
		{[]sched.Want{sched.Best, sched.Top, sched.Best}, []sched.Want{sched.Top}},
		{[]sched.Want{sched.Top, sched.Best, sched.Nothing}, []sched.Want{sched.Top}},
		{[]sched.Want{sched.Nothing, sched.Best}, []sched.Want{sched.Best}},
		{[]sched.Want{sched.Best, sched.Full}, []sched.Want{sched.Best, sched.Full}},
		{[]sched.Want{sched.Full, sched.Best, sched.Top}, []sched.Want{sched.Top, sched.Full}},
	} {
		s, d := start(t, 64, gated)
		_, first := queue(t, d, s)
		var wg sync.WaitGroup
		for i, want := range c.wants {
			st := s.NewStream(nil)
			wg.Go(func() {
				defer st.Close()
				if err := st.Run(context.Background(), []int32{int32(7 + i)}, want); err != nil {
					t.Error(err)
				} else if err := right(st, want); err != nil {
					t.Errorf("%v: %v", c.wants, err)
				}
			})
		}
		time.Sleep(20 * time.Millisecond) // all wait
		close(d.gate)
		first()
		wg.Wait()
		var got []sched.Want // in the order of what they read: who came first is chance
		for _, b := range d.seen()[1:] {
			got = append(got, b.want)
		}
		slices.Sort(got)
		if !slices.Equal(got, c.batches) {
			t.Errorf("streams that want %v: batches that read %v, want %v", c.wants, got, c.batches)
		}
	}
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
