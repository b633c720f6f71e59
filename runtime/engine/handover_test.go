package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/sched"
)

// openFaulty opens a model for a test.
func openFaulty(t *testing.T, path string, o engine.Options) *engine.Model {
	t.Helper()
	m, err := engine.Open(context.Background(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// counted is how many calls of a kind a fault was looked for in.
func counted(kind string) int {
	faulty.Lock()
	defer faulty.Unlock()
	return faulty.calls[kind]
}

// breakAt has the nth call of a kind from now on fail, and with gone every one
// after it.
func breakAt(kind string, nth int, err error, gone bool, hang time.Duration) {
	setFault(kind, nth, err)
	faulty.Lock()
	defer faulty.Unlock()
	faulty.gone, faulty.hang = gone, hang
}

var breaks = []struct {
	name string
	err  error
	gone bool
	hang time.Duration
}{
	{"lost", fmt.Errorf("%w: no answer", backend.ErrDeviceLost), true, 0},
	{"no answer", fmt.Errorf("%w: no answer for 5 ms", backend.ErrDeviceLost), true, 5 * time.Millisecond},
	{"memory", &backend.ErrOutOfMemory{What: "a command buffer", Need: 1 << 20}, false, 0},
	{"other", errors.New("VK_ERROR_UNKNOWN"), false, 0},
}

// TestHandsOver has a device that was picked automatically fail in every call of
// a generation, in every way: the tokens are those of an undisturbed one.
func TestHandsOver(t *testing.T) {
	path := tinyFile(t)
	asGPU(t, 0)
	prompt := randomTokens(1, 40)
	set := engine.Settings{Sampler: greedy(), MaxTokens: 8, IgnoreEOG: true}
	o := engine.Options{Batch: 16, Context: 128, Threads: 1}
	setFault("", 0, nil)
	m := openFaulty(t, path, o)
	if d := m.Device(); d.Name != "faulty" {
		t.Fatalf("%q was picked", d.Name)
	}
	s := m.NewSession()
	runs := counted("Submit")
	want := collect(t, s, prompt, set)
	runs = counted("Submit") - runs
	s.Close()
	if len(want) != 8 || runs != 3+7 {
		t.Fatalf("%d tokens in %d runs", len(want), runs)
	}
	before, open := runtime.NumGoroutine(), stillOpen()
	for _, kind := range []string{"Submit", "Wait"} {
		for _, b := range breaks {
			for nth := 1; nth <= runs; nth++ {
				setFault("", 0, nil)
				m, err := engine.Open(context.Background(), path, o)
				if err != nil {
					t.Fatal(err)
				}
				s := m.NewSession()
				breakAt(kind, nth, b.err, b.gone, b.hang)
				what := fmt.Sprintf("%s %d, %s", kind, nth, b.name)
				if got := collect(t, s, prompt, set); !slices.Equal(got, want) {
					t.Errorf("%s: got %v, want %v", what, got, want)
				}
				if u := s.Usage(); u.GeneratedTokens != 8 || u.Reason != engine.ReasonLength {
					t.Errorf("%s: %+v", what, u)
				}
				notes := m.Notes()
				if len(notes) != 1 || !strings.Contains(notes[0], b.err.Error()) || !strings.Contains(notes[0], "faulty") {
					t.Errorf("%s: notes %q", what, notes)
				}
				if m.Device().Name != "cpu" || len(m.Notes()) != 0 {
					t.Errorf("%s: on %s", what, m.Device().Name)
				}
				// The conversation goes on, and the prefix is known on the new device.
				if got := collect(t, s, append(slices.Clone(prompt), want[:4]...), set); !slices.Equal(got[:4], want[4:]) {
					t.Errorf("%s: later: got %v, want %v", what, got[:4], want[4:])
				}
				s.Close()
				s = m.NewSession()
				collect(t, s, prompt, set)
				if n := s.Usage().CachedTokens; n != len(prompt)-1 {
					t.Errorf("%s: later %d tokens are in the cache", what, n)
				}
				s.Close()
				if err := m.Close(); err != nil {
					t.Errorf("%s: %v", what, err)
				}
				if n := stillOpen(); n != open {
					t.Fatalf("%s: %d things were not closed", what, n-open)
				}
			}
		}
	}
	noLeak(t, before)
}

// TestNamedDeviceFails: a device that was asked for is not replaced; what was
// generated stays.
func TestNamedDeviceFails(t *testing.T) {
	path := tinyFile(t)
	asGPU(t, 0)
	prompt := randomTokens(1, 40)
	set := engine.Settings{Sampler: greedy(), MaxTokens: 8, IgnoreEOG: true}
	setFault("", 0, nil)
	for nth := 1; nth <= 10; nth++ {
		setFault("", 0, nil)
		m := openFaulty(t, path, engine.Options{Device: "faulty", Batch: 16, Context: 128, Threads: 1})
		s := m.NewSession()
		breakAt("Submit", nth, backend.ErrDeviceLost, true, 0)
		var got []int32
		var failed error
		for p, err := range s.Generate(context.Background(), prompt, set) {
			if failed = err; err == nil {
				got = append(got, p.ID)
			}
		}
		if !errors.Is(failed, backend.ErrDeviceLost) || !strings.Contains(failed.Error(), "faulty") || !strings.Contains(failed.Error(), "asked for by name") {
			t.Errorf("run %d: %v", nth, failed)
		}
		if len(got) != max(0, nth-3) || s.Usage().Reason != engine.ReasonError || len(s.Tokens()) != min(40, 16*(nth-1))+max(0, nth-4) {
			t.Errorf("run %d: %d tokens, %d in the session, %+v", nth, len(got), len(s.Tokens()), s.Usage())
		}
		if m.Device().Name != "faulty" || len(m.Notes()) != 0 {
			t.Errorf("run %d: on %s", nth, m.Device().Name)
		}
		s.Close()
	}
}

// TestHandsOverMany has the device fail under several sessions, forks of one
// another, in the middle of prompts and generations, some given up meanwhile.
func TestHandsOverMany(t *testing.T) {
	path := tinyFile(t)
	asGPU(t, 0)
	setFault("", 0, nil)
	o := engine.Options{Batch: 16, Context: 128, Sequences: 4, Threads: 1}
	shared := randomTokens(1, 70)
	prompt := func(i int) []int32 { return append(slices.Clone(shared), randomTokens(uint64(2+i), 3*i+1)...) }
	set := engine.Settings{Sampler: greedy(), MaxTokens: 10, IgnoreEOG: true}
	const sessions = 6
	var want [sessions][]int32
	plain := openGolden(t, golden(t, "llama-gqa"), engine.Options{Device: "cpu", Threads: 1, Context: 128})
	for i := range sessions {
		s := plain.NewSession()
		want[i] = collect(t, s, prompt(i), set)
		s.Close()
	}
	rng := rand.New(rand.NewPCG(1, 2))
	struck := map[string]int{}
	for round := range 40 {
		setFault("", 0, nil)
		m := openFaulty(t, path, o)
		base := m.NewSession()
		one := set
		one.MaxTokens = 1
		collect(t, base, shared, one)
		kind := []string{"Submit", "Wait", "CopyPage"}[round%3]
		b := breaks[round/3%len(breaks)]
		nth := 1 + rng.IntN(16)
		if kind == "CopyPage" {
			nth = 1 + rng.IntN(4)
		}
		breakAt(kind, nth, b.err, b.gone, b.hang)
		var wg sync.WaitGroup
		for i := range sessions {
			s := base.Fork()
			wg.Go(func() {
				defer s.Close()
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				stop := -1
				if i == 5 { // is given up after some tokens
					stop = 1 + round%9
				}
				var got []int32
				for p, err := range s.Generate(ctx, prompt(i), set) {
					if err != nil {
						if stop < 0 || !errors.Is(err, context.Canceled) {
							t.Errorf("round %d, session %d: %v", round, i, err)
						}
						break
					}
					if got = append(got, p.ID); len(got) == stop {
						cancel()
					}
				}
				if !slices.Equal(got, want[i][:len(got)]) || stop < 0 && len(got) != len(want[i]) {
					t.Errorf("round %d (%s %d, %s), session %d: got %v, want %v", round, kind, nth, b.name, i, got, want[i])
				}
			})
		}
		wg.Wait()
		if counted(kind) >= nth {
			struck[kind]++
			if m.Device().Name != "cpu" {
				t.Errorf("round %d: still on %s", round, m.Device().Name)
			}
		}
		// The one that slept through it.
		if got := collect(t, base, prompt(3), set); !slices.Equal(got, want[3]) {
			t.Errorf("round %d: the base: got %v, want %v", round, got, want[3])
		}
		base.Close()
		if st := m.Stats(); st.FreePages != st.Pages {
			t.Errorf("round %d: %d of %d pages are free at last", round, st.FreePages, st.Pages)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	if struck["Submit"] < 5 || struck["Wait"] < 5 || struck["CopyPage"] < 5 {
		t.Errorf("the faults came in %v rounds only", struck)
	}
}

// TestHandsOverRows: logits of every row and embeddings are as undisturbed.
func TestHandsOverRows(t *testing.T) {
	path := tinyFile(t)
	asGPU(t, 0)
	setFault("", 0, nil)
	text := randomTokens(4, 100)
	o := engine.Options{Batch: 16, Context: 128, Threads: 1}
	m := openFaulty(t, path, o)
	want := logitsOf(t, m, text)
	wantRow, err := m.Embed(context.Background(), text)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"Submit", "Wait", "Compile"} {
		for nth := 1; nth <= 8; nth++ {
			setFault("", 0, nil)
			m := openFaulty(t, path, o)
			breakAt(kind, nth, backend.ErrDeviceLost, true, 0)
			if !sameBits(logitsOf(t, m, text), want) {
				t.Errorf("%s %d: other logits", kind, nth)
			}
			row, err := m.Embed(context.Background(), text)
			if err != nil || !sameBits(row, wantRow) {
				t.Errorf("%s %d: another embedding: %v", kind, nth, err)
			}
			if counted(kind) >= nth && m.Device().Name != "cpu" {
				t.Errorf("%s %d: on %s", kind, nth, m.Device().Name)
			}
		}
	}
}

// TestHandsOverSaved: a session whose cache was lost is saved all the same, as one
// of the new device.
func TestHandsOverSaved(t *testing.T) {
	path := tinyFile(t)
	asGPU(t, 0)
	setFault("", 0, nil)
	o := engine.Options{Batch: 16, Context: 128, Sequences: 2, Threads: 1}
	m := openFaulty(t, path, o)
	prompt := randomTokens(1, 40)
	set := engine.Settings{Sampler: greedy(), MaxTokens: 6, IgnoreEOG: true}
	s := m.NewSession()
	defer s.Close()
	want := collect(t, s, prompt, set)
	var early bytes.Buffer
	if err := s.Save(&early); err != nil {
		t.Fatal(err)
	}
	breakAt("Submit", 1, backend.ErrDeviceLost, true, 0)
	other := m.NewSession()
	defer other.Close()
	collect(t, other, randomTokens(9, 20), set)
	if m.Device().Name != "cpu" {
		t.Fatalf("on %s", m.Device().Name)
	}
	var saved bytes.Buffer
	if err := s.Save(&saved); err != nil {
		t.Fatal(err)
	}
	if err := other.Load(bytes.NewReader(early.Bytes())); err == nil {
		t.Error("the cache of the other device was loaded")
	}
	if err := other.Load(&saved); err != nil {
		t.Fatal(err)
	}
	if got := collect(t, other, prompt, set); !slices.Equal(got, want) || other.Usage().CachedTokens != len(prompt)-1 {
		t.Errorf("got %v, want %v, %+v", got, want, other.Usage())
	}
}

// patience is a context that ends when it is asked for the nth time.
type patience struct {
	context.Context
	left atomic.Int64
}

func (p *patience) Err() error {
	if p.left.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

// TestHandOverGivenUp: whoever waits for the CPU to be loaded can give up at any
// moment; the next one has it loaded again.
func TestHandOverGivenUp(t *testing.T) {
	path := tinyFile(t)
	asGPU(t, 0)
	setFault("", 0, nil)
	before := runtime.NumGoroutine()
	set := engine.Settings{Sampler: greedy(), MaxTokens: 6, IgnoreEOG: true}
	prompt := randomTokens(1, 40)
	gave := map[string]bool{}
	for n := range int64(60) {
		setFault("", 0, nil)
		m := openFaulty(t, path, engine.Options{Batch: 16, Context: 128, Threads: 1})
		s := m.NewSession()
		want := collect(t, s, prompt, set)
		breakAt("Submit", 1, backend.ErrDeviceLost, true, 0)
		ctx := &patience{Context: context.Background()}
		ctx.left.Store(n)
		var failed error
		var got []int32
		for p, err := range s.Generate(ctx, prompt, set) {
			if failed = err; err == nil {
				got = append(got, p.ID)
			}
		}
		if failed != nil && !errors.Is(failed, context.Canceled) {
			t.Errorf("%d: %v", n, failed)
		}
		if !slices.Equal(got, want[:len(got)]) {
			t.Errorf("%d: got %v, want %v", n, got, want)
		}
		gave[m.Device().Name] = true
		if got := collect(t, s, prompt, set); !slices.Equal(got, want) {
			t.Errorf("%d: then got %v, want %v", n, got, want)
		}
		if notes := m.Notes(); m.Device().Name != "cpu" || len(notes) != 1 {
			t.Errorf("%d: on %s, %q", n, m.Device().Name, notes)
		}
		s.Close()
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	if !gave["faulty"] || !gave["cpu"] {
		t.Errorf("gave up on %v: it should have been before and after the CPU was there", gave)
	}
	noLeak(t, before)
}

// TestHandOverClosed: a model that is closed while it changes over.
func TestHandOverClosed(t *testing.T) {
	path := tinyFile(t)
	asGPU(t, 0)
	before := runtime.NumGoroutine()
	set := engine.Settings{Sampler: greedy(), IgnoreEOG: true}
	for i := range 30 {
		setFault("", 0, nil)
		m, err := engine.Open(context.Background(), path, engine.Options{Batch: 16, Context: 128, Sequences: 2, Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		breakAt("Wait", 1+i%4, backend.ErrDeviceLost, true, 0)
		var wg sync.WaitGroup
		for k := range 2 {
			wg.Go(func() {
				s := m.NewSession()
				defer s.Close()
				for _, err := range s.Generate(context.Background(), randomTokens(uint64(k), 40), set) {
					if err != nil && !errors.Is(err, sched.ErrClosed) {
						t.Error(err)
					}
				}
			})
		}
		time.Sleep(time.Duration(i) * 100 * time.Microsecond)
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		wg.Wait()
		if n := stillOpen(); n != 0 {
			t.Fatalf("%d: %d things were not closed", i, n)
		}
	}
	noLeak(t, before)
}
