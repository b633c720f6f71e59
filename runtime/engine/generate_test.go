package engine_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/sampler"
	"github.com/ledge-run/ledge/runtime/sched"
)

// TestContext: a prompt that leaves room for one token, none, and the reasons.
func TestContext(t *testing.T) {
	m := openGolden(t, golden(t, "llama-gqa"), engine.Options{Threads: 1, Context: 100})
	s := m.NewSession()
	defer s.Close()
	set := engine.Settings{Sampler: seeded(1), IgnoreEOG: true}
	for _, n := range []int{1, 37, 64, 99} {
		got := collect(t, s, randomTokens(1, n), set)
		if u := s.Usage(); len(got) != 100-n || u.Reason != engine.ReasonContext || u.GeneratedTokens != 100-n {
			t.Errorf("a prompt of %d: %d tokens, %+v", n, len(got), u)
		}
	}
	for _, n := range []int{100, 101, 5000} {
		var long *sched.ErrTooLong
		for _, err := range s.Generate(context.Background(), randomTokens(1, n), set) {
			if !errors.As(err, &long) || long.Tokens != n || long.Limit != 100 || !strings.Contains(err.Error(), "larger context") {
				t.Errorf("a prompt of %d: got %v", n, err)
			}
		}
		if long == nil || s.Usage().Reason != engine.ReasonError {
			t.Errorf("a prompt of %d: %v %+v", n, long, s.Usage())
		}
	}
	for _, err := range s.Generate(context.Background(), nil, set) {
		if !errors.Is(err, engine.ErrEmptyPrompt) {
			t.Errorf("got %v", err)
		}
	}
	set.MaxTokens = 3
	if got := collect(t, s, randomTokens(1, 97), set); len(got) != 3 || s.Usage().Reason != engine.ReasonLength {
		t.Errorf("%d tokens, %+v", len(got), s.Usage())
	}
}

// TestWholeCharacters: what is shown is valid UTF-8 at every token, and
// together the text of all tokens.
func TestWholeCharacters(t *testing.T) {
	m := openGolden(t, golden(t, "llama-gqa"), engine.Options{Threads: 1})
	s := m.NewSession()
	defer s.Close()
	// Only the bytes of a few characters of two to four bytes may come: their
	// halves meet in every way.
	bias := map[int32]float32{}
	for id := range int32(m.Vocab()) {
		bias[id] = -1000
	}
	for _, b := range []byte("é世🙂") {
		for id := range int32(m.Tokenizer.Size()) {
			if m.Tokenizer.PieceString(id, false) == string([]byte{b}) {
				bias[id] = 0
			}
		}
	}
	p := sampler.DefaultParams()
	p.LogitBias, p.Temperature, p.TopK, p.MinP, p.TopP = bias, 100, 0, 0, 1
	halves := 0
	for seed := range uint64(20) {
		p.Seed = seed
		var text strings.Builder
		var ids []int32
		for piece, err := range s.Generate(context.Background(), randomTokens(seed, 5), engine.Settings{Sampler: p, MaxTokens: 30, IgnoreEOG: true}) {
			if err != nil {
				t.Fatal(err)
			}
			if !utf8.ValidString(piece.Text) {
				t.Fatalf("token %d shows %q", piece.ID, piece.Text)
			}
			if piece.Text == "" {
				halves++
			}
			text.WriteString(piece.Text)
			ids = append(ids, piece.ID)
		}
		dec := m.Tokenizer.NewDecoder(false)
		want := ""
		for _, id := range ids {
			want += dec.Push(id)
		}
		if want += dec.Flush(); text.String() != want {
			t.Errorf("shown %q, the tokens are %q", text.String(), want)
		}
	}
	if halves < 100 {
		t.Errorf("only %d tokens were parts of characters", halves)
	}
}

// TestStopStrings end the text where they begin, however they fall on tokens.
func TestStopStrings(t *testing.T) {
	m := openGolden(t, golden(t, "llama-gqa"), engine.Options{Threads: 1})
	s := m.NewSession()
	defer s.Close()
	set := engine.Settings{Sampler: seeded(11), MaxTokens: 60, IgnoreEOG: true}
	show := func(stops ...string) (string, int) {
		set.Stop = stops
		var b strings.Builder
		n := 0
		for p, err := range s.Generate(context.Background(), randomTokens(2, 9), set) {
			if err != nil {
				t.Fatal(err)
			}
			b.WriteString(p.Text)
			n++
		}
		return b.String(), n
	}
	whole, _ := show()
	runes := []rune(whole)
	for from := range len(runes) - 8 {
		for _, n := range []int{1, 2, 7} {
			stop := string(runes[from : from+n])
			want, _, _ := strings.Cut(whole, stop)
			got, tokens := show("never to be seen", stop)
			if got != want || s.Usage().Reason != engine.ReasonStop || s.Usage().GeneratedTokens != tokens {
				t.Fatalf("stop at %q: got %q, want %q, %+v", stop, got, want, s.Usage())
			}
		}
	}
	// What looks like the beginning of a stop string is shown in the end.
	if got, _ := show(string(runes[len(runes)-3:]) + "and more"); got != whole {
		t.Errorf("got %q, want %q", got, whole)
	}
}

// rare allows only tokens that are hardly ever candidates.
type rare struct{ ids map[int32]bool }

func (r *rare) Mask(allowed []uint64) error {
	for id := range r.ids {
		allowed[id/64] |= 1 << (id % 64)
	}
	return nil
}
func (r *rare) Accept(int32) error        { return nil }
func (r *rare) Reset()                    {}
func (r *rare) Clone() sampler.Constraint { return r }

// TestFullRowNeeded: where the candidates leave the choice open, the last token
// is run again for its whole row, and the token is what it would have been.
func TestFullRowNeeded(t *testing.T) {
	m := openGolden(t, golden(t, "llama-gqa"), engine.Options{Threads: 1, Sequences: 2})
	for round := range uint64(4) {
		prompt := randomTokens(round, 60+int(round)) // 64: the last token begins a page
		allowed := &rare{map[int32]bool{}}
		// The ten least likely next tokens.
		logits := logitsOf(t, m, prompt)
		row := logits[len(logits)-m.Vocab():]
		order := make([]int32, len(row))
		for i := range order {
			order[i] = int32(i)
		}
		slices.SortFunc(order, func(a, b int32) int {
			if row[a] < row[b] {
				return -1
			}
			return 1
		})
		for _, id := range order[:10] {
			allowed.ids[id] = true
		}
		set := engine.Settings{Sampler: seeded(round), MaxTokens: 12, IgnoreEOG: true, Constraint: allowed}
		a, b := m.NewSession(), m.NewSession()
		got := collect(t, a, prompt, set)
		set.Logprobs = 1 // reads full rows throughout
		want := collect(t, b, prompt, set)
		if len(got) != 12 || !slices.Equal(got, want) || !allowed.ids[got[0]] {
			t.Errorf("got %v, with full rows %v", got, want)
		}
		if !slices.Equal(a.Tokens(), b.Tokens()) {
			t.Errorf("the caches differ: %d and %d tokens", len(a.Tokens()), len(b.Tokens()))
		}
		a.Close()
		b.Close()
	}
}

// TestSessionTurns: a next prompt that begins like what is cached runs its rest
// only; one that begins otherwise runs all but the common part.
func TestSessionTurns(t *testing.T) {
	m := openGolden(t, golden(t, "llama-gqa"), engine.Options{Threads: 1})
	s := m.NewSession()
	defer s.Close()
	set := engine.Settings{Sampler: seeded(4), MaxTokens: 5, IgnoreEOG: true}
	prompt := randomTokens(1, 20)
	first := collect(t, s, prompt, set)
	next := append(append(slices.Clone(prompt), first...), 7, 8, 9)
	collect(t, s, next, set)
	if u := s.Usage(); u.CachedTokens != 24 || u.PromptTokens != 28 {
		t.Errorf("%+v", u)
	}
	if again := collect(t, s, prompt, set); !slices.Equal(again, first) || s.Usage().CachedTokens != 19 {
		t.Errorf("%v, the first time %v, %+v", again, first, s.Usage())
	}
	other := append(slices.Clone(prompt[:6]), 100, 101)
	other[6] = (prompt[6] + 1) % 263
	collect(t, s, other, set)
	if u := s.Usage(); u.CachedTokens != 6 {
		t.Errorf("%+v", u)
	}
}

// crowd is a constraint that allows all. When it is asked first, it has others begin to
// want room.
type crowd struct {
	once  sync.Once
	begin func()
}

func (c *crowd) Mask(allowed []uint64) error {
	c.once.Do(c.begin)
	for i := range allowed {
		allowed[i] = ^uint64(0)
	}
	return nil
}

func (*crowd) Accept(int32) error          { return nil }
func (*crowd) Reset()                      {}
func (c *crowd) Clone() sampler.Constraint { return c }

// TestRowAgainInFullCache: a token that is run once more, for its whole row, keeps its
// page, though others wait for one.
func TestRowAgainInFullCache(t *testing.T) {
	m := openGolden(t, golden(t, "llama-gqa"), engine.Options{Threads: 1, Context: 128})
	set := engine.Settings{Sampler: seeded(1), MaxTokens: 1, IgnoreEOG: true}
	set.Sampler.TopK, set.Sampler.TopP, set.Sampler.MinP, set.Sampler.Temperature = 0, 0.99999, 0, 1
	ctx := context.Background()
	for range 40 {
		var others sync.WaitGroup
		over, started := make(chan struct{}), make(chan struct{})
		c := &crowd{begin: func() {
			others.Go(func() {
				for i := 0; ; i++ {
					st := m.NewStream(nil)
					err := st.Run(ctx, []int32{1}, sched.Best)
					st.Discard()
					if i == 3 {
						close(started)
					}
					select {
					case <-over:
						return
					default:
					}
					if err == nil {
						t.Error("another found a page in a full cache")
					}
				}
			})
			<-started
		}}
		set.Constraint = c
		s := m.NewSession()
		for _, err := range s.Generate(ctx, randomTokens(1, 65), set) { // the last token is alone on its page
			if err != nil {
				t.Error(err)
			}
			close(over)
		}
		others.Wait()
		s.Close()
	}
}
