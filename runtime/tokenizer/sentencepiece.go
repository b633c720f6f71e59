package tokenizer

import "math"

// sentencePiece merges the pair of neighbours whose joined text is the token
// with the highest score.
type sentencePiece struct {
	t        *Tokenizer
	priority []uint32   // by id: falls as the score rises
	bytes    [256]int32 // token of each byte; -1: none
	joints   joints
	longest  int32      // bytes of the longest token
	single   [128]int32 // token of each ASCII character
}

func (t *Tokenizer) initSentencePiece() error {
	c := &t.cfg
	if err := t.buildIndex(c.Tokens, nil); err != nil {
		return err
	}
	s := &sentencePiece{t: t, priority: make([]uint32, len(c.Tokens))}
	t.encode = s
	for id := range s.priority {
		var score float32
		if c.Scores != nil {
			score = c.Scores[id]
		}
		s.priority[id] = descending(score)
	}
	for b := range s.bytes {
		id := t.index.find(byteText(byte(b)))
		if id < 0 {
			id = t.index.find(string([]byte{byte(b)}))
		}
		if id < 0 {
			id = c.UNK
		}
		s.bytes[b] = id
	}
	for _, text := range c.Tokens {
		s.longest = max(s.longest, int32(len(text)))
		s.joints.add(text)
	}
	for b := range s.single {
		s.single[b] = t.index.find(string([]byte{byte(b)}))
	}
	return nil
}

// descending maps a score to a number that is lower for a higher score.
func descending(score float32) uint32 {
	if score == 0 || score != score {
		score = 0 // also -0 and NaN
	}
	bits := math.Float32bits(score)
	if bits>>31 == 0 {
		return ^(bits | 1<<31) // positive: above all negatives
	}
	return bits
}

func (s *sentencePiece) encode(w *scratch, text string, start bool) {
	w.text = w.text[:0]
	if start && s.t.cfg.AddSpacePrefix {
		w.text = append(w.text, spaceMark...)
	}
	w.text = appendEscaped(w.text, text)
	s.joints.cut(string(w.text), func(part string) { s.word(w, part) })
}

// word appends the tokens of a part of the text.
func (s *sentencePiece) word(w *scratch, word string) {
	place := w.place(s.t.seed, word)
	if place.holds(word) {
		w.out = append(w.out, place.ids[:place.n]...)
		return
	}
	from := len(w.out)
	s.mergeWord(w, word)
	place.store(word, w.out[from:])
}

func (s *sentencePiece) mergeWord(w *scratch, word string) {
	w.symbols = w.symbols[:0]
	for i := 0; i < len(word); {
		n := min(charSize(word[i]), len(word)-i)
		id := int32(-1)
		if n > 1 {
			id = s.t.index.find(word[i : i+n])
		} else if word[i] < 128 {
			id = s.single[word[i]]
		} else {
			id = s.t.index.find(word[i : i+1])
		}
		w.symbols = append(w.symbols, symbol{start: int32(i), size: int32(n), id: id})
		i += n
	}
	w.link()
	w.merge(func(left, right *symbol) (uint32, int32, bool) {
		if left.size+right.size > s.longest {
			return 0, 0, false
		}
		id := s.t.index.find(word[left.start : right.start+right.size])
		if id < 0 {
			return 0, 0, false
		}
		return s.priority[id], id, true
	}, func(y *symbol, id int32) { y.id = id })
	for i := int32(0); i >= 0; i = w.symbols[i].next {
		if y := &w.symbols[i]; y.id >= 0 {
			w.out = append(w.out, y.id)
		} else {
			for _, c := range []byte(word[y.start : y.start+y.size]) {
				if id := s.bytes[c]; id >= 0 {
					w.out = append(w.out, id)
				}
			}
		}
	}
}
