package runner

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/bench/suite"
)

// TestShort: neither folders nor secrets get into records, and nothing else is lost.
func TestShort(t *testing.T) {
	for _, c := range [][2]string{
		{"/opt/x/llama-bench|-m|MODEL|-t|2|-fa|0,1", "llama-bench|-m|MODEL|-t|2|-fa|0,1"},
		{"tool|--model=/home/bob/secret/x.gguf|/home/bob/a b.txt|../up/c|./d", "tool|--model=x.gguf|a b.txt|c|d"},
		{"tool|--model=/home/bob/my models/x.gguf", "tool|--model=x.gguf"},
		{"tool|--model=~/y.gguf|--lora=/a/b.gguf:0.5,/c/d.gguf|@/etc/args", "tool|--model=y.gguf|--lora=b.gguf:0.5,d.gguf|@args"},
		{`tool|C:\Users\bob\x.gguf|--model=D:\m\y.gguf`, `tool|x.gguf|--model=y.gguf`},
		{"tool|--api-key=sk-123|--api-key|sk-456|-v", "tool|--api-key=***|--api-key|***|-v"},
		{"tool|HF_TOKEN=hf_1|--clientSecret=a=b|--password|-x", "tool|HF_TOKEN=***|--clientSecret=***|--password|-x"},
		{"tool|--tokens|64|--max-tokens=5|--n-gen=3|-ctk|q8_0|--keep=2", "tool|--tokens|64|--max-tokens=5|--n-gen=3|-ctk|q8_0|--keep=2"},
		{"tool|--url=http://bob:pw@host:80/v1/models|qwen/Qwen3|The capital of 1/2 is", "tool|--url=http://***@host:80/v1/models|qwen/Qwen3|The capital of 1/2 is"},
		{"tool|--model=file:///home/bob/x.gguf", "tool|--model=file:x.gguf"},
	} {
		if got := strings.Join(short(strings.Split(c[0], "|")), "|"); got != c[1] {
			t.Errorf("%s: %s, want %s", c[0], got, c[1])
		}
	}
}

// TestScrub: what programs say of where they ran stays here.
func TestScrub(t *testing.T) {
	home, dir := t.TempDir(), filepath.Join(t.TempDir(), "the suite's folder")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	t.Setenv("SOME_API_KEY", "sk-of-this-process")
	work, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	c := newScrubber(&suite.Suite{Dir: dir, Peers: []suite.Peer{{Command: []string{"x", "--token", "hf_peer"}, Env: map[string]string{"PASSWORD": "hunter22"}}, {Args: []string{"--api-key=sk-args"}}}})
	r := record.Run{Failure: "x: exit status 1: cannot open " + filepath.Join(dir, "m.gguf") + ": no such file (key sk-args)",
		Notes: []string{"cache in " + filepath.Join(home, ".cache", "ledge") + ", not " + home, `ran in "` + work + `"`, "hunter22 and hf_peer and sk-of-this-process", "/var/lib/thing/a.so: bad; --password=abc 5 tokens/s"}}
	c.run(&r)
	if want := "x: exit status 1: cannot open m.gguf: no such file (key ***)"; r.Failure != want {
		t.Errorf("%q, want %q", r.Failure, want)
	}
	want := []string{"cache in " + filepath.Join(".cache", "ledge") + ", not .", `ran in "."`, "*** and *** and ***", "a.so: bad; --password=*** 5 tokens/s"}
	if !slices.Equal(r.Notes, want) {
		t.Errorf("%q, want %q", r.Notes, want)
	}
}
