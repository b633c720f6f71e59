package tokenizer

import (
	"fmt"
	"strings"
)

// bpe is byte-pair encoding with a merge list, on bytes or (chars) on
// characters with ▁ for a space.
type bpe struct {
	t     *Tokenizer
	pre   *pretok
	table *[bmp]class
	pairs *pairs
	bytes [256]int32       // symbol of each byte; -1: none
	extra map[string]int32 // symbols that only merges know, numbered after the tokens
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
	b := &bpe{t: t, pre: pre, table: classTable(), extra: map[string]int32{}}
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
		if pre.chars {
			b.bytes[i] = t.index.find(byteText(byte(i)))
		} else {
			b.bytes[i] = b.symbol(string([]byte{byte(i)}))
		}
	}
	if len(c.Merges) == 0 && c.Pre != "kimi-k2" {
		return fmt.Errorf("tokenizer: a %s vocabulary needs a merge list (tokenizer.ggml.merges)", c.Model)
	}
	b.pairs = newPairs(len(c.Merges))
	var left, right, both []byte
	for rank, m := range c.Merges {
		at := -1
		if len(m) > 1 {
			at = strings.IndexByte(m[1:], ' ') + 1
		}
		if at <= 0 || at == len(m)-1 {
			return fmt.Errorf("tokenizer: merge %d is %.40q, not two parts with a space between", rank, m)
		}
		if pre.chars {
			left, right = append(left[:0], m[:at]...), append(right[:0], m[at+1:]...)
		} else {
			var ok1, ok2 bool
			left, ok1 = appendBytes(left[:0], m[:at])
			right, ok2 = appendBytes(right[:0], m[at+1:])
			if !ok1 || !ok2 {
				return fmt.Errorf("tokenizer: merge %d, %.40q, has characters outside the byte alphabet", rank, m)
			}
		}
		both = append(append(both[:0], left...), right...)
		b.pairs.add(b.symbolOf(left), b.symbolOf(right), int32(rank), b.symbolOf(both))
	}
	return nil
}

// symbolOf is symbol for bytes; it copies them only when they are no token.
func (b *bpe) symbolOf(s []byte) int32 {
	if id := b.t.index.findBytes(s); id >= 0 {
		return id
	}
	return b.symbol(string(s))
}

// symbol returns the number of s: its token, or one after all tokens for what
// only the merges know.
func (b *bpe) symbol(s string) int32 {
	if id := b.t.index.find(s); id >= 0 {
		return id
	}
	id, ok := b.extra[s]
	if !ok {
		id = int32(b.t.Size() + len(b.extra))
		b.extra[s] = id
	}
	return id
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
	if b.pre.chars {
		w.text = appendEscaped(w.text[:0], text)
		text = string(w.text)
	}
	split(b.table, b.pre.stages, text, func(word string) { b.word(w, word) })
}

// word appends the tokens of one word.
func (b *bpe) word(w *scratch, word string) {
	if len(word) == 1 && !b.pre.chars && b.bytes[word[0]] < int32(b.t.Size()) {
		w.out = append(w.out, b.bytes[word[0]])
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
	if b.pre.chars {
		b.chars(w, word)
	} else {
		for i := range len(word) {
			w.symbols = append(w.symbols, symbol{start: int32(i), size: 1, id: b.bytes[word[i]]})
		}
	}
	w.link()
	w.merge(func(left, right *symbol) (uint32, int32, bool) {
		rank, id, ok := b.pairs.get(left.id, right.id)
		return uint32(rank), id, ok
	})
	tokens := int32(b.t.Size())
	for i := int32(0); i >= 0; i = w.symbols[i].next {
		s := &w.symbols[i]
		if 0 <= s.id && s.id < tokens {
			w.out = append(w.out, s.id)
			continue
		}
		// No token: its bytes, as far as they have tokens.
		for _, c := range []byte(word[s.start : s.start+s.size]) {
			if id := b.bytes[c]; 0 <= id && id < tokens {
				w.out = append(w.out, id)
			}
		}
	}
}

// chars makes w.symbols the characters of word.
func (b *bpe) chars(w *scratch, word string) {
	for i := 0; i < len(word); {
		n := min(charSize(word[i]), len(word)-i)
		id := b.t.index.find(word[i : i+n])
		if id < 0 && len(b.extra) > 0 {
			if x, ok := b.extra[word[i:i+n]]; ok {
				id = x
			}
		}
		w.symbols = append(w.symbols, symbol{start: int32(i), size: int32(n), id: id})
		i += n
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
