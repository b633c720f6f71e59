package tokenizer

import (
	"hash/maphash"
	"strings"
)

// symbol is a stretch of the text being merged: a node of a linked list that
// lives in a slice. A symbol that went into its left neighbour has size 0.
type symbol struct {
	prev, next int32  // -1: none
	start      int32  // byte offset
	size       int32  // bytes
	id         int32  // SentencePiece: the token, -1: none
	hash       uint64 // BPE: of the text
}

// candidate is a pair that may be merged. The smallest key goes first: the
// priority (rank of the merge, or score upside down) in the high half, the
// position of the left symbol in the low one.
type candidate struct {
	key  uint64
	size int32 // of both together: tells whether the pair is still as it was
	id   int32 // what look said they become
}

// candidates is a binary min-heap.
type candidates []candidate

func (h *candidates) push(c candidate) {
	a := append(*h, c)
	i := len(a) - 1
	for i > 0 {
		up := (i - 1) / 2
		if a[up].key <= c.key {
			break
		}
		a[i], i = a[up], up
	}
	a[i] = c
	*h = a
}

func (h *candidates) pop() candidate {
	a := *h
	top, n := a[0], len(a)-1
	c := a[n]
	a = a[:n]
	*h = a
	i := 0
	for n > 0 {
		kid := 2*i + 1
		if kid >= n {
			a[i] = c
			break
		}
		if kid+1 < n && a[kid+1].key < a[kid].key {
			kid++
		}
		if c.key <= a[kid].key {
			a[i] = c
			break
		}
		a[i], i = a[kid], kid
	}
	return top
}

// scratch is the working memory of one Encode call, kept for the next.
type scratch struct {
	symbols []symbol
	queue   candidates
	text    []byte
	out     []int32
	cache   []cached
}

// cached is the result for one short word, in one cache line. A word goes to
// the one place its hash names and drives out what was there, so the cache
// never grows and a lookup costs one miss at most.
type cached struct {
	word [30]byte
	size uint8 // of word; 0: empty
	n    uint8 // ids in use
	ids  [8]int32
}

const cacheSize = 1 << 13 // half a MiB

// trim lets go of buffers that an unusual text has made large.
func (w *scratch) trim() {
	const keep = 1 << 16 // elements
	if cap(w.out) > keep {
		w.out = nil
	}
	if cap(w.text) > keep {
		w.text = nil
	}
	if cap(w.symbols) > keep {
		w.symbols, w.queue = nil, nil
	}
}

// link makes symbols a chain from its order.
func (w *scratch) link() {
	last := int32(len(w.symbols) - 1)
	for i := range w.symbols {
		w.symbols[i].prev, w.symbols[i].next = int32(i)-1, int32(i)+1
	}
	w.symbols[last].next = -1
}

// merge joins neighbouring symbols, best pair first, until no pair can be
// joined. look tells whether a pair can be, its priority (lower first) and an
// id, which grown gets with the left symbol when that has taken in the right.
func (w *scratch) merge(look func(left, right *symbol) (priority uint32, id int32, ok bool), grown func(s *symbol, id int32)) {
	w.queue = w.queue[:0]
	consider := func(l int32) {
		left := &w.symbols[l]
		right := &w.symbols[left.next]
		if p, id, ok := look(left, right); ok {
			w.queue.push(candidate{key: uint64(p)<<32 | uint64(uint32(l)), size: left.size + right.size, id: id})
		}
	}
	for i := range len(w.symbols) - 1 {
		consider(int32(i))
	}
	for len(w.queue) > 0 {
		c := w.queue.pop()
		l := int32(uint32(c.key))
		left := &w.symbols[l]
		if left.size == 0 || left.next < 0 {
			continue
		}
		right := &w.symbols[left.next]
		if left.size+right.size != c.size {
			continue
		}
		left.size, right.size = c.size, 0
		grown(left, c.id)
		left.next = right.next
		if left.next >= 0 {
			w.symbols[left.next].prev = l
			consider(l)
		}
		if left.prev >= 0 {
			consider(left.prev)
		}
	}
}

// place returns where word's ids are, or go, in the cache; nil when word is too
// long to be cached.
func (w *scratch) place(seed maphash.Seed, word string) *cached {
	if len(word) > len(cached{}.word) {
		return nil
	}
	if w.cache == nil {
		w.cache = make([]cached, cacheSize)
	}
	return &w.cache[maphash.String(seed, word)%cacheSize]
}

// holds tells whether c holds word.
func (c *cached) holds(word string) bool {
	return c != nil && int(c.size) == len(word) && string(c.word[:c.size]) == word
}

// store keeps ids for word, if they fit.
func (c *cached) store(word string, ids []int32) {
	if c == nil || len(ids) > len(c.ids) {
		return
	}
	c.size, c.n = uint8(copy(c.word[:], word)), uint8(copy(c.ids[:], ids))
}

// joints holds the bytes after which some token or merge goes on with a ▁.
// Where a ▁ follows any other byte (and no ▁) no merge can cross, so a text can
// be cut there and its parts, words for the most part, done each by itself.
type joints [256]bool

// add takes note of a text that merging may result in.
func (j *joints) add(text string) {
	for i := 1; i+len(spaceMark) <= len(text); i++ {
		if text[i] == spaceMark[0] && text[i:i+len(spaceMark)] == spaceMark && !strings.HasSuffix(text[:i], spaceMark) {
			j[text[i-1]] = true
		}
	}
}

// cut calls emit for the parts of text, in order.
func (j *joints) cut(text string, emit func(string)) {
	for at := 1; at < len(text); at += len(spaceMark) {
		i := strings.Index(text[at:], spaceMark)
		if i < 0 {
			break
		}
		at += i
		if !j[text[at-1]] && !strings.HasSuffix(text[:at], spaceMark) {
			emit(text[:at])
			text, at = text[at:], 0
		}
	}
	if text != "" {
		emit(text)
	}
}
