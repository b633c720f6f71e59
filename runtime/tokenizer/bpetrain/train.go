package bpetrain

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ledge-run/ledge/runtime/tokenizer"
)

// Config says what vocabulary to make.
type Config struct {
	Size         int    // tokens in all, at least 256 and the special tokens
	Preset       string // pre-tokenizer, see Presets
	MinFrequency int64  // a pair becomes a token only if it occurs so often; at least 1

	// Special tokens get the first ids, in this order.
	Special []string
	// Whole are texts that are always one token, such as the keys of a format: they
	// are cut out before anything else, are text in output, and get the ids after the
	// special ones.
	Whole []string
	// Roles of special tokens, "" for none. A vocabulary must have an EOS: engines
	// that read GGUF take token 11 for it where a file names none.
	BOS, EOS, PAD, UNK string
	AddBOS, AddEOS     bool

	Threads int // 0: as many as there are processors
	MaxWord int // longer words are cut, see Stats.Cut; 0: DefaultMaxWord

	// Progress, if set, is told now and then how far it is: stage "reading" with
	// the bytes read and of = 0, stage "merging" with tokens made.
	Progress func(stage string, done, of int64)
}

// DefaultMaxWord is the number of bytes in a word that is still looked at as one.
// Natural words are far shorter, and a clause of Chinese, which the pre-tokenizers
// keep as one word, too; what is longer is data (base64, a ruler of dashes), over
// which every merge would have to go again.
const DefaultMaxWord = 16 << 10

// Stats are what was seen.
type Stats struct {
	Texts   int64 `json:"texts"`
	Bytes   int64 `json:"bytes"`
	Words   int64 `json:"words"`        // as the pre-tokenizer cuts them
	Unique  int   `json:"unique_words"` // different ones
	Cut     int64 `json:"cut_words"`    // longer than MaxWord
	Merges  int   `json:"merges"`
	Starved bool  `json:"ran_out_of_pairs"` // the vocabulary is smaller than asked for
}

// Vocabulary is a trained vocabulary.
type Vocabulary struct {
	Tokens []string    // by id, in GPT-2's alphabet; special tokens as they are written
	Merges [][2]string // best first
	Stats  Stats
	cfg    Config
	preset preset
}

// ConfigError is a Config that makes no sense.
type ConfigError struct{ text string }

func (e *ConfigError) Error() string { return "tokenizer training: " + e.text }

// WrongUsage marks it as a fault of who asked: programs end with another code.
func (e *ConfigError) WrongUsage() {}

func configErrorf(format string, args ...any) error {
	return &ConfigError{fmt.Sprintf(format, args...)}
}

// maxSize is the most tokens of a vocabulary.
const maxSize = 1 << 24

// check fills in defaults and adds tokens that have a role to the special ones.
func (c *Config) check() (preset, error) {
	fail := func(format string, args ...any) (preset, error) {
		return preset{}, configErrorf(format, args...)
	}
	p, err := findPreset(c.Preset)
	if err != nil {
		return preset{}, err
	}
	c.Special = slices.Clone(c.Special)
	for _, role := range []string{c.BOS, c.EOS, c.PAD, c.UNK} {
		if role != "" && !slices.Contains(c.Special, role) {
			c.Special = append(c.Special, role)
		}
	}
	added := c.added()
	for i, s := range added {
		kind := "special"
		if i >= len(c.Special) {
			kind = "whole"
		}
		switch {
		case !utf8.ValidString(s):
			return fail("the %s token %q is not UTF-8", kind, s)
		case utf8.RuneCountInString(s) < 2:
			return fail("the %s token %q must have at least two characters: single ones are needed for text", kind, s)
		case slices.Contains(added[:i], s):
			return fail("the %s token %q is given twice", kind, s)
		}
	}
	if c.EOS == "" {
		return fail("no token ends a text: name one (EOS)")
	}
	if c.AddBOS && c.BOS == "" {
		return fail("no token begins a text: name one (BOS), or do not add it")
	}
	if least := 256 + len(added) + 1; c.Size < least {
		return fail("a vocabulary of %d is too small: it has 256 bytes and %d special and whole tokens: ask for %d to %d", c.Size, len(added), least, maxSize)
	} else if c.Size > maxSize {
		return fail("a vocabulary of %d is too large: ask for %d to %d", c.Size, least, maxSize)
	}
	if c.MinFrequency < 1 {
		return fail("the minimum frequency is %d: it must be 1 or more", c.MinFrequency)
	}
	if c.Threads <= 0 {
		c.Threads = runtime.GOMAXPROCS(0)
	}
	if c.MaxWord <= 0 {
		c.MaxWord = DefaultMaxWord
	}
	if c.Progress == nil {
		c.Progress = func(string, int64, int64) {}
	}
	return p, nil
}

// added are the tokens that are not learnt, by id.
func (c *Config) added() []string { return slices.Concat(c.Special, c.Whole) }

// between calls emit for what is left of a text without its whole tokens, the longest
// of which go first, as readers of the vocabulary take them.
func between(text string, whole []string, emit func(string)) {
	for i, w := range whole {
		for before, after, found := strings.Cut(text, w); found; before, after, found = strings.Cut(text, w) {
			between(before, whole[i+1:], emit)
			text = after
		}
	}
	if text != "" {
		emit(text)
	}
}

// Train makes a vocabulary of texts, whose words never reach from one text into the
// next. An error in the sequence ends it and is returned.
func Train(ctx context.Context, texts iter.Seq2[string, error], c Config) (*Vocabulary, error) {
	p, err := c.check()
	if err != nil {
		return nil, err
	}
	splitter, err := tokenizer.NewSplitter(p.pre)
	if err != nil {
		return nil, err
	}
	v := &Vocabulary{cfg: c, preset: p}
	words, err := countWords(ctx, texts, splitter, c, &v.Stats)
	if err != nil {
		return nil, err
	}
	if err := v.learn(ctx, words); err != nil {
		return nil, err
	}
	if v.Stats.Merges == 0 {
		return nil, fmt.Errorf("tokenizer training: no pair of bytes occurs %d times in the %d bytes of text: give more text", c.MinFrequency, v.Stats.Bytes)
	}
	return v, nil
}
