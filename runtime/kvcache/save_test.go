package kvcache

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

func saved(t testing.TB, n int) []byte {
	t.Helper()
	m := newMemory(4)
	s := New(m, 4).NewSeq()
	if err := s.Reserve(n); err != nil {
		t.Fatal(err)
	}
	text := tokens(7, n)
	for i, tok := range text {
		m.pages[s.Pages()[i/pageTokens]][i%pageTokens] = tok
	}
	s.Advance(n)
	var b bytes.Buffer
	if err := s.Save(&b, "model", text); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestSaveLoad(t *testing.T) {
	for _, n := range []int{0, 1, pageTokens, pageTokens + 1, 3*pageTokens - 1} {
		m := newMemory(3)
		c := New(m, 3)
		s, text, err := c.Load(bytes.NewReader(saved(t, n)), "model")
		if err != nil {
			t.Fatal(err)
		}
		if want := tokens(7, n); !slices.Equal(text, want) || !slices.Equal(read(m, s), want) {
			t.Errorf("%d tokens: something else came back", n)
		}
		s.Close()
		if err := check(c, nil); err != nil {
			t.Error(err)
		}
	}
}

// TestLoadRefuses damaged and foreign data, and keeps no page for it.
func TestLoadRefuses(t *testing.T) {
	good := saved(t, pageTokens+3)
	m := newMemory(3)
	c := New(m, 3)
	refuse := func(what string, data []byte, model, say string) {
		t.Helper()
		s, _, err := c.Load(bytes.NewReader(data), model)
		if err == nil || s != nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%s: got %v, want an error about %q", what, err, say)
		}
		if len(c.free) != c.Pages() {
			t.Fatalf("%s: %d pages are lost", what, c.Pages()-len(c.free))
		}
	}
	for n := range good {
		refuse("cut short", good[:n], "model", "ends early")
	}
	for i := range good {
		for _, bit := range []byte{1, 0x80} {
			bad := bytes.Clone(good)
			bad[i] ^= bit
			refuse("a bit flipped", bad, "model", "")
		}
	}
	refuse("another model", good, "other", "another model")
	refuse("another model of this length", good, "nodel", "another model")
	m.layout = "test-2"
	refuse("another layout", good, "model", "another cache layout")
	m.layout = "test-1"
	c.refs, c.free = c.refs[:1], c.free[:1]
	c.free[0] = 0
	refuse("too large", good, "model", "this cache holds")
}

func TestSaveFails(t *testing.T) {
	m := newMemory(1)
	s := New(m, 1).NewSeq()
	if err := write(t, m, s, tokens(0, 9)); err != nil {
		t.Fatal(err)
	}
	if err := s.Save(io.Discard, "m", tokens(0, 8)); err == nil {
		t.Error("tokens are missing, and no error")
	}
	var whole bytes.Buffer
	if err := s.Save(&whole, "m", tokens(0, 9)); err != nil {
		t.Fatal(err)
	}
	for n := range whole.Len() {
		if err := s.Save(&short{n}, "m", tokens(0, 9)); !errors.Is(err, errShort) {
			t.Fatalf("the disk is full after %d bytes: %v", n, err)
		}
	}
	m.fail = errors.New("device lost")
	if err := s.Save(io.Discard, "m", tokens(0, 9)); !errors.Is(err, m.fail) {
		t.Errorf("got %v", err)
	}
}

var errShort = errors.New("no space left")

// short takes n bytes.
type short struct{ n int }

func (s *short) Write(p []byte) (int, error) {
	if len(p) > s.n {
		return s.n, errShort
	}
	s.n -= len(p)
	return len(p), nil
}

// FuzzLoad: whatever the bytes, Load neither panics nor keeps pages, and what
// it accepts is what Save would write.
func FuzzLoad(f *testing.F) {
	for _, n := range []int{0, 1, pageTokens + 1} {
		data := saved(f, n)
		f.Add(data)
		f.Add(data[:len(data)/2])
	}
	f.Add([]byte(saveMagic + "\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m := newMemory(3)
		c := New(m, 3)
		s, text, err := c.Load(bytes.NewReader(data), "model")
		if err == nil {
			var b bytes.Buffer
			if err := s.Save(&b, "model", text); err != nil {
				t.Fatal(err)
			}
			if !bytes.HasPrefix(data, b.Bytes()) {
				t.Error("saved again it is something else")
			}
			s.Close()
		}
		if len(c.free) != c.Pages() {
			t.Error("pages are lost")
		}
	})
}
