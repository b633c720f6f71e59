package bpetrain

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/ledge-run/ledge/runtime/tokenizer"
)

// id is that of a special token, -1 for none.
func (v *Vocabulary) id(special string) int32 {
	if special == "" {
		return -1
	}
	return int32(slices.Index(v.Tokens[:len(v.cfg.Special)], special))
}

// Config is the vocabulary as package tokenizer takes it.
func (v *Vocabulary) Config() (tokenizer.Config, error) {
	meta := map[string]any{}
	for key, value := range v.Metadata() {
		meta[key] = value
	}
	return tokenizer.FromMetadata(func(key string) (any, bool) { value, ok := meta[key]; return value, ok })
}

// Metadata is what a GGUF file says of the vocabulary: keys and values in the
// order in which they are usually written.
func (v *Vocabulary) Metadata() iter.Seq2[string, any] {
	return func(yield func(string, any) bool) {
		types := make([]int32, len(v.Tokens))
		for i := range types {
			switch {
			case i < len(v.cfg.Special):
				types[i] = tokenizer.TypeControl
			case i < len(v.cfg.Special)+len(v.cfg.Whole):
				types[i] = tokenizer.TypeUserDefined
			default:
				types[i] = tokenizer.TypeNormal
			}
		}
		merges := make([]string, len(v.Merges))
		for i, m := range v.Merges {
			merges[i] = m[0] + " " + m[1]
		}
		const p = "tokenizer.ggml."
		ok := yield(p+"model", "gpt2") && yield(p+"pre", v.preset.pre) && yield(p+"tokens", v.Tokens) &&
			yield(p+"token_type", types) && yield(p+"merges", merges)
		// Where BOS is not named, readers take token 11 for it.
		bos := v.cfg.BOS
		if bos == "" {
			bos = v.cfg.EOS
		}
		for _, r := range []struct{ key, token string }{
			{"bos_token_id", bos}, {"eos_token_id", v.cfg.EOS}, {"padding_token_id", v.cfg.PAD}, {"unknown_token_id", v.cfg.UNK},
		} {
			if r.token != "" {
				ok = ok && yield(p+r.key, uint32(v.id(r.token)))
			}
		}
		_ = ok && yield(p+"add_bos_token", v.cfg.AddBOS) && yield(p+"add_eos_token", v.cfg.AddEOS)
	}
}

// addedToken is a special or whole token in tokenizer.json.
type addedToken struct {
	ID         int    `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

// TokenizerJSON is the vocabulary in the format of Hugging Face's tokenizers,
// which transformers loads too.
func (v *Vocabulary) TokenizerJSON() ([]byte, error) {
	added := []addedToken{}
	for i, s := range v.cfg.added() {
		added = append(added, addedToken{ID: i, Content: s, Special: i < len(v.cfg.Special)})
	}
	var unk any
	if v.cfg.UNK != "" {
		unk = v.cfg.UNK
	}
	vocab, err := v.vocabObject()
	if err != nil {
		return nil, err
	}
	return indented(struct {
		Version       string          `json:"version"`
		Truncation    any             `json:"truncation"`
		Padding       any             `json:"padding"`
		AddedTokens   []addedToken    `json:"added_tokens"`
		Normalizer    any             `json:"normalizer"`
		PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
		PostProcessor json.RawMessage `json:"post_processor"`
		Decoder       json.RawMessage `json:"decoder"`
		Model         any             `json:"model"`
	}{
		Version: "1.0", AddedTokens: added, PreTokenizer: json.RawMessage(v.preset.json),
		PostProcessor: v.postProcessor(), Decoder: json.RawMessage(byteLevel),
		Model: struct {
			Type                    string          `json:"type"`
			Dropout                 any             `json:"dropout"`
			UnkToken                any             `json:"unk_token"`
			ContinuingSubwordPrefix any             `json:"continuing_subword_prefix"`
			EndOfWordSuffix         any             `json:"end_of_word_suffix"`
			FuseUnk                 bool            `json:"fuse_unk"`
			ByteFallback            bool            `json:"byte_fallback"`
			IgnoreMerges            bool            `json:"ignore_merges"`
			Vocab                   json.RawMessage `json:"vocab"`
			Merges                  [][2]string     `json:"merges"`
		}{Type: "BPE", UnkToken: unk, IgnoreMerges: v.preset.ignoreMerges, Vocab: vocab, Merges: v.Merges},
	})
}

// vocabObject is the object of tokens and ids, in the order of the ids.
func (v *Vocabulary) vocabObject() (json.RawMessage, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for id, token := range v.Tokens {
		if id > 0 {
			b.WriteByte(',')
		}
		key, err := json.Marshal(token)
		if err != nil {
			return nil, fmt.Errorf("tokenizer training: token %d: %w", id, err)
		}
		fmt.Fprintf(&b, "%s:%d", key, id)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// postProcessor adds what AddBOS and AddEOS ask for.
func (v *Vocabulary) postProcessor() json.RawMessage {
	if !v.cfg.AddBOS && !v.cfg.AddEOS {
		return json.RawMessage(byteLevelPost)
	}
	var single, pair, special []string
	add := func(list *[]string, token string, sequence int) {
		*list = append(*list, fmt.Sprintf(`{"SpecialToken":{"id":%s,"type_id":%d}}`, quoted(token), sequence))
	}
	for i, name := range []string{"A", "B"} {
		if v.cfg.AddBOS {
			add(&pair, v.cfg.BOS, i)
		}
		pair = append(pair, fmt.Sprintf(`{"Sequence":{"id":"%s","type_id":%d}}`, name, i))
		if v.cfg.AddEOS {
			add(&pair, v.cfg.EOS, i)
		}
		if i == 0 {
			single = slices.Clone(pair)
		}
	}
	use := []string{}
	if v.cfg.AddBOS {
		use = append(use, v.cfg.BOS)
	}
	if v.cfg.AddEOS && !slices.Contains(use, v.cfg.EOS) {
		use = append(use, v.cfg.EOS)
	}
	for _, token := range use {
		special = append(special, fmt.Sprintf(`%[1]s:{"id":%[1]s,"ids":[%[2]d],"tokens":[%[1]s]}`, quoted(token), v.id(token)))
	}
	return json.RawMessage(`{"type":"Sequence","processors":[` + byteLevelPost + `,{"type":"TemplateProcessing","single":[` +
		strings.Join(single, ",") + `],"pair":[` + strings.Join(pair, ",") + `],"special_tokens":{` + strings.Join(special, ",") + `}}]}`)
}

const byteLevelPost = `{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":false,"use_regex":true}`

func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil { // a string always has a JSON form
		return `""`
	}
	return string(b)
}

// TokenizerConfigJSON is the tokenizer_config.json that transformers wants beside
// tokenizer.json.
func (v *Vocabulary) TokenizerConfigJSON() ([]byte, error) {
	m := map[string]any{
		"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": false,
		"add_bos_token": v.cfg.AddBOS, "add_eos_token": v.cfg.AddEOS, "eos_token": v.cfg.EOS,
	}
	for key, token := range map[string]string{"bos_token": v.cfg.BOS, "pad_token": v.cfg.PAD, "unk_token": v.cfg.UNK} {
		if token != "" {
			m[key] = token
		}
	}
	return indented(m)
}

func indented(value any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(value); err != nil {
		return nil, fmt.Errorf("tokenizer training: %w", err)
	}
	return b.Bytes(), nil
}
