package tokenizer

import (
	"fmt"
	"math"
)

// Token types, as tokenizer.ggml.token_type has them.
const (
	TypeNormal      int32 = 1
	TypeUnknown     int32 = 2
	TypeControl     int32 = 3 // has no text of its own: <s>, <|im_end|>
	TypeUserDefined int32 = 4 // found in the text before anything else
	TypeUnused      int32 = 5
	TypeByte        int32 = 6 // one byte, written <0x0A>
)

// Config describes a vocabulary. Ids are -1 where there is no such token;
// start from DefaultConfig, since the zero value names token 0 everywhere.
type Config struct {
	Model string // "gpt2", "llama", "gemma4" or "bert"
	Pre   string // pre-tokenizer of "gpt2", see PreTokenizers

	Tokens []string  // text by id; "" becomes [EMPTY_id]
	Scores []float32 // by id; "llama" only, may be nil
	Types  []int32   // by id; nil: all normal
	Merges []string  // "left right", best first; "gpt2" and "gemma4"

	BOS, EOS, EOT, EOM, UNK, SEP, PAD, CLS, MASK                 int32
	FIMPrefix, FIMSuffix, FIMMiddle, FIMPad, FIMRepo, FIMFileSep int32 // fill in the middle

	AddBOS, AddEOS bool // what EncodeOptions.AddSpecial adds; "bert" always has [CLS] and [SEP]
	AddSEP         bool // a separator belongs between the parts of a pair
	AddSpacePrefix bool // "llama": a text starts with a space
	Lowercase      bool // "bert"
	StripAccents   bool // "bert"

	// Name and Arch are general.name and general.architecture. GGUF has no
	// field for tokens that swallow the space beside them; like llama.cpp this
	// package knows a few models by name.
	Name, Arch string
}

// specialIDs lists the ids of a Config with the metadata keys that set them,
// the one that counts most last.
func (c *Config) specialIDs() []struct {
	id   *int32
	keys []string
} {
	type entry = struct {
		id   *int32
		keys []string
	}
	return []entry{
		{&c.BOS, []string{"bos_token_id"}},
		{&c.EOS, []string{"eos_token_id"}},
		{&c.EOT, []string{"eot_token_id"}},
		{&c.EOM, []string{"eom_token_id"}},
		{&c.UNK, []string{"unknown_token_id"}},
		{&c.SEP, []string{"seperator_token_id"}}, // so spelt in GGUF
		{&c.PAD, []string{"padding_token_id"}},
		{&c.CLS, []string{"cls_token_id"}},
		{&c.MASK, []string{"mask_token_id"}},
		{&c.FIMPrefix, []string{"fim_pre_token_id", "prefix_token_id"}},
		{&c.FIMSuffix, []string{"fim_suf_token_id", "suffix_token_id"}},
		{&c.FIMMiddle, []string{"fim_mid_token_id", "middle_token_id"}},
		{&c.FIMPad, []string{"fim_pad_token_id"}},
		{&c.FIMRepo, []string{"fim_rep_token_id"}},
		{&c.FIMFileSep, []string{"fim_sep_token_id"}},
	}
}

// DefaultConfig returns the settings that hold for a model and pre-tokenizer
// where a file says nothing, without tokens. They are llama.cpp's.
func DefaultConfig(model, pre string) (Config, error) {
	c := Config{Model: model, Pre: pre, Lowercase: true, StripAccents: true}
	for _, e := range c.specialIDs() {
		*e.id = -1
	}
	switch model {
	case "llama":
		c.BOS, c.EOS, c.UNK = 1, 2, 0
		c.AddBOS, c.AddSpacePrefix = true, true
	case "bert":
		c.BOS, c.UNK, c.SEP, c.PAD, c.MASK = 101, 100, 102, 0, 103
		c.AddBOS, c.AddSEP = true, true
	case "gpt2", "gemma4":
		if model == "gemma4" {
			c.Pre = "gemma4"
		} else {
			c.BOS, c.EOS = 11, 11
		}
		p, err := findPretok(c.Pre)
		if err != nil {
			return Config{}, err
		}
		if p.noBOS {
			c.BOS = -1
		}
		c.AddBOS, c.AddSEP = p.addBOS, p.addSEP
	default:
		return Config{}, fmt.Errorf("tokenizer: model %q (tokenizer.ggml.model) is not supported; supported: gpt2 llama gemma4 bert", model)
	}
	return c, nil
}

// FromMetadata reads a Config from a GGUF file's metadata: the keys under
// tokenizer.ggml, general.name and general.architecture. Values arrive as the
// Go types of GGUF's. As in llama.cpp a special id outside the vocabulary is
// ignored; other faults are errors that name the key.
func FromMetadata(get func(key string) (any, bool)) (Config, error) {
	r := reader{get: get}
	model := r.text("tokenizer.ggml.model")
	if model == "" && r.err == nil {
		return Config{}, fmt.Errorf("tokenizer: the metadata has no tokenizer.ggml.model: not a language model's file, or one without a vocabulary")
	}
	pre := r.text("tokenizer.ggml.pre")
	if r.err != nil {
		return Config{}, r.err
	}
	c, err := DefaultConfig(model, pre)
	if err != nil {
		return Config{}, err
	}
	const p = "tokenizer.ggml."
	c.Name, c.Arch = r.text("general.name"), r.text("general.architecture")
	c.Tokens, c.Merges = r.texts(p+"tokens"), r.texts(p+"merges")
	c.Scores, c.Types = r.floats(p+"scores"), r.ints(p+"token_type")
	if len(c.Tokens) == 0 && r.err == nil {
		return Config{}, fmt.Errorf("tokenizer: the metadata has no %stokens", p)
	}
	for _, e := range c.specialIDs() {
		if int(*e.id) >= len(c.Tokens) {
			*e.id = -1 // a default that this vocabulary does not have
		}
		for _, k := range e.keys {
			if v, ok := r.integer(p + k); ok && v >= 0 && v < int64(len(c.Tokens)) {
				*e.id = int32(v)
			}
		}
	}
	r.flag(p+"add_bos_token", &c.AddBOS)
	r.flag(p+"add_eos_token", &c.AddEOS)
	r.flag(p+"add_sep_token", &c.AddSEP)
	r.flag(p+"add_space_prefix", &c.AddSpacePrefix)
	if c.Pre == "gemma4" || c.Pre == "granite-embed-multi-311m" {
		c.AddBOS = true // early files say false, wrongly
	}
	r.flag(p+"normalizer.lowercase", &c.Lowercase)
	c.StripAccents = c.Lowercase
	r.flag(p+"normalizer.strip_accents", &c.StripAccents)
	if r.err != nil {
		return Config{}, r.err
	}
	return c, nil
}

// reader reads metadata and keeps the first error.
type reader struct {
	get func(key string) (any, bool)
	err error
}

// value returns what key holds; a value of another type than T is an error.
func value[T any](r *reader, key, want string) (v T, ok bool) {
	a, ok := r.get(key)
	if !ok {
		return v, false
	}
	if v, ok = a.(T); !ok {
		r.wrong(key, a, want)
	}
	return v, ok
}

func (r *reader) wrong(key string, v any, want string) {
	if r.err == nil {
		r.err = fmt.Errorf("tokenizer: %s is a %T, not %s", key, v, want)
	}
}

func (r *reader) text(key string) string {
	s, _ := value[string](r, key, "a string")
	return s
}

func (r *reader) texts(key string) []string {
	s, _ := value[[]string](r, key, "a list of strings")
	return s
}

func (r *reader) flag(key string, to *bool) {
	if b, ok := value[bool](r, key, "a bool"); ok {
		*to = b
	}
}

func (r *reader) integer(key string) (int64, bool) {
	a, ok := r.get(key)
	if !ok {
		return 0, false
	}
	switch v := a.(type) {
	case uint8:
		return int64(v), true
	case int8:
		return int64(v), true
	case uint16:
		return int64(v), true
	case int16:
		return int64(v), true
	case uint32:
		return int64(v), true
	case int32:
		return int64(v), true
	case uint64:
		return int64(min(v, math.MaxInt64)), true
	case int64:
		return v, true
	}
	r.wrong(key, a, "a number")
	return 0, false
}

func (r *reader) floats(key string) []float32 {
	a, ok := r.get(key)
	if !ok {
		return nil
	}
	switch v := a.(type) {
	case []float32:
		return v
	case []int32:
		return convert[float32](v)
	case []float64:
		return convert[float32](v)
	}
	r.wrong(key, a, "a list of numbers")
	return nil
}

func (r *reader) ints(key string) []int32 {
	a, ok := r.get(key)
	if !ok {
		return nil
	}
	switch v := a.(type) {
	case []int32:
		return v
	case []uint32:
		return convert[int32](v)
	case []uint8:
		return convert[int32](v)
	case []int8:
		return convert[int32](v)
	case []uint16:
		return convert[int32](v)
	case []int16:
		return convert[int32](v)
	case []uint64:
		return convert[int32](v)
	case []int64:
		return convert[int32](v)
	}
	r.wrong(key, a, "a list of integers")
	return nil
}

func convert[T, F int8 | uint8 | int16 | uint16 | int32 | uint32 | int64 | uint64 | float32 | float64](from []F) []T {
	to := make([]T, len(from))
	for i, v := range from {
		to[i] = T(v)
	}
	return to
}
