package kvcache

// kept is a sequence that no session owns any more, remembered by its tokens.
type kept struct {
	tokens []int32
	seq    *Seq
}

// Keep gives a sequence, whose tokens these are, to the cache: a later prompt
// that begins alike takes over its pages. The caller must not use seq again.
func (c *Cache) Keep(seq *Seq, tokens []int32) {
	n := min(seq.len, len(tokens))
	if n == 0 {
		seq.Close()
		return
	}
	seq.Truncate(n)
	tokens = append([]int32(nil), tokens[:n]...)
	// One that the new one begins with serves no purpose any more.
	rest := c.kept[:0]
	for _, k := range c.kept {
		if Common(k.tokens, tokens) == len(k.tokens) {
			k.seq.Close()
		} else {
			rest = append(rest, k)
		}
	}
	c.kept = append(rest, &kept{tokens, seq})
}

// Find gives a sequence that holds the longest known beginning of tokens, at
// least least long; nil if there is none.
func (c *Cache) Find(tokens []int32, least int) *Seq {
	best, n := -1, max(least, 1)-1
	for i, k := range c.kept {
		if m := Common(k.tokens, tokens); m > n {
			best, n = i, m
		}
	}
	if best < 0 {
		return nil
	}
	k := c.kept[best]
	c.kept = append(append(c.kept[:best:best], c.kept[best+1:]...), k) // now the most recently used
	s := k.seq.Fork()
	s.Truncate(n)
	return s
}

// Forget drops all kept prefixes.
func (c *Cache) Forget() {
	for _, k := range c.kept {
		k.seq.Close()
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
