package tokenizer_test

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ledge-run/ledge/runtime/tokenizer"
)

// FuzzRoundTrip encodes and decodes any bytes with every golden vocabulary.
// Where each byte has a token nothing may be lost.
func FuzzRoundTrip(f *testing.F) {
	for _, s := range corpus() {
		if len(s) < 200 {
			f.Add(s)
		}
	}
	for _, s := range []string{"\xff", "a\x80b", "\xe2\x96", "\xe2\x96\x81 \xc3", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc0\x80x", strings.Repeat("\xf0\x9f", 9)} {
		f.Add(s)
	}
	var toks []*tokenizer.Tokenizer
	for _, g := range goldens(f) {
		toks = append(toks, g.tokenizer(f))
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, tok := range toks {
			for _, o := range []tokenizer.EncodeOptions{{}, {AddSpecial: true}, {ParseSpecial: true}, {AddSpecial: true, ParseSpecial: true}} {
				ids := tok.Encode(text, o)
				for _, id := range ids {
					if id < 0 || int(id) >= tok.Size() {
						t.Fatalf("%s %v: Encode(%q) gives id %d of %d", tok.Pre(), o, text, id, tok.Size())
					}
				}
				if again := tok.Encode(text, o); !slices.Equal(ids, again) {
					t.Fatalf("%s %v: Encode(%q) gives %v, then %v", tok.Pre(), o, text, ids, again)
				}
				s := stream(tok, ids)
				if !utf8.ValidString(s) {
					t.Fatalf("%s: streaming %q gives %q", tok.Pre(), text, s)
				}
				if tok.Model() == "bert" || o.AddSpecial {
					continue
				}
				want := text
				if tok.Model() == "llama" {
					// A literal ▁ cannot be told from a space.
					want = strings.ReplaceAll(text, "▁", " ")
				}
				got := tok.Decode(ids, true)
				if tok.Model() == "llama" && o.ParseSpecial || strings.Contains(text, "<tool>") {
					continue // a space may have been put after a special token
				}
				if got != want {
					t.Fatalf("%s %v: Decode(Encode(%q)) = %q", tok.Pre(), o, text, got)
				}
				if tok.Model() != "llama" && utf8.ValidString(text) && s != text {
					t.Fatalf("%s %v: streaming %q gives %q", tok.Pre(), o, text, s)
				}
			}
		}
	})
}

// FuzzConfig builds tokenizers from arbitrary metadata. Whatever New accepts
// must work.
func FuzzConfig(f *testing.F) {
	f.Add("gpt2", "smollm", "a\nb\nab\nĠ\n<|im_end|>", "a b\nĠ a", []byte{1, 1, 1, 1, 3}, []byte{0, 1, 2, 3}, "ab ab<|im_end|>")
	f.Add("llama", "", "<unk>\n<s>\n</s>\n<0x41>\n▁a\n▁\na\nb\nab", "", []byte{2, 3, 3, 6, 1, 1, 1, 1, 4}, []byte{9, 8, 7, 6, 5}, " ab A\xff")
	f.Add("gemma4", "", "<0x0A>\n▁\na\n▁a\n\n", "▁ a\na ▁a", []byte{6}, []byte{}, "a a\n\n")
	f.Add("bert", "", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n▁a\nb", "", []byte{3, 3, 3, 3}, []byte{2, 0, 1, 3, 0, 0}, "ab É中")
	f.Add("llama", "", "<unk>\n<s>\n</s>\na\naa\naaab\nab\n b", "", []byte{2, 3, 3, 4, 4, 4, 4, 4}, []byte{}, "aaaab aab b")
	f.Add("llama", "", "<unk>\n<s>\n</s>\n"+strings.Repeat("a", 5000), "", []byte{2, 3, 3, 4}, []byte{}, strings.Repeat("a", 5001))
	f.Add("gpt2", "nope", "", " ", []byte{}, []byte{255, 255, 255, 255}, "")
	f.Add("gpt2", "", "a\na", "ab", []byte{7, 200}, []byte{}, "x")
	f.Fuzz(func(t *testing.T, model, pre, tokens, merges string, types, ids []byte, text string) {
		kv := map[string]any{"tokenizer.ggml.model": model}
		if pre != "" {
			kv["tokenizer.ggml.pre"] = pre
		}
		if tokens != "" {
			kv["tokenizer.ggml.tokens"] = strings.Split(tokens, "\n")
		}
		if merges != "" {
			kv["tokenizer.ggml.merges"] = strings.Split(merges, "\n")
		}
		if len(types) > 0 {
			var ty []int32
			for i := range strings.Count(tokens, "\n") + 1 {
				ty = append(ty, int32(int8(types[i%len(types)])))
			}
			kv["tokenizer.ggml.token_type"] = ty
			var scores []float32
			for i := range ty {
				scores = append(scores, math.Float32frombits(uint32(types[i%len(types)])<<24|uint32(i)))
			}
			kv["tokenizer.ggml.scores"] = scores
		}
		keys := []string{"bos_token_id", "eos_token_id", "eot_token_id", "unknown_token_id", "seperator_token_id", "padding_token_id", "cls_token_id",
			"mask_token_id", "fim_pre_token_id", "add_bos_token", "add_eos_token", "add_space_prefix"}
		for i, b := range ids {
			if i >= len(keys) {
				break
			}
			k := "tokenizer.ggml." + keys[i]
			switch {
			case strings.HasPrefix(keys[i], "add"):
				kv[k] = b&1 != 0
			case b > 250:
				kv[k] = "odd"
			case b > 200:
				kv[k] = binary.LittleEndian.Uint64([]byte{b, b, b, b, b, b, b, b})
			default:
				kv[k] = uint32(b)
			}
		}
		c, err := tokenizer.FromMetadata(func(k string) (any, bool) { v, ok := kv[k]; return v, ok })
		if err != nil {
			oneLine(t, err)
			return
		}
		tok, err := tokenizer.New(c)
		if err != nil {
			oneLine(t, err)
			return
		}
		for _, o := range []tokenizer.EncodeOptions{{}, {AddSpecial: true, ParseSpecial: true}} {
			ids := tok.Encode(text, o)
			for _, id := range ids {
				if id < 0 || int(id) >= tok.Size() {
					t.Fatalf("Encode(%q) gives id %d of %d", text, id, tok.Size())
				}
			}
			if s := stream(tok, ids); !utf8.ValidString(s) {
				t.Fatalf("streaming gives %q", s)
			}
			tok.Decode(append(ids, -1, math.MaxInt32, math.MinInt32), false)
		}
		for id := range int32(tok.Size()) {
			if got := tok.Find(tok.TokenText(id)); got != id {
				t.Fatalf("Find(%q) = %d, want %d", tok.TokenText(id), got, id)
			}
		}
	})
}

func oneLine(t *testing.T, err error) {
	t.Helper()
	if s := err.Error(); !strings.HasPrefix(s, "tokenizer: ") || strings.Contains(s, "\n") {
		t.Fatalf("not one clear line: %q", s)
	}
}
