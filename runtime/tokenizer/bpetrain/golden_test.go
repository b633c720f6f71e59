package bpetrain

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/runtime/tokenizer"
)

// trained is what testdata/make_goldens.py tells of a vocabulary that Hugging Face's
// tokenizers trained.
type trained struct {
	Preset string
	Size   int
	Min    int64
	Tokens []string
	Merges [][2]string
	IDs    [][]int32 // of the lines of the held-out text
}

var (
	special = []string{"<|endoftext|>", "<|im_start|>", "<|im_end|>"}
	whole   = []string{`","`, `{"name":"`, `","age":"`, `","名":"`}
)

// linesOf are the lines of a text with their ends, as Hugging Face's trainer reads files.
func linesOf(text string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for line := range strings.Lines(text) {
			if !yield(line, nil) {
				return
			}
		}
	}
}

func readText(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func trainOn(t testing.TB, text string, c Config) *Vocabulary {
	t.Helper()
	c.Special, c.EOS = special, special[0]
	v, err := Train(t.Context(), linesOf(text), c)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// compare holds a vocabulary against theirs, and their ids of the held-out text against
// those of package tokenizer.
func compare(t *testing.T, v *Vocabulary, want trained, heldout string) {
	t.Helper()
	for i := range max(len(v.Merges), len(want.Merges)) {
		if i >= len(v.Merges) || i >= len(want.Merges) || v.Merges[i] != want.Merges[i] {
			t.Fatalf("of %d and %d merges number %d differs: %q and %q", len(v.Merges), len(want.Merges), i,
				v.Merges[min(i, len(v.Merges)):min(i+3, len(v.Merges))], want.Merges[min(i, len(want.Merges)):min(i+3, len(want.Merges))])
		}
	}
	if !slices.Equal(v.Tokens, want.Tokens) {
		t.Fatalf("%d tokens, want %d, or others", len(v.Tokens), len(want.Tokens))
	}
	tok := encoder(t, v)
	i := 0
	for line := range strings.Lines(heldout) {
		if got := tok.Encode(line, tokenizer.EncodeOptions{ParseSpecial: true}); !slices.Equal(got, want.IDs[i]) {
			t.Errorf("%q:\n got %v\nwant %v", line, got, want.IDs[i])
		}
		i++
	}
	if i != len(want.IDs) {
		t.Errorf("%d lines, want %d", i, len(want.IDs))
	}
}

func goldens(t testing.TB) []trained {
	t.Helper()
	var file struct{ Cases []trained }
	if err := json.Unmarshal([]byte(readText(t, "goldens.json")), &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Cases) < 4 {
		t.Fatalf("%d goldens", len(file.Cases))
	}
	return file.Cases
}

// TestGoldens: same tokens, same merges in the same order, same ids as Hugging Face's
// trainer on a committed text, with any number of threads.
func TestGoldens(t *testing.T) {
	text, heldout := readText(t, "corpus.txt"), readText(t, "heldout.txt")
	for _, want := range goldens(t) {
		for _, threads := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s/%d/threads=%d", want.Preset, want.Size, threads), func(t *testing.T) {
				v := trainOn(t, text, Config{Size: want.Size, Preset: want.Preset, MinFrequency: want.Min, Threads: threads})
				compare(t, v, want, heldout)
			})
		}
	}
}

// python is an interpreter with Hugging Face's tokenizers, or the test skips.
func python(t testing.TB) string {
	t.Helper()
	p := os.Getenv("LEDGE_TEST_PYTHON")
	if p == "" {
		p = "python3"
	}
	if out, err := exec.CommandContext(t.Context(), p, "-c", "import tokenizers").CombinedOutput(); err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		t.Skipf("no Python with the package tokenizers (LEDGE_TEST_PYTHON): %v: %s", err, lines[len(lines)-1])
	}
	return p
}

func theirs(t testing.TB, py, corpus, heldout string, size int, least int64, preset string) trained {
	t.Helper()
	var complaints bytes.Buffer
	cmd := exec.CommandContext(t.Context(), py, "testdata/make_goldens.py", corpus, heldout,
		strconv.Itoa(size), strconv.FormatInt(least, 10), preset)
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("make_goldens.py: %v: %s", err, complaints.String())
	}
	var want trained
	if err := json.Unmarshal(out, &want); err != nil {
		t.Fatal(err)
	}
	return want
}

// randomText has few different letters, so that counts are often equal, which is where
// trainers differ.
func randomText(seed uint64) string {
	r := rand.New(rand.NewPCG(seed, 1))
	letters := []string{"a", "b", "ab", "ba", "c", "abc", "e", "é", "中", "国", "中国"}[:3+r.IntN(9)]
	var b strings.Builder
	if seed%2 == 1 { // runs of a letter, long and short: pairs that overlap themselves
		for range 400 {
			b.WriteString(strings.Repeat("a", 1+r.IntN(10+8*int(seed))))
			b.WriteString([]string{" ", "b ", "ab ", "\n"}[r.IntN(4)])
		}
		return b.String()
	}
	for range 300 {
		for range 1 + r.IntN(8) {
			for range 1 + r.IntN(6) {
				b.WriteString(letters[r.IntN(len(letters))])
			}
			b.WriteString([]string{" ", " ", "  ", ", ", "7 "}[r.IntN(5)])
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// TestAgainstTokenizers trains on texts made to have ties and on this repository's
// documents, here and there.
func TestAgainstTokenizers(t *testing.T) {
	py := python(t)
	run := func(name, text string, size int, least int64, preset string) {
		t.Run(name+"/"+preset, func(t *testing.T) {
			dir := t.TempDir()
			corpus, heldout := filepath.Join(dir, "corpus.txt"), filepath.Join(dir, "heldout.txt")
			held := readText(t, "heldout.txt") + text[:min(len(text), 4000)]
			held = strings.ToValidUTF8(held, "")
			for path, s := range map[string]string{corpus: text, heldout: held} {
				if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want := theirs(t, py, corpus, heldout, size, least, preset)
			v := trainOn(t, text, Config{Size: size, Preset: preset, MinFrequency: least})
			compare(t, v, want, held)
		})
	}
	for seed := range uint64(8) {
		run(fmt.Sprint("random", seed), randomText(seed), 300+int(seed)*200, 1+int64(seed%3), Presets()[seed%4])
	}
	files, err := filepath.Glob("../../../docs/*.md")
	if err != nil || len(files) == 0 {
		t.Fatalf("no documents: %v", err)
	}
	var docs strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		docs.Write(b)
	}
	for _, preset := range Presets() {
		run("docs", docs.String(), 4000, 2, preset)
	}
}

// TestLoadsInTokenizers: tokenizer.json gives the same ids in Hugging Face's library.
func TestLoadsInTokenizers(t *testing.T) {
	py := python(t)
	heldout := readText(t, "heldout.txt") + "<|im_start|>user\n你好<|im_end|>\n" + `{"name":"Ann","age":"7","名":"x"}` + "\n"
	for _, preset := range Presets() {
		v, err := Train(t.Context(), linesOf(readText(t, "corpus.txt")), Config{Size: 1500, Preset: preset, MinFrequency: 2,
			Special: special, Whole: whole, BOS: special[1], EOS: special[0], PAD: "<|pad|>", AddBOS: true, AddEOS: true})
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		js, err := v.TokenizerJSON()
		if err != nil {
			t.Fatal(err)
		}
		cfg, err := v.TokenizerConfigJSON()
		if err != nil {
			t.Fatal(err)
		}
		for name, b := range map[string][]byte{"tokenizer.json": js, "tokenizer_config.json": cfg, "text": []byte(heldout)} {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		const script = `
import json, sys
from tokenizers import Tokenizer
text = open(sys.argv[1] + "/text", encoding="utf-8", newline="").read()
t = Tokenizer.from_file(sys.argv[1] + "/tokenizer.json")
ids = t.encode(text).ids
out = {"ids": ids, "text": t.decode(ids, skip_special_tokens=False), "plain": t.decode(ids)}
try:
    from transformers import AutoTokenizer
    a = AutoTokenizer.from_pretrained(sys.argv[1])
    out["auto"], out["pad"], out["eos"] = a(text)["input_ids"], a.pad_token_id, a.eos_token_id
except ImportError:
    pass
print(json.dumps(out))`
		cmd := exec.CommandContext(t.Context(), py, "-c", script, dir)
		var complaints bytes.Buffer
		cmd.Stderr = &complaints
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %s", err, complaints.String())
		}
		var got struct {
			IDs, Auto []int32
			Text      string
			Plain     string
			Pad, EOS  int32
		}
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatal(err)
		}
		tok := encoder(t, v)
		want := tok.Encode(heldout, tokenizer.EncodeOptions{AddSpecial: true, ParseSpecial: true})
		if !slices.Equal(got.IDs, want) {
			t.Errorf("%s: tokenizers\n got %v\nwant %v", preset, got.IDs, want)
		}
		if got.Text != special[1]+heldout+special[0] {
			t.Errorf("%s: decoded: %q", preset, got.Text)
		}
		if plain := strings.NewReplacer(special[1], "", special[2], "").Replace(heldout); got.Plain != plain {
			t.Errorf("%s: decoded without special tokens: %q", preset, got.Plain)
		}
		if got.Auto == nil {
			t.Log("transformers is not installed: AutoTokenizer is not tried")
		} else if !slices.Equal(got.Auto, want) || got.Pad != tok.PAD() || got.EOS != tok.EOS() {
			t.Errorf("%s: AutoTokenizer: pad %d, eos %d\n got %v\nwant %v", preset, got.Pad, got.EOS, got.Auto, want)
		}
	}
}
