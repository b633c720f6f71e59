package kvcache

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/backend"
)

const pageTokens = backend.PageTokens

// memory is a state whose pages hold one int32 for each token.
type memory struct {
	pages  [][pageTokens]int32
	layout string
	fail   error // of the next call
}

func newMemory(pages int) *memory {
	return &memory{pages: make([][pageTokens]int32, pages), layout: "test-1"}
}

func (m *memory) Layout() string { return m.layout }
func (m *memory) PageBytes() int { return 4 * pageTokens }
func (m *memory) Close() error   { return nil }

func (m *memory) CopyPage(dst, src int) error {
	m.pages[dst] = m.pages[src]
	return m.fail
}

func (m *memory) ReadPage(page int, dst []byte) error {
	_, err := binary.Encode(dst, binary.LittleEndian, m.pages[page][:])
	return errors.Join(err, m.fail)
}

func (m *memory) WritePage(page int, src []byte) error {
	_, err := binary.Decode(src, binary.LittleEndian, m.pages[page][:])
	return errors.Join(err, m.fail)
}

// write does what a run does: it stores tokens behind those that are there.
func write(t *testing.T, m *memory, s *Seq, tokens []int32) error {
	t.Helper()
	if err := s.Reserve(len(tokens)); err != nil {
		return err
	}
	for i, tok := range tokens {
		at := s.Len() + i
		m.pages[s.Pages()[at/pageTokens]][at%pageTokens] = tok
	}
	s.Advance(len(tokens))
	return nil
}

func read(m *memory, s *Seq) []int32 {
	out := []int32{}
	for i := range s.Len() {
		out = append(out, m.pages[s.Pages()[i/pageTokens]][i%pageTokens])
	}
	return out
}

func tokens(from, n int) []int32 {
	out := make([]int32, n)
	for i := range out {
		out[i] = int32(from + i)
	}
	return out
}

// check counts every page's owners anew.
func check(c *Cache, live []*Seq) error {
	refs := make([]int32, len(c.refs))
	count := func(s *Seq) {
		for _, p := range s.pages {
			refs[p]++
		}
	}
	for _, s := range live {
		count(s)
	}
	for _, k := range c.kept {
		if k.seq.len != len(k.tokens) || len(k.seq.pages) != backend.PagesFor(k.seq.len) {
			return fmt.Errorf("kept: %d tokens, length %d, %d pages", len(k.tokens), k.seq.len, len(k.seq.pages))
		}
		count(k.seq)
	}
	if !slices.Equal(refs, c.refs) {
		return fmt.Errorf("owners %v, counted %v", c.refs, refs)
	}
	seen := map[int32]bool{}
	for _, p := range c.free {
		if refs[p] != 0 || seen[p] {
			return fmt.Errorf("page %d is free with %d owners (twice: %v)", p, refs[p], seen[p])
		}
		seen[p] = true
	}
	for p, n := range refs {
		if n == 0 && !seen[int32(p)] {
			return fmt.Errorf("page %d is lost", p)
		}
	}
	return nil
}

// TestAgainstNaive does random things with sequences and with plain slices of
// tokens, which must hold the same afterwards.
func TestAgainstNaive(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 1))
		m := newMemory(1 + rng.IntN(12))
		c := New(m, len(m.pages))
		var live []*Seq
		var want [][]int32
		remove := func(i int) {
			live, want = slices.Delete(live, i, i+1), slices.Delete(want, i, i+1)
		}
		for step := range 400 {
			op := rng.IntN(8)
			if len(live) == 0 {
				op = 0
			}
			i := 0
			if len(live) > 0 {
				i = rng.IntN(len(live))
			}
			switch op {
			case 0:
				if len(live) < 5 {
					live, want = append(live, c.NewSeq()), append(want, []int32{})
				}
			case 1, 2:
				// Few different tokens, so that prefixes are often common.
				add := tokens(rng.IntN(2)*1000+len(want[i]), 1+rng.IntN(90))
				before := slices.Clone(live[i].pages)
				switch err := write(t, m, live[i], add); {
				case err == nil:
					want[i] = append(want[i], add...)
				case !errors.As(err, new(*ErrFull)):
					t.Fatal(err)
				case fits(live, i, len(add), c.Pages()):
					t.Fatalf("seed %d step %d: %v, but there is room", seed, step, err)
				case !slices.Equal(before, live[i].pages):
					t.Fatalf("seed %d step %d: a failed Reserve changed the pages", seed, step)
				}
			case 3:
				if err := live[i].Reserve(rng.IntN(100)); err != nil && !errors.As(err, new(*ErrFull)) {
					t.Fatal(err) // reserved and never filled, as by a run that failed
				}
			case 4:
				n := rng.IntN(len(want[i])+10) - 3
				if step%2 == 0 {
					live[i].Truncate(n)
				} else {
					live[i].Rewind(n)
				}
				want[i] = want[i][:max(0, min(n, len(want[i])))]
			case 5:
				if len(live) < 5 {
					live, want = append(live, live[i].Fork()), append(want, slices.Clone(want[i]))
				}
			case 6:
				if rng.IntN(2) == 0 {
					live[i].Close()
				} else {
					c.Keep(live[i], want[i])
				}
				remove(i)
			case 7:
				prompt := tokens(0, 1+rng.IntN(200))
				longest := 0
				for _, k := range c.kept {
					longest = max(longest, Common(k.tokens, prompt))
				}
				least := rng.IntN(5)
				s := c.Find(prompt, least)
				switch {
				case s == nil && longest >= max(least, 1):
					t.Fatalf("seed %d step %d: %d tokens are kept, at least %d wanted, none found", seed, step, longest, least)
				case s != nil && s.Len() != longest:
					t.Fatalf("seed %d step %d: found %d tokens, %d are kept", seed, step, s.Len(), longest)
				case s != nil:
					live, want = append(live, s), append(want, slices.Clone(prompt[:longest]))
				}
			}
			if err := check(c, live); err != nil {
				t.Fatalf("seed %d step %d operation %d: %v", seed, step, op, err)
			}
			for i, s := range live {
				if got := read(m, s); !slices.Equal(got, want[i]) {
					t.Fatalf("seed %d step %d operation %d: sequence %d holds\n%v\nwant\n%v", seed, step, op, i, got, want[i])
				}
			}
		}
		for _, s := range live {
			s.Close()
			s.Close() // once more does nothing
		}
		if c.Free() != c.Pages() {
			t.Fatalf("seed %d: %d of %d pages are free with nothing but kept prefixes", seed, c.Free(), c.Pages())
		}
		c.Forget()
		if len(c.free) != c.Pages() {
			t.Fatalf("seed %d: %d of %d pages are free after everything was closed", seed, len(c.free), c.Pages())
		}
	}
}

// fits says whether n more tokens of live[i] have room if nothing is kept.
func fits(live []*Seq, i, n, pages int) bool {
	s := live[i]
	held := map[int32]int{}
	for _, l := range live {
		for _, p := range l.pages {
			held[p]++
		}
	}
	need := len(held) + max(0, backend.PagesFor(s.len+n)-len(s.pages))
	if at := s.len / pageTokens; at < len(s.pages) && held[s.pages[at]] > 1 {
		need++
	}
	return need <= pages
}

// TestRewind: the room for the next token stays, where Truncate gives it to whoever
// comes first, and another's page is not written to.
func TestRewind(t *testing.T) {
	m := newMemory(2)
	c := New(m, 2)
	s, other := c.NewSeq(), c.NewSeq()
	for _, rewind := range []bool{false, true} {
		if err := write(t, m, s, tokens(0, pageTokens+1)); err != nil {
			t.Fatal(err)
		}
		if rewind {
			s.Rewind(pageTokens)
		} else {
			s.Truncate(pageTokens)
		}
		if err := write(t, m, other, tokens(7, 1)); (err == nil) == rewind {
			t.Errorf("rewind %v: another's page: %v", rewind, err)
		}
		if err := write(t, m, s, tokens(500, 1)); (err == nil) != rewind {
			t.Errorf("rewind %v: its own page: %v", rewind, err)
		}
		other.Truncate(0)
		s.Truncate(0)
	}
	m = newMemory(3)
	c = New(m, 3)
	s = c.NewSeq()
	if err := write(t, m, s, tokens(0, pageTokens+1)); err != nil {
		t.Fatal(err)
	}
	f := s.Fork()
	s.Rewind(pageTokens)
	if err := write(t, m, s, tokens(500, 1)); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(read(m, f), tokens(0, pageTokens+1)) || !slices.Equal(read(m, s), append(tokens(0, pageTokens), 500)) {
		t.Error("the fork's page was written to")
	}
}

// TestWholeCacheAgain fills the cache, closes, and takes all of it over: the
// last page is shared with the kept prefix only, which must give way.
func TestWholeCacheAgain(t *testing.T) {
	m := newMemory(2)
	c := New(m, 2)
	s := c.NewSeq()
	text := tokens(0, 2*pageTokens-1)
	if err := write(t, m, s, text); err != nil {
		t.Fatal(err)
	}
	c.Keep(s, text)
	s = c.Find(text[:len(text)-1], 1)
	if s == nil || s.Len() != len(text)-1 {
		t.Fatal("the prefix was not found")
	}
	if err := write(t, m, s, tokens(500, 2)); err != nil {
		t.Fatal(err)
	}
	if want := append(slices.Clone(text[:len(text)-1]), 500, 501); !slices.Equal(read(m, s), want) {
		t.Error("the content is wrong")
	}
}

// TestEvictionOrder: the least recently used prefix goes first, and as few as
// necessary.
func TestEvictionOrder(t *testing.T) {
	m := newMemory(4)
	c := New(m, 4)
	texts := [][]int32{tokens(0, 10), tokens(100, 10), tokens(200, 10)}
	for _, text := range texts {
		s := c.NewSeq()
		if err := write(t, m, s, text); err != nil {
			t.Fatal(err)
		}
		c.Keep(s, text)
	}
	c.Find(texts[0], 1).Close() // used again
	s := c.NewSeq()
	if err := s.Reserve(2 * pageTokens); err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{true, false, true} {
		f := c.Find(texts[i], 1)
		if (f != nil) != want {
			t.Errorf("prefix %d is kept: %v, want %v", i, f != nil, want)
		}
		if f != nil {
			f.Close()
		}
	}
	// More than there is: an error, and nothing is thrown away for it.
	var full *ErrFull
	if err := s.Reserve(5 * pageTokens); !errors.As(err, &full) || full.Need != 3 || full.Free != 2 {
		t.Errorf("got %v", err)
	}
	if len(c.kept) != 2 {
		t.Errorf("%d prefixes are kept, want 2", len(c.kept))
	}
}

// TestKeepPrefixes: of two texts of which one begins with the other only the
// longer is kept.
func TestKeepPrefixes(t *testing.T) {
	m := newMemory(4)
	c := New(m, 4)
	for _, n := range []int{20, 30, 10, 30} {
		s := c.NewSeq()
		if err := write(t, m, s, tokens(0, n)); err != nil {
			t.Fatal(err)
		}
		c.Keep(s, tokens(0, n))
	}
	if len(c.kept) != 1 || len(c.kept[0].tokens) != 30 {
		t.Errorf("%d sequences are kept", len(c.kept))
	}
	c.Keep(c.NewSeq(), nil) // nothing to keep
	if err := check(c, nil); err != nil || len(c.kept) != 1 {
		t.Error(err, len(c.kept))
	}
}

func TestCopyFails(t *testing.T) {
	m := newMemory(3)
	c := New(m, 3)
	s := c.NewSeq()
	if err := write(t, m, s, tokens(0, 5)); err != nil {
		t.Fatal(err)
	}
	f := s.Fork()
	m.fail = errors.New("device lost")
	if err := f.Reserve(1); err == nil || !strings.Contains(err.Error(), "device lost") {
		t.Errorf("got %v", err)
	}
	if err := check(c, []*Seq{s, f}); err != nil {
		t.Error(err)
	}
}

// TestLose: sequences of a cache that was lost are empty and own nothing, however
// they are looked at; what they do later disturbs nobody.
func TestLose(t *testing.T) {
	m := newMemory(8)
	c := New(m, 8)
	text := make([]int32, 3*pageTokens/2)
	seq := func() *Seq {
		s := c.NewSeq()
		if err := write(t, m, s, text); err != nil {
			t.Fatal(err)
		}
		return s
	}
	for name, use := range map[string]func(s *Seq){
		"len":      func(s *Seq) { _ = s.Len() },
		"close":    func(s *Seq) { s.Close() },
		"truncate": func(s *Seq) { s.Truncate(5) },
		"fork":     func(s *Seq) { s.Fork().Close() },
		"keep":     func(s *Seq) { c.Keep(s, text) },
		"reserve": func(s *Seq) {
			if err := s.Reserve(1); err != nil {
				t.Error(err)
			}
			s.Close()
		},
	} {
		s, kept := seq(), seq()
		c.Keep(kept, text)
		c.Lose()
		if c.Free() != 8 || c.Find(text, 1) != nil {
			t.Errorf("%s: %d pages are free after the loss", name, c.Free())
		}
		other := seq()
		use(s)
		if s.Len() != 0 || other.Len() != len(text) || c.Free() != 6 {
			t.Errorf("%s: %d tokens, the other's %d, %d pages free", name, s.Len(), other.Len(), c.Free())
		}
		other.Close()
		if c.Free() != 8 {
			t.Errorf("%s: %d pages are free at last", name, c.Free())
		}
	}
	s := c.NewSeq()
	if err := s.Reserve(3); err != nil {
		t.Fatal(err)
	}
	c.Lose()
	if s.Advance(3) || s.Len() != 0 {
		t.Error("tokens of a run before the loss were taken for there")
	}
}

// losing is a writer or reader during whose nth call the cache is lost.
type losing struct {
	c    *Cache
	n    int
	data []byte
}

func (l *losing) Write(b []byte) (int, error) {
	l.step()
	l.data = append(l.data, b...)
	return len(b), nil
}

func (l *losing) Read(b []byte) (int, error) {
	l.step()
	n := copy(b, l.data)
	l.data = l.data[n:]
	return n, nil
}

func (l *losing) step() {
	if l.n--; l.n == 0 {
		l.c.Lose()
	}
}

// TestLoseWhileSaving: no page of a lost cache is saved, none is written to.
func TestLoseWhileSaving(t *testing.T) {
	text := make([]int32, 3*pageTokens)
	m := newMemory(8)
	c := New(m, 8)
	lost := 0
	for n := 1; n <= 10; n++ {
		s := c.NewSeq()
		if err := write(t, m, s, text); err != nil {
			t.Fatal(err)
		}
		w := &losing{c: c, n: n}
		err := s.Save(w, "m", text)
		if s.Len() == 0 && n <= 3 && !errors.Is(err, ErrLost) { // pages come after the first write
			t.Errorf("lost in write %d: %v", n, err)
		}
		s.Close()
		s = c.NewSeq()
		if err := write(t, m, s, text); err != nil {
			t.Fatal(err)
		}
		w = &losing{c: c}
		if err := s.Save(w, "m", text); err != nil {
			t.Fatal(err)
		}
		s.Close()
		w.n = n
		if _, _, err := c.Load(w, "m"); errors.Is(err, ErrLost) {
			lost++
		} else if w.n <= 0 {
			t.Errorf("lost in read %d: %v", n, err)
		}
		if c.Free() != 8 {
			t.Fatalf("%d pages are free", c.Free())
		}
	}
	if lost < 10 {
		t.Errorf("%d loads noticed the loss", lost)
	}
}
