// Package kvcache keeps the books of a paged key-value cache: which pages of a
// backend's state belong to which sequence. Pages are counted, so sequences
// with a common beginning share them; a page that is shared is copied before
// one of its owners writes to it.
//
// A Cache and its sequences are used by one goroutine at a time (the
// scheduler's), except where noted.
package kvcache

import (
	"fmt"

	"github.com/ledge-run/ledge/backend"
)

// ErrFull reports that no page is free.
type ErrFull struct {
	Need, Free int // pages
}

func (e *ErrFull) Error() string {
	return fmt.Sprintf("the key-value cache is full: %d more pages of %d tokens are needed, %d are free; use a larger context or close other sessions",
		e.Need, backend.PageTokens, e.Free)
}

// Cache owns the pages of one state.
type Cache struct {
	state backend.State
	refs  []int32 // owners of each page
	free  []int32
	kept  []*kept // sequences kept for their prefixes, the least recently used first
}

// New manages all pages of a state made with that many.
func New(state backend.State, pages int) *Cache {
	c := &Cache{state: state, refs: make([]int32, pages)}
	for p := pages - 1; p >= 0; p-- {
		c.free = append(c.free, int32(p))
	}
	return c
}

// State is the backend's state.
func (c *Cache) State() backend.State { return c.state }

// Free is the number of pages that are free or held only by kept prefixes.
func (c *Cache) Free() int {
	n := len(c.free)
	seen := map[int32]int32{}
	for _, k := range c.kept {
		for _, p := range k.seq.pages {
			if seen[p]++; seen[p] == c.refs[p] {
				n++
			}
		}
	}
	return n
}

// Pages is the number of pages in all.
func (c *Cache) Pages() int { return len(c.refs) }

// Seq is one sequence's place in the cache.
type Seq struct {
	cache *Cache
	pages []int32
	len   int // tokens stored
}

// NewSeq makes an empty sequence.
func (c *Cache) NewSeq() *Seq { return &Seq{cache: c} }

// Len is the number of tokens stored.
func (s *Seq) Len() int { return s.len }

// Pages lists the sequence's pages; it is valid until the next call.
func (s *Seq) Pages() []int32 { return s.pages }

// Reserve makes room for n more tokens, copying the last page if it is shared.
// On failure the sequence is as before.
func (s *Seq) Reserve(n int) error {
	c := s.cache
	have, want := len(s.pages), pagesFor(s.len+n)
	need := max(0, want-have)
	last := s.len / backend.PageTokens // first page that will be written
	cow := n > 0 && last < have && c.refs[s.pages[last]] > 1
	if cow {
		need++
	}
	if err := c.evict(need); err != nil {
		return err
	}
	if cow {
		fresh := c.take()
		if err := c.state.CopyPage(int(fresh), int(s.pages[last])); err != nil {
			c.drop(fresh)
			return err
		}
		c.drop(s.pages[last])
		s.pages[last] = fresh
	}
	for len(s.pages) < want {
		s.pages = append(s.pages, c.take())
	}
	return nil
}

// Advance notes that n tokens, for which there is room, were written.
func (s *Seq) Advance(n int) { s.len += n }

// Truncate forgets all tokens from n on.
func (s *Seq) Truncate(n int) {
	if n >= s.len {
		return
	}
	s.len = max(n, 0)
	keep := pagesFor(s.len)
	for _, p := range s.pages[keep:] {
		s.cache.drop(p)
	}
	s.pages = s.pages[:keep]
}

// Fork makes a sequence with the same tokens, sharing all pages.
func (s *Seq) Fork() *Seq {
	f := &Seq{cache: s.cache, len: s.len, pages: append([]int32(nil), s.pages[:pagesFor(s.len)]...)}
	for _, p := range f.pages {
		s.cache.refs[p]++
	}
	return f
}

// Close gives the sequence's pages back.
func (s *Seq) Close() {
	for _, p := range s.pages {
		s.cache.drop(p)
	}
	s.pages, s.len = nil, 0
}

func pagesFor(tokens int) int { return (tokens + backend.PageTokens - 1) / backend.PageTokens }

func (c *Cache) take() int32 {
	p := c.free[len(c.free)-1]
	c.free = c.free[:len(c.free)-1]
	c.refs[p] = 1
	return p
}

func (c *Cache) drop(p int32) {
	if c.refs[p]--; c.refs[p] == 0 {
		c.free = append(c.free, p)
	}
}

// evict lets kept prefixes go, the least recently used first, until n pages are
// free.
func (c *Cache) evict(n int) error {
	if len(c.free) >= n {
		return nil
	}
	if c.Free() < n {
		return &ErrFull{Need: n, Free: c.Free()}
	}
	for len(c.free) < n && len(c.kept) > 0 {
		c.kept[0].seq.Close()
		c.kept = c.kept[1:]
	}
	return nil
}
