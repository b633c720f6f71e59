package suite_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/bench/suite"
)

func parse(t *testing.T, text string) *suite.Suite {
	t.Helper()
	s, err := suite.Parse([]byte(text), "dir/s.yaml", nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return s
}

func ids(s *suite.Suite) []string {
	var all []string
	for _, c := range s.Cases {
		all = append(all, c.ID)
	}
	return all
}

// TestCases: what becomes of a file's lists.
func TestCases(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"models: a/b.gguf", []string{"b/pp512+tg128"}},
		{"models: [a.gguf, b.gguf]\nthreads: [1, 2]\ngen: 8", []string{"a/t1/tg8", "a/t2/tg8", "b/t1/tg8", "b/t2/tg8"}},
		// Lengths stand side by side: each is measured once.
		{"models: a\nprompt: [1, 2, 3]\ngen: [4, 0]", []string{"a/pp1+tg4", "a/pp2", "a/pp3"}},
		{"models: a\nprompt: 16\ndepth: [0, 32]\nparallel: [1, 4]", []string{"a/pp16", "a/pp16@d32", "a/pp16x4", "a/pp16@d32x4"}},
		{"models: a\ndevices: [cpu, vulkan]\nenv: [{A: b}, {LEDGE_CPU: avx2, A: c d}]\ngen: 1", []string{
			"a/cpu/tg1/A=b", "a/cpu/tg1/A=c-d/LEDGE_CPU=avx2", "a/vulkan/tg1/A=b", "a/vulkan/tg1/A=c-d/LEDGE_CPU=avx2"}},
		{"models: {file: x/y.gguf, name: The Y}\ncontext: 99\ncache: q8_0\nbatch: 64\ngen: 2", []string{"The-Y/tg2/c99/q8_0/b64"}},
		// An entry has what the top says, until it says something else.
		{"models: a\nthreads: 2\nprompt: 8\nrepeat: 3\ncases:\n- name: one\n- {name: two, gen: 4, prompt: 0}\n- {name: three, start: true}\n- {name: four, quality: {text: t.txt, chunks: 2}}\n- {name: five, models: b, gen: 1, busy: 1}",
			[]string{"one/a/t2/pp8", "two/a/t2/tg4", "three/a/t2/start/c4096", "four/a/t2/quality-c512x2-t.txt", "five/b/t2/pp8+tg1-busy1"}},
		{"models: a\nstart: hello\ncases:\n- name: s\n- {name: g, gen: 2}", []string{"s/a/start/c4096", "g/a/tg2"}},
		{"vars: {d: /m}\nmodels: [&x '${d}/a.gguf', b]\ncases: [{gen: 1, models: *x}]", []string{"a/tg1"}},
	} {
		if got := ids(parse(t, c.text)); !slices.Equal(got, c.want) {
			t.Errorf("%s\ngives %q, want %q", c.text, got, c.want)
		}
	}
	s := parse(t, "name: n\nvars: {d: models}\nledge: ledge\njournal: out/j.jsonl\ntimeout: 90s\nrounds: 7\nmodels: ${d}/a.gguf\ncases: [{gen: 1}, {gen: 2, rounds: 2, slow: true, greedy: {}}]")
	if s.Name != "n" || s.Journal != filepath.Join("dir", "out", "j.jsonl") || s.Ledge != "ledge" || s.Timeout != 90*time.Second || s.Cases[0].Rounds != 7 ||
		s.Cases[1].Rounds != 2 || !s.Cases[1].Slow || s.Cases[0].Model.File != "models/a.gguf" || len(s.SHA256) != 64 {
		t.Errorf("%+v", s)
	}
	if g := s.Cases[1].Settings.Greedy; g == nil || g.Tokens != 32 || g.Prompt != suite.DefaultStart {
		t.Errorf("greedy %+v", g)
	}
	if s := parse(t, "models: a"); s.Name != "s" || s.Journal != filepath.Join("dir", "s.jsonl") || s.Rounds != suite.DefaultRounds {
		t.Errorf("%+v", s)
	}
	if s, err := suite.Parse([]byte("vars: {a: b}\nmodels: ${a}.gguf"), "s", map[string]string{"a": "c"}); err != nil || s.Cases[0].Model.File != "c.gguf" {
		t.Errorf("%v, %v", s, err)
	}
}

const peers = "models: a\npeers:\n  llama: {llama-bench: bin}\n  old: {ledge: old/ledge}\n  tool:\n    command: [sub/tool, '{model}', '{prompt}']\n    figures: {prefill: a.0.b, decode: {path: d, scale: 0.5}}\n" +
	"  whole: {command: [tool, '{text}']}\n  gpu: {llama-bench: bin, devices: cuda}\n"

// TestPeers: who is measured beside a case.
func TestPeers(t *testing.T) {
	for _, c := range []struct {
		cases string
		want  []string
	}{
		{"prompt: 8\n", []string{"llama", "old", "tool"}},
		{"gen: 8\n", []string{"llama", "old", "tool"}},
		{"prompt: 8\ndepth: 4\n", []string{"llama", "old"}}, // the tool cannot be told the depth
		{"gen: 8\nparallel: 4\n", []string{"llama", "old"}},
		{"start: true\n", []string{"llama", "old", "whole"}},
		{"quality: {text: t}\n", []string{"old"}},
		{"prompt: 8\ndevices: cuda\n", []string{"llama", "old", "tool", "gpu"}},
		{"cases: [{prompt: 8, peers: [tool, llama]}]\n", []string{"llama", "tool"}},
		{"cases: [{prompt: 8, peers: none}]\n", nil},
	} {
		s := parse(t, peers+c.cases)
		if !slices.Equal(s.Cases[0].Peers, c.want) {
			t.Errorf("%s: %q, want %q", c.cases, s.Cases[0].Peers, c.want)
		}
	}
	s := parse(t, peers+"gen: 1")
	tool, _ := s.Peer("tool")
	if !filepath.IsAbs(tool.Command[0]) || !strings.HasSuffix(tool.Command[0], filepath.Join("dir", "sub", "tool")) || tool.Figures[record.Decode] != (suite.Source{Path: "d", Scale: 0.5}) || tool.Figures[record.Prefill].Scale != 1 {
		t.Errorf("%+v", tool)
	}
	for _, c := range []struct{ program, speed, together string }{
		{"x/bin", "x/bin/llama-bench", "x/bin/llama-batched-bench"}, {"x/bin/llama-bench", "x/bin/llama-bench", "x/bin/llama-batched-bench"},
		{"llama-bench", "llama-bench", "llama-batched-bench"},
	} {
		p := suite.Peer{Kind: suite.LlamaBench, Program: filepath.FromSlash(c.program)}
		one, two := p.Needs(&suite.Case{}), p.Needs(&suite.Case{Settings: record.Settings{Parallel: 2}})
		if filepath.ToSlash(one) != c.speed || filepath.ToSlash(two) != c.together {
			t.Errorf("%s: %s and %s", c.program, one, two)
		}
	}
}

// TestErrors: what is wrong, and where.
func TestErrors(t *testing.T) {
	for _, c := range []struct {
		text         string
		line, column int
		say          string
	}{
		{"", 0, 0, "says nothing"},
		{"# only a comment\n", 0, 0, "says nothing"},
		{"models: [a\nthreads: 1", 2, 0, "no valid YAML"},
		{"a: b: c", 1, 0, "mapping values are not allowed"},
		{"models: a\n---\nmodels: b", 0, 0, "several documents"},
		{"- a\n- b", 1, 1, "a suite is written as keys with values, not as a list"},
		{"just text", 1, 1, `not as "just text"`},
		{"modles: a", 1, 1, `unknown key "modles" in a suite, did you mean models?`},
		{"models: a\ngen: 8\ncases:\n  - name: x\n    thread: 2\n", 5, 5, "did you mean threads?"},
		{"models: a\nmodels: b", 2, 1, "models is said twice; the first time in line 1"},
		{"gen: 8", 1, 1, "there are no models"},
		{"models: []", 1, 9, "the list is empty"},
		{"models:", 1, 0, "there is no value"},
		{"models: [a, a]", 1, 13, "two models are called a"},
		{"models: {name: a}", 1, 9, "the model has no file"},
		{"models: a\nthreads: x", 2, 10, `"x" is no whole number from 0 to 1024`},
		{"models: a\nthreads: [1, 2, 1]", 2, 17, "1 stands twice"},
		{"models: a\ngen: -1", 2, 6, "no whole number"},
		{"models: a\ngen: 1.5", 2, 6, "no whole number"},
		{"models: a\ngen: [[1]]", 2, 7, "a text is wanted here, not a list"},
		{"models: a\ngen: 0\nprompt: [0]", 1, 1, "prompt and gen are both 0"},
		{"models: a\nprompt: 8\nstart: true", 3, 8, "start measures a whole process"},
		{"models: a\nstart: true\nquality: {text: t}", 3, 10, "measured apart"},
		{"models: a\nquality: {text: t}\ngen: 4", 2, 10, "quality reads a text"},
		{"models: a\nquality: {}", 2, 10, "needs a text"},
		{"models: a\nstart: ' '", 2, 8, "start is a prompt"},
		{"models: a\nstart: false", 2, 8, "start is a prompt"},
		{"models: a\nprompt: 8\nbusy: 1", 3, 7, "gen is 0"},
		{"models: a\ngen: 64\ndepth: 100\ncontext: 150", 4, 10, "need a context of 164"},
		{"models: a\ncache: f8", 2, 8, "must be one of f16, f32, q8_0"},
		{"models: a\nparallel: 17", 2, 11, "from 1 to 16"},
		{"models: a\nslow: maybe", 2, 7, "neither true nor false"},
		{"models: a\ntimeout: 5", 2, 10, "such as 90s"},
		{"models: a\nname: ''", 2, 7, "empty"},
		{"models: ${x}", 1, 9, "${x} has no value in vars"},
		{"vars: {models: m}\nmodels: ${model}", 2, 9, "did you mean models?"},
		{"models: '${x'", 1, 9, "has no end"},
		{"vars: [a]\nmodels: a", 1, 7, "NAME: value"},
		{"models: a\nbars: {decode: {ratio: 2}, speed: {ratio: 2}}", 2, 28, `no figure is called "speed"`},
		{"models: a\ncases: [{gen: 4, bars: {prefill: {value: 9}}}]", 2, 24, "these cases do not measure"},
		{"models: a\ncases: [{gen: 4, bars: {decode: {ratio: 9}}}]", 2, 24, "these cases have no peer"},
		{"models: a\nbars: {decode: {share: 88}}", 2, 16, "a part of 1"},
		{"models: a\nbars: {load: {share: 0.8}}", 2, 22, "for prefill and decode alone"},
		{"models: a\nbars: {load: {either: true}}", 2, 14, "asks for nothing"},
		{"models: a\nbars: {load: {ratio: 0}}", 2, 22, "no number above 0"},
		{"models: a\nbars: 5", 2, 7, "FIGURE:"},
		{"models: a\npeers: [x]", 2, 8, "NAME:"},
		{"models: a\npeers: {ledge: {llama-bench: x}}", 2, 9, "no peer can be called ledge"},
		{"models: a\npeers: {x: {args: y}}", 2, 12, "says not how it is run"},
		{"models: a\npeers: {x: {llama-bench: y, command: [z]}}", 2, 12, "run in two ways, llama-bench and command"},
		{"models: a\npeers: {x: {command: tool -m model}}", 2, 22, "a list of words"},
		{"models: a\npeers: {x: {command: [tool, '{modle}']}}", 2, 22, "{modle} stands for nothing, did you mean model?"},
		{"models: a\npeers: {x: {command: [tool], args: [y]}}", 2, 36, "write them into the command"},
		{"models: a\npeers: {x: {ledge: l, figures: {decode: d}}}", 2, 32, "figures belong to a command"},
		{"models: a\npeers: {x: {command: [t], figures: {decod: d}}}", 2, 37, "did you mean decode?"},
		{"models: a\npeers: {x: {command: [t], figures: {decode: {scale: 2}}}}", 2, 45, "has no path"},
		{"models: a\npeers: {x: {llama-bench: y}}\ncases: [{peers: [z]}]", 3, 17, `no peer is called "z"`},
		{"models: a\ncases: [{gen: 1}, {gen: 1}]", 2, 19, "a/tg1 is there twice"},
		{"models: a\ncases: [{gen: 1, name: a/b}]", 2, 9, "neither spaces nor slashes"},
		{"models: a\ntables: [{title: t}]", 2, 10, "needs a title and figures"},
		{"models: a\ntables: [{title: t, figures: decod}]", 2, 30, "did you mean decode?"},
		{"models: a\ncases: [{name: x}]\ntables: [{title: t, figures: decode, cases: y}]", 3, 45, `no entry of cases is called "y"`},
		{"models: &m [*m]", 1, 0, "a text is wanted"},
		{"models: [a,b,c,d,e,f,g,h,i,j]\nthreads: [1,2,3,4,5,6,7,8,9,10]\ndepth: [1,2,3,4,5,6,7,8,9,10]\nprompt: [1,2,3,4,5,6,7,8,9,10,11]\nparallel: [1,2]", 1, 1, "these lists are 22000 cases"},
		{"\xff", 0, 0, "no valid YAML"},
		{"a: \"b\nc", 0, 0, "no valid YAML"},
	} {
		s, err := suite.Parse([]byte(c.text), "s.yaml", nil)
		var e *suite.Error
		if err == nil || !errors.As(err, &e) {
			t.Errorf("%s\ngives %+v, %v", c.text, s, err)
			continue
		}
		if c.line > 0 && e.Line != c.line || c.column > 0 && e.Column != c.column || !strings.Contains(e.Text, c.say) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s\ngives %v; want line %d, column %d: %s", c.text, err, c.line, c.column, c.say)
		}
	}
	if _, err := suite.Parse([]byte("models: a"), "s", map[string]string{"x": "y"}); err == nil || !strings.Contains(err.Error(), "x is set, but vars has no x") {
		t.Errorf("%v", err)
	}
	if _, err := suite.Parse(make([]byte, 2<<20), "s", nil); err == nil || !strings.Contains(err.Error(), "no suite") {
		t.Errorf("%v", err)
	}
	if _, err := suite.Load(filepath.Join(t.TempDir(), "none.yaml"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// TestLongValues: a message quotes the beginning of a value, which may be a whole file.
func TestLongValues(t *testing.T) {
	long := strings.Repeat("long", 300)
	for _, text := range []string{
		strings.Repeat("root:x:0:0:root:/root:/bin/bash\n", 40), long + ": 1", "models: a\nrounds: " + long, "models: a\ntimeout: " + long, "models: a\ncache: " + long,
		"models: a\nslow: " + long, "models: [" + long + ", " + long + "]", "models: a\nbars: {" + long + ": 1}", "models: a\nbars: {decode: {ratio: " + long + "}}", "models: ${" + long + "}",
		"models: a\npeers: {" + long + ": {}}", "models: a\npeers: {x: {command: ['{" + long + "}']}}", "models: a\npeers: {x: {command: [t], figures: {" + long + ": d}}}",
		"models: a\npeers: {x: {ledge: y}}\ncases: [{peers: [" + long + "]}]", "models: a\ncases: [{name: " + long + "/}]", "models: a\ndevices: [" + long + ", " + long + "]",
		"models: a\ntables: [{title: t, figures: " + long + "}]", "models: a\nenv: {'" + long + " ': x}",
	} {
		_, err := suite.Parse([]byte(text), "s.yaml", nil)
		if err == nil || len(err.Error()) > 500 || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.60q gives %v", text, err)
		}
	}
}

func TestBars(t *testing.T) {
	s := parse(t, "models: a\npeers: {x: {llama-bench: y}}\nbars:\n  decode: {ratio: 1.7, share: 0.88, either: true}\n  wall: {ratio: 0.7}\n  peak_memory: {beyond: 40, beyond_open: 50}\n  perplexity: {value: 18}\ncases: {gen: 1}")
	bars := s.Cases[0].Bars
	for _, c := range []struct {
		figure string
		j      suite.Judged
		met    bool
		text   string
	}{
		{record.Decode, suite.Judged{Ratio: 1.8, Share: 0.1}, true, "≥ 1.7× or ≥ 88 %"},
		{record.Decode, suite.Judged{Ratio: 1.6, Share: 0.87}, false, "≥ 1.7× or ≥ 88 %"},
		{record.Wall, suite.Judged{Ratio: 0.6, Lower: true}, true, "≤ 0.7×"},
		{record.Wall, suite.Judged{Ratio: 0.8, Lower: true}, false, "≤ 0.7×"},
		{record.PeakMemory, suite.Judged{Beyond: 39, Open: 49, Lower: true}, true, "≤ file + cache + 40, ≤ file + open cache + 50"},
		{record.PeakMemory, suite.Judged{Beyond: 41, Open: 1, Lower: true}, false, "≤ file + cache + 40, ≤ file + open cache + 50"},
		{record.Perplexity, suite.Judged{Value: 17.9, Lower: true}, true, "≤ 18"},
	} {
		b := bars[c.figure]
		if b.Met(c.j) != c.met || b.Text(c.figure) != c.text {
			t.Errorf("%s %+v: met %v, %q", c.figure, c.j, b.Met(c.j), b.Text(c.figure))
		}
	}
}

// TestExamples: what init writes can be read, and the short one is short.
func TestExamples(t *testing.T) {
	short := parse(t, suite.Example)
	if len(short.Cases) != 4 || len(short.Cases[0].Peers) != 1 {
		t.Errorf("%q", ids(short))
	}
	n := 0
	for line := range strings.Lines(suite.Example) {
		if !strings.HasPrefix(line, "#") {
			n++
		}
	}
	if n > 12 {
		t.Errorf("the short example has %d lines", n)
	}
	full := parse(t, suite.FullExample)
	if len(full.Cases) < 30 || len(full.Peers) != 4 || len(full.Tables) != 1 {
		t.Errorf("%q", ids(full))
	}
	for _, key := range []string{"name", "journal", "timeout", "ledge", "vars", "models", "devices", "threads", "repeat", "rounds", "batch", "cache", "peers", "cases", "prompt", "gen",
		"depth", "parallel", "context", "busy", "start", "env", "quality", "greedy", "bars", "slow", "tables"} {
		if !strings.Contains(suite.FullExample, key+":") {
			t.Errorf("the full example lacks %s", key)
		}
	}
	for _, path := range []string{"../../../docs/performance.yaml"} {
		if s, err := suite.Load(path, nil); err != nil || len(s.Tables) == 0 {
			t.Errorf("%v", err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{suite.Example, suite.FullExample, peers, "models: &a [*a]", "a: [b, {c: d}]", "models: [{file: x}]\ncases: [{start: true}]", "- &a b\n- *a", "models: !!binary x"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := suite.Parse(data, "s.yaml", nil)
		if err != nil {
			if strings.Contains(err.Error(), "\n") && !strings.Contains(string(data), "\n") {
				t.Errorf("%q", err)
			}
			return
		}
		seen := map[string]bool{}
		for i := range s.Cases {
			c := &s.Cases[i]
			if c.ID == "" || seen[c.ID] || c.Rounds < 1 || len(c.Figures()) == 0 {
				t.Errorf("case %+v", c)
			}
			seen[c.ID] = true
		}
	})
}
