package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// TestKeepsInputs: no command writes over what it reads, even with --force.
func TestKeepsInputs(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	model, err := os.ReadFile(golden(t, "llama-gqa"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("the other thin thing in the rain ", 60)
	data := `{"text":"the","label":"in"}` + "\n" + `{"text":"thin","label":"rain"}` + "\n"
	inputs := map[string]string{
		"w.gguf": string(model), "other.gguf": string(model), "i.json": "[1, 2, 3]", "t.txt": text, "e.txt": text + "e", "d.jsonl": data, "s.jsonl": data, "s-2.jsonl": data,
		"schema.json": `{"enum": ["in", "rain"]}`, "template.txt": "{text}", "x.gguf.heal/cache/heal.txt": text,
		"out/model.gguf": string(model), "out/log.jsonl": data, "out/cache/text-2.jsonl": data,
	}
	write := func(name string) {
		if err := os.MkdirAll(filepath.Dir(in(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(in(name), []byte(inputs[name]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name := range inputs {
		write(name)
	}
	if err := os.Symlink(in("w.gguf"), in("link.gguf")); err != nil {
		t.Skip(err) // a system without links
	}
	for _, line := range []string{
		"logits -m w.gguf -o w.gguf hi", "logits -m w.gguf -o link.gguf hi", "logits -m w.gguf --tokens-file i.json -o i.json",
		"eval -m w.gguf --raw -f d.jsonl --predictions d.jsonl", "eval -m w.gguf --raw -f d.jsonl --confusion d.jsonl", "eval -m w.gguf --raw -f d.jsonl --predictions w.gguf",
		"eval -m w.gguf --raw -f d.jsonl --confusion link.gguf", "eval -m w.gguf -m other.gguf --raw -f d.jsonl --predictions other.gguf",
		"eval -m w.gguf --raw -f d.jsonl --shots s.jsonl --predictions s.jsonl", "eval -m w.gguf -m other.gguf --raw -f d.jsonl --shots s-2.jsonl --predictions s.jsonl",
		"eval -m w.gguf --raw -f d.jsonl --template @template.txt --confusion template.txt", "eval -m w.gguf -f d.jsonl --by generation --json-schema schema.json --predictions schema.json",
		"eval -m w.gguf --raw -f d.jsonl --predictions new --confusion new",
		"eval -m w.gguf -f t.txt -c 32 --chunks 1 --save-logits t.txt", "eval -m w.gguf -f t.txt -c 32 --chunks 1 --save-logits w.gguf",
		"imatrix -m w.gguf -f t.txt -c 32 --chunks 1 --force -o t.txt", "imatrix -m w.gguf -f t.txt -c 32 --chunks 1 --force -o w.gguf",
		"quantize --force w.gguf w.gguf Q8_0", "quantize --force -f t.txt w.gguf t.txt Q8_0", "quantize --force --task d.jsonl w.gguf d.jsonl Q8_0",
		"prune --force --layers 1 -f t.txt --heal e.txt --heal-steps 1 w.gguf e.txt", "prune --force --layers 1 -f t.txt --eval-file e.txt w.gguf e.txt",
		"prune --force --layers 1 -f t.txt --heal x.gguf.heal/cache/heal.txt --heal-steps 1 w.gguf x.gguf",
		"distill --teacher w.gguf --student out/model.gguf -f t.txt -o out", "distill --teacher w.gguf --student other.gguf -f t.txt --task out/log.jsonl -o out",
		"distill --teacher w.gguf --student other.gguf -f out/cache/text-2.jsonl -f t.txt -o out",
	} {
		args := strings.Fields(line)
		for i, a := range args {
			name, at := strings.CutPrefix(a, "@")
			if _, err := os.Lstat(in(name)); err == nil || slices.Contains([]string{"new", "x.gguf"}, a) {
				args[i] = in(name)
				if at {
					args[i] = "@" + args[i]
				}
			}
		}
		refused(t, exitUsage, "", args...)
		for _, name := range slices.Sorted(maps.Keys(inputs)) {
			if b, err := os.ReadFile(in(name)); err != nil || string(b) != inputs[name] {
				t.Errorf("ledge %s: %s is another file: %v", line, name, err)
				write(name)
			}
		}
		if left, _ := filepath.Glob(in("*new*")); len(left) > 0 {
			t.Errorf("ledge %s: %v", line, left)
		}
	}
}

// TestFilesOf: to look which files flags name changes no flag.
func TestFilesOf(t *testing.T) {
	command := &cli.Command{Name: "x", Flags: []cli.Flag{&cli.StringSliceFlag{Name: "lora"}, &cli.StringFlag{Name: "template"}}, Action: func(c *cli.Context) error {
		if got := filesOf(c, "lora"); !slices.Equal(got, []string{"a.gguf", "b.gguf"}) {
			t.Errorf("adapters %q", got)
		}
		if got := c.StringSlice("lora"); !slices.Equal(got, []string{"a.gguf:0.5", "b.gguf"}) {
			t.Errorf("the flag has become %q", got)
		}
		if got := filesOf(c, "template"); !slices.Equal(got, []string{"t.txt"}) || c.String("template") != "@t.txt" {
			t.Errorf("template %q of %q", got, c.String("template"))
		}
		return nil
	}}
	app := &cli.App{Commands: []*cli.Command{command}}
	if err := app.Run([]string{"app", "x", "--lora", "a.gguf:0.5", "--lora", "b.gguf", "--template", "@t.txt"}); err != nil {
		t.Fatal(err)
	}
}
