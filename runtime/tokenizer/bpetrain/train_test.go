package bpetrain

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/runtime/tokenizer"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

func TestConfigErrors(t *testing.T) {
	good := Config{Size: 400, Preset: "gpt2", MinFrequency: 2, EOS: "<eos>"}
	for want, change := range map[string]func(*Config){
		"no pre-tokenizer": func(c *Config) { c.Preset = "none" },
		"too small: it has 256 bytes and 1 special and whole tokens: ask for 258 to 16777216": func(c *Config) { c.Size = 257 },
		"-1 is too small":                              func(c *Config) { c.Size = -1 },
		"too large: ask for 258 to 16777216":           func(c *Config) { c.Size = 1 << 30 },
		"minimum frequency is 0: it must be 1 or more": func(c *Config) { c.MinFrequency = 0 },
		"no token ends a text":                         func(c *Config) { c.EOS = "" },
		"no token begins a text":                       func(c *Config) { c.AddBOS = true },
		"given twice":                                  func(c *Config) { c.Special = []string{"<a>", "<a>"} },
		"two characters":                               func(c *Config) { c.PAD = "中" },
		"not UTF-8":                                    func(c *Config) { c.UNK = "<\xff>" },
	} {
		c := good
		change(&c)
		_, err := Train(t.Context(), linesOf("abab abab"), c)
		var wrong interface{ WrongUsage() }
		if !errors.As(err, &wrong) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	var wrong *ConfigError
	if _, err := Train(t.Context(), linesOf("a b c"), good); err == nil || errors.As(err, &wrong) || !strings.Contains(err.Error(), "give more text") {
		t.Errorf("%v", err)
	}
	if _, err := Train(t.Context(), linesOf("abab \xff abab"), good); err == nil || !strings.Contains(err.Error(), "text 1 is not UTF-8") {
		t.Errorf("%v", err)
	}
	gone := errors.New("unreadable")
	fails := func(yield func(string, error) bool) { _ = yield("abab", nil) && yield("", gone) }
	if _, err := Train(t.Context(), fails, good); !errors.Is(err, gone) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	if _, err := Train(ctx, linesOf("abab abab"), good); !errors.Is(err, gone) {
		t.Errorf("%v", err)
	}
}

// TestLongWord: what no language has as a word is cut, and does not take for ever.
func TestLongWord(t *testing.T) {
	v, err := Train(t.Context(), linesOf(strings.Repeat("ab", 3<<20)), Config{Size: 300, Preset: "gpt2", MinFrequency: 2, EOS: "<eos>"})
	if err != nil {
		t.Fatal(err)
	}
	if v.Stats.Cut != 1 || v.Stats.Unique != 1 || v.Tokens[257] != "ab" || v.Tokens[258] != "abab" {
		t.Errorf("%+v %q", v.Stats, v.Tokens[257:])
	}
}

// TestOrder: neither the order of the texts nor the number of threads matters.
func TestOrder(t *testing.T) {
	lines := strings.SplitAfter(readText(t, "corpus.txt"), "\n")
	want := trainOn(t, strings.Join(lines, ""), Config{Size: 1200, Preset: "qwen2", MinFrequency: 1, Threads: 1})
	slices.Reverse(lines)
	got := trainOn(t, strings.Join(lines, ""), Config{Size: 1200, Preset: "qwen2", MinFrequency: 1, Threads: 4})
	if !slices.Equal(got.Tokens, want.Tokens) || !slices.Equal(got.Merges, want.Merges) {
		t.Error("the vocabularies differ")
	}
}

// TestLlama: llama.cpp reads the vocabulary from GGUF and gives the same ids.
func TestLlama(t *testing.T) {
	dir := os.Getenv("LEDGE_TEST_LLAMA")
	bin := filepath.Join(dir, "bin", "llama-tokenize")
	if _, err := os.Stat(bin); dir == "" || err != nil {
		t.Skip("LEDGE_TEST_LLAMA names no folder with bin/llama-tokenize")
	}
	text := readText(t, "heldout.txt") + "<|im_start|>user\n你好<|im_end|>\n"
	for _, preset := range Presets() {
		v := trainOn(t, readText(t, "corpus.txt"), Config{Size: 1500, Preset: preset, MinFrequency: 1})
		var w gguf.Writer
		if err := w.Set("general.architecture", "llama"); err != nil {
			t.Fatal(err)
		}
		for key, value := range v.Metadata() {
			if err := w.Set(key, value); err != nil {
				t.Fatal(err)
			}
		}
		model, file := filepath.Join(t.TempDir(), "v.gguf"), filepath.Join(t.TempDir(), "text")
		if err := errors.Join(w.Save(t.Context(), model, false), os.WriteFile(file, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
		var complaints bytes.Buffer
		cmd := exec.CommandContext(t.Context(), bin, "-m", model, "-f", file, "--ids", "--no-escape", "--log-disable")
		cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+filepath.Join(dir, "bin"))
		cmd.Stderr = &complaints
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("llama-tokenize: %v: %s", err, complaints.String())
		}
		var got []int32
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatal(err)
		}
		if want := encoder(t, v).Encode(text, tokenizer.EncodeOptions{ParseSpecial: true}); !slices.Equal(got, want) {
			t.Errorf("%s: llama.cpp\n got %v\nwant %v", preset, got, want)
		}
	}
}

// encoder is a tokenizer of the vocabulary.
func encoder(t testing.TB, v *Vocabulary) *tokenizer.Tokenizer {
	t.Helper()
	c, err := v.Config()
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// FuzzTrain: a vocabulary trained on any text reads and writes that text without loss.
func FuzzTrain(f *testing.F) {
	f.Add("aaaa aaa ababab 中文中文\n", uint8(0))
	f.Add("the theme then 's \r\n  \t 1234", uint8(1))
	f.Fuzz(func(t *testing.T, text string, preset uint8) {
		text = strings.ToValidUTF8(text, "")
		v, err := Train(t.Context(), linesOf(text), Config{Size: 280, Preset: Presets()[int(preset)%len(presets)], MinFrequency: 1, EOS: "<eos>", Threads: 1})
		if err != nil {
			if !strings.Contains(err.Error(), "give more text") {
				t.Fatal(err)
			}
			return
		}
		tok := encoder(t, v)
		if got := tok.Decode(tok.Encode(text, tokenizer.EncodeOptions{}), false); got != text {
			t.Errorf("%q became %q", text, got)
		}
		if _, err := v.TokenizerJSON(); err != nil {
			t.Error(err)
		}
	})
}
