package tokenizer

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxSpecial is how many bytes a special token may have: for each position of a text
// as many are compared. The longest that are known have some dozens.
const maxSpecial = 4 << 10

// specials finds the tokens that are taken out of a text before it is
// tokenized: control and unknown tokens when asked for, user-defined ones
// always.
type specials struct {
	trie   trie
	texts  []string
	ranked []int32        // such tokens, those with longer texts first
	lstrip map[int32]bool // tokens that swallow the space before them
	rstrip map[int32]bool // and after them
}

// fragment is a part of a text: the token id, or with id -1 plain text.
type fragment struct {
	start, end int
	id         int32
}

func isSpecial(typ int32) bool {
	return typ == TypeControl || typ == TypeUserDefined || typ == TypeUnknown
}

func (s *specials) build(c Config, types []int32) error {
	s.texts = c.Tokens
	var ids []int32
	for id := range c.Tokens {
		if isSpecial(types[id]) {
			if n := len(c.Tokens[id]); n > maxSpecial {
				return fmt.Errorf("tokenizer: the special token %d has %d bytes; at most %d are supported", id, n, maxSpecial)
			}
			ids = append(ids, int32(id))
		}
	}
	slices.SortStableFunc(ids, func(a, b int32) int { return len(c.Tokens[b]) - len(c.Tokens[a]) })
	s.ranked = ids
	s.trie = newTrie(c.Tokens, ids)
	s.stripRules(c, ids)
	return nil
}

// stripRules sets what GGUF has no field for and llama.cpp knows by name.
func (s *specials) stripRules(c Config, ids []int32) {
	s.lstrip, s.rstrip = map[int32]bool{}, map[int32]bool{}
	has := func(s string, any ...string) bool {
		return slices.ContainsFunc(any, func(a string) bool { return strings.Contains(s, a) })
	}
	name := strings.ToLower(c.Name)
	switch {
	case has(c.Pre, "jina-v2-de", "jina-v2-es", "jina-v2-code", "mmbert"),
		has(c.Arch, "nomic-bert-moe", "jina-bert-v3"):
		if id := s.find("<mask>"); id >= 0 {
			s.lstrip[id] = true
		}
	case has(name, "phi-3", "phi3"):
		for _, id := range ids {
			switch c.Tokens[id] {
			case "<unk>", "<s>", "<|endoftext|>":
			default:
				s.rstrip[id] = true
			}
		}
	case has(name, "modern-bert"):
		if id := s.find("[MASK]"); id >= 0 {
			s.lstrip[id] = true
		}
	}
}

// find returns the special token with this text, or -1.
func (s *specials) find(text string) int32 {
	found := int32(-1)
	s.trie.walk(text, 0, func(rank int32) {
		if id := s.ranked[rank]; len(s.texts[id]) == len(text) {
			found = id
		}
	})
	return found
}

// ControlAt tells whether text begins with that of a control (or the unknown) token that
// has more than one character.
func (t *Tokenizer) ControlAt(text string) bool {
	_, first := utf8.DecodeRuneInString(text)
	found := false
	t.special.trie.walk(text, 0, func(place int32) {
		id := t.special.ranked[place]
		found = found || t.IsControl(id) && len(t.special.texts[id]) > first
	})
	return found
}

// isSpace is C's isspace.
func isSpace(b byte) bool { return b == ' ' || '\t' <= b && b <= '\r' }
