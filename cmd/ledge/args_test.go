package main

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/cmd/internal/console"
)

func TestArrange(t *testing.T) {
	a := &app{out: console.NewOutput(io.Discard), stderr: io.Discard, getenv: os.Getenv}
	for _, c := range []struct{ in, want []string }{
		{[]string{"run", "hi"}, []string{"run", "--", "hi"}},
		{[]string{"run", "hi", "there", "-n", "3"}, []string{"run", "-n", "3", "--", "hi", "there"}},
		{[]string{"run", "-n=3", "hi", "--json", "there"}, []string{"run", "-n=3", "--json", "--", "hi", "there"}},
		{[]string{"run", "--temp", "-1", "hi"}, []string{"run", "--temp", "-1", "--", "hi"}},
		{[]string{"run", "-5 degrees"}, []string{"run", "--", "-5 degrees"}},
		{[]string{"run", "-n", "2", "-5"}, []string{"run", "-n", "2", "--", "-5"}},
		{[]string{"run", "-.5 is a half", "-n", "2"}, []string{"run", "-n", "2", "--", "-.5 is a half"}},
		{[]string{"run", "- a list", "--json"}, []string{"run", "--json", "--", "- a list"}},
		{[]string{"run", "--not a flag"}, []string{"run", "--", "--not a flag"}},
		{[]string{"run", "--", "--json", "-n"}, []string{"run", "--", "--json", "-n"}},
		{[]string{"run", "-", "--json"}, []string{"run", "--json", "--", "-"}},
		{[]string{"run", "--system", "-n 3 is no flag here", "hi"}, []string{"run", "--system", "-n 3 is no flag here", "--", "hi"}},
		{[]string{"run", "--stop", "--", "hi"}, []string{"run", "--stop", "--", "--", "hi"}},
		{[]string{"models"}, []string{"models", "list"}},
		{[]string{"models", "--json"}, []string{"models", "list", "--json"}},
		{[]string{"models", "--json", "list"}, []string{"models", "list", "--json"}},
		{[]string{"models", "rm", "a", "-q", "b"}, []string{"models", "rm", "-q", "--", "a", "b"}},
		{[]string{"models", "--help"}, []string{"models", "--help"}},
	} {
		got, err := console.Arrange("ledge", a.commands(), c.in)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%q became %q, %v; want %q", c.in, got, err, c.want)
		}
	}
}

// TestBothOrders runs every command with its flags before and after its
// arguments.
func TestBothOrders(t *testing.T) {
	m := golden(t, "llama-gqa")
	dir := t.TempDir()
	text := filepath.Join(dir, "text.txt")
	if err := os.WriteFile(text, []byte(strings.Repeat("the other, thin inner one. ", 20)), 0o644); err != nil {
		t.Fatal(err)
	}
	npy := filepath.Join(dir, "x.npy")
	for _, c := range []struct{ flags, args []string }{
		{[]string{"run", "-m", m, "--raw", "-n", "4", "--temp", "0"}, []string{"the other"}},
		{[]string{"info", "--json", "-c", "64"}, []string{m}},
		{[]string{"tokenize", "-m", m, "--json"}, []string{"the other"}},
		{[]string{"tokenize", "-m", m, "--decode"}, []string{"116", "257"}},
		{[]string{"logits", "-m", m, "-o", npy}, []string{"the other"}},
		{[]string{"perplexity", "-m", m, "-c", "16", "--json"}, []string{text}},
		{[]string{"graph", "--stage", "built"}, []string{m}},
		{[]string{"models", "list", "--all"}, nil},
		{[]string{"completion"}, []string{"bash"}},
		{[]string{"version", "--json"}, nil},
		{[]string{"help"}, []string{"run"}},
		{[]string{"__complete"}, []string{"gra"}},
	} {
		before := must(t, append(slices.Clone(c.flags), c.args...)...)
		after := append([]string{c.flags[0]}, c.args...)
		first := must(t, append(after, c.flags[1:]...)...)
		if before != first || before == "" && c.flags[0] != "logits" {
			t.Errorf("ledge %q: flags before the arguments give\n%s\nafter them\n%s", c.flags, before, first)
		}
	}
	// Their output tells the time, so only success and form are compared.
	for _, args := range [][]string{
		{"bench", "-p", "8", "-n", "2", "-r", "1", "-o", "csv", m}, {"bench", m, "-p", "8", "-n", "2", "-r", "1", "-o", "csv"},
	} {
		if out := must(t, args...); strings.Count(out, "\n") != 3 {
			t.Errorf("ledge %q: %s", args, out)
		}
	}
	must(t, "devices", "--json")
	for _, args := range [][]string{{"pull", "--offline", "-q", m}, {"pull", m, "-q", "--offline"}} {
		if out := must(t, args...); out != m+"\n" {
			t.Errorf("ledge %q: %q", args, out)
		}
	}
	for _, args := range [][]string{{"models", "rm", "-q", "none:1b"}, {"models", "rm", "none:1b", "-q"}} {
		refused(t, exitModel, "none:1b", args...)
	}
	for _, args := range [][]string{{"chat", "-m", m, "-n", "2", "--temp", "0"}, {"chat", "--temp", "0", "-n", "2", "-m", m}} {
		if r := ledgeIn("the\n", args...); r.code != 0 {
			t.Errorf("ledge %q: %d %s", args, r.code, r.err)
		}
	}
	if out := must(t, "probe", "cpu"); !strings.Contains(out, `"passed":true`) {
		t.Errorf("probe cpu: %s", out)
	}
}

func TestDashedPrompts(t *testing.T) {
	m := golden(t, "llama-gqa")
	for _, prompt := range []string{"-5 degrees", "-5", "--json is a flag"} {
		out := must(t, "tokenize", "-m", m, prompt, "--json")
		if !strings.Contains(out, `"-"`) {
			t.Errorf("%q: %s", prompt, out)
		}
	}
	if out := must(t, "tokenize", "-m", m, "--", "--json"); strings.Contains(out, "{") {
		t.Errorf("after --, --json is still a flag: %s", out)
	}
}
