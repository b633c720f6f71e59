// Package kvcache keeps the books of a paged key-value cache: which pages of a
// backend's state belong to which sequence. Pages are counted, so sequences
// with a common beginning share them; a page that is shared is copied before
// one of its owners writes to it.
//
// A Cache is safe for concurrent use, a sequence is used by one goroutine at a
// time. A shared page is never written, so sequences do not disturb each other.
package kvcache

import (
	"fmt"
	"slices"
	"sync"

	"github.com/ledge-run/ledge/backend"
)

// ErrFull reports that no page is free.
type ErrFull struct {
	Need, Free int // pages
}

func (e *ErrFull) Error() string {
	more := "pages"
	if e.Need == 1 {
		more = "page"
	}
	return fmt.Sprintf("the key-value cache is full: %d more %s of %d tokens needed, %d free; close other sessions, or open the model with a larger context or for more sequences",
		e.Need, more, backend.PageTokens, e.Free)
}

// Cache owns the pages of one state.
type Cache struct {
	state backend.State

	mu   sync.Mutex
	refs []int32 // owners of each page
	free []int32
	kept []*kept // sequences kept for their prefixes, the least recently used first
	era  uint64  // how often the content was lost
}

// New manages all pages of a state made with that many.
func New(state backend.State, pages int) *Cache {
	c := &Cache{state: state, refs: make([]int32, pages)}
	c.empty()
	return c
}

func (c *Cache) empty() {
	clear(c.refs)
	c.free, c.kept = c.free[:0], nil
	for p := len(c.refs) - 1; p >= 0; p-- {
		c.free = append(c.free, int32(p))
	}
}

// Lose says that the pages' content is gone, as when a device broke: every
// sequence is empty from now on, and no prefix is known any more.
func (c *Cache) Lose() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.era++
	c.empty()
}

// State is the backend's state.
func (c *Cache) State() backend.State { return c.state }

// Free is the number of pages that are free or held only by kept prefixes.
func (c *Cache) Free() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, _ := c.available(-1)
	return n
}

// available is the number of pages that would be free without the kept
// prefixes, and how many owners page p would have then.
func (c *Cache) available(p int32) (free int, owners int32) {
	free = len(c.free)
	if p >= 0 {
		owners = c.refs[p]
	}
	byKept := map[int32]int32{}
	for _, k := range c.kept {
		for _, q := range k.seq.pages {
			if byKept[q]++; byKept[q] == c.refs[q] {
				free++
			}
		}
	}
	return free, owners - byKept[p]
}

// Pages is the number of pages in all.
func (c *Cache) Pages() int { return len(c.refs) }

// Seq is one sequence's place in the cache.
type Seq struct {
	cache *Cache
	pages []int32
	len   int    // tokens stored
	era   uint64 // of the cache, to which the above belongs
}

// NewSeq makes an empty sequence.
func (c *Cache) NewSeq() *Seq {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &Seq{cache: c, era: c.era}
}

// sync empties a sequence whose pages were lost; they are not its own any more.
// Everything that looks at a sequence begins with it, the cache being locked.
func (s *Seq) sync() {
	if s.era != s.cache.era {
		s.pages, s.len, s.era = nil, 0, s.cache.era
	}
}

// Len is the number of tokens stored.
func (s *Seq) Len() int {
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	s.sync()
	return s.len
}

// Pages lists the sequence's pages; it is valid until the next call.
func (s *Seq) Pages() []int32 { return s.pages }

// Reserve makes room for n more tokens, copying the last page if it is shared.
// Kept prefixes give way, the least recently used first. On failure the
// sequence, and what is kept, are as before.
func (s *Seq) Reserve(n int) error {
	c := s.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	s.sync()
	grow := max(0, backend.PagesFor(s.len+n)-len(s.pages))
	written := int32(-1) // the page, if any, that the first of them goes to
	if i := s.len / backend.PageTokens; n > 0 && i < len(s.pages) {
		written = s.pages[i]
	}
	if err := c.evict(grow, written); err != nil {
		return err
	}
	if written >= 0 && c.refs[written] > 1 {
		fresh := c.take()
		if err := c.state.CopyPage(int(fresh), int(written)); err != nil {
			c.drop(fresh)
			return fmt.Errorf("kvcache: copying a shared page: %w", err)
		}
		c.drop(written)
		s.pages[s.len/backend.PageTokens] = fresh
	}
	for range grow {
		s.pages = append(s.pages, c.take())
	}
	return nil
}

// Advance notes that n tokens, for which Reserve has made room, were written. It
// says no if the cache was lost since.
func (s *Seq) Advance(n int) bool {
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	if s.era != s.cache.era {
		return false
	}
	s.len += n
	return true
}

// Truncate forgets all tokens from n on.
func (s *Seq) Truncate(n int) {
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	s.sync()
	s.truncate(n)
}

// Rewind is Truncate for who goes on at once: there stays room for a token, which
// others could take in between.
func (s *Seq) Rewind(n int) {
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	s.sync()
	s.cut(n, 1)
}

// truncate also gives pages back that were reserved but never filled.
func (s *Seq) truncate(n int) { s.cut(n, 0) }

// cut forgets all tokens from n on and keeps the pages for so many in their place.
func (s *Seq) cut(n, spare int) {
	s.len = max(min(n, s.len), 0)
	keep := min(backend.PagesFor(s.len+spare), len(s.pages))
	for _, p := range s.pages[keep:] {
		s.cache.drop(p)
	}
	s.pages = s.pages[:keep]
}

// Fork makes a sequence with the same tokens, sharing all pages.
func (s *Seq) Fork() *Seq {
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	s.sync()
	return s.fork()
}

func (s *Seq) fork() *Seq {
	f := &Seq{cache: s.cache, era: s.era, len: s.len, pages: slices.Clone(s.pages[:backend.PagesFor(s.len)])}
	for _, p := range f.pages {
		s.cache.refs[p]++
	}
	return f
}

// Close gives the sequence's pages back.
func (s *Seq) Close() {
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	s.sync()
	s.close()
}

func (s *Seq) close() {
	for _, p := range s.pages {
		s.cache.drop(p)
	}
	s.pages, s.len = nil, 0
}

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

// evict lets kept prefixes go, the least recently used first, until grow pages
// are free, and one more if page written, unless it is -1, is still shared then.
func (c *Cache) evict(grow int, written int32) error {
	need := func() int {
		if written >= 0 && c.refs[written] > 1 {
			return grow + 1
		}
		return grow
	}
	if len(c.free) >= need() {
		return nil
	}
	free, owners := c.available(written)
	least := grow
	if owners > 1 {
		least++
	}
	if free < least {
		return &ErrFull{Need: least, Free: free}
	}
	for len(c.free) < need() {
		c.kept[0].seq.close()
		c.kept = slices.Delete(c.kept, 0, 1)
	}
	return nil
}
