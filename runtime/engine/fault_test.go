package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/cpu"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/pass"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/sched"
)

// faulty is the processor with a fault: one call of one kind fails. It counts
// what is open, so that nothing is forgotten.
var faulty struct {
	sync.Mutex
	kind  string // of the call that fails
	nth   int    // which one, from 1; 0 for none
	err   error
	calls map[string]int
	open  int // things to be closed

	gpu    bool          // it says that it is a GPU, and the best device there is
	memory uint64        // that it says it has; 0 is unknown
	gone   bool          // after the fault everything fails
	hang   time.Duration // before the fault, as a device that does not answer
	uses   []string      // operations it does not support
	have   int64         // bytes of memory for a model, refused beyond; 0 is as many as it likes
	used   int64         // of them
}

// take accounts for memory. Only models give a Progress, by which the self-test's
// small ones, which come before, are told apart.
func take(what string, n int64) error {
	faulty.Lock()
	defer faulty.Unlock()
	if n > 0 && faulty.have > 0 && faulty.used+n > faulty.have {
		return &backend.ErrOutOfMemory{What: what, Need: uint64(n), Have: uint64(faulty.have - faulty.used)}
	}
	faulty.used += n
	return nil
}

// asGPU has the device be a GPU during a test, and looks that all that was opened
// on it is closed at last.
func asGPU(t *testing.T, memory uint64) {
	set := func(gpu bool, memory uint64) {
		faulty.Lock()
		defer faulty.Unlock()
		faulty.gpu, faulty.memory, faulty.gone, faulty.hang, faulty.uses, faulty.have = gpu, memory, false, 0, nil, 0
	}
	set(true, memory)
	t.Cleanup(func() {
		set(false, 0)
		if n := stillOpen(); n != 0 {
			t.Errorf("%d things were not closed", n)
		}
	})
}

// info is what the device says about itself.
func faultyInfo() backend.Info {
	faulty.Lock()
	defer faulty.Unlock()
	i := backend.Info{Name: "faulty", Backend: "faulty", Kind: backend.CPU} // with a score of 0: by name only
	if faulty.gpu {
		i.Kind, i.Score, i.Memory = backend.GPU, 1000, backend.Memory{Total: faulty.memory, Free: faulty.memory}
	}
	return i
}

func init() {
	backend.Register(backend.Driver{
		Name: "faulty",
		Probe: func(context.Context) ([]backend.Info, error) {
			return []backend.Info{faultyInfo()}, nil
		},
		Open: func(context.Context, string, backend.Options) (backend.Device, error) {
			if err := fault("Open", 0); err != nil {
				return nil, err
			}
			d, err := cpu.Open(backend.Options{Threads: 1})
			if err == nil {
				opened(1)
			}
			return faultyDevice{d}, err
		},
	})
}

// setFault has the nth call of a kind fail.
func setFault(kind string, nth int, err error) {
	faulty.Lock()
	defer faulty.Unlock()
	faulty.kind, faulty.nth, faulty.err, faulty.calls = kind, nth, err, map[string]int{}
}

func opened(n int) {
	faulty.Lock()
	defer faulty.Unlock()
	faulty.open += n
}

func stillOpen() int {
	faulty.Lock()
	defer faulty.Unlock()
	return faulty.open
}

// fault counts a call, and closes n things.
func fault(kind string, closes int) error {
	faulty.Lock()
	defer faulty.Unlock()
	faulty.open -= closes
	faulty.calls[kind]++
	n := faulty.calls[kind]
	if kind == faulty.kind && (n == faulty.nth || n > faulty.nth && faulty.nth > 0 && faulty.gone) {
		time.Sleep(faulty.hang)
		return faulty.err
	}
	return nil
}

type faultyDevice struct{ backend.Device }

func (d faultyDevice) Info() backend.Info {
	i := faultyInfo()
	if i.Kind == backend.CPU {
		return d.Device.Info()
	}
	i.Numerics = backend.Numerics{Device: "faulty", Level: "any", Version: "1"}
	return i
}

func (d faultyDevice) Target() pass.Target {
	t := d.Device.Target()
	faulty.Lock()
	defer faulty.Unlock()
	if !faulty.gpu {
		return t
	}
	t.Name, t.Memory = "faulty", faulty.memory
	supports, refused := t.Supports, faulty.uses
	t.Supports = func(g *graph.Graph, n *graph.Node) error {
		if slices.Contains(refused, n.Op.String()) {
			return errors.New("not on this device")
		}
		return supports(g, n)
	}
	return t
}

// WeightBytes and StateBytes pass on what the processor says.
func (d faultyDevice) WeightBytes(s backend.WeightSpec) (int64, error) {
	return d.Device.(backend.Sizer).WeightBytes(s)
}

func (d faultyDevice) StateBytes(s backend.StateSpec) (int64, error) {
	return d.Device.(backend.StateSizer).StateBytes(s)
}

func (d faultyDevice) Load(ctx context.Context, s backend.LoadSpec) (backend.Weights, error) {
	if err := fault("Load", 0); err != nil {
		return nil, err
	}
	w, err := d.Device.Load(ctx, s)
	if err != nil {
		return nil, err
	}
	n := int64(0)
	if s.Progress != nil {
		n = w.Bytes()
	}
	if err := take("weights", n); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	opened(1)
	return faultyWeights{w, n}, nil
}

func (d faultyDevice) NewState(s backend.StateSpec) (backend.State, error) {
	if err := fault("NewState", 0); err != nil {
		return nil, err
	}
	st, err := d.Device.NewState(s)
	if err != nil {
		return nil, err
	}
	n := int64(0)
	if usedNow() > 0 {
		n = int64(st.PageBytes()) * int64(s.Pages)
	}
	if err := take("the cache", n); err != nil {
		return nil, errors.Join(err, st.Close())
	}
	opened(1)
	return faultyState{st, n}, nil
}

func usedNow() int64 {
	faulty.Lock()
	defer faulty.Unlock()
	return faulty.used
}

func (d faultyDevice) Compile(ctx context.Context, s backend.CompileSpec) (backend.Executable, error) {
	if err := fault("Compile", 0); err != nil {
		return nil, err
	}
	s.Weights = s.Weights.(faultyWeights).Weights
	e, err := d.Device.Compile(ctx, s)
	if err != nil {
		return nil, err
	}
	n := int64(0)
	if usedNow() > 0 {
		n = int64(s.Plan.Arena)
	}
	if err := take("the arena", n); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	opened(1)
	return faultyExecutable{e, n}, nil
}

func (d faultyDevice) Close() error { return errors.Join(fault("Close", 1), d.Device.Close()) }

type faultyWeights struct {
	backend.Weights
	taken int64
}

func (w faultyWeights) Close() error {
	_ = take("", -w.taken) // giving back is not refused
	return errors.Join(fault("Close", 1), w.Weights.Close())
}

type faultyState struct {
	backend.State
	taken int64
}

func (s faultyState) Close() error {
	_ = take("", -s.taken) // giving back is not refused
	return errors.Join(fault("Close", 1), s.State.Close())
}

func (s faultyState) CopyPage(dst, src int) error {
	return errors.Join(fault("CopyPage", 0), s.State.CopyPage(dst, src))
}

func (s faultyState) ReadPage(page int, dst []byte) error {
	return errors.Join(fault("ReadPage", 0), s.State.ReadPage(page, dst))
}

func (s faultyState) WritePage(page int, src []byte) error {
	return errors.Join(fault("WritePage", 0), s.State.WritePage(page, src))
}

type faultyExecutable struct {
	backend.Executable
	taken int64
}

func (e faultyExecutable) Submit(ctx context.Context, a *backend.Args) (backend.Fence, error) {
	if err := fault("Submit", 0); err != nil {
		return nil, err
	}
	inner := *a
	if s, ok := a.State.(faultyState); ok {
		inner.State = s.State
	}
	f, err := e.Executable.Submit(ctx, &inner)
	if err == nil {
		err = f.Wait()
	}
	return faultyFence{}, err
}

func (e faultyExecutable) Close() error {
	_ = take("", -e.taken) // giving back is not refused
	return errors.Join(fault("Close", 1), e.Executable.Close())
}

type faultyFence struct{}

func (faultyFence) Wait() error { return fault("Wait", 0) }

func tinyFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tiny.gguf")
	if err := os.WriteFile(path, goldenBytes(t, "llama-gqa"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// life opens a model, uses it in every way, and closes it.
func life(path string) (err error) {
	ctx := context.Background()
	m, err := engine.Open(ctx, path, engine.Options{Device: "faulty", Batch: 16, Context: 128, Sequences: 2})
	if err != nil {
		return fmt.Errorf("Open: %w", err)
	}
	defer func() { err = errors.Join(err, m.Close(), m.Close()) }()
	s := m.NewSession()
	defer s.Close()
	for _, err := range s.Generate(ctx, randomTokens(1, 40), engine.Settings{Sampler: greedy(), MaxTokens: 3, IgnoreEOG: true}) {
		if err != nil {
			return fmt.Errorf("Generate: %w", err)
		}
	}
	f := s.Fork()
	defer f.Close()
	for _, err := range f.Generate(ctx, randomTokens(1, 41), engine.Settings{Sampler: greedy(), MaxTokens: 1}) {
		if err != nil {
			return fmt.Errorf("Generate: %w", err)
		}
	}
	if err := m.Logits(ctx, randomTokens(2, 20), func(int, []float32) error { return nil }); err != nil {
		return fmt.Errorf("Logits: %w", err)
	}
	if _, err := m.Embed(ctx, randomTokens(3, 20)); err != nil {
		return fmt.Errorf("Embed: %w", err)
	}
	var saved strings.Builder
	if err := s.Save(&saved); err != nil {
		return fmt.Errorf("Save: %w", err)
	}
	if err := f.Load(strings.NewReader(saved.String())); err != nil {
		return fmt.Errorf("Load: %w", err)
	}
	return nil
}

// TestFaults lets every call to the device fail once: its error arrives, by
// name, everything is closed, and no goroutine stays.
func TestFaults(t *testing.T) {
	path := tinyFile(t)
	for range 2 { // the self-test runs the first time only
		setFault("", 0, nil)
		if err := life(path); err != nil {
			t.Fatal(err)
		}
	}
	if n := stillOpen(); n != 0 {
		t.Fatalf("%d things were not closed", n)
	}
	faulty.Lock()
	count := faulty.calls
	faulty.Unlock()
	before := runtime.NumGoroutine()
	tried := 0
	for _, kind := range []string{"Open", "Load", "NewState", "Compile", "Submit", "Wait", "CopyPage", "ReadPage", "WritePage", "Close"} {
		if count[kind] == 0 {
			t.Errorf("%s was not called at all", kind)
		}
		for nth := 1; nth <= count[kind]; nth++ {
			broken := fmt.Errorf("%w: fault in %s %d", backend.ErrDeviceLost, kind, nth)
			setFault(kind, nth, broken)
			if err := life(path); !errors.Is(err, broken) {
				t.Errorf("%s %d: got %v", kind, nth, err)
			}
			if n := stillOpen(); n != 0 {
				t.Fatalf("%s %d: %d things were not closed", kind, nth, n)
			}
			tried++
		}
	}
	t.Logf("%d faults", tried)
	noLeak(t, before)
}

func noLeak(t *testing.T, before int) {
	t.Helper()
	for i := 0; runtime.NumGoroutine() > before; i++ {
		if i > 500 {
			buf := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
		time.Sleep(time.Millisecond)
	}
}

// TestBadTokenizer: the tokenizer is made while the weights load; its error is
// the one that arrives, and everything is closed.
func TestBadTokenizer(t *testing.T) {
	before := runtime.NumGoroutine()
	data := bytes.ReplaceAll(goldenBytes(t, "llama-gqa"), []byte("tokenizer.ggml.tokens"), []byte("tokenizer.ggml.tokenz"))
	path := filepath.Join(t.TempDir(), "bad.gguf")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	setFault("", 0, nil)
	for range 10 {
		if err := life(path); err == nil || !strings.Contains(err.Error(), "tokenizer.ggml.tokens") {
			t.Errorf("got %v", err)
		}
		if n := stillOpen(); n != 0 {
			t.Fatalf("%d things were not closed", n)
		}
	}
	noLeak(t, before)
}

// TestGoesOn: after a run that failed the same session goes on, and says the
// same as if nothing had happened.
func TestGoesOn(t *testing.T) {
	path := tinyFile(t)
	setFault("", 0, nil)
	m, err := engine.Open(context.Background(), path, engine.Options{Device: "faulty", Batch: 16})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	prompt := randomTokens(1, 40)
	set := engine.Settings{Sampler: greedy(), MaxTokens: 8, IgnoreEOG: true}
	s := m.NewSession()
	want := collect(t, s, prompt, set)
	s.Close()
	for nth := 1; nth <= 9; nth++ {
		s := m.NewSession()
		broken := &backend.ErrOutOfMemory{What: "a command buffer", Need: 1 << 20}
		setFault("Submit", nth, broken)
		got := append([]int32(nil), prompt...)
		for p, err := range s.Generate(context.Background(), prompt, set) {
			if err != nil {
				if !errors.Is(err, broken) {
					t.Errorf("got %v", err)
				}
				break
			}
			got = append(got, p.ID)
		}
		rest := set
		rest.MaxTokens = len(prompt) + len(want) - len(got)
		if rest.MaxTokens > 0 {
			got = append(got, collect(t, s, got, rest)...)
		}
		if fmt.Sprint(got[len(prompt):]) != fmt.Sprint(want) {
			t.Errorf("run %d failed: then %v, want %v", nth, got[len(prompt):], want)
		}
		s.Close()
	}
}

// TestCloseDuringRun does not wait for a long prompt.
func TestCloseDuringRun(t *testing.T) {
	before := runtime.NumGoroutine()
	m := openGolden(t, golden(t, "gemma3"), engine.Options{Threads: 1, Sequences: 4})
	errs := make(chan error)
	for i := range 4 {
		go func() {
			for {
				s := m.NewSession()
				for _, err := range s.Generate(context.Background(), randomTokens(uint64(i), 100), engine.Settings{Sampler: greedy(), IgnoreEOG: true}) {
					if err != nil {
						errs <- err
						return
					}
				}
				s.Close()
			}
		}()
	}
	time.Sleep(20 * time.Millisecond)
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	for range 4 {
		if err := <-errs; !errors.Is(err, sched.ErrClosed) {
			t.Errorf("got %v", err)
		}
	}
	noLeak(t, before)
}

// TestFiguresDuringClose asks for a model's figures while it hands over to the CPU and
// is closed: the race detector tells if they are read while they are taken away.
func TestFiguresDuringClose(t *testing.T) {
	asGPU(t, 0)
	setFault("", 0, nil)
	m, err := engine.Open(context.Background(), tinyFile(t), engine.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	if d := m.Device(); d.Name != "faulty" {
		t.Fatalf("%q was picked", d.Name)
	}
	stop := make(chan struct{})
	var asking sync.WaitGroup
	asking.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				m.Counters()
				m.Memory()
			}
		}
	})
	breakAt("Submit", 1, backend.ErrDevice, true, 0)
	s := m.NewSession()
	for _, err := range s.Generate(context.Background(), randomTokens(1, 5), engine.Settings{Sampler: greedy(), MaxTokens: 3, IgnoreEOG: true}) {
		if err != nil {
			t.Error(err)
		}
	}
	s.Close()
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	close(stop)
	asking.Wait()
}
