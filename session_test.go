package ledge_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
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
	"github.com/ledge-run/ledge/runtime/engine/goldentest"
)

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
	for _, typ := range []string{"f32", "q8_0"} {
		m3 := open(t, ledge.WithCacheType(typ))
		s3 := m3.NewSession()
		defer s3.Close()
		if err := s3.Load(bytes.NewReader(data)); err == nil || !strings.Contains(err.Error(), "another cache layout") {
			t.Errorf("a cache of another type was loaded into one of %s: %v", typ, err)
		}
		var empty bytes.Buffer
		if err := s3.Save(&empty); err != nil {
			t.Error(err)
		}
		if err := s3.Load(&empty); err != nil {
			t.Error(err)
		}
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

// closing closes a model before anything is read.
type closing struct {
	io.Reader
	m *ledge.Model
}

func (c closing) Read(b []byte) (int, error) {
	if err := c.m.Close(); err != nil {
		return 0, err
	}
	return c.Reader.Read(b)
}

// TestCloseWhileLoading: the model is closed, the data is not at fault.
func TestCloseWhileLoading(t *testing.T) {
	m := open(t)
	s := m.NewSession()
	defer s.Close()
	if _, _, err := generate(s, "abc", ledge.MaxTokens(1)); err != nil {
		t.Fatal(err)
	}
	var saved bytes.Buffer
	if err := s.Save(&saved); err != nil {
		t.Fatal(err)
	}
	if err := s.Load(closing{&saved, m}); !errors.Is(err, ledge.ErrClosed) {
		t.Errorf("got %v", err)
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
	if _, err := m.ChatPrompt([]ledge.Message{{Role: "user", Content: "a"}}); !errors.Is(err, ledge.ErrClosed) {
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

// TestSharedBeginnings: a new session takes over what an open one has read.
func TestSharedBeginnings(t *testing.T) {
	m := open(t, ledge.WithSequences(3))
	system := strings.Repeat("Be brief. ", 7)
	first := m.NewSession()
	defer first.Close()
	opts := []ledge.GenerateOption{ledge.Temperature(0), ledge.MaxTokens(3), ledge.IgnoreEnd()}
	if _, _, err := generate(first, system+"One", opts...); err != nil {
		t.Fatal(err)
	}
	want, _, err := generate(first, system+"Two", opts...)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s := m.NewSession()
		defer s.Close()
		got, _, err := generate(s, system+"Two", opts...)
		if u := s.Usage(); err != nil || got != want || u.CachedTokens != u.PromptTokens-1 {
			t.Errorf("%q, want %q: %+v, %v", got, want, u, err)
		}
	}
}

// TestKeptBeginningsGiveWay: what is kept of sessions for others takes no room from them.
func TestKeptBeginningsGiveWay(t *testing.T) {
	m := open(t) // two pages of 64 tokens
	s := m.NewSession()
	defer s.Close()
	opts := []ledge.GenerateOption{ledge.Temperature(0), ledge.IgnoreEnd()}
	for _, n := range []int{40, 70, 50, 100} { // pages that are shared with what is kept are written to
		if _, _, err := generate(s, strings.Repeat("a", n), append(opts, ledge.MaxTokens(10))...); err != nil {
			t.Errorf("%d tokens: %v", n, err)
		}
	}
	if _, ids, err := generate(s, "b", opts...); err != nil || len(ids) != m.Info().Context-1 {
		t.Errorf("%d tokens, %v", len(ids), err)
	}
	if u := m.Stats(); u.FreePages != 0 {
		t.Errorf("%+v", u)
	}
	s.Close()
	if u := m.Stats(); u.FreePages != u.CachePages {
		t.Errorf("closed: %+v", u)
	}
}

// asking calls a function for every token, and allows all.
type asking func()

func (a asking) Mask(allowed []uint64) error {
	a()
	for i := range allowed {
		allowed[i] = ^uint64(0)
	}
	return nil
}

func (asking) Accept(int32) error { return nil }

// TestUsageInProgress: before its first token, the figures are a generation's own, not
// those of the one before it.
func TestUsageInProgress(t *testing.T) {
	m := open(t)
	s := m.NewSession()
	defer s.Close()
	if _, _, err := generate(s, "abc", ledge.MaxTokens(3), ledge.IgnoreEnd()); err != nil {
		t.Fatal(err)
	}
	var during []ledge.Usage
	look := asking(func() { during = append(during, s.Usage()) })
	if _, _, err := generate(s, "abcdefgh", ledge.MaxTokens(2), ledge.IgnoreEnd(), ledge.Constrain(look)); err != nil {
		t.Fatal(err)
	}
	if len(during) != 2 || during[0] != (ledge.Usage{PromptTokens: 8}) || during[1].GeneratedTokens != 1 || during[1].Reason != "" {
		t.Errorf("%+v", during)
	}
}

// TestEndTokenOfTexts: a model that wants an end token after a text does not read one
// before it answers.
func TestEndTokenOfTexts(t *testing.T) {
	tiny := goldentest.Named("runtime/model/testdata", "llama-gqa")
	path := filepath.Join(t.TempDir(), "ends.gguf")
	if err := os.WriteFile(path, tiny.FileWith(t, map[string]any{"tokenizer.ggml.add_eos_token": true}), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := ledge.Open(ctx, path, ledge.WithThreads(1))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	s := m.NewSession()
	defer s.Close()
	if _, _, err := generate(s, "abc", ledge.MaxTokens(1)); err != nil || s.Usage().PromptTokens != 3 {
		t.Errorf("%+v, %v", s.Usage(), err)
	}
	if n := len(m.Tokenize("abc", ledge.TokenizeOptions{AddSpecial: true})); n != 4 {
		t.Errorf("the text has %d tokens", n)
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
		`{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f"}}]}`,
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
		got, _, err := generate(s, "abc", append(opts, ledge.Stop("no such thing", stop))...)
		if want, _, _ := strings.Cut(text, stop); err != nil || got != want || s.Usage().Reason != ledge.ReasonStop {
			t.Errorf("%v: stop at %q: got %q, want %q, %+v", err, stop, got, want, s.Usage())
		}
	}
}
