package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/runtime/bench/journal"
)

// journalOf gives a suite a journal of one round, with nothing measured.
func journalOf(t *testing.T, suite string) (path string) {
	t.Helper()
	path = strings.TrimSuffix(suite, ".yaml") + ".jsonl"
	j, err := journal.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Add(one()); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestWriteOver: what a command reads stays as it is, by whatever name it is called.
func TestWriteOver(t *testing.T) {
	key := home(t)
	suite := folder(t, "models: [m.gguf, s-00001-of-00002.gguf]\ncases: [{gen: 4}, {quality: {text: t.txt, reference: r.kld}}]\npeers: {x: {command: [sh, script.sh, \"{gen}\"], figures: {decode: tps}}}\n")
	dir := filepath.Dir(suite)
	t.Chdir(dir)
	path := journalOf(t, suite)
	signed := forged(t, one())
	for _, name := range []string{"s-00001-of-00002.gguf", "s-00002-of-00002.gguf", "t.txt", "r.kld", "script.sh", "d.md", "by.pub", "own.pem"} {
		if err := os.WriteFile(name, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	public, _ := bench(t, 0, "receipt", "--public")
	for name, data := range map[string]string{
		"own.pem": string(data), "by.pub": public, "d.md": "<!-- ledge-bench table writes what follows -->\n<!-- ledge-bench table wrote what is above -->\n",
	} {
		if err := os.WriteFile(name, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(path, "soft"); err != nil {
		t.Skipf("no symbolic links: %v", err)
	}
	if err := os.Link(path, "hard"); err != nil {
		t.Skipf("no hard links: %v", err)
	}
	for _, c := range []struct {
		file, what string
		args       []string
	}{
		{path, "the journal", []string{"report", suite, "-o"}},
		{path, "the journal", []string{"report", path, "-o"}},
		{"./tiny.jsonl", "the journal", []string{"report", path, "-o"}},
		{"soft", "the journal", []string{"report", suite, "-o"}},
		{"hard", "the journal", []string{"receipt", suite, "-o"}},
		{suite, "the suite", []string{"report", suite, "-o"}},
		{suite, "the suite", []string{"table", suite, "--into"}},
		{path, "the journal", []string{"table", suite, "--picture"}},
		{"d.md", "--into", []string{"table", suite, "--into", "d.md", "--picture"}},
		{"m.gguf", "the model m", []string{"receipt", suite, "-o"}},
		{"m.gguf", "the model m", []string{"receipt", "tiny.yaml", "-o"}},
		{"t.txt", "a text of quality", []string{"report", "tiny.yaml", "-o"}},
		{"tiny.jsonl", "the journal", []string{"report", "tiny.yaml", "-o"}},
		{"tiny.jsonl", "the journal", []string{"report", "tiny.jsonl", "-o"}},
		{"s-00002-of-00002.gguf", "the model s-00001-of-00002", []string{"receipt", suite, "-o"}},
		{"t.txt", "a text of quality", []string{"receipt", suite, "-o"}},
		{"r.kld", "a reference of quality", []string{"receipt", suite, "-o"}},
		{"script.sh", "the peer x", []string{"receipt", suite, "-o"}},
		{key, "the key", []string{"receipt", suite, "-o"}},
		{"own.pem", "the key", []string{"receipt", suite, "--key", "own.pem", "-o"}},
		{key, "your key", []string{"report", suite, "-o"}},
		{signed, "the receipt", []string{"report", signed, "-o"}},
		{"by.pub", "the key of --by", []string{"report", signed, "--by", "by.pub", "-o"}},
	} {
		was, err := os.ReadFile(c.file)
		if err != nil {
			t.Fatal(err)
		}
		if _, e := bench(t, 2, append(c.args, c.file)...); !strings.HasSuffix(e, c.file+" is read, too ("+c.what+"): name another file to write\n") && c.what != "--into" || !strings.Contains(e, c.what) {
			t.Errorf("%q %s says %q", c.args, c.file, e)
		}
		if now, err := os.ReadFile(c.file); err != nil || !bytes.Equal(now, was) {
			t.Errorf("%q %s: it was changed, %v", c.args, c.file, err)
		}
	}
	bench(t, 0, "receipt", suite, "-o", "new.json")
	bench(t, 0, "receipt", suite, "-o", "new.json") // again: it is not read
	bench(t, 0, "report", "new.json", "-o", "new.html")
}
