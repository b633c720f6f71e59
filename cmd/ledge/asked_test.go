package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestAsked: help wherever it is asked for, and values that make no sense, by the commands
// that people type.
func TestAsked(t *testing.T) {
	corpus := filepath.Join("..", "..", "runtime", "tokenizer", "bpetrain", "testdata", "corpus.txt")
	for _, c := range []struct {
		args string
		code int
		want string // in what it writes
	}{
		{"info x --help", 0, "ledge info: "},
		{"quantize a b -h", 0, "ledge quantize: "},
		{"data build x --help", 0, "ledge data build: "},
		{"train recipe.yaml --help", 0, "ledge train: "},
		{"run light on -n 3 --help", 0, "ledge run: "},
		{"help run --help", 0, "ledge run: "},
		{"help --help run", 0, "ledge run: "},
		{"tokenizer train --size -1 -o OUT " + corpus, exitUsage, "-1 is too small: it has 256 bytes and 1 special and whole tokens: ask for 258 to 16777216"},
		{"tokenizer train --size 10 -o OUT " + corpus, exitUsage, "ask for 258 to 16777216"},
		{"tokenizer train --size 99999999 -o OUT " + corpus, exitUsage, "ask for 258 to 16777216"},
		{"tokenizer train --min-frequency 0 -o OUT " + corpus, exitUsage, "minimum frequency is 0: it must be 1 or more"},
		{"tokenizer train --pre foo -o OUT " + corpus, exitUsage, "there are: gpt2 llama3 qwen2 smollm"},
		{"run --seed -1 hi", exitUsage, `--seed "-1": it must be a whole number from 0`},
		{"run -n 1e3 hi", exitUsage, `-n "1e3": it must be a whole number`},
		{"chat --temp abc", exitUsage, `--temp "abc": it must be a number`},
	} {
		args := strings.Fields(strings.Replace(c.args, "OUT", filepath.Join(t.TempDir(), "out"), 1))
		if c.code == 0 {
			if out := must(t, args...); !strings.HasPrefix(out, c.want) {
				t.Errorf("ledge %s wrote\n%s", c.args, out)
			}
			continue
		}
		refused(t, c.code, c.want, args...)
	}
}

// TestBackslash: the help says where a line goes on in the next, and that is so: from a
// pipe it does not.
func TestBackslash(t *testing.T) {
	for _, want := range []string{"On a terminal, a line that ends in a backslash", "From a pipe, each line is a message\n   as it stands"} {
		if help := must(t, "chat", "--help"); !strings.Contains(help, want) {
			t.Errorf("no %q in\n%s", want, help)
		}
	}
	r := ledgeIn("the \\\nother\n", "chat", "-m", golden(t, "llama-gqa"), "-n", "1", "--temp", "0", "--stats")
	if r.code != 0 || strings.Count(r.err, "prompt  ") != 2 {
		t.Errorf("%+v", r)
	}
}
