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
		"w.gguf": string(model), "other.gguf": string(model), "i.json": "[1, 2, 3]", "t.txt": text, "e.txt": text + "e", "d.jsonl": data, "d.svg": data, "s.jsonl": data, "s-2.jsonl": data,
		"schema.json": `{"enum": ["in", "rain"]}`, "template.svg": "{text}", "x.gguf.heal/cache/heal.txt": text,
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
	for _, link := range []string{"link.gguf", "link.svg"} {
		if err := os.Symlink(in("w.gguf"), in(link)); err != nil {
			t.Skip(err) // a system without links
		}
	}
	for _, line := range []string{
		"logits -m w.gguf -o w.gguf hi", "logits -m w.gguf -o link.gguf hi", "logits -m w.gguf --tokens-file i.json -o i.json",
		"eval -m w.gguf --raw -f d.jsonl --predictions d.jsonl", "eval -m w.gguf --raw -f d.svg --confusion d.svg", "eval -m w.gguf --raw -f d.jsonl --predictions w.gguf",
		"eval -m w.gguf --raw -f d.jsonl --confusion link.svg", "eval -m w.gguf -m other.gguf --raw -f d.jsonl --predictions other.gguf",
		"eval -m w.gguf --raw -f d.jsonl --shots s.jsonl --predictions s.jsonl", "eval -m w.gguf -m other.gguf --raw -f d.jsonl --shots s-2.jsonl --predictions s.jsonl",
		"eval -m w.gguf --raw -f d.jsonl --template @template.svg --confusion template.svg", "eval -m w.gguf -f d.jsonl --by generation --json-schema schema.json --predictions schema.json",
		"eval -m w.gguf --raw -f d.jsonl --predictions new.svg --confusion new.svg",
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
			if _, err := os.Lstat(in(name)); err == nil || slices.Contains([]string{"new.svg", "x.gguf"}, a) {
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

// TestKeepsOthers: files of other kinds are not written over without being asked; those
// that an earlier run of the command left are.
func TestKeepsOthers(t *testing.T) {
	m, data := golden(t, "llama-gqa"), writeFile(t, "d.jsonl", evalData)
	text := writeFile(t, "t.txt", strings.Repeat("the other thin thing in the rain ", 30))
	dir := t.TempDir()
	for _, c := range []struct {
		name string
		args []string // FILE is what is written
	}{
		{"p.jsonl", []string{"eval", "-m", m, "-f", data, "--raw", "--predictions", "FILE"}},
		{"c.svg", []string{"eval", "-m", m, "-f", data, "--raw", "--confusion", "FILE"}},
		{"base.kld", []string{"eval", "-m", m, "-f", text, "-c", "32", "--chunks", "1", "--save-logits", "FILE"}},
		{"l.npy", []string{"logits", "-m", m, "-o", "FILE", "the"}},
	} {
		path := filepath.Join(dir, c.name)
		args := slices.Clone(c.args)
		args[slices.Index(args, "FILE")] = path
		must(t, args...)
		must(t, args...) // again
		for _, other := range []string{"my notes\n", "GGUF....", `{"text":"the","label":"in"}` + "\n", `<svg xmlns="http://www.w3.org/2000/svg"></svg>`} {
			if err := os.WriteFile(path, []byte(other), 0o644); err != nil {
				t.Fatal(err)
			}
			refused(t, exitFailed, "--force", args...)
			if b, err := os.ReadFile(path); err != nil || string(b) != other {
				t.Errorf("ledge %q: %v, %.40q", args, err, b)
			}
		}
		must(t, append(args, "--force")...)
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		must(t, args...) // nothing is lost
	}
	second := writeFile(t, "q-2.jsonl", "my notes\n")
	refused(t, exitFailed, "q-2.jsonl is there already", "eval", "-m", m, "-m", m, "-f", data, "--raw", "--predictions", strings.Replace(second, "-2", "", 1))
	notes := writeFile(t, "notes.json", `{"messages": [], "mine": 1}`)
	talk := "the\n/save " + notes + "\n"
	if r := ledgeIn(talk, "chat", "-m", m, "-q", "-n", "2"); !strings.Contains(r.err, "is no conversation") {
		t.Errorf("%+v", r)
	}
	if err := os.Remove(notes); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if r := ledgeIn(talk, "chat", "-m", m, "-q", "-n", "2"); r.code != 0 || r.err != "" {
			t.Errorf("%+v", r)
		}
	}
}

// TestWritableFirst: where nothing can be written is found out before the work.
func TestWritableFirst(t *testing.T) {
	m, data := golden(t, "llama-gqa"), writeFile(t, "d.jsonl", evalData)
	text := calibration(t)
	dir := t.TempDir()
	if os.Geteuid() == 0 { // who may write everywhere else
		dir = "/proc"
		if _, err := os.Stat(dir); err != nil {
			t.Skip("root may write to all folders here")
		}
	} else if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	file := func(name string) string { return filepath.Join(dir, name) }
	// Each has something that fails as soon as the work begins.
	none, bad := filepath.Join(dir, "none.gguf"), writeFile(t, "bad.gguf", "GGUF no model")
	for _, args := range [][]string{
		{"imatrix", "-m", m, "-f", short(t), "-o", file("i.gguf")}, {"imatrix", "-m", m, "-f", short(t), "-o", file("i.dat")},
		{"prune", "--layers", "1", "--imatrix", none, "-f", text, m, file("p.gguf")}, {"quantize", "-f", text, "--imatrix", none, "--target-bpw", "6", m, file("q.gguf")},
		{"eval", "-m", bad, "-f", data, "--raw", "--predictions", file("p.jsonl")}, {"eval", "-m", bad, "-f", data, "--raw", "--confusion", file("c.svg")},
		{"eval", "-m", bad, "-f", text, "-c", "32", "--save-logits", file("b.kld")}, {"logits", "-m", m, "-o", file("l.npy"), "the"},
	} {
		r := ledge(append(args, "-q")...)
		checkRefusal(t, r, exitFailed, "cannot write", args)
		if r.out != "" {
			t.Errorf("ledge %q: %s", args, r.out)
		}
	}
}

// TestUnwritten: results are whole where only their file fails.
func TestUnwritten(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full")
	}
	r := ledge("eval", "-m", golden(t, "llama-gqa"), "-f", writeFile(t, "d.jsonl", evalData), "--raw", "--predictions", "/dev/full")
	if r.code != exitFailed || !strings.Contains(r.err, "cannot write /dev/full") || strings.Contains(r.out, "PARTIAL") || !strings.Contains(r.out, "F1 macro") {
		t.Errorf("%+v", r)
	}
}

// TestDashIsNoFile: what must be a file is not written to one that is called -.
func TestDashIsNoFile(t *testing.T) {
	m, text := golden(t, "llama-gqa"), calibration(t)
	t.Chdir(t.TempDir())
	for _, args := range [][]string{
		{"quantize", m, "-", "Q8_0"}, {"prune", "--layers", "1", "-f", text, m, "-"}, {"imatrix", "-m", m, "-f", text, "-o", "-"},
		{"merge", "-m", m, "--lora", m, "-o", "-"},
	} {
		refused(t, exitUsage, "- is none", args...)
	}
}
