package ledge_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
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

func TestSaveLoadFork(t *testing.T) {
	m := open(t, ledge.WithSequences(4))
	s := m.NewSession()
	defer s.Close()
	opts := []ledge.GenerateOption{ledge.Temperature(0), ledge.MaxTokens(10), ledge.IgnoreEnd()}
	want, _, err := generate(s, "The story so far", opts...)
	if err != nil {
		t.Fatal(err)
	}
	var saved bytes.Buffer
	if err := s.Save(&saved); err != nil {
		t.Fatal(err)
	}
	data := saved.Bytes()
	fork, err := s.Fork()
	if err != nil {
		t.Fatal(err)
	}
	defer fork.Close()
	// Another process opens the same file.
	m2 := open(t)
	loaded := m2.NewSession()
	defer loaded.Close()
	if err := loaded.Load(bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*ledge.Session{"fork": fork, "loaded": loaded} {
		got, _, err := generate(s, "The story so far", opts...)
		u := s.Usage()
		if err != nil || got != want || u.CachedTokens != u.PromptTokens-1 {
			t.Errorf("%s: %v %q, want %q, %+v", name, err, got, want, u)
		}
	}
	// Data that is damaged or of a model opened otherwise leaves the session as it was.
	before, _ := loaded.Tokens()
	bad := bytes.Clone(data)
	bad[len(bad)/2] ^= 4
	if err := loaded.Load(bytes.NewReader(bad)); err == nil {
		t.Error("damaged data were loaded")
	}
	if after, _ := loaded.Tokens(); !slices.Equal(before, after) {
		t.Error("a failed Load changed the session")
	}
	m3 := open(t, ledge.WithCacheType("f32"))
	s3 := m3.NewSession()
	defer s3.Close()
	if err := s3.Load(bytes.NewReader(data)); err == nil {
		t.Error("a cache of another type was loaded")
	}
	var empty bytes.Buffer
	if err := s3.Save(&empty); err != nil {
		t.Error(err)
	}
	if err := s3.Load(&empty); err != nil {
		t.Error(err)
	}
}

// TestCloseSession from inside its loop, from elsewhere, twice; and use after it.
func TestCloseSession(t *testing.T) {
	m := open(t)
	s := m.NewSession()
	n := 0
	for _, err := range s.Generate(ctx, "abc", ledge.IgnoreEnd()) {
		if n++; n == 3 {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
		if n > 3 && !errors.Is(err, ledge.ErrSessionClosed) {
			t.Errorf("got %v", err)
		}
	}
	if n != 4 {
		t.Errorf("%d elements, want 3 tokens and an error", n)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	_, _, err := generate(s, "abc")
	_, err1 := s.Tokens()
	_, err2 := s.Fork()
	err3, err4 := s.Save(&bytes.Buffer{}), s.Load(&bytes.Buffer{})
	for _, err := range []error{err, err1, err2, err3, err4} {
		if !errors.Is(err, ledge.ErrSessionClosed) {
			t.Errorf("got %v", err)
		}
	}
	if st := m.Stats(); st.FreePages != st.CachePages {
		t.Errorf("%+v", st)
	}
}

func TestBusy(t *testing.T) {
	m := open(t)
	s := m.NewSession()
	defer s.Close()
	for _, err := range s.Generate(ctx, "abc", ledge.MaxTokens(1)) {
		if err != nil {
			t.Fatal(err)
		}
		_, _, err := generate(s, "def")
		if !errors.Is(err, ledge.ErrBusy) {
			t.Errorf("got %v", err)
		}
		if _, err := s.Fork(); !errors.Is(err, ledge.ErrBusy) {
			t.Errorf("got %v", err)
		}
		if s.Usage().GeneratedTokens != 1 {
			t.Errorf("%+v", s.Usage())
		}
	}
	func() {
		defer func() { _ = recover() }()
		for range s.Generate(ctx, "abc") {
			panic("a bug of the caller")
		}
	}()
	if _, _, err := generate(s, "abc", ledge.MaxTokens(2)); err != nil {
		t.Errorf("after a panic in the loop: %v", err)
	}
}

// TestCancel leaves a session from which generation goes on as if nothing had
// happened.
func TestCancel(t *testing.T) {
	m := open(t, ledge.WithBatch(8), ledge.WithSequences(2))
	ref, s := m.NewSession(), m.NewSession()
	defer ref.Close()
	defer s.Close()
	prompt := m.Tokenize(strings.Repeat("all the same ", 4), ledge.TokenizeOptions{AddSpecial: true})
	want := slices.Clone(prompt)
	for tok, err := range ref.GenerateTokens(ctx, prompt, ledge.Temperature(0), ledge.MaxTokens(30), ledge.IgnoreEnd()) {
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, tok.ID)
	}
	got := slices.Clone(prompt)
	for round := 0; len(got) < len(want); round++ {
		c, cancel := context.WithCancel(ctx)
		if round == 0 {
			cancel() // before it begins
		}
		n := 0
		for tok, err := range s.GenerateTokens(c, got, ledge.Temperature(0), ledge.MaxTokens(len(want)-len(got)), ledge.IgnoreEnd()) {
			if err != nil {
				if !errors.Is(err, context.Canceled) || s.Usage().Reason != ledge.ReasonCancel {
					t.Errorf("%v %+v", err, s.Usage())
				}
				break
			}
			got = append(got, tok.ID)
			if n++; n == round {
				if round%2 == 0 {
					break
				}
				cancel()
			}
		}
		cancel()
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestCloseModel while sessions generate, save and embed: each gets ErrClosed,
// and no goroutine stays behind.
func TestCloseModel(t *testing.T) {
	before := runtime.NumGoroutine()
	m := open(t, ledge.WithSequences(8), ledge.WithThreads(1))
	var wg, begun sync.WaitGroup
	begun.Add(4)
	for i := range 4 {
		wg.Go(func() {
			s := m.NewSession()
			n := 0
			for {
				var err error
				for _, err = range s.Generate(ctx, "abc", ledge.Seed(uint64(i)), ledge.IgnoreEnd()) {
					if n++; n == 2 {
						begun.Done()
					}
				}
				if err != nil {
					if !errors.Is(err, ledge.ErrClosed) {
						t.Errorf("got %v", err)
					}
					break
				}
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Go(func() {
		for {
			if _, err := m.Embed(ctx, "a text"); err != nil {
				if !errors.Is(err, ledge.ErrClosed) {
					t.Errorf("got %v", err)
				}
				return
			}
		}
	})
	wg.Go(func() {
		s := m.NewSession()
		defer s.Close()
		for {
			if err := s.Save(&bytes.Buffer{}); err != nil {
				if !errors.Is(err, ledge.ErrClosed) {
					t.Errorf("got %v", err)
				}
				return
			}
		}
	})
	begun.Wait()
	for range 2 {
		wg.Go(func() {
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s := m.NewSession()
	if _, _, err := generate(s, "abc"); !errors.Is(err, ledge.ErrClosed) {
		t.Errorf("got %v", err)
	}
	if err := last(m.Logits(ctx, []int32{1})); !errors.Is(err, ledge.ErrClosed) {
		t.Errorf("got %v", err)
	}
	if _, err := m.Embed(ctx, "a"); !errors.Is(err, ledge.ErrClosed) {
		t.Errorf("got %v", err)
	}
	if m.Info().Layers != 2 || m.Device().Name != "cpu" || len(m.Tokenize("abc", ledge.TokenizeOptions{})) == 0 || m.Stats().CachePages == 0 {
		t.Error("what needs no device does not work any more")
	}
	for i := 0; runtime.NumGoroutine() > before; i++ {
		if i > 500 {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestChat(t *testing.T) {
	m := open(t)
	talk := []ledge.Message{{Role: "system", Content: "Be brief."}, {Role: "user", Content: "Hi!"}}
	prompt, err := m.ChatPrompt(talk)
	if err != nil {
		t.Fatal(err)
	}
	if text := m.Detokenize(prompt, true); !strings.Contains(text, "Be brief.") || !strings.Contains(text, "Hi!") {
		t.Errorf("prompt %q", text)
	}
	s := m.NewSession()
	defer s.Close()
	for _, err := range s.Chat(ctx, talk, ledge.MaxTokens(2)) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if u := s.Usage(); u.PromptTokens != len(prompt) {
		t.Errorf("%+v", u)
	}
	err = last(s.Chat(ctx, talk, ledge.Tools(json.RawMessage("{}"))))
	if err == nil || !strings.Contains(err.Error(), "tool") || s.Usage().Reason != ledge.ReasonError {
		t.Errorf("got %v", err)
	}
}

func TestMessageJSON(t *testing.T) {
	for _, c := range []string{
		`{"role":"user","content":"Hi"}`,
		`{"role":"assistant","content":"","reasoning_content":"hm","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":{"a":1}}}]}`,
		`{"role":"tool","content":"3","tool_call_id":"1","name":"f"}`,
	} {
		var m ledge.Message
		if err := json.Unmarshal([]byte(c), &m); err != nil {
			t.Fatal(err)
		}
		if out, err := json.Marshal(m); err != nil || string(out) != c {
			t.Errorf("%v: %s became %s", err, c, out)
		}
	}
	var m ledge.Message
	if err := json.Unmarshal([]byte(`{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}`), &m); err != nil || m.Content != "ab" {
		t.Error(err, m)
	}
	if err := json.Unmarshal([]byte(`{"role":"user","content":[{"type":"image_url"}]}`), &m); err == nil {
		t.Error("a picture was accepted")
	}
}

func TestStop(t *testing.T) {
	m := open(t)
	s := m.NewSession()
	defer s.Close()
	opts := []ledge.GenerateOption{ledge.Seed(3), ledge.MaxTokens(60), ledge.IgnoreEnd()}
	text, _, err := generate(s, "abc", opts...)
	if err != nil || len(text) < 20 {
		t.Fatal(err, text)
	}
	for n := 1; n < 6; n++ {
		stop := text[10 : 10+n]
		if !utf8.ValidString(stop) {
			continue
		}
		got, _, err := generate(s, "abc", append(opts, ledge.Stop("", "no such thing", stop))...)
		if want, _, _ := strings.Cut(text, stop); err != nil || got != want || s.Usage().Reason != ledge.ReasonStop {
			t.Errorf("%v: stop at %q: got %q, want %q, %+v", err, stop, got, want, s.Usage())
		}
	}
}
