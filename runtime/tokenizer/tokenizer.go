package tokenizer

import (
	"fmt"
	"hash/maphash"
	"math"
	"strings"
	"sync"
)

// spaceMark is U+2581, which SentencePiece vocabularies have for a space.
const spaceMark = "\u2581"

// Tokenizer turns text into token ids and back. It is immutable.
type Tokenizer struct {
	cfg     Config
	types   []int32  // by id
	pieces  []string // byte-level BPE: the bytes each token stands for
	index   *index   // by pieces for byte-level BPE, by text otherwise
	special specials
	eog     []int32 // ids that end a generation
	encode  encoder
	pool    sync.Pool // of *scratch
	seed    maphash.Seed
}

// encoder is one tokenization algorithm. It appends to w.out the ids of a text
// without special tokens; start tells that it begins the whole text or follows
// a special token.
type encoder interface {
	encode(w *scratch, text string, start bool)
}

// EncodeOptions say how a text is to be read.
type EncodeOptions struct {
	AddSpecial   bool // add BOS, EOS, SEP as the vocabulary's settings say
	ParseSpecial bool // control tokens written in the text become those tokens
	Continues    bool // the text goes on from another: nothing is put before it, neither BOS nor SentencePiece's space
	Open         bool // more is to follow the text: nothing is put after it
}

// New builds a tokenizer and checks the whole Config.
func New(c Config) (*Tokenizer, error) {
	t := &Tokenizer{cfg: c, seed: maphash.MakeSeed()}
	t.pool.New = func() any { return new(scratch) }
	if err := t.check(); err != nil {
		return nil, err
	}
	t.detect()
	if err := t.special.build(t.cfg, t.types); err != nil {
		return nil, err
	}
	var err error
	switch c.Model {
	case "llama":
		err = t.initSentencePiece()
	case "bert":
		err = t.initWordPiece()
	default:
		err = t.initBPE()
	}
	if err != nil {
		return nil, err
	}
	t.cfg.Merges, t.cfg.Scores, t.cfg.Types = nil, nil, nil // no longer needed
	return t, nil
}

// check validates the counts and ids of t.cfg and gives t its own types and,
// where a token has no text, its own token list.
func (t *Tokenizer) check() error {
	c := &t.cfg
	n := len(c.Tokens)
	switch c.Model {
	case "gpt2", "gemma4", "llama", "bert":
	default:
		return fmt.Errorf("tokenizer: model %q is not supported; supported: gpt2 llama gemma4 bert", c.Model)
	}
	if c.Model == "gemma4" {
		c.Pre = "gemma4"
	}
	switch {
	case n == 0:
		return fmt.Errorf("tokenizer: the vocabulary is empty")
	case n > math.MaxInt32/2:
		return fmt.Errorf("tokenizer: %d tokens are too many", n)
	case c.Scores != nil && len(c.Scores) < n:
		return fmt.Errorf("tokenizer: %d scores for %d tokens", len(c.Scores), n)
	case c.Types != nil && len(c.Types) < n:
		return fmt.Errorf("tokenizer: %d token types for %d tokens", len(c.Types), n)
	case len(c.Merges) > math.MaxInt32/2:
		return fmt.Errorf("tokenizer: %d merges are too many", len(c.Merges))
	}
	for _, e := range c.specialIDs() {
		if *e.id < -1 || int(*e.id) >= n {
			return fmt.Errorf("tokenizer: %s is %d, but the vocabulary has %d tokens", e.keys[0], *e.id, n)
		}
	}
	switch {
	case c.AddBOS && c.BOS < 0 && c.Model != "bert":
		return fmt.Errorf("tokenizer: add_bos_token is set, but there is no BOS token (bos_token_id)")
	case c.AddEOS && c.EOS < 0 && c.Model != "bert":
		return fmt.Errorf("tokenizer: add_eos_token is set, but there is no EOS token (eos_token_id)")
	case c.Model == "bert" && (c.BOS < 0 && c.CLS < 0 || c.SEP < 0 || c.UNK < 0):
		return fmt.Errorf("tokenizer: a bert vocabulary needs [CLS], [SEP] and [UNK] (cls_token_id, seperator_token_id, unknown_token_id)")
	}
	t.types = make([]int32, n)
	if c.Types == nil {
		for i := range t.types {
			t.types[i] = TypeNormal
		}
	}
	copy(t.types, c.Types)
	own := false
	for i, s := range c.Tokens {
		if s == "" {
			if !own {
				c.Tokens, own = append([]string(nil), c.Tokens...), true
			}
			c.Tokens[i] = fmt.Sprintf("[EMPTY_%d]", i)
		}
	}
	return nil
}

// buildIndex indexes texts, of which keep (nil: all) are wanted.
func (t *Tokenizer) buildIndex(texts []string, keep func(id int) bool) error {
	x, dup, ok := newIndex(texts, len(texts), keep)
	if !ok {
		return t.sameText(int(dup[0]), int(dup[1]))
	}
	t.index = x
	return nil
}

func (t *Tokenizer) sameText(a, b int) error {
	return fmt.Errorf("tokenizer: tokens %d and %d have the same text %.40q", a, b, t.cfg.Tokens[b])
}

// Encode returns the tokens of text. Any string is allowed, also one that is
// not UTF-8; see the package comment.
func (t *Tokenizer) Encode(text string, o EncodeOptions) []int32 {
	w := t.pool.Get().(*scratch)
	defer t.pool.Put(w)
	w.out = w.out[:0]
	if o.AddSpecial && !o.Continues {
		switch {
		case t.cfg.Model == "bert":
			w.out = append(w.out, t.CLS())
		case t.cfg.AddBOS:
			w.out = append(w.out, t.cfg.BOS)
		}
	}
	start := !o.Continues
	for _, f := range t.special.partition(text, t.types, o.ParseSpecial) {
		if f.id >= 0 {
			w.out = append(w.out, f.id)
			start = true
			continue
		}
		// Offsets are 32 bits wide: longer texts go in parts.
		for part := text[f.start:f.end]; part != ""; start = false {
			n := cut(part, maxPart)
			t.encode.encode(w, part[:n], start)
			part = part[n:]
		}
	}
	if o.AddSpecial && !o.Open {
		switch {
		case t.cfg.Model == "bert":
			w.out = append(w.out, t.cfg.SEP)
		case t.cfg.AddEOS:
			w.out = append(w.out, t.cfg.EOS)
		}
	}
	out := make([]int32, len(w.out))
	copy(out, w.out)
	w.trim()
	return out
}

// maxPart is the number of bytes encoded in one go.
const maxPart = 1 << 29

// cut returns where to divide s so that the first part has at most max bytes: at
// the last line end before that, if there is one.
func cut(s string, max int) int {
	if len(s) <= max {
		return len(s)
	}
	if i := strings.LastIndexByte(s[:max], '\n'); i > 0 {
		return i
	}
	return max
}

// Size returns the number of tokens in the vocabulary.
func (t *Tokenizer) Size() int { return len(t.cfg.Tokens) }

// Model returns the kind of vocabulary: "gpt2", "llama", "gemma4" or "bert".
func (t *Tokenizer) Model() string { return t.cfg.Model }

// Pre returns the name of the pre-tokenizer.
func (t *Tokenizer) Pre() string { return t.cfg.Pre }

// BOS returns the token that begins a text, -1 if there is none. The other
// accessors are alike.
func (t *Tokenizer) BOS() int32 { return t.cfg.BOS }

// EOS returns the token that ends a text.
func (t *Tokenizer) EOS() int32 { return t.cfg.EOS }

// EOT returns the token that ends a turn.
func (t *Tokenizer) EOT() int32 { return t.cfg.EOT }

// EOM returns the token that ends a message but not the turn.
func (t *Tokenizer) EOM() int32 { return t.cfg.EOM }

// UNK returns the token for what the vocabulary cannot express.
func (t *Tokenizer) UNK() int32 { return t.cfg.UNK }

// SEP returns the separator.
func (t *Tokenizer) SEP() int32 { return t.cfg.SEP }

// PAD returns the token for padding.
func (t *Tokenizer) PAD() int32 { return t.cfg.PAD }

// MASK returns the token for a hidden word.
func (t *Tokenizer) MASK() int32 { return t.cfg.MASK }

// CLS returns the token that begins a text for classification; it is BOS where
// a file names no other.
func (t *Tokenizer) CLS() int32 {
	if t.cfg.CLS < 0 {
		return t.cfg.BOS
	}
	return t.cfg.CLS
}

// FIM returns the tokens for filling in the middle.
func (t *Tokenizer) FIM() (prefix, suffix, middle int32) {
	return t.cfg.FIMPrefix, t.cfg.FIMSuffix, t.cfg.FIMMiddle
}

// AddsBOS tells whether AddSpecial puts a token before the text.
func (t *Tokenizer) AddsBOS() bool { return t.cfg.AddBOS || t.cfg.Model == "bert" }

// AddsEOS tells whether AddSpecial puts a token after the text.
func (t *Tokenizer) AddsEOS() bool { return t.cfg.AddEOS || t.cfg.Model == "bert" }

// AddsSEP tells whether a separator belongs between the parts of a pair.
func (t *Tokenizer) AddsSEP() bool { return t.cfg.AddSEP }

// IsEOG tells whether id ends a generation: EOS, end of turn and their like.
func (t *Tokenizer) IsEOG(id int32) bool {
	for _, e := range t.eog {
		if e == id {
			return true
		}
	}
	return false
}

// EOG returns the ids for which IsEOG holds, in ascending order.
func (t *Tokenizer) EOG() []int32 { return append([]int32(nil), t.eog...) }

// IsControl tells whether id is a control (or the unknown) token, whose piece
// is shown only on request.
func (t *Tokenizer) IsControl(id int32) bool {
	return t.valid(id) && (t.types[id] == TypeControl || t.types[id] == TypeUnknown)
}

// Type returns the type of id, 0 when it is no token.
func (t *Tokenizer) Type(id int32) int32 {
	if !t.valid(id) {
		return 0
	}
	return t.types[id]
}

// TokenText returns the text of id as the vocabulary spells it ("Ġthe",
// "▁the"), "" when it is no token.
func (t *Tokenizer) TokenText(id int32) string {
	if !t.valid(id) {
		return ""
	}
	return t.cfg.Tokens[id]
}

// Find returns the token that the vocabulary spells text, or -1.
func (t *Tokenizer) Find(text string) int32 {
	if t.index != nil && !t.byBytes() {
		return t.index.find(text)
	}
	if id := t.special.find(text); id >= 0 {
		return id
	}
	if raw, ok := appendBytes(nil, text); ok {
		return t.index.find(string(raw))
	}
	for id, s := range t.cfg.Tokens {
		if s == text {
			return int32(id)
		}
	}
	return -1
}

func (t *Tokenizer) valid(id int32) bool { return id >= 0 && int(id) < len(t.cfg.Tokens) }
