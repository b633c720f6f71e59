package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

var steps = []step{
	{"machine", 20 * time.Second, machine, "The machine"},
	{"tests", 110 * time.Second, tests, "Conformance and golden models"},
	{"text", 60 * time.Second, text, "Perplexity and greedy text, beside the CPU backend"},
	{"read", 20 * time.Second, read, "How fast memory is read"},
	{"wide", 90 * time.Second, wide, "Decode, eight layers of width 8192/28672"},
	{"smollm2", 60 * time.Second, smollm2, "SmolLM2-135M"},
	{"8b", 150 * time.Second, eight, "A model of the size of Llama 3 8B"},
	{"profile", 60 * time.Second, profile, "Where the time goes, kernel by kernel"},
	{"trace", 60 * time.Second, traced, "What a token consists of"},
	{"products", 90 * time.Second, products, "Products of one row by themselves"},
	{"ways", 240 * time.Second, ways, "Decode in several ways"},
	{"stalls", 60 * time.Second, stalls, "What products wait for"},
	{"start", 30 * time.Second, starts, "From start to the first token"},
	{"sanitizer", 60 * time.Second, sanitizer, "compute-sanitizer"},
	{"devices", 90 * time.Second, devices, "What `ledge devices` says"},
}

func machine(c *check) error {
	smi, err := c.program(nil, "nvidia-smi", "--query-gpu=name,compute_cap,driver_version,memory.total,clocks.max.sm,clocks.max.mem", "--format=csv,noheader")
	if err != nil {
		smi = err.Error()
	}
	c.block(smi, 4)
	return nil
}

// devices shows what the trial of a driver says; the first one compiles every kernel.
func devices(c *check) error {
	out, err := c.program(nil, "ledge", "devices", "--device", c.device)
	c.block(out, 40)
	return err
}

// tests runs the test binaries, in the folders that the sources had.
func tests(c *check) error {
	var failed []error
	own, device := "^TestConformance$", "/^"+c.device+"$"
	if c.backend() == "cuda" {
		own = "^TestGPU$"
	}
	ran := regexp.MustCompile(`--- PASS: \w+/` + regexp.QuoteMeta(c.device) + `[/ ]`)
	for _, t := range []struct{ binary, what, tests string }{
		{"all.test", "golden models beside transformers, a real model beside float64", "^Test(GoldenModels|RealModel)$"},
		{c.backend() + ".test", "backendtest on the device", own},
	} {
		if !c.has(t.binary) {
			c.line("%s: not in the folder.", t.binary)
			if c.asked {
				failed = append(failed, fmt.Errorf("%s is not in the folder", t.binary))
			}
			continue
		}
		start := time.Now()
		out, err := c.test(t.binary, "-test.run", t.tests+device, "-test.timeout", "120s", "-test.v")
		pass, fail := strings.Count(out, "--- PASS"), strings.Count(out, "--- FAIL")
		c.line("- %s: %d passed, %d failed, %.0f s", t.what, pass, fail, time.Since(start).Seconds())
		if err != nil {
			c.block(failures(out), 60)
			failed = append(failed, fmt.Errorf("%s: %s", t.binary, tail(err.Error(), 300)))
		} else if !ran.MatchString(out) { // a driver that finds none is not a failure there
			c.block(failures(out), 60)
			failed = append(failed, fmt.Errorf("%s: no test ran on %s", t.binary, c.device))
		}
	}
	return errors.Join(failed...)
}

// test runs a test binary in its package's folder, where its data is, on the real device.
func (c *check) test(binary string, args ...string) (string, error) {
	c.folder = filepath.Join(c.dir, "src", "backend", strings.TrimSuffix(binary, ".test"))
	defer func() { c.folder = c.dir }()
	gpu := c.device
	if c.backend() != "cuda" { // the read kernel is CUDA's all the same
		gpu = "cuda0"
	}
	return c.program([]string{"LEDGE_TEST_CUDA=" + gpu, "LEDGE_TEST_FULL=1", "LEDGE_TEST_MODELS=" + c.path("models")}, binary, args...)
}

// backend is the device's name without its number.
func (c *check) backend() string { return strings.TrimRight(c.device, "0123456789") }

// failures is the lines of a test's output that say what went wrong.
func failures(out string) string {
	var lines []string
	for line := range strings.Lines(out) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "=== ") || strings.Contains(line, "--- PASS") || strings.Contains(line, "--- SKIP") {
			continue
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func (c *check) ledgeJSON(v any, args ...string) error { return c.jsonOf(v, nil, "ledge", args...) }

// jsonOf reads what a build of Ledge prints with --json.
func (c *check) jsonOf(v any, env []string, program string, args ...string) error {
	out, err := c.program(env, program, append([]string{args[0], "-q", "--json"}, args[1:]...)...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(out), v); err != nil {
		return fmt.Errorf("%s %s: its output is no JSON: %w", program, args[0], err)
	}
	return nil
}

// models lists the real models of the folder.
func (c *check) models() []string {
	all, _ := filepath.Glob(c.path("models/*.gguf"))
	return all
}

func text(c *check) error {
	if len(c.models()) == 0 {
		c.line("No real model in the folder.")
		return nil
	}
	c.head("model", "perplexity on the CPU", "on "+c.device, "difference", "greedy tokens equal to the CPU's")
	var failed []error
	for _, m := range c.models() {
		var ppl [2]float64
		var tokens [2][]int
		for i, d := range []string{"cpu", c.device} {
			var r struct{ PPL float64 }
			if err := c.ledgeJSON(&r, "perplexity", "--device", d, "-m", m, "-f", c.path("GPL-3"), "-c", "512", "--chunks", "8"); err != nil {
				return err
			}
			ppl[i] = r.PPL
			var a struct{ Tokens []int }
			if err := c.ledgeJSON(&a, "run", "--raw", "--temp", "0", "--ignore-eos", "-n", "64", "--device", d, "-m", m, "def fibonacci(n):"); err != nil {
				return err
			}
			tokens[i] = a.Tokens
		}
		same := 0
		for same < min(len(tokens[0]), len(tokens[1])) && tokens[0][same] == tokens[1][same] {
			same++
		}
		if err := c.same(m); err != nil {
			failed = append(failed, err)
		}
		off := ppl[1]/ppl[0] - 1
		c.row(filepath.Base(m), fmt.Sprintf("%.4f", ppl[0]), fmt.Sprintf("%.4f", ppl[1]), fmt.Sprintf("%+.2f %%", 100*off), fmt.Sprintf("%d of %d", same, len(tokens[0])))
		if math.IsNaN(off) || math.Abs(off) > 0.01 {
			failed = append(failed, fmt.Errorf("%s: perplexity %.4f, %.4f on the CPU: more than 1 %% apart", filepath.Base(m), ppl[1], ppl[0]))
		}
	}
	return errors.Join(failed...)
}

// same holds the device's greedy text, in which kernels overlap, against that of kernels
// that do not: nothing else is to differ.
func (c *check) same(model string) error {
	var first []int
	for _, env := range [][]string{nil, {"LEDGE_CUDA_OVERLAP=0"}} {
		var a struct{ Tokens []int }
		if err := c.jsonOf(&a, env, "ledge", "run", "--raw", "--temp", "0", "--ignore-eos", "-n", "256", "--device", c.device, "-m", model, "Once upon a time"); err != nil {
			return err
		}
		if first == nil {
			first = a.Tokens
		}
		if len(a.Tokens) != 256 || !slices.Equal(a.Tokens, first) {
			return fmt.Errorf("%s: with %s the greedy text is another one", filepath.Base(model), env)
		}
	}
	return nil
}

var gbs = regexp.MustCompile(`([0-9.]+) GB/s`)

func read(c *check) error {
	out, err := c.test("cuda.test", "-test.run", "^$", "-test.bench", "Read", "-test.benchtime", "20x", "-test.count", "3")
	if err != nil {
		return err
	}
	for _, m := range gbs.FindAllStringSubmatch(out, -1) {
		if x, err := strconv.ParseFloat(m[1], 64); err == nil {
			c.read = max(c.read, x)
		}
	}
	if c.read == 0 {
		return fmt.Errorf("no GB/s in %s", tail(out, 300))
	}
	c.line("Our own kernel that only reads: %.0f GB/s.", c.read)
	return nil
}

// timed is a result of ledge bench or llama-bench: they have the same names.
type timed struct {
	Speed    float64   `json:"avg_ts"`
	Samples  []float64 `json:"samples_ts"`
	Prompt   int       `json:"n_prompt"`
	Gen      int       `json:"n_gen"`
	Counters *struct {
		Streamed   float64 `json:"streamed_bytes"`
		Traffic    float64 `json:"traffic_bytes"`
		Dispatches float64 `json:"dispatches"`
	} `json:"counters"`
}

func (t timed) name() string {
	if t.Gen > 0 {
		return fmt.Sprintf("tg%d", t.Gen)
	}
	return fmt.Sprintf("pp%d", t.Prompt)
}

// synth makes a model on the spot; it stays for later steps.
func (c *check) synth(shape, kind string) (string, error) {
	path := filepath.Join(c.scratch, shape+"-"+kind+".gguf")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	_, err := c.program(nil, "synth", shape, kind, path)
	return path, err
}

// speeds holds Ledge's speeds and the peer's by test.
type speeds struct{ ours, theirs map[string][]float64 }

// measure alternates Ledge with llama.cpp.
func (c *check) measure(model string, prompts, gen string, rounds int) (speeds, []timed, error) {
	s := speeds{map[string][]float64{}, map[string][]float64{}}
	var last []timed
	for range rounds {
		var b []timed
		if err := c.ledgeJSON(&b, "bench", "--device", c.device, "-m", model, "-p", prompts, "-n", gen, "-r", "2", "--counters"); err != nil {
			return s, nil, err
		}
		for _, t := range b {
			s.ours[t.name()] = append(s.ours[t.name()], t.Speed)
		}
		last = b
		name, args := "peer/llama-bench", []string{"-m", model, "-p", prompts, "-n", gen, "-r", "2", "-ngl", "99", "-fa", "1", "-o", "json"}
		if c.has("peer/run.sh") { // finds CUDA's libraries
			name, args = "peer/run.sh", append([]string{"llama-bench"}, args...)
		}
		if !c.has(name) {
			continue
		}
		out, err := c.program(nil, name, args...)
		if err != nil {
			return s, last, fmt.Errorf("the peer: %w", err)
		}
		var p []timed
		if at := strings.Index(out, "["); at >= 0 {
			if err := json.NewDecoder(strings.NewReader(out[at:])).Decode(&p); err != nil {
				return s, last, fmt.Errorf("the peer: %w", err)
			}
		}
		for _, t := range p {
			s.theirs[t.name()] = append(s.theirs[t.name()], t.Speed)
		}
	}
	return s, last, nil
}

func median(x []float64) float64 {
	if len(x) == 0 {
		return math.NaN()
	}
	x = slices.Sorted(slices.Values(x))
	return (x[(len(x)-1)/2] + x[len(x)/2]) / 2
}

func (c *check) table(model string, s speeds) {
	for _, name := range slices.Sorted(mapsKeys(s.ours)) {
		a, b := median(s.ours[name]), median(s.theirs[name])
		peer, ratio := "", ""
		if !math.IsNaN(b) {
			peer, ratio = fmt.Sprintf("%.1f", b), fmt.Sprintf("%.2f", a/b)
		}
		c.row(filepath.Base(model), name, fmt.Sprintf("%.1f", a), peer, ratio)
	}
}

func mapsKeys(m map[string][]float64) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func wide(c *check) error {
	c.head("model", "tokens/s", "GB a token", "GB/s", "of the read kernel's", "llama.cpp tokens/s", "ratio")
	var failed []error
	for _, kind := range []string{"q4_0", "q4_k"} {
		m, err := c.synth("wide", kind)
		if err != nil {
			return err
		}
		s, last, err := c.measure(m, "0", "64", 2)
		if err != nil {
			failed = append(failed, err)
		}
		for _, t := range last {
			if t.Gen == 0 || t.Counters == nil {
				continue
			}
			a, b := median(s.ours[t.name()]), median(s.theirs[t.name()])
			bytes := t.Counters.Streamed
			share := "unknown"
			if c.read > 0 {
				share = fmt.Sprintf("%.1f %%", 100*a*bytes/1e9/c.read)
			}
			c.row(filepath.Base(m), fmt.Sprintf("%.1f", a), fmt.Sprintf("%.3f", bytes/1e9), fmt.Sprintf("%.0f", a*bytes/1e9), share, fmt.Sprintf("%.1f", b), fmt.Sprintf("%.2f", a/b))
		}
		os.Remove(m)
	}
	return errors.Join(failed...)
}

func smollm2(c *check) error {
	c.head("model", "test", "Ledge, tokens/s", "llama.cpp", "ratio")
	for _, m := range c.models() {
		s, _, err := c.measure(m, "512,4096", "128", c.rounds)
		c.table(m, s)
		if err != nil {
			return err
		}
	}
	return nil
}

func eight(c *check) error {
	c.head("model", "test", "Ledge, tokens/s", "llama.cpp", "ratio")
	for _, kind := range []string{"q4_0", "q4_k_m"} {
		m, err := c.synth("8b", kind)
		if err != nil {
			return err
		}
		s, _, err := c.measure(m, "512,4096", "128", max(1, c.rounds-1))
		c.table(m, s)
		if err != nil {
			return err
		}
	}
	return nil
}

func profile(c *check) error {
	all := c.models()
	if m := filepath.Join(c.scratch, "8b-q4_0.gguf"); exists(m) {
		all = append(all, m)
	}
	for _, m := range all {
		for _, args := range [][]string{{"-p", "0", "-n", "32"}, {"-p", "4096", "-n", "0"}} {
			out, err := c.program([]string{"LEDGE_CUDA_PROFILE=1"}, "ledge", append([]string{"bench", "--device", c.device, "-m", m, "-r", "1"}, args...)...)
			if err != nil {
				return err
			}
			c.line("%s, %s\n", filepath.Base(m), strings.Join(args, " "))
			c.block(out, 60)
		}
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// starts times whole processes: kernels and weights kept from the start before, or not.
func starts(c *check) error {
	c.head("model", "first start, s", "second, s")
	all := c.models()
	if m := filepath.Join(c.scratch, "8b-q4_0.gguf"); exists(m) {
		all = append(all, m)
	}
	for _, m := range all {
		home := filepath.Join(c.scratch, "home-"+filepath.Base(m))
		var took [2]float64
		for i := range took {
			start := time.Now()
			if _, err := c.program([]string{"HOME=" + home, "XDG_CACHE_HOME=" + home + "/cache"}, "ledge", "run", "-q", "--raw", "-n", "1", "--device", c.device, "-m", m, "Hello"); err != nil {
				return err
			}
			took[i] = time.Since(start).Seconds()
		}
		c.row(filepath.Base(m), fmt.Sprintf("%.2f", took[0]), fmt.Sprintf("%.2f", took[1]))
	}
	return nil
}

func sanitizer(c *check) error {
	if len(c.models()) == 0 {
		return nil
	}
	out, err := c.program(nil, "compute-sanitizer", "--version")
	if err != nil {
		c.line("Not installed: %s", tail(err.Error(), 200))
		return nil
	}
	c.line("%s\n", strings.Split(out, "\n")[0])
	out, err = c.program(nil, "compute-sanitizer", "--tool", "memcheck", "--error-exitcode", "1", c.path("ledge"), "run", "-q", "--raw", "--temp", "0", "-n", "4", "--device", c.device, "-m", c.models()[0], "The capital of France is")
	c.block(out, 12)
	if err == nil && !strings.Contains(out, "ERROR SUMMARY: 0 errors") {
		return errors.New("compute-sanitizer does not say that there were 0 errors")
	}
	return err
}
