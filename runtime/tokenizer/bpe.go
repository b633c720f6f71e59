package tokenizer

import (
	"fmt"
	"hash/maphash"
	"strings"
)

// bpe is byte-pair encoding with a merge list, on bytes or (chars) on
// characters with ▁ for a space.
type bpe struct {
	t      *Tokenizer
	pre    *pretok
	table  *[bmp]class
	ranks  *ranks
	bytes  [256]int32  // token of each byte; -1: none
	hashes [256]uint64 // of each byte as a text
	joints joints      // of merges on characters
}

func (t *Tokenizer) byBytes() bool {
	b, ok := t.encode.(*bpe)
	return ok && !b.pre.chars
}

func (t *Tokenizer) initBPE() error {
	c := &t.cfg
	pre, err := findPretok(c.Pre)
	if err != nil {
		return err
	}
	b := &bpe{t: t, pre: pre, table: classTable()}
	t.encode = b
	if pre.chars {
		err = t.buildIndex(c.Tokens, nil)
	} else {
		var odd []int
		t.pieces, odd = rawPieces(c.Tokens)
		seen := make(map[string]int, len(odd))
		for _, id := range odd { // the index does not have these
			if first, ok := seen[c.Tokens[id]]; ok {
				return t.sameText(first, id)
			}
			seen[c.Tokens[id]] = id
		}
		err = t.buildIndex(t.pieces, func(id int) bool {
			if len(odd) > 0 && odd[0] == id {
				odd = odd[1:]
				return false
			}
			return true
		})
	}
	if err != nil {
		return err
	}
	for i := range b.bytes {
		one := string([]byte{byte(i)})
		b.hashes[i] = t.index.hash(one)
		if pre.chars {
			one = byteText(byte(i))
		}
		b.bytes[i] = t.index.find(one)
	}
	if len(c.Merges) == 0 && c.Pre != "kimi-k2" {
		return fmt.Errorf("tokenizer: a %s vocabulary needs a merge list (tokenizer.ggml.merges)", c.Model)
	}
	return b.readMerges(c.Merges)
}

// readMerges builds b.ranks. What a merge results in need not be a token: it
// may be a step on the way to one.
func (b *bpe) readMerges(merges []string) error {
	b.ranks = newRanks(len(merges))
	seed := b.t.index.seed
	var buf []byte
	var ok bool
	for rank, m := range merges {
		at := -1
		if len(m) > 1 {
			at = strings.IndexByte(m[1:], ' ') + 1
		}
		if at <= 0 || at == len(m)-1 {
			return fmt.Errorf("tokenizer: merge %d is %.40q, not two parts with a space between", rank, m)
		}
		left, right := m[:at], m[at+1:]
		if b.pre.chars {
			if strings.Contains(right, spaceMark) {
				b.joints.add(left + right)
			}
			b.ranks.add(b.t.index.hash(left), b.t.index.hash(right), int32(rank))
			continue
		}
		buf, ok = appendBytes(buf[:0], left)
		n := len(buf)
		if ok {
			buf, ok = appendBytes(buf, right)
		}
		if !ok {
			return fmt.Errorf("tokenizer: merge %d, %.40q, has characters outside the byte alphabet", rank, m)
		}
		b.ranks.add(maphash.Bytes(seed, buf[:n]), maphash.Bytes(seed, buf[n:]), int32(rank))
	}
	return nil
}

// rawPieces returns the bytes that the tokens of a byte-level vocabulary stand
// for. Texts outside the byte alphabet stand for themselves; their ids are odd,
// in ascending order.
func rawPieces(tokens []string) (pieces []string, odd []int) {
	pieces = make([]string, len(tokens))
	total := 0
	for _, s := range tokens {
		total += len(s)
	}
	buf := make([]byte, 0, total)
	ends := make([]int, len(tokens))
	for id, s := range tokens {
		var ok bool
		if buf, ok = appendBytes(buf, s); !ok {
			odd = append(odd, id)
			buf = append(buf, s...)
		}
		ends[id] = len(buf)
	}
	all, start := string(buf), 0
	for id, end := range ends {
		pieces[id] = all[start:end]
		start = end
	}
	return pieces, odd
}

func (b *bpe) encode(w *scratch, text string, _ bool) {
	emit := func(word string) { b.word(w, word) }
	if b.pre.chars {
		w.text = appendEscaped(w.text[:0], text)
		split(b.table, b.pre.stages, string(w.text), func(line string) { b.joints.cut(line, emit) })
		return
	}
	split(b.table, b.pre.stages, text, emit)
}

// word appends the tokens of one word.
func (b *bpe) word(w *scratch, word string) {
	if len(word) == 1 && !b.pre.chars {
		if id := b.bytes[word[0]]; id >= 0 {
			w.out = append(w.out, id)
		}
		return
	}
	place := w.place(b.t.seed, word)
	if place.holds(word) {
		w.out = append(w.out, place.ids[:place.n]...)
		return
	}
	from := len(w.out)
	if id := b.whole(word); id >= 0 {
		w.out = append(w.out, id)
	} else {
		b.mergeWord(w, word)
	}
	place.store(word, w.out[from:])
}

// whole returns the token that word is as a whole without any merging, or -1.
func (b *bpe) whole(word string) int32 {
	if b.pre.ignoreMerges || b.pre.chars && word[0] == '\n' {
		return b.t.index.find(word)
	}
	return -1
}

func (b *bpe) mergeWord(w *scratch, word string) {
	w.symbols = w.symbols[:0]
	for i := 0; i < len(word); {
		y := symbol{start: int32(i), size: 1}
		if b.pre.chars {
			y.size = int32(min(charSize(word[i]), len(word)-i))
		}
		if y.size == 1 {
			y.hash = b.hashes[word[i]]
		} else {
			y.hash = b.t.index.hash(word[i : i+int(y.size)])
		}
		w.symbols = append(w.symbols, y)
		i += int(y.size)
	}
	w.link()
	w.merge(func(left, right *symbol) (uint32, int32, bool) {
		rank := b.ranks.get(left.hash, right.hash)
		return uint32(rank), 0, rank >= 0
	}, func(y *symbol, _ int32) {
		y.hash = b.t.index.hash(word[y.start : y.start+y.size])
	})
	for i := int32(0); i >= 0; i = w.symbols[i].next {
		y := &w.symbols[i]
		text := word[y.start : y.start+y.size]
		if id := b.t.index.findHashed(text, y.hash); id >= 0 {
			w.out = append(w.out, id)
			continue
		}
		// No token: its bytes, as far as they have tokens.
		for _, c := range []byte(text) {
			if id := b.bytes[c]; id >= 0 {
				w.out = append(w.out, id)
			}
		}
	}
}

// charSize returns the size of a UTF-8 character by its first byte; a byte that
// cannot be a first one counts alone.
func charSize(b byte) int {
	return int("\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x02\x02\x03\x04"[b>>4])
}

// appendEscaped appends s with ▁ for every space.
func appendEscaped(dst []byte, s string) []byte {
	for {
		i := strings.IndexByte(s, ' ')
		if i < 0 {
			return append(dst, s...)
		}
		dst = append(append(dst, s[:i]...), spaceMark...)
		s = s[i+1:]
	}
}
