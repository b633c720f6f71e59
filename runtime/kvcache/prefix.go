package kvcache

import "slices"

// kept is a sequence that no session owns any more, remembered by its tokens.
type kept struct {
	tokens []int32
	seq    *Seq
}

// Keep gives a sequence, whose tokens these are, to the cache: a later prompt
// that begins alike takes over its pages. The caller must not use seq again.
func (c *Cache) Keep(seq *Seq, tokens []int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	seq.sync()
	n := min(seq.len, len(tokens))
	seq.truncate(n)
	if n == 0 {
		return
	}
	tokens = tokens[:n]
	// Of two of which one begins with the other the longer serves for both.
	for i, k := range c.kept {
		if Common(k.tokens, tokens) == n {
			seq.close()
			c.touch(i)
			return
		}
	}
	c.kept = slices.DeleteFunc(c.kept, func(k *kept) bool {
		if Common(k.tokens, tokens) < len(k.tokens) {
			return false
		}
		k.seq.close()
		return true
	})
	c.kept = append(c.kept, &kept{slices.Clone(tokens), seq})
}

// touch makes kept sequence i the most recently used.
func (c *Cache) touch(i int) {
	k := c.kept[i]
	c.kept = append(slices.Delete(c.kept, i, i+1), k)
}

// Find gives a sequence that holds the longest known beginning of tokens, at
// least least long; nil if there is none.
func (c *Cache) Find(tokens []int32, least int) *Seq {
	c.mu.Lock()
	defer c.mu.Unlock()
	best, n := -1, max(least, 1)-1
	for i, k := range c.kept {
		if m := Common(k.tokens, tokens); m > n {
			best, n = i, m
		}
	}
	if best < 0 {
		return nil
	}
	s := c.kept[best].seq.fork()
	s.truncate(n)
	c.touch(best)
	return s
}

// Forget drops all kept prefixes.
func (c *Cache) Forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.kept {
		k.seq.close()
	}
	c.kept = nil
}

// Common is the length of the common beginning of two token lists.
func Common(a, b []int32) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}
