// Package engine puts the parts together: it opens a model file, has the model
// emit its graph, places and compiles it for the devices at hand, and runs
// sequences through the scheduler. It is the only package that holds weights,
// model, cache, scheduler, sampler and backend at once.
package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/packcache"
	"github.com/ledge-run/ledge/backend/trust"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/chat"
	"github.com/ledge-run/ledge/runtime/kvcache"
	"github.com/ledge-run/ledge/runtime/model"
	_ "github.com/ledge-run/ledge/runtime/model/all" // every architecture
	"github.com/ledge-run/ledge/runtime/sched"
	"github.com/ledge-run/ledge/runtime/tokenizer"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
	"github.com/ledge-run/ledge/runtime/weights/lora"
)

// Options for opening a model. The zero value is a good start.
type Options struct {
	Device    string // device or driver by name; "" picks the best
	Level     string // forces a kernel level, as LEDGE_CPU does
	Threads   int    // CPU workers; 0 for automatic
	Context   int    // tokens of a sequence; 0 for DefaultContext, at most what the model was trained for
	Sequences int    // sequences that fit the cache with a full context; 0 for 1
	Batch     int    // rows of a batch, the size of prompt chunks; 0 for 512
	CacheType dtype.DType
	NoFuse    bool // run operations as built; LEDGE_FUSE=0 does the same
	Tap       Tap  // sees the inputs of linear weights; see there what that costs
	TestOwn   bool // the processor's self-test tries the model's own weight types alone: for one that starts in no time

	// Adapters change weights as the model runs. Their files belong to the model, which
	// closes them, also if opening it fails.
	Adapters []lora.Use

	// GPULayers is how many layers run on the chosen device if that is not the
	// CPU, on which the others run; more than the model has are all. Nil or -1
	// is as many as fit.
	GPULayers *int

	// Probe is the program ledge, which tries drivers of GPUs in a process of its own;
	// "" is that of LEDGE_PROBE. Prover replaces all of that.
	Probe  string
	Prover *trust.Prover

	PackCache *packcache.Cache // where packed weights are kept from start to start; nil for nowhere
	Share     bool             // map packed weights from there, in common with other processes

	// Pacer holds the model's work back; nil for none. A model has one of its own.
	// With one, prompts are read in smaller chunks: see pacedBatch.
	Pacer Pacer

	// Progress is told how many of the weights' bytes are loaded.
	Progress func(done, total int64)

	adapters *lora.Set // Adapters, when they are in use
}

// DefaultContext is the context of a model whose user asks for none: enough
// for a conversation, small enough for a board's memory.
const DefaultContext = 4096

// maxBatch bounds a batch's rows: beyond it nothing gets faster.
const maxBatch = 8192

// MaxStreams is how many sequences a batch can hold.
const MaxStreams = 16

// mixedRows bounds the rows of prompts in a batch that also has single tokens:
// others wait no longer for their next token than for that many.
const mixedRows = 128

// Model is an open model. It is safe for concurrent use.
type Model struct {
	File      *gguf.File
	Network   model.Model
	Tokenizer *tokenizer.Tokenizer
	Options   Options // as resolved
	LoadTime  time.Duration

	candidates []backend.Candidate
	state      *pageStore
	cache      *kvcache.Cache
	sched      *sched.Scheduler
	runner     *runner

	// Of opening, then of the scheduler's goroutine, then of closing.
	devices []backend.Device // open ones, the preferred first, the CPU last
	second  bool             // the CPU stands behind the device that was chosen
	proven  bool             // and has passed its self-test
	keeper  *keeper

	progress func(done, total int64)

	mu    sync.Mutex // guards what follows
	rig   *rig
	lost  *fault // the rig is gone, and nothing in its place yet
	notes []string

	fileMu  sync.Mutex // held while the file is read after opening
	class   string     // see className
	classOf *rig       // which that is of
	closing atomic.Bool

	chatOnce sync.Once
	chat     *chat.Template
	chatErr  error

	grammars grammars

	closeOnce sync.Once
	closeErr  error
}

// Open opens the GGUF file at path and makes it ready to run.
func Open(ctx context.Context, path string, o Options) (*Model, error) {
	start := time.Now()
	f, err := gguf.Open(path)
	if err != nil {
		return nil, errors.Join(err, lora.CloseAll(o.Adapters))
	}
	m, err := OpenFile(ctx, f, o)
	if err != nil {
		return nil, err
	}
	m.LoadTime = time.Since(start)
	return m, nil
}

// OpenFile makes an open file ready to run and owns it from then on.
func OpenFile(ctx context.Context, f *gguf.File, o Options) (*Model, error) {
	m, err := open(ctx, f, o)
	if err != nil {
		return nil, errors.Join(err, f.Close(), lora.CloseAll(o.Adapters))
	}
	return m, nil
}

func open(ctx context.Context, f *gguf.File, o Options) (_ *Model, err error) {
	m := &Model{File: f}
	if m.Network, err = model.New(source{f}); err != nil {
		return nil, err
	}
	if m.Options, err = resolve(o, m.Network.Info()); err != nil {
		return nil, err
	}
	if err := m.adapt(); err != nil {
		return nil, err
	}
	// The tokenizer is built while the device is tried and the weights load.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	tokens := make(chan error, 1)
	go func() {
		t, err := Tokenizer(f)
		if n := m.Network.Info().Vocab; err == nil && t.Size() > n {
			err = fmt.Errorf("the tokenizer has %d tokens, the embedding %d rows", t.Size(), n)
		}
		m.Tokenizer = t
		if err != nil {
			cancel(err) // no need to load the weights
		}
		tokens <- err
	}()
	err = m.start(ctx)
	if e := <-tokens; e != nil {
		err = e // the other one follows from it
	}
	if err != nil {
		return nil, errors.Join(err, m.closeParts())
	}
	return m, nil
}

// start finds a device and loads the model onto it.
func (m *Model) start(ctx context.Context) (err error) {
	c := m.Options.Choice()
	c.Types = weightTypes(m.File, m.Options.adapters)
	if m.Options.TestOwn {
		c.Test = func(ctx context.Context, d backend.Device) error { return m.Options.testTypes(ctx, d, c.Types) }
	}
	var devices []backend.Device
	if devices, m.candidates, err = OpenDevices(ctx, m.Options, c); err != nil {
		return err
	}
	return m.load(ctx, devices)
}

// resolve fills in defaults and refuses what cannot be.
func resolve(o Options, info model.Info) (Options, error) {
	if o.Context < 0 || o.Threads < 0 || o.Batch < 0 || o.Sequences < 0 {
		return o, fmt.Errorf("context %d, threads %d, batch %d, sequences %d: none may be negative", o.Context, o.Threads, o.Batch, o.Sequences)
	}
	if o.Share && o.PackCache == nil {
		return o, errors.New("weights are shared through the folder that packed weights are kept in: name one")
	}
	if o.Context == 0 {
		o.Context = min(DefaultContext, info.Context)
	}
	if o.Context > info.Context {
		return o, fmt.Errorf("a context of %d tokens was asked for; this model was trained for %d: ask for no more", o.Context, info.Context)
	}
	if o.Batch == 0 {
		o.Batch = 512
		if o.Pacer != nil {
			o.Batch = pacedBatch
		}
	}
	o.Sequences = max(o.Sequences, 1)
	if o.Sequences > MaxStreams {
		return o, fmt.Errorf("%d sequences were asked for; at most %d run together", o.Sequences, MaxStreams)
	}
	o.Batch = min(o.Batch, o.Sequences*o.Context, maxBatch)
	if o.CacheType == dtype.Invalid {
		o.CacheType = dtype.F16
	}
	if os.Getenv("LEDGE_FUSE") == "0" || o.Tap != nil {
		o.NoFuse = true
	}
	return o, nil
}

// load brings the model onto devices and starts the scheduler.
func (m *Model) load(ctx context.Context, devices []backend.Device) error {
	m.state = &pageStore{gone: sched.ErrClosed}
	m.second = len(devices) > 1
	m.runner = newRunner(m)
	m.progress = m.Options.Progress
	if err := m.equip(ctx, devices); err != nil {
		return err
	}
	m.progress = nil // nobody waits for what is loaded later
	m.cache = kvcache.New(m.state, m.pages())
	m.sched = sched.New(m.cache, sched.Limits{
		Rows: m.Options.Batch, Mixed: mixedRows, Seqs: MaxStreams, AllRows: allRows(m.Network, m.Options),
		Tokens: m.Options.Context, Vocab: m.runner.vocab, Recover: m.recover,
	}, m.runner.run)
	return nil
}

// Close ends all work and frees everything.
func (m *Model) Close() error {
	m.closeOnce.Do(func() {
		m.closing.Store(true)
		if m.sched != nil {
			m.sched.Close() // first: it ends what may hold the file
		}
		m.fileMu.Lock()
		defer m.fileMu.Unlock()
		m.closeErr = errors.Join(m.closeParts(), m.File.Close(), lora.CloseAll(m.Options.Adapters))
	})
	return m.closeErr
}

func (m *Model) closeParts() error {
	var errs []error
	if m.sched != nil {
		m.sched.Close()
	}
	r := m.current()
	if r != nil {
		errs = append(errs, r.closeExecutables())
	}
	if m.state != nil {
		errs = append(errs, m.state.Close())
	}
	m.keeper.close() // it reads the weights
	if r != nil {
		errs = append(errs, r.closeWeights())
	}
	several := len(m.devices) > 1
	name := ""
	if several {
		name = m.devices[0].Info().Name
	}
	errs = append(errs, closeAll(m.devices))
	err := errors.Join(errs...)
	switch {
	case err == nil || !several:
		return err
	case m.Options.automatic():
		return nil // nobody asked for the device, and what it gave stays right
	}
	return &fault{name, err}
}

// Candidates are the devices that were found and why each was taken or not.
func (m *Model) Candidates() []backend.Candidate { return m.candidates }

// Settle waits until the packed weights are kept for the next start, in as far as
// they can be: whoever measures starts wants them to be second ones. Nothing may run
// meanwhile.
func (m *Model) Settle(ctx context.Context) error { return m.keeper.wait(ctx) }

// Stats gives the state of the cache.
func (m *Model) Stats() sched.Stats { return m.sched.Stats() }

// NewStream begins a sequence at the lowest level: tokens in, logits out.
func (m *Model) NewStream(prompt []int32) *sched.Stream { return m.sched.NewStream(prompt) }

// Vocab is the number of logits of a token.
func (m *Model) Vocab() int { return m.runner.vocab }

// Chat is the model's chat template, or ChatML if it has none (then
// Template.Fallback is true).
func (m *Model) Chat() (*chat.Template, error) {
	m.chatOnce.Do(func() { m.chat, m.chatErr = ChatTemplate(m.File, m.Tokenizer) })
	return m.chat, m.chatErr
}
