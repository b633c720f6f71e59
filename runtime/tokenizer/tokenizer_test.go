package tokenizer_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ledge-run/ledge/runtime/tokenizer"
)

// tiny returns a small SentencePiece vocabulary with more tokens after its own.
func tiny(t testing.TB, types map[string]int32, more ...string) (tokenizer.Config, map[string]int32) {
	t.Helper()
	c, err := tokenizer.DefaultConfig("llama", "")
	if err != nil {
		t.Fatal(err)
	}
	add := func(s string, typ int32, score float32) {
		c.Tokens, c.Types, c.Scores = append(c.Tokens, s), append(c.Types, typ), append(c.Scores, score)
	}
	add("<unk>", tokenizer.TypeUnknown, 0)
	add("<s>", tokenizer.TypeControl, 0)
	add("</s>", tokenizer.TypeControl, 0)
	for b := range 256 {
		add(fmt.Sprintf("<0x%02X>", b), tokenizer.TypeByte, 0)
	}
	for i, s := range []string{"▁", "a", "b", "ab", "▁a", "▁ab", "é"} {
		add(s, tokenizer.TypeNormal, -float32(i))
	}
	for _, s := range more {
		typ := types[s]
		if typ == 0 {
			typ = tokenizer.TypeNormal
		}
		add(s, typ, -1000)
	}
	ids := map[string]int32{}
	for id, s := range c.Tokens {
		ids[s] = int32(id)
	}
	return c, ids
}

func newTokenizer(t testing.TB, c tokenizer.Config) *tokenizer.Tokenizer {
	t.Helper()
	tok, err := tokenizer.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestSpecialTokens(t *testing.T) {
	kinds := map[string]int32{"<|user|>": tokenizer.TypeControl, "<|us": tokenizer.TypeUserDefined, "er|>x": tokenizer.TypeUserDefined, "<tool>": tokenizer.TypeUserDefined}
	c, id := tiny(t, kinds, "<|user|>", "<|us", "er|>x", "<tool>")
	tok := newTokenizer(t, c)
	for _, tc := range []struct {
		text  string
		parse bool
		want  []string
	}{
		{"a<|user|>b", true, []string{"▁a", "<|user|>", "▁", "b"}},
		{"<|user|>x", true, []string{"<|user|>", "▁", "<0x78>"}}, // the longer token wins
		{"<|user|>x", false, []string{"<|us", "er|>x"}},          // user-defined ones are always looked for
		{"<tool><tool>", false, []string{"<tool>", "<tool>"}},
		{"<s>a</s>", true, []string{"<s>", "▁a", "</s>"}},
		{"<unk>", true, []string{"<unk>"}},
		{"", true, nil},
	} {
		got := pieces(tok, tok.Encode(tc.text, tokenizer.EncodeOptions{ParseSpecial: tc.parse}))
		if !slices.Equal(got, tc.want) {
			t.Errorf("Encode(%q, parse %v) = %q, want %q", tc.text, tc.parse, got, tc.want)
		}
	}
	if got := tok.Encode("a", tokenizer.EncodeOptions{AddSpecial: true}); !slices.Equal(got, []int32{1, id["▁a"]}) {
		t.Errorf("AddSpecial gives %v", got)
	}
	for text, want := range map[string][]string{"ab": {"ab"}, " ab": {"▁ab"}, "a</s>b": {"a", "</s>", "▁", "b"}} {
		if got := pieces(tok, tok.Encode(text, tokenizer.EncodeOptions{AddSpecial: true, ParseSpecial: true, Continues: true})); !slices.Equal(got, want) {
			t.Errorf("%q after another text gives %q, want %q", text, got, want)
		}
	}
	c.AddEOS = true
	for open, want := range map[bool][]int32{false: {1, id["▁a"], 2}, true: {1, id["▁a"]}} {
		if got := newTokenizer(t, c).Encode("a", tokenizer.EncodeOptions{AddSpecial: true, Open: open}); !slices.Equal(got, want) {
			t.Errorf("with an EOS token, open %v: %v, want %v", open, got, want)
		}
	}
	if got := tok.Decode([]int32{1, id["▁ab"], id["<|user|>"], id["▁a"], id["<tool>"], 2}, false); got != "ab a<tool>" {
		t.Errorf("Decode without special = %q", got)
	}
	if got := tok.Decode([]int32{1, id["▁ab"], id["<|user|>"], 2}, true); got != "<s>ab<|user|></s>" {
		t.Errorf("Decode with special = %q", got)
	}
	if string(tok.Piece(1, false)) != "" || string(tok.Piece(1, true)) != "<s>" || string(tok.Piece(id["▁a"], false)) != " a" || len(tok.Piece(-5, true)) != 0 {
		t.Error("Piece is wrong")
	}
}

// TestStrip checks the tokens that swallow space: Phi-3 after, masks before.
func TestStrip(t *testing.T) {
	kinds := map[string]int32{"<|end|>": tokenizer.TypeControl, "<mask>": tokenizer.TypeControl}
	c, _ := tiny(t, kinds, "<|end|>", "<mask>")
	o := tokenizer.EncodeOptions{ParseSpecial: true}
	check := func(text string, want ...string) {
		t.Helper()
		if got := pieces(newTokenizer(t, c), newTokenizer(t, c).Encode(text, o)); !slices.Equal(got, want) {
			t.Errorf("%s %s: Encode(%q) = %q, want %q", c.Name, c.Arch, text, got, want)
		}
	}
	check("a <|end|> \n b", "▁a", "▁", "<|end|>", "▁", "▁", "<0x0A>", "▁", "b")
	c.Name = "Phi-3 mini"
	check("a <|end|> \n b", "▁a", "▁", "<|end|>", "▁", "b")
	check("a<s> b", "▁a", "<s>", "▁", "▁", "b")
	c.Name, c.Arch = "", "nomic-bert-moe"
	check("a \t<mask> b", "▁a", "<mask>", "▁", "▁", "b")
}

func TestEndOfGeneration(t *testing.T) {
	kinds := map[string]int32{"<|call|>": 3, "<|return|>": 3, "<|end|>": 3, "<|message|>": 3}
	c, id := tiny(t, kinds, "<|im_end|>", "<end_of_turn>", "<|fim_pad|>", "unrelated")
	tok := newTokenizer(t, c)
	if got, want := tok.EOG(), []int32{2, id["<|im_end|>"], id["<end_of_turn>"], id["<|fim_pad|>"]}; !slices.Equal(got, want) {
		t.Errorf("EOG = %v, want %v", got, want)
	}
	if tok.EOT() != id["<|im_end|>"] || !tok.IsEOG(tok.EOT()) || tok.IsEOG(-1) || tok.IsEOG(id["unrelated"]) || !tok.IsControl(id["<|im_end|>"]) {
		t.Error("end of turn was not recognised")
	}
	c, id = tiny(t, kinds, "<|call|>", "<|return|>", "<|end|>", "<|message|>")
	tok = newTokenizer(t, c)
	if tok.IsEOG(id["<|end|>"]) || !tok.IsEOG(id["<|call|>"]) || tok.Type(id["<|message|>"]) != tokenizer.TypeUserDefined {
		t.Errorf("GPT-OSS markers: EOG %v", tok.EOG())
	}
}

func TestDecoder(t *testing.T) {
	c, id := tiny(t, nil)
	tok := newTokenizer(t, c)
	d := tok.NewDecoder(false)
	push := func(want string, b ...byte) {
		t.Helper()
		got := ""
		for _, x := range b {
			got += d.Push(id[fmt.Sprintf("<0x%02X>", x)])
		}
		if got != want {
			t.Errorf("% x gives %q, want %q", b, got, want)
		}
	}
	push("", 0xF0, 0x9F, 0x98)
	push("😀", 0x80)
	push("", 0xE2, 0x82)
	push("\ufffd\ufffdA", 'A') // proven wrong by what follows
	push("\ufffd", 0x80)
	push("\ufffd\ufffd", 0xC0, 0xFF)
	push("", 0xC3)
	if got := d.Push(id["é"]); got != "\ufffdé" {
		t.Errorf("got %q", got)
	}
	push("", 0xE2, 0x82)
	if got := d.Flush(); got != "\ufffd" {
		t.Errorf("Flush = %q", got)
	}
	if got := d.Push(id["▁a"]) + d.Flush(); got != " a" {
		t.Errorf("after Flush %q", got)
	}
	if got := d.Push(-1) + d.Push(1<<30) + d.Push(1); got != "" {
		t.Errorf("no token gives %q", got)
	}
}

// TestErrors checks that every fault of a vocabulary is told in one line.
func TestErrors(t *testing.T) {
	base := func() tokenizer.Config { c, _ := tiny(t, nil); return c }
	bpe := func() tokenizer.Config {
		c, err := tokenizer.DefaultConfig("gpt2", "gpt-2")
		if err != nil {
			t.Fatal(err)
		}
		c.Tokens, c.Merges, c.BOS, c.EOS = []string{"a", "b", "ab"}, []string{"a b"}, -1, -1
		return c
	}
	for _, tc := range []struct {
		name string
		c    tokenizer.Config
		edit func(*tokenizer.Config)
		want string
	}{
		{"model", base(), func(c *tokenizer.Config) { c.Model = "rwkv" }, `model "rwkv" is not supported`},
		{"empty", base(), func(c *tokenizer.Config) { c.Tokens = nil }, "the vocabulary is empty"},
		{"scores", base(), func(c *tokenizer.Config) { c.Scores = c.Scores[1:] }, "scores for"},
		{"types", base(), func(c *tokenizer.Config) { c.Types = c.Types[1:] }, "token types for"},
		{"range", base(), func(c *tokenizer.Config) { c.EOS = 99999 }, "eos_token_id is 99999"},
		{"negative", base(), func(c *tokenizer.Config) { c.PAD = -2 }, "padding_token_id is -2"},
		{"bos", base(), func(c *tokenizer.Config) { c.BOS = -1 }, "there is no BOS token"},
		{"eos", base(), func(c *tokenizer.Config) { c.EOS, c.AddEOS = -1, true }, "there is no EOS token"},
		{"twice", base(), func(c *tokenizer.Config) { c.Tokens = append(slices.Clone(c.Tokens[:len(c.Tokens)-1]), "ab") }, `have the same text "ab"`},
		{"pre", bpe(), func(c *tokenizer.Config) { c.Pre = "gpt-7" }, `pre-tokenizer "gpt-7"`},
		{"no merges", bpe(), func(c *tokenizer.Config) { c.Merges = nil }, "needs a merge list"},
		{"merge", bpe(), func(c *tokenizer.Config) { c.Merges = []string{"a b", "ab"} }, `merge 1 is "ab"`},
		{"half merge", bpe(), func(c *tokenizer.Config) { c.Merges = []string{"a "} }, `merge 0 is "a "`},
		{"no first", bpe(), func(c *tokenizer.Config) { c.Merges = []string{" b"} }, `merge 0 is " b"`},
		{"alphabet", bpe(), func(c *tokenizer.Config) { c.Merges = []string{"a 中"} }, "outside the byte alphabet"},
	} {
		tc.edit(&tc.c)
		_, err := tokenizer.New(tc.c)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want %q", tc.name, err, tc.want)
			continue
		}
		oneLine(t, err)
	}
	for key, v := range map[string]any{
		"tokenizer.ggml.model": 3, "tokenizer.ggml.tokens": []int32{1}, "tokenizer.ggml.scores": "x",
		"tokenizer.ggml.token_type": 1.5, "tokenizer.ggml.bos_token_id": "one", "tokenizer.ggml.add_bos_token": uint8(1),
	} {
		c := base()
		kv := map[string]any{"tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": c.Tokens}
		kv[key] = v
		_, err := tokenizer.FromMetadata(func(k string) (any, bool) { v, ok := kv[k]; return v, ok })
		if err == nil || !strings.Contains(err.Error(), key+" is a") {
			t.Errorf("%s: error %v", key, err)
		}
	}
}

// TestSparseVocabulary has merges whose parts are no tokens, and bytes without
// a token.
func TestSparseVocabulary(t *testing.T) {
	c, err := tokenizer.DefaultConfig("gpt2", "gpt-2")
	if err != nil {
		t.Fatal(err)
	}
	c.BOS, c.EOS = -1, -1
	c.Tokens, c.Merges = []string{"a", "b", "c", "abcd", ""}, []string{"a b", "ab c", "c d", "abc d"}
	tok := newTokenizer(t, c)
	for text, want := range map[string][]int32{"abcd": {3}, "abc": {0, 1, 2}, "abz": {0, 1}, "zzz": {}, "ca": {2, 0}} {
		if got := tok.Encode(text, tokenizer.EncodeOptions{}); !slices.Equal(got, want) {
			t.Errorf("Encode(%q) = %v, want %v", text, got, want)
		}
	}
	if tok.TokenText(4) != "[EMPTY_4]" || c.Tokens[4] != "" {
		t.Errorf("the empty token is %q, the Config's %q", tok.TokenText(4), c.Tokens[4])
	}
}

// TestConcurrentUse encodes on many goroutines with one tokenizer.
func TestConcurrentUse(t *testing.T) {
	tok := goldenNamed(t, "smollm")
	texts := corpus()
	want := make([][]int32, len(texts))
	for i, s := range texts {
		want[i] = tok.Encode(s, tokenizer.EncodeOptions{})
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range texts {
				i = (i + g*50) % len(texts)
				if got := tok.Encode(texts[i], tokenizer.EncodeOptions{}); !slices.Equal(got, want[i]) {
					t.Errorf("Encode(%q) differs between goroutines", texts[i])
				}
			}
		})
	}
	wg.Wait()
}

// TestOneLongWord has a word of 256 KiB, where merging pair by pair
// over and over would never end.
func TestOneLongWord(t *testing.T) {
	text := strings.Repeat("thethere", 1<<15)
	for _, g := range goldens(t) {
		tok := g.tokenizer(t)
		if got := tok.Decode(tok.Encode(text, tokenizer.EncodeOptions{}), false); got != text && tok.Model() != "bert" {
			t.Errorf("%s: %d of %d bytes came back", g.Name, len(got), len(text))
		}
	}
}
