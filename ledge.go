// Package ledge runs large language models on the machine at hand: a board, a
// phone-class GPU or a bare CPU.
//
// A model is one GGUF file. [Open] reads it, picks a device and makes it ready;
// a [Session] is one conversation with it:
//
//	m, err := ledge.Open(ctx, "model.gguf")
//	if err != nil {
//		return err
//	}
//	defer m.Close()
//	s := m.NewSession()
//	defer s.Close()
//	for t, err := range s.Generate(ctx, "The capital of France is", ledge.MaxTokens(32)) {
//		if err != nil {
//			return err
//		}
//		fmt.Print(t.Text)
//	}
//
// # Sessions and the cache
//
// What a model has read stays in its key-value cache. A prompt is always the
// whole text, not what is new in it: the session compares its tokens with those
// in the cache and runs only the rest. So a conversation that is sent anew with
// every turn costs its last turn only, and a new session that begins like an
// earlier one (the same system message) takes that part over, when that one's
// generation has ended.
//
// Any number of sessions may generate at once, each on its own goroutine; their
// tokens are run in common batches. They share the cache, which holds one full
// context unless [WithSequences] asks for more.
//
// # Determinism
//
// The same prompt, settings and seed give the same tokens on the same device
// and kernels ([Device].Numerics), whatever the number of threads, what other
// sessions do, and whether the prompt was in the cache.
//
// # Errors
//
// Errors that a program may want to tell apart are [ErrClosed],
// [ErrSessionClosed], [ErrBusy], [ErrEmptyPrompt], [ErrCacheFull],
// [ErrDeviceLost], [ErrLimit], [ErrBattery], [*ContextError] and [*MemoryError]; use
// errors.Is and errors.As. A cancelled context gives its own error, a nil one is refused.
//
// The processor is always there as a device. Programs that want the others
// import github.com/ledge-run/ledge/backend/all for its side effects.
package ledge

import (
	"cmp"
	"context"
	"iter"
	"sync/atomic"
	"time"

	_ "github.com/ledge-run/ledge/backend/cpu" // so that Open works at once
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/tokenizer"
)

// Model is an open model. It is safe for concurrent use.
type Model struct {
	m      *engine.Model
	limits *limiter // nil without limits
	info   Info
	closed atomic.Bool
}

// Open reads the GGUF file at path, picks a device and loads the weights. Of a
// model in several parts, path is the first. ctx ends the loading early; it has
// no influence afterwards.
//
// The file must stay as it is while the model is open: replace a model by
// renaming another file over it.
//
// Errors: [*MemoryError] if weights or cache do not fit, [ErrLimit]; others say what is
// wrong with the file or the options.
func Open(ctx context.Context, path string, opts ...Option) (*Model, error) {
	if err := checkContext(ctx); err != nil {
		return nil, err
	}
	c := configOf(opts)
	if err := c.check(); err != nil {
		return nil, wrap(err)
	}
	m, limits, err := openLimited(ctx, path, c)
	if err != nil {
		return nil, wrap(err)
	}
	return &Model{m: m, limits: limits, info: infoOf(m)}, nil
}

// Close frees the model. Sessions that are generating get [ErrClosed], as does
// everything that is asked of the model later and can give an error; what cannot,
// such as Info and Tokenize, answers as before. Closing it again does nothing.
func (m *Model) Close() error {
	m.closed.Store(true)
	err := m.m.Close()
	m.limits.close()
	return wrap(err)
}

// check gives ErrClosed for a closed model.
func (m *Model) check() error {
	if m.closed.Load() {
		return ErrClosed
	}
	return nil
}

// Info describes the model.
func (m *Model) Info() Info { return m.info }

// Device describes the device that the model runs on. A device that was picked
// automatically and fails gives way to the processor: see Notes.
func (m *Model) Device() Device { return deviceOf(m.m.Device()) }

// Notes tells, once, what the user should know of how the model runs: that it runs
// on the processor because its device failed, that fewer layers fit a device than
// was thought, that it is held back by [WithLimits]. Sessions lose nothing by it: they
// go on where they were.
func (m *Model) Notes() []string { return append(m.m.Notes(), m.limits.told()...) }

// Candidates lists the devices that were found when the model was opened, and
// why each was picked or not.
func (m *Model) Candidates() []Candidate { return candidatesOf(m.m.Candidates()) }

// TokenizeOptions say how text becomes tokens; the zero value takes it as
// plain text.
type TokenizeOptions struct {
	AddSpecial   bool // add what the model wants at the ends of a text, such as a beginning-of-text token
	ParseSpecial bool // read control tokens written in the text, such as <|im_start|>
}

// Tokenize turns text into token ids. Any text is allowed, also what is not
// UTF-8.
func (m *Model) Tokenize(text string, o TokenizeOptions) []int32 {
	return m.m.Tokenizer.Encode(text, tokenizer.EncodeOptions{AddSpecial: o.AddSpecial, ParseSpecial: o.ParseSpecial})
}

// Detokenize turns token ids into text, byte for byte: it is not UTF-8 where
// the ids end inside a character. Control tokens show only with special; ids
// outside the vocabulary have no text.
func (m *Model) Detokenize(ids []int32, special bool) string {
	return m.m.Tokenizer.Decode(ids, special)
}

// Embed gives the embedding of a text: the last layer's hidden row, after the
// final norm, of the text's last token. It has Info().Embedding values and is
// not scaled to unit length.
//
// Errors: [ErrEmptyPrompt], [*ContextError], [ErrCacheFull], [ErrClosed].
func (m *Model) Embed(ctx context.Context, text string) ([]float32, error) {
	return m.EmbedTokens(ctx, m.m.Encode(text, true, false))
}

// EmbedTokens is [Model.Embed] for a text given as tokens.
func (m *Model) EmbedTokens(ctx context.Context, tokens []int32) ([]float32, error) {
	if err := cmp.Or(checkContext(ctx), m.check()); err != nil {
		return nil, err
	}
	v, err := m.m.Embed(ctx, tokens)
	return v, wrap(err)
}

// Logits runs tokens as one sequence and gives, for each in order, the logits of
// the token that comes after it: Info().Vocab values, valid until the next
// iteration. An error is the last element.
//
// Errors: [ErrEmptyPrompt], [*ContextError], [ErrCacheFull], [ErrClosed].
func (m *Model) Logits(ctx context.Context, tokens []int32) iter.Seq2[[]float32, error] {
	return func(yield func([]float32, error) bool) {
		err := cmp.Or(checkContext(ctx), m.check())
		if err == nil && len(tokens) == 0 {
			err = wrap(engine.ErrEmptyPrompt)
		}
		if err != nil {
			yield(nil, err)
			return
		}
		v := m.m.Vocab()
		err = m.m.Logits(ctx, tokens, func(_ int, rows []float32) error {
			for ; len(rows) > 0; rows = rows[v:] {
				if !yield(rows[:v:v], nil) {
					return errStop
				}
			}
			return nil
		})
		if err != nil && err != errStop {
			yield(nil, wrap(err))
		}
	}
}

// Stats are figures of a model's cache, in pages of 64 tokens.
type Stats struct {
	CachePages int // in all
	FreePages  int // not held by any session
}

// Stats gives the state of the cache.
func (m *Model) Stats() Stats {
	s := m.m.Stats()
	return Stats{CachePages: s.Pages, FreePages: s.FreePages}
}

// Counters are what the model's runs have cost its device since it was opened, by
// the device's own accounting.
type Counters struct {
	Submissions   int64 // handed to the device's queue
	Dispatches    int64 // kernels that were started
	ReadBacks     int64 // copies from the device to the host
	ReadBackBytes int64 // their bytes
	Traffic       int64 // bytes that kernels moved from and to the device's memory
	Streamed      int64 // of those, what cannot be avoided: weights, and the cache that attention reads
}

// Counters gives the device's counters; false if it does not count, as the
// processor does not. It waits for a batch that is being run.
func (m *Model) Counters() (Counters, bool) {
	if m.check() != nil {
		return Counters{}, false
	}
	c, ok := m.m.Counters()
	return Counters(c), ok
}

// Info describes a model.
type Info struct {
	Name         string // as the file calls it, "" if it does not
	Architecture string // general.architecture: "llama", "gemma3", ...
	Parameters   int64  // weights
	FileBytes    int64
	Layers       int
	Embedding    int // width of a hidden row
	Vocab        int // logits of a token
	TrainContext int // tokens of a sequence the model was trained for
	Context      int // tokens of a sequence it is open for
	Sequences    int // full contexts that the cache holds
	CacheType    string
	ChatTemplate bool          // the file has one; else Session.Chat uses ChatML
	LoadTime     time.Duration // of Open
}

func infoOf(m *engine.Model) Info {
	n := m.Network.Info()
	i := Info{
		Architecture: n.Architecture, FileBytes: m.File.Size(), Layers: n.Layers, Embedding: n.Embedding, Vocab: n.Vocab,
		TrainContext: n.Context, Context: m.Options.Context, Sequences: m.Options.Sequences,
		CacheType: m.Options.CacheType.String(), LoadTime: m.LoadTime,
	}
	i.Name, _ = m.File.String("general.name")
	template, _ := m.File.String("tokenizer.chat_template")
	i.ChatTemplate = template != ""
	for _, t := range m.File.Tensors() {
		if count, ok := dtype.Product(t.Shape); ok {
			i.Parameters += int64(count)
		}
	}
	return i
}
