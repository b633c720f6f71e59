package ledge_test

import (
	"context"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/ledge-run/ledge"
)

var ctx = context.Background()

func open(t *testing.T, opts ...ledge.Option) *ledge.Model {
	t.Helper()
	path := tinyModel()
	m, err := ledge.Open(ctx, path, append([]ledge.Option{ledge.WithThreads(1)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(filepath.Dir(path)); err != nil {
			t.Error(err)
		}
	})
	return m
}

func generate(s *ledge.Session, prompt string, opts ...ledge.GenerateOption) (string, []int32, error) {
	var text strings.Builder
	var ids []int32
	for tok, err := range s.Generate(ctx, prompt, opts...) {
		if err != nil {
			return text.String(), ids, err
		}
		text.WriteString(tok.Text)
		ids = append(ids, tok.ID)
	}
	return text.String(), ids, nil
}

// last is the error that a sequence ends with.
func last[T any](seq iter.Seq2[T, error]) (err error) {
	for _, err = range seq {
	}
	return err
}

// TestSeeds: each number is a seed, also the one that llama.cpp takes for none.
func TestSeeds(t *testing.T) {
	m := open(t)
	s := m.NewSession()
	defer s.Close()
	seen := map[string]uint64{}
	for _, seed := range []uint64{0, 1, 0xFFFFFFFF, 1<<64 - 1} {
		var texts [2]string
		for i := range texts {
			opts := []ledge.GenerateOption{ledge.Seed(seed), ledge.Temperature(2), ledge.TopK(0), ledge.TopP(1), ledge.MinP(0), ledge.MaxTokens(12), ledge.IgnoreEnd()}
			var err error
			if texts[i], _, err = generate(s, "abc", opts...); err != nil || s.Usage().Seed != seed {
				t.Fatalf("seed %d: %+v, %v", seed, s.Usage(), err)
			}
		}
		if texts[0] != texts[1] {
			t.Errorf("seed %d gives %q, then %q", seed, texts[0], texts[1])
		}
		if other, ok := seen[texts[0]]; ok {
			t.Errorf("seeds %d and %d give the same", other, seed)
		}
		seen[texts[0]] = seed
	}
}

func TestOpenErrors(t *testing.T) {
	path := tinyModel()
	defer os.RemoveAll(filepath.Dir(path))
	other := filepath.Join(filepath.Dir(path), "other")
	if err := os.WriteFile(other, []byte("something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	for _, c := range []struct {
		ctx  context.Context
		path string
		opt  ledge.Option
		say  string
	}{
		{ctx, path + ".missing", ledge.Option{}, "no such file"},
		{ctx, other, ledge.Option{}, "GGUF"},
		{ctx, path, ledge.WithDevice("abacus"), "abacus"},
		{ctx, path, ledge.WithContext(1 << 20), "trained for"},
		{ctx, path, ledge.WithContext(-1), "negative"},
		{ctx, path, ledge.WithThreads(-2), "negative"},
		{ctx, path, ledge.WithCacheType("f17"), "f17"},
		{ctx, path, ledge.WithCacheType("q4_0"), "q4_0"},
		{cancelled, path, ledge.Option{}, "canceled"},
	} {
		m, err := ledge.Open(c.ctx, c.path, c.opt)
		if err == nil || m != nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("got %v, want an error about %q", err, c.say)
		}
	}
}

func TestInfo(t *testing.T) {
	var done, total int64
	m := open(t, ledge.WithContext(128), ledge.WithSequences(2), ledge.WithBatch(16), ledge.WithCacheType("f32"), ledge.WithDevice("cpu"),
		ledge.WithLoadProgress(func(d, of int64) { done, total = d, of }))
	i := m.Info()
	if i.Architecture != "llama" || i.Vocab != 263 || i.Embedding != 64 || i.Layers != 2 || i.Context != 128 || i.Sequences != 2 || i.CacheType != "f32" ||
		i.Parameters == 0 || i.FileBytes == 0 || i.LoadTime <= 0 {
		t.Errorf("%+v", i)
	}
	if done != total || done == 0 {
		t.Errorf("progress ended at %d of %d", done, total)
	}
	if d := m.Device(); d.Name != "cpu" || d.Kind != "cpu" || d.Numerics == "" {
		t.Errorf("%+v", d)
	}
	if c := m.Candidates(); len(c) == 0 || !slices.ContainsFunc(c, func(c ledge.Candidate) bool { return c.Picked && c.Device.Name == "cpu" }) {
		t.Errorf("%+v", c)
	}
	if c, ok := m.Counters(); ok || c != (ledge.Counters{}) {
		t.Errorf("the processor counts %+v", c)
	}
	text := "Grüße \xff 世界"
	if got := m.Detokenize(m.Tokenize(text, ledge.TokenizeOptions{}), false); got != text {
		t.Errorf("%q became %q", text, got)
	}
}

func TestGenerate(t *testing.T) {
	m := open(t, ledge.WithSequences(4))
	s := m.NewSession()
	defer s.Close()
	opts := []ledge.GenerateOption{ledge.Seed(7), ledge.MaxTokens(20), ledge.IgnoreEnd()}
	text, ids, err := generate(s, "Once upon a time", opts...)
	if err != nil || len(ids) != 20 || !utf8.ValidString(text) {
		t.Fatal(err, len(ids), text)
	}
	u := s.Usage()
	if u.GeneratedTokens != 20 || u.Reason != ledge.ReasonLength || u.Seed != 7 || u.PromptTokens == 0 || u.CachedTokens != 0 {
		t.Errorf("%+v", u)
	}
	if tokens, err := s.Tokens(); err != nil || len(tokens) != u.PromptTokens+19 || !slices.Equal(tokens[u.PromptTokens:], ids[:19]) {
		t.Error(err, tokens, ids)
	}
	// The same again, in other sessions at once, with what else there is on.
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			s := m.NewSession()
			defer s.Close()
			again, _, err := generate(s, "Once upon a time", opts...)
			if err != nil || again != text {
				t.Errorf("%v: %q, the first time %q", err, again, text)
			}
		})
	}
	wg.Wait()
	// Options that exclude everything else leave no choice.
	for _, o := range []ledge.GenerateOption{ledge.Temperature(0), ledge.TopK(1), ledge.MinP(1), ledge.TopP(0)} {
		_, one, err := generate(s, "Once upon a time", o, ledge.MaxTokens(5), ledge.IgnoreEnd())
		_, greedy, err2 := generate(s, "Once upon a time", ledge.Temperature(0), ledge.MaxTokens(5), ledge.IgnoreEnd())
		if err != nil || err2 != nil || !slices.Equal(one, greedy) {
			t.Error(err, err2, one, greedy)
		}
	}
	_, biased, err := generate(s, "x", ledge.LogitBias(map[int32]float32{65: 1000}), ledge.MaxTokens(3))
	if err != nil || !slices.Equal(biased, []int32{65, 65, 65}) {
		t.Error(err, biased)
	}
	if _, _, err := generate(s, "x", ledge.Temperature(-1)); err == nil || !strings.Contains(err.Error(), "temperature") {
		t.Errorf("got %v", err)
	}
}

func TestLogprobs(t *testing.T) {
	m := open(t)
	s := m.NewSession()
	defer s.Close()
	for tok, err := range s.Generate(ctx, "abc", ledge.Logprobs(3), ledge.Temperature(0), ledge.MaxTokens(4), ledge.IgnoreEnd()) {
		if err != nil {
			t.Fatal(err)
		}
		if len(tok.Top) != 3 || tok.Top[0].ID != tok.ID || tok.Top[0].Logprob != tok.Logprob || tok.Logprob >= 0 {
			t.Errorf("%+v", tok)
		}
	}
	for tok, err := range s.Generate(ctx, "abc", ledge.Logprobs(0), ledge.MaxTokens(1)) {
		if err != nil || len(tok.Top) != 0 || tok.Logprob == 0 {
			t.Error(err, tok)
		}
	}
}

// only allows one token after the other.
type only struct{ ids []int32 }

func (o *only) Mask(allowed []uint64) error {
	if len(o.ids) == 0 {
		return errors.New("nothing is left")
	}
	allowed[o.ids[0]/64] |= 1 << (o.ids[0] % 64)
	return nil
}

func (o *only) Accept(id int32) error {
	if id != o.ids[0] {
		return errors.New("another token")
	}
	o.ids = o.ids[1:]
	return nil
}

func TestConstrain(t *testing.T) {
	m := open(t)
	s := m.NewSession()
	defer s.Close()
	want := []int32{100, 200, 70, 71}
	_, ids, err := generate(s, "abc", ledge.Constrain(&only{slices.Clone(want)}))
	if err == nil || !strings.Contains(err.Error(), "nothing is left") || !slices.Equal(ids, want) {
		t.Error(err, ids)
	}
}

func TestErrors(t *testing.T) {
	m := open(t, ledge.WithContext(64))
	s := m.NewSession()
	defer s.Close()
	var long *ledge.ContextError
	_, _, err := generate(s, strings.Repeat("a", 100))
	if !errors.As(err, &long) || long.Limit != 64 || long.Tokens < 100 {
		t.Errorf("got %v", err)
	}
	if err := last(s.GenerateTokens(ctx, nil)); !errors.Is(err, ledge.ErrEmptyPrompt) {
		t.Errorf("got %v", err)
	}
	if _, err := m.EmbedTokens(ctx, nil); !errors.Is(err, ledge.ErrEmptyPrompt) {
		t.Errorf("got %v", err)
	}
	if _, err := m.Embed(ctx, strings.Repeat("a", 100)); !errors.As(err, &long) {
		t.Errorf("got %v", err)
	}
	if err := last(m.Logits(ctx, nil)); !errors.Is(err, ledge.ErrEmptyPrompt) {
		t.Errorf("got %v", err)
	}
	if err := last(m.Logits(ctx, []int32{1, 5000})); err == nil || !strings.Contains(err.Error(), "vocabulary") {
		t.Errorf("got %v", err)
	}
	if err := last(m.Logits(ctx, make([]int32, 65))); !errors.As(err, &long) {
		t.Errorf("got %v", err)
	}
	if err := last(s.GenerateTokens(ctx, []int32{-1})); err == nil || !strings.Contains(err.Error(), "vocabulary") {
		t.Errorf("got %v", err)
	}
	// Two sessions that each fill the only context.
	fill := func(s *ledge.Session, a string) error {
		_, _, err := generate(s, strings.Repeat(a, 40), ledge.MaxTokens(1))
		return err
	}
	other := m.NewSession()
	defer other.Close()
	if err := fill(s, "a"); err != nil {
		t.Fatal(err)
	}
	if err := fill(other, "b"); !errors.Is(err, ledge.ErrCacheFull) {
		t.Errorf("got %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := fill(other, "b"); err != nil {
		t.Errorf("after the first was closed: %v", err)
	}
	if st := m.Stats(); st.CachePages != 1 || st.FreePages != 0 {
		t.Errorf("%+v", st)
	}
}

func TestLogits(t *testing.T) {
	m := open(t)
	tokens := m.Tokenize("a text of some length", ledge.TokenizeOptions{AddSpecial: true})
	n := 0
	for row, err := range m.Logits(ctx, tokens) {
		if err != nil || len(row) != m.Info().Vocab {
			t.Fatal(err, len(row))
		}
		n++
	}
	if n != len(tokens) {
		t.Errorf("%d rows for %d tokens", n, len(tokens))
	}
	for range m.Logits(ctx, tokens) {
		break // and nothing hangs
	}
}

// TestDevices: what there is, without a model.
func TestDevices(t *testing.T) {
	found, err := ledge.Devices(ctx, ledge.WithDevice("cpu"), ledge.WithThreads(1))
	if err != nil || !slices.ContainsFunc(found, func(c ledge.Candidate) bool { return c.Picked && c.Device.Name == "cpu" && c.Device.Numerics != "" }) {
		t.Errorf("%+v, %v", found, err)
	}
	found, err = ledge.Devices(ctx, ledge.WithDevice("abacus"))
	if err == nil || !strings.Contains(err.Error(), "abacus") || len(found) == 0 || slices.ContainsFunc(found, func(c ledge.Candidate) bool { return c.Picked }) {
		t.Errorf("%+v, %v", found, err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := ledge.Devices(cancelled); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestGPULayers: layers for a GPU, where there is none.
func TestGPULayers(t *testing.T) {
	if _, err := ledge.Open(ctx, tinyModel(), ledge.WithDevice("cpu"), ledge.WithGPULayers(1)); err == nil || !strings.Contains(err.Error(), "cpu alone") {
		t.Errorf("got %v", err)
	}
	m, err := ledge.Open(ctx, tinyModel(), ledge.WithDevice("cpu"), ledge.WithGPULayers(0))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if n := m.Notes(); len(n) != 0 || m.Device().Name != "cpu" || m.Device().Note != "" {
		t.Errorf("on %s, %q", m.Device().Name, n)
	}
}

// TestNoContext: a nil context is an error of the call, whatever is asked, and the model
// goes on.
func TestNoContext(t *testing.T) {
	m := open(t)
	s := m.NewSession()
	defer s.Close()
	var none context.Context
	hi := []ledge.Message{{Role: "user", Content: "Hi!"}}
	for name, call := range map[string]func() error{
		"Open":           func() error { _, err := ledge.Open(none, "model.gguf"); return err },
		"Devices":        func() error { _, err := ledge.Devices(none); return err },
		"Generate":       func() error { return last(s.Generate(none, "abc")) },
		"GenerateTokens": func() error { return last(s.GenerateTokens(none, []int32{1})) },
		"Chat":           func() error { return last(s.Chat(none, hi)) },
		"Embed":          func() error { _, err := m.Embed(none, "abc"); return err },
		"EmbedTokens":    func() error { _, err := m.EmbedTokens(none, []int32{1}); return err },
		"Logits":         func() error { return last(m.Logits(none, []int32{1})) },
	} {
		if err := call(); err == nil || !strings.Contains(err.Error(), "the context is nil") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := generate(s, "abc", ledge.MaxTokens(2)); err != nil {
		t.Error(err)
	}
}
