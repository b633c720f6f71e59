package engine_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/sched"
)

// pacer waits and shares threads at random, and fails when it is told to.
type pacer struct {
	mu      sync.Mutex
	rng     *rand.Rand
	begun   []bool // what Begin was told
	refuse  error  // by Begin
	fail    error  // by Before,
	at      int    // from this run on
	before  int
	after   int
	threads []int // offered
	paused  time.Duration
	wait    func(ctx context.Context) error
	used    [9]atomic.Int32
}

func newPacer() *pacer { return &pacer{rng: rand.New(rand.NewPCG(7, 8))} }

func (p *pacer) Begin(card bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begun = append(p.begun, card)
	return p.refuse
}

func (p *pacer) Before(ctx context.Context, threads int) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.before++
	p.threads = append(p.threads, threads)
	if p.fail != nil && p.before >= p.at {
		return 0, p.fail
	}
	if p.wait != nil {
		return 0, p.wait(ctx)
	}
	p.paused += time.Millisecond
	use := 0
	if threads > 0 {
		use = 1 + p.rng.IntN(threads)
	}
	p.used[use].Add(1)
	return use, nil
}

func (p *pacer) After(took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.after++; took <= 0 {
		panic("a run took no time")
	}
}

func (p *pacer) Paused() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.paused
}

// TestPacerSameTokens: however a model is held back, tokens and logits keep their bits.
func TestPacerSameTokens(t *testing.T) {
	for _, name := range []string{"llama-gqa", "gemma2"} {
		g := golden(t, name)
		prompt, text := randomTokens(5, 50), randomTokens(6, 100)
		set := engine.Settings{Sampler: seeded(42), MaxTokens: 40, IgnoreEOG: true}
		free := openGolden(t, g, engine.Options{Threads: 1, Context: 128, Sequences: 4})
		s := free.NewSession()
		want, logits := collect(t, s, prompt, set), slices.Clone(logitsOf(t, free, text))
		if s.Usage().Paused != 0 {
			t.Errorf("%+v", s.Usage())
		}
		s.Close()
		p := newPacer()
		m := openGolden(t, g, engine.Options{Threads: 3, Context: 128, Sequences: 4, Batch: 16, Pacer: p})
		s = m.NewSession()
		if got := collect(t, s, prompt, set); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
		if u := s.Usage(); u.Paused != time.Duration(4+39)*time.Millisecond || u.Reason != engine.ReasonLength {
			t.Errorf("%s: %+v", name, u)
		}
		s.Close()
		if !sameBits(logitsOf(t, m, text), logits) {
			t.Errorf("%s: logits differ", name)
		}
		all := p.threads[0] // as many as this machine runs at once
		if len(p.begun) != 1 || p.begun[0] || p.before != p.after || all < 1 || all > 3 {
			t.Errorf("%s: begun %v, %d runs begun, %d ended, %d threads", name, p.begun, p.before, p.after, all)
		}
		for n := 1; n <= all; n++ {
			if p.used[n].Load() == 0 {
				t.Errorf("%s: no run with %d threads", name, n)
			}
		}
	}
}

// TestPacerEnds: an error of the pacer is the generation's, with what was generated; a
// model that may not begin does not open.
func TestPacerEnds(t *testing.T) {
	g := golden(t, "llama-gqa")
	p := newPacer()
	p.fail, p.at = errors.New("the battery is empty"), 6
	m := openGolden(t, g, engine.Options{Threads: 1, Pacer: p})
	s := m.NewSession()
	defer s.Close()
	n := 0
	var failed error
	for _, err := range s.Generate(context.Background(), randomTokens(1, 10), engine.Settings{Sampler: greedy(), MaxTokens: 20, IgnoreEOG: true}) {
		if err != nil {
			failed = err
			break
		}
		n++
	}
	if u := s.Usage(); !errors.Is(failed, p.fail) || n != 5 || u.Reason != engine.ReasonLimit || u.GeneratedTokens != 5 {
		t.Errorf("%v after %d tokens, %+v", failed, n, u)
	}
	p.mu.Lock()
	p.fail = nil // a charger came: the session goes on
	p.mu.Unlock()
	if got := collect(t, s, randomTokens(1, 10), engine.Settings{Sampler: greedy(), MaxTokens: 3, IgnoreEOG: true}); len(got) != 3 {
		t.Error(got)
	}
	st := m.NewStream(nil)
	p.mu.Lock()
	p.wait = func(ctx context.Context) error {
		for ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		return ctx.Err()
	}
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := st.Run(ctx, randomTokens(1, 10), sched.Best); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a pause that nobody waits for: %v", err)
	}
	st.Close()

	p = newPacer()
	p.refuse = errors.New("no sensor")
	if m, err := engine.Open(context.Background(), tinyFile(t), engine.Options{Device: "cpu", Threads: 1, Pacer: p}); !errors.Is(err, p.refuse) {
		t.Error(m, err)
	}
}

// TestPacerHandsOver: the pacer is told when the model moves.
func TestPacerHandsOver(t *testing.T) {
	path := tinyFile(t)
	asGPU(t, 0)
	setFault("", 0, nil)
	p := newPacer()
	m, err := engine.Open(context.Background(), path, engine.Options{Batch: 16, Context: 128, Threads: 1, Pacer: p})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	s := m.NewSession()
	defer s.Close()
	breakAt("Submit", 4, errors.New("broken"), false, 0)
	if got := collect(t, s, randomTokens(1, 40), engine.Settings{Sampler: greedy(), MaxTokens: 8, IgnoreEOG: true}); len(got) != 8 {
		t.Error(got)
	}
	if len(p.begun) != 2 || p.before != p.after || p.threads[0] != 0 && p.threads[0] != 1 || p.threads[len(p.threads)-1] != 1 {
		t.Errorf("begun %v, %d runs begun, %d ended, threads %v", p.begun, p.before, p.after, p.threads)
	}
}
