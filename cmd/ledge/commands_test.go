package main

import (
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/runtime/bench"
)

func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	d := json.NewDecoder(strings.NewReader(text))
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	if d.More() {
		t.Errorf("more than one value in %s", text)
	}
	return v
}

func TestRun(t *testing.T) {
	m := golden(t, "llama-gqa")
	args := []string{"run", "-m", m, "--raw", "-n", "8", "--seed", "7", "the other"}
	text := must(t, args...)
	if !strings.HasSuffix(text, "\n") || len(text) < 3 {
		t.Errorf("run wrote %q", text)
	}
	if again := must(t, args...); again != text {
		t.Errorf("the same seed gives %q and %q", text, again)
	}
	r := decode[runResult](t, must(t, append(args, "--json")...))
	if r.Text != strings.TrimSuffix(text, "\n") && r.Text != text || len(r.Tokens) != 8 || r.Reason != "length" || r.Seed != 7 ||
		r.Usage.Generated != 8 || r.Usage.Prompt == 0 || r.Usage.Total != r.Usage.Prompt+8 || r.Device != "cpu" || r.Model != m {
		t.Errorf("run --json: %+v, text %q", r, text)
	}
	s := ledge(append(args, "--stats", "-t", "1")...)
	if s.out != text {
		t.Errorf("one thread writes %q, not %q", s.out, text)
	}
	for _, want := range []string{"load ", "tok/s", "seed      7", "ended     length", "device    cpu"} {
		if !strings.Contains(s.err, want) {
			t.Errorf("--stats has no %q:\n%s", want, s.err)
		}
	}
}

func TestRunInput(t *testing.T) {
	m := golden(t, "llama-gqa")
	flags := []string{"run", "-m", m, "--raw", "-n", "4", "--temp", "0", "--json"}
	prompt := func(in string, words ...string) int {
		r := ledgeIn(in, append(flags, words...)...)
		if r.code != 0 {
			t.Fatalf("%q %q: %s", in, words, r.err)
		}
		return decode[runResult](t, r.out).Usage.Prompt
	}
	want := prompt("", "the other")
	for _, c := range []struct {
		in    string
		words []string
	}{{"the other", []string{"-"}}, {"the other\n", []string{"-"}}, {"the other\r\n", nil}, {"", []string{"the", "other"}}, {"\n", []string{"the other"}}} {
		if got := prompt(c.in, c.words...); got != want {
			t.Errorf("%q %q is read as %d tokens, want %d", c.in, c.words, got, want)
		}
	}
	if got := prompt("more", "the other"); got <= want {
		t.Errorf("what is piped does not follow the prompt: %d tokens", got)
	}
	checkRefusal(t, ledgeIn("abc\xffdef", flags...), exitFailed, "byte 4 is 0xff", flags)
	refused(t, exitFailed, "not UTF-8", "run", "-m", m, "--raw", "a\xc3")
	refused(t, exitFailed, "system message is not UTF-8", "run", "-m", m, "--system", "a\xc3", "hi")
	refused(t, exitFailed, "-c N", "run", "-m", m, "--raw", strings.Repeat("many words ", 200))
	refused(t, exitFailed, "trained for 128", "run", "-m", m, "-c", "4096", "hi")
	if r := ledge("run", "-m", m, "-n", "2", "hi"); r.code != 0 || !strings.Contains(r.err, "ChatML") {
		t.Errorf("a model without a template: %d %q", r.code, r.err)
	}
	if r := ledge("run", "-m", m, "-n", "2", "-q", "hi"); r.code != 0 || r.err != "" {
		t.Errorf("--quiet: %d %q", r.code, r.err)
	}
	full := ledge("run", "-m", m, "--raw", "--ignore-eos", "-c", "16", "the other")
	if full.code != 0 || !strings.Contains(full.err, "context of 16 tokens is full, the answer is cut; -c sets a larger one (the model was trained for 128)") {
		t.Errorf("a full context: %d %q", full.code, full.err)
	}
	full = ledge("run", "-m", m, "--raw", "--ignore-eos", "the other")
	if full.code != 0 || !strings.Contains(full.err, "context of 128 tokens is full") || strings.Contains(full.err, "-c sets") || !strings.Contains(full.err, "trained for no more") {
		t.Errorf("the largest context is full: %d %q", full.code, full.err)
	}
}

func TestTokenize(t *testing.T) {
	m := golden(t, "llama-gqa")
	const text = "the other, thin inner 🙂"
	r := decode[struct {
		Tokens []int32
		Pieces []any
	}](t, must(t, "tokenize", "-m", m, "--json", text))
	if len(r.Tokens) == 0 || len(r.Tokens) != len(r.Pieces) {
		t.Fatalf("%+v", r)
	}
	if _, ok := r.Pieces[len(r.Pieces)-1].([]any); !ok {
		t.Errorf("a part of a character is written as %v", r.Pieces[len(r.Pieces)-1])
	}
	ids, _ := json.Marshal(r.Tokens)
	if got := ledgeIn(string(ids), "tokenize", "-m", m, "--decode"); got.out != text {
		t.Errorf("decoded %q, %s", got.out, got.err)
	}
	if lines := strings.Count(must(t, "tokenize", "-m", m, text), "\n"); lines != len(r.Tokens) {
		t.Errorf("%d lines for %d tokens", lines, len(r.Tokens))
	}
	plain, special := must(t, "tokenize", "-m", m, "<|end|>"), must(t, "tokenize", "-m", m, "<|end|>", "--special")
	if strings.Count(special, "\n") >= strings.Count(plain, "\n") {
		t.Errorf("--special: %q against %q", special, plain)
	}
	refused(t, exitFailed, "is 999", "tokenize", "-m", m, "--decode", "1,999")
	refused(t, exitFailed, `"x" is no token id`, "tokenize", "-m", m, "--decode", "1 x")
	refused(t, exitFailed, "not a JSON array", "tokenize", "-m", m, "--decode", "[1, 2.5]")
}

// TestLogits compares with the reference's logits of a golden model.
func TestLogits(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "runtime", "model", "testdata", "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	manifest := decode[struct {
		Models []struct {
			Name      string
			Logits    string
			Vocab     int
			Sequences []struct {
				Tokens    []int32
				Positions []int
				FirstRow  int `json:"first_row"`
			}
		}
	}](t, string(data))
	dir := t.TempDir()
	for _, g := range manifest.Models {
		if g.Name != "llama-gqa" && g.Name != "gemma3" {
			continue
		}
		_, want := parseNPY(t, unzip(t, g.Logits))
		for _, s := range g.Sequences {
			tokens, out := filepath.Join(dir, "tokens.json"), filepath.Join(dir, "logits.npy")
			ids, _ := json.Marshal(s.Tokens)
			if err := os.WriteFile(tokens, ids, 0o644); err != nil {
				t.Fatal(err)
			}
			must(t, "logits", "-m", golden(t, g.Name), "--tokens-file", tokens, "-o", out, "--cache-type", "f32")
			file, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			shape, got := parseNPY(t, file)
			if shape != [2]int{len(s.Tokens), g.Vocab} {
				t.Fatalf("%s: shape %v", g.Name, shape)
			}
			for i, p := range s.Positions {
				for j := range g.Vocab {
					a, b := got[p*g.Vocab+j], want[(s.FirstRow+i)*g.Vocab+j]
					if d := math.Abs(float64(a - b)); !(d < 0.02) {
						t.Fatalf("%s, position %d, token %d: %v, the reference has %v", g.Name, p, j, a, b)
					}
				}
			}
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func parseNPY(t *testing.T, data []byte) (shape [2]int, values []float32) {
	t.Helper()
	if len(data) < 10 || string(data[:8]) != "\x93NUMPY\x01\x00" {
		t.Fatalf("no NumPy file: %q", data[:min(len(data), 16)])
	}
	n := 10 + int(binary.LittleEndian.Uint16(data[8:]))
	if n%64 != 0 {
		t.Errorf("the header has %d bytes", n)
	}
	head := string(data[10:n])
	_, dims, ok := strings.Cut(head, "'shape': (")
	if !ok || !strings.Contains(head, "'descr': '<f4'") {
		t.Fatalf("header %q", head)
	}
	for i, d := range strings.SplitN(dims[:strings.Index(dims, ")")], ",", 2) {
		shape[i] = int(decode[float64](t, strings.Trim(d, " ,")))
	}
	values = make([]float32, (len(data)-n)/4)
	if _, err := binary.Decode(data[n:], binary.LittleEndian, values); err != nil {
		t.Fatal(err)
	}
	return shape, values
}

func TestLogitsInput(t *testing.T) {
	m, dir := golden(t, "llama-gqa"), t.TempDir()
	out := filepath.Join(dir, "x.npy")
	for _, c := range []struct {
		tokens, say string
		code        int
	}{
		{"[1, 2, 263]", "is 263", exitFailed}, {"[-1]", "is -1", exitFailed}, {"[]", "no token", exitUsage},
		{"{}", "is no token id", exitFailed}, {"[1,", "JSON", exitFailed}, {"[" + strings.Repeat("1,", 200) + "1]", "do not fit", exitFailed},
	} {
		file := filepath.Join(dir, "t.json")
		if err := os.WriteFile(file, []byte(c.tokens), 0o644); err != nil {
			t.Fatal(err)
		}
		refused(t, c.code, c.say, "logits", "-m", m, "-o", out, "--tokens-file", file)
	}
	refused(t, exitFailed, "cannot write", "logits", "-m", m, "-o", filepath.Join(dir, "no", "such", "x.npy"), "hi")
	refused(t, exitFailed, "is a folder", "logits", "-m", m, "-o", dir, "hi")
	refused(t, exitFailed, "cannot read", "logits", "-m", m, "-o", out, "--tokens-file", filepath.Join(dir, "none.json"))
	if _, err := os.Stat(out); err == nil {
		t.Error("a failure left a file under the final name")
	}
	if got := must(t, "logits", "-m", m, "-o", "-", "hi"); !strings.HasPrefix(got, "\x93NUMPY") {
		t.Errorf("-o - wrote %q", got[:min(len(got), 10)])
	}
}

func TestInfo(t *testing.T) {
	m := golden(t, "gemma3")
	i := decode[modelInfo](t, must(t, "info", m, "--json", "--tensors", "-c", "64"))
	if !i.Supported || i.Architecture != "gemma3" || i.Layers == 0 || i.Vocab == 0 || i.Window == 0 || len(i.Tensors) == 0 || i.Memory == nil ||
		i.Memory.Context != 64 || i.Memory.Cache == 0 || i.Memory.Weights == 0 || i.Tokenizer.Size == 0 || i.Template.Present {
		t.Errorf("%+v", i)
	}
	var sum int64
	for _, x := range i.Types {
		sum += x.Parameters
	}
	if sum != i.Parameters {
		t.Errorf("types have %d parameters, the model %d", sum, i.Parameters)
	}
	double := decode[modelInfo](t, must(t, "info", m, "--json", "-c", "128"))
	if double.Memory.Cache != 2*i.Memory.Cache || double.Tensors != nil {
		t.Errorf("a cache of %d bytes for 64 tokens, %d for 128", i.Memory.Cache, double.Memory.Cache)
	}
	for _, want := range []string{"architecture   gemma3 (supported)", "tokenizer", "memory", "chat template  none"} {
		if out := must(t, "info", m); !strings.Contains(out, want) {
			t.Errorf("info has no %q:\n%s", want, out)
		}
	}
}

// TestInfoMemory: that there is no figure of memory is no matter of the architecture.
func TestInfoMemory(t *testing.T) {
	m := golden(t, "llama-gqa")
	for _, c := range []struct{ flag, value, say string }{
		{"-c", "100000", "give -c 128 or less"}, {"--device", "nosuch", `no device "nosuch"`},
	} {
		i := decode[modelInfo](t, must(t, "info", m, "--json", c.flag, c.value))
		if !i.Supported || i.Problem != "" || i.Memory != nil || !strings.Contains(i.MemoryProblem, c.say) {
			t.Errorf("%s: %+v", c.flag, i)
		}
		if out := must(t, "info", m, c.flag, c.value); !strings.Contains(out, "llama (supported)") || !strings.Contains(out, c.say) {
			t.Errorf("%s: %s", c.flag, out)
		}
	}
}

// TestInfoUnknown describes a model that cannot run.
func TestInfoUnknown(t *testing.T) {
	data, err := os.ReadFile(golden(t, "llama-gqa"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "alien.gguf")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(data), "llama", "alien")), 0o644); err != nil {
		t.Fatal(err)
	}
	i := decode[modelInfo](t, must(t, "info", path, "--json"))
	if i.Supported || i.Architecture != "alien" || !strings.Contains(i.Problem, "llama") || i.Layers != 2 || i.Parameters == 0 || i.Tokenizer.Size == 0 {
		t.Errorf("%+v", i)
	}
	if out := must(t, "info", path); !strings.Contains(out, "not supported") {
		t.Error(out)
	}
	refused(t, exitFailed, "known are", "run", "-m", path, "hi")
}

func TestPerplexity(t *testing.T) {
	m := golden(t, "llama-gqa")
	text := strings.Repeat("the other, thin inner one; ", 30)
	r := ledgeIn(text, "perplexity", "-m", m, "-f", "-", "-c", "32", "--chunks", "3", "--json")
	p := decode[struct {
		PPL, Stderr    float64
		Tokens, Chunks int
	}](t, r.out)
	if r.code != 0 || p.PPL < 1 || p.Stderr <= 0 || p.Tokens != 3*15 || p.Chunks != 3 {
		t.Errorf("%+v, %s", p, r.err)
	}
	if r := ledgeIn(text, "perplexity", "-m", m, "-f", "-", "-c", "32"); !strings.Contains(r.out, "±") {
		t.Errorf("%+v", r)
	}
	checkRefusal(t, ledgeIn("short", "perplexity", "-m", m, "-f", "-", "-c", "32"), exitFailed, "at least twice as many", nil)
	refused(t, exitFailed, "cannot read", "perplexity", "-m", m, "-f", filepath.Join(scratch, "none.txt"))
	refused(t, exitFailed, "is a folder", "perplexity", "-m", m, "-f", scratch)
}

func TestBench(t *testing.T) {
	m := golden(t, "llama-gqa")
	args := []string{"bench", "-m", m, "-p", "16", "-n", "4", "-d", "0,32", "-t", "1", "-r", "2"}
	rs := decode[[]bench.Result](t, must(t, append(args, "-o", "json")...))
	if len(rs) != 4 || rs[3].Test().String() != "tg4 @ d32" || rs[0].Threads != 1 || len(rs[0].Ns) != 2 || rs[0].File != m {
		t.Errorf("%+v", rs)
	}
	rows, err := csv.NewReader(strings.NewReader(must(t, append(args, "-o", "csv")...))).ReadAll()
	if err != nil || len(rows) != 5 || rows[0][0] != "build_commit" {
		t.Errorf("%v %q", err, rows)
	}
	if out := must(t, append(args, "-o", "table")...); !strings.Contains(out, "| pp16 @ d32 |") && !strings.Contains(out, "pp16 @ d32 |") {
		t.Error(out)
	}
	refused(t, exitFailed, "trained for 128", "bench", "-m", m, "-p", "512")
	rs = decode[[]bench.Result](t, must(t, "bench", "-m", m, "-p", "0", "-n", "2", "-t", "1,2", "-r", "1", "--ceiling", "--json"))
	if len(rs) != 2 || rs[0].ReadGBs <= 0 || rs[1].ReadGBs <= 0 {
		t.Errorf("%+v", rs)
	}
	refused(t, exitUsage, "-o json", "bench", "-m", m, "--ceiling")
}

func TestGraph(t *testing.T) {
	m := golden(t, "llama-gqa")
	seen := map[string]bool{}
	for _, stage := range []string{"built", "placed", "fused", "lowered"} {
		out := must(t, "graph", m, "--stage", stage)
		if _, err := graph.Parse(out); err != nil {
			t.Errorf("%s: %v", stage, err)
		}
		seen[out] = true
	}
	if len(seen) < 3 {
		t.Errorf("the stages show only %d graphs", len(seen))
	}
	r := ledge("graph", m)
	if !strings.Contains(r.out, "plan for cpu: arena ") || !strings.Contains(r.err, "arena on cpu: ") {
		t.Errorf("%s\n%s", r.err, r.out)
	}
	if out := must(t, "graph", m, "--dot"); !strings.HasPrefix(out, "digraph") {
		t.Error(out)
	}
	if must(t, "graph", m, "--stage", "fused", "--no-fuse") != must(t, "graph", m, "--stage", "placed") {
		t.Error("--no-fuse fuses")
	}
}

func TestVersionAndDevices(t *testing.T) {
	v := decode[versionInfo](t, must(t, "version", "--json"))
	if v.Version == "" || !strings.HasPrefix(v.Go, "go") || !strings.HasPrefix(v.Numerics, "cpu/") {
		t.Errorf("%+v", v)
	}
	if must(t, "--version") != must(t, "version") {
		t.Error("--version differs from version")
	}
	d := decode[struct{ Devices []deviceReport }](t, must(t, "devices", "--json"))
	for _, r := range d.Devices {
		if r.Name == "cpu" && (!r.Found || !r.Tested || !r.Passed || !r.Picked) {
			t.Errorf("%+v", r)
		}
	}
	if out := must(t, "devices"); !strings.Contains(out, "* cpu") || !strings.Contains(out, "vulkan ") || !strings.Contains(out, "self-test passed") {
		t.Error(out)
	}
}

func TestModels(t *testing.T) {
	t.Setenv("LEDGE_MODELS", t.TempDir())
	if r := ledge("models"); r.out != "" || !strings.Contains(r.err, "ledge pull") {
		t.Errorf("%+v", r)
	}
	if out := must(t, "models", "--all"); !strings.Contains(out, "smollm2:135m ") || !strings.Contains(out, "qwen3:0.6b ") {
		t.Error(out)
	}
	l := decode[struct {
		Models    []localModel
		Catalogue []struct{ Name string }
	}](t, must(t, "models", "ls", "--json", "-a"))
	if len(l.Models) != 0 || len(l.Catalogue) == 0 {
		t.Errorf("%+v", l)
	}
}

func TestCompletion(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"per", "perplexity\n"}, {"run --repeat-p", "--repeat-penalty\n"}, {"run -m qwen3:0", "qwen3:0.6b\n"}, {"info smollm2:135", "smollm2:135m\n"},
		{"graph --stage f", "fused\n"}, {"models l", "list\nls\n"}, {"completion z", "zsh\n"}, {"run --device cp", "cpu\n"}, {"bench -o j", "json\n"},
		{"logits -o j", ""}, {"nosuch x", ""}, {"models rm --q", "--quiet\n"},
	} {
		if got := must(t, append([]string{"__complete", "--"}, strings.Split(c.line, " ")...)...); got != c.want {
			t.Errorf("ledge %s completes to %q, want %q", c.line, got, c.want)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if out := must(t, "completion", shell); !strings.Contains(out, "ledge __complete") {
			t.Errorf("%s: %s", shell, out)
		}
	}
}
