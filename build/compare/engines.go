package main

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// programs are the engines and the folder of their models.
type programs struct {
	self      string // this program, for what must not count as its own memory
	ledge     string
	llama     string // a folder of build/llama.sh
	llamaAVX2 string // the same for AVX2 only
	python    string // one that has openvino_genai
	models    string
	packed    string // folder of the weights that ledge keeps packed, a folder each level
	readMiB   int    // what the read ceiling is measured on
}

// An engine measures its part of a round.
type engine func(ctx context.Context, p *programs, c *benchCase) (figures, error)

func (p *programs) model(c *benchCase) (string, error) {
	return need(filepath.Join(p.models, c.model), "build/models.sh and go run ./build/compare models make the models")
}

// benchArgs are what ledge bench and llama-bench have in common: of one process,
// or of two where generation is repeated and the prompt, which takes longer, is
// not.
func benchArgs(model string, c *benchCase) [][]string {
	args := func(prompt, gen, repeat int) []string {
		return []string{"-m", model, "-p", strconv.Itoa(prompt), "-n", strconv.Itoa(gen), "-d", strconv.Itoa(c.depth),
			"-t", strconv.Itoa(c.threads), "-r", strconv.Itoa(repeat), "-o", "json"}
	}
	repeat := max(1, c.repeat)
	if repeat > 1 && c.prompt > 0 && c.gen > 0 {
		return [][]string{args(c.prompt, 0, 1), args(0, c.gen, repeat)}
	}
	return [][]string{args(c.prompt, c.gen, repeat)}
}

// ledgeBenchArgs are the arguments of ledge's processes.
func ledgeBenchArgs(model string, c *benchCase) [][]string {
	all := benchArgs(model, c)
	for i, args := range all {
		if c.sequences > 1 {
			args = append(args, "--parallel", strconv.Itoa(c.sequences))
		}
		all[i] = append([]string{"bench", "-q"}, args...)
	}
	return all
}

// llamaBenchArgs are the arguments of llama-bench's processes. At a depth it runs
// with and without flash attention, since either may be faster; prompts of large
// models are not read twice, as nothing there needs to warm up.
func llamaBenchArgs(model string, c *benchCase) [][]string {
	all := benchArgs(model, c)
	for i := range all {
		if c.depth > 0 {
			all[i] = append(all[i], "-fa", "0,1")
		}
		if c.large {
			all[i] = append(all[i], "--no-warmup")
		}
	}
	return all
}

// benchResult are the fields that both give.
type benchResult struct {
	Prompt int     `json:"n_prompt"`
	Gen    int     `json:"n_gen"`
	Depth  int     `json:"n_depth"`
	Seqs   int     `json:"n_parallel"` // 0 of llama-bench, which has one
	TS     float64 `json:"avg_ts"`
}

// parseBench reads results: the tests by llama-bench's names, of several results
// of one test (with and without flash attention) the fastest.
func parseBench(out []byte) (figures, error) {
	var results []benchResult
	if err := json.Unmarshal(out, &results); err != nil {
		return nil, fmt.Errorf("bench results: %w", err)
	}
	f := figures{}
	for _, r := range results {
		name := fmt.Sprintf("pp%d", r.Prompt)
		if r.Gen > 0 {
			name = fmt.Sprintf("tg%d", r.Gen)
		}
		if r.Seqs > 1 {
			name += fmt.Sprintf(" x%d", r.Seqs)
		}
		f[name] = max(f[name], r.TS)
	}
	if len(f) == 0 {
		return nil, errors.New("bench results: there are none")
	}
	return f, nil
}

// benched runs processes of a bench program and adds the most that one of them
// took.
func benched(ctx context.Context, env []string, name string, processes [][]string) (figures, error) {
	all := figures{}
	for _, args := range processes {
		r, err := execute(ctx, env, name, args...)
		if err != nil {
			return nil, err
		}
		f, err := parseBench(r.stdout)
		if err != nil {
			return nil, err
		}
		for _, some := range []figures{f, r.figures()} {
			for k, v := range some {
				all[k] = max(all[k], v)
			}
		}
	}
	return all, nil
}

// ledgeBench runs ledge bench at the best level of the processor, or at the one
// forced.
func ledgeBench(level string) engine {
	return func(ctx context.Context, p *programs, c *benchCase) (figures, error) {
		model, err := p.model(c)
		if err != nil {
			return nil, err
		}
		return benched(ctx, p.ledgeEnv(level), p.ledge, ledgeBenchArgs(model, c))
	}
}

// llamaBench runs llama-bench of a folder.
func llamaBench(dir func(p *programs) string) engine {
	return func(ctx context.Context, p *programs, c *benchCase) (figures, error) {
		model, err := p.model(c)
		if err != nil {
			return nil, err
		}
		program, err := need(filepath.Join(dir(p), "bin", "llama-bench"), "build/llama.sh builds it")
		if err != nil {
			return nil, err
		}
		return benched(ctx, nil, program, llamaBenchArgs(model, c))
	}
}

func native(p *programs) string   { return p.llama }
func avx2Only(p *programs) string { return p.llamaAVX2 }

// ledgeParallel is ledge bench's test of sequences that generate together; its
// tokens a second are of all of them.
func ledgeParallel(ctx context.Context, p *programs, c *benchCase) (figures, error) {
	f, err := ledgeBench("")(ctx, p, c)
	if err != nil {
		return nil, err
	}
	total, ok := f[fmt.Sprintf("tg%d x%d", c.gen, c.sequences)]
	if !ok {
		return nil, fmt.Errorf("bench results: none of %d sequences", c.sequences)
	}
	return figures{"together": total}, nil
}

// llamaParallelArgs are those of llama-batched-bench: sequences with a prompt of
// their own each, as long as the case is deep. A test repeated in the list is
// measured again.
func llamaParallelArgs(model string, c *benchCase) []string {
	gens := strings.Repeat(","+strconv.Itoa(c.gen), max(1, c.repeat))[1:]
	return []string{"-m", model, "-c", strconv.Itoa(c.sequences * (c.depth + c.gen)), "-b", "2048", "-ub", "512",
		"-npp", strconv.Itoa(c.depth), "-ntg", gens, "-npl", strconv.Itoa(c.sequences),
		"-t", strconv.Itoa(c.threads), "--output-format", "jsonl"}
}

// llamaParallel is S_TG of llama-batched-bench, which also is of all sequences.
func llamaParallel(ctx context.Context, p *programs, c *benchCase) (figures, error) {
	model, err := p.model(c)
	if err != nil {
		return nil, err
	}
	program, err := need(filepath.Join(p.llama, "bin", "llama-batched-bench"), "build/llama.sh builds it")
	if err != nil {
		return nil, err
	}
	r, err := execute(ctx, nil, program, llamaParallelArgs(model, c)...)
	if err != nil {
		return nil, err
	}
	v, err := parseBatched(r.stdout)
	return figures{"together": v}, err
}

// parseBatched reads the speed of generation from llama-batched-bench's lines, on
// average if the test was repeated, as avg_ts is.
func parseBatched(out []byte) (float64, error) {
	sum, n := 0.0, 0
	for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
		var l struct {
			Speed float64 `json:"speed_tg"`
		}
		if json.Unmarshal(s.Bytes(), &l) == nil && l.Speed > 0 {
			sum, n = sum+l.Speed, n+1
		}
	}
	if n == 0 {
		return 0, errors.New("llama-batched-bench gave no speed_tg")
	}
	return sum / float64(n), nil
}

// startPrompt is what the start of a process is measured with, startTokens about
// how many tokens it and the one generated are.
const (
	startPrompt = "The capital of France is"
	startTokens = 7
)

func ledgeStartArgs(model string, c *benchCase) []string {
	return []string{"run", "-q", "--raw", "--temp", "0", "-t", strconv.Itoa(c.threads), "-n", "1", "-m", model, startPrompt}
}

// llamaStartArgs are two programs with their arguments.
func llamaStartArgs(model string, c *benchCase) [][]string {
	return [][]string{
		{"llama-simple", "-m", model, "-n", "1", startPrompt},
		{"llama-bench", "-m", model, "-p", "5", "-n", "0", "-r", "1", "--no-warmup", "-t", strconv.Itoa(c.threads), "-o", "json"},
	}
}

// starts is how often a round starts a process: the first is not measured, the
// others are averaged, since each takes a tenth of a second only.
const starts = 4

// started averages the figures of all starts but the first.
func started(ctx context.Context, env []string, name string, args ...string) (figures, error) {
	sum := figures{}
	for i := range starts {
		r, err := execute(ctx, env, name, args...)
		if err != nil {
			return nil, err
		}
		for k, v := range r.figures() {
			if i > 0 {
				sum[k] += v / (starts - 1)
			}
		}
	}
	return sum, nil
}

// ledgeStart is the process from its start to its end after one token. It is a
// second start: what was packed is kept before the round (see fill).
func ledgeStart(ctx context.Context, p *programs, c *benchCase) (figures, error) {
	model, err := p.model(c)
	if err != nil {
		return nil, err
	}
	return started(ctx, p.ledgeEnv(""), p.ledge, ledgeStartArgs(model, c)...)
}

// llamaStart is the same of llama-simple, which always takes four threads, or of
// llama-bench with a prompt as short and the right number of them, whichever is
// sooner done.
func llamaStart(ctx context.Context, p *programs, c *benchCase) (figures, error) {
	model, err := p.model(c)
	if err != nil {
		return nil, err
	}
	var best figures
	for _, args := range llamaStartArgs(model, c) {
		program, err := need(filepath.Join(p.llama, "bin", args[0]), "build/llama.sh builds it")
		if err != nil {
			return nil, err
		}
		f, err := started(ctx, nil, program, args[1:]...)
		if err != nil {
			return nil, err
		}
		if best == nil || f["wall_s"] < best["wall_s"] {
			best = f
		}
	}
	return best, nil
}

// loaded measures an engine undisturbed, and then with another process that
// keeps the last processor busy: "free" and "loaded".
func loaded(e engine) engine {
	return func(ctx context.Context, p *programs, c *benchCase) (figures, error) {
		test := fmt.Sprintf("tg%d", c.gen)
		free, err := e(ctx, p, c)
		if err != nil {
			return nil, err
		}
		spin := exec.CommandContext(ctx, p.self, "spin", strconv.Itoa(runtime.NumCPU()-1))
		if err := spin.Start(); err != nil {
			return nil, err
		}
		busy, err := e(ctx, p, c)
		_ = spin.Process.Kill()
		_ = spin.Wait() // says that it was killed
		if err != nil {
			return nil, err
		}
		return figures{"free": free[test], "loaded": busy[test]}, nil
	}
}

//go:embed openvino.py
var openvinoScript string

// openvinoGen is how many tokens OpenVINO GenAI generates after each prompt.
const openvinoGen = 2

// openVINO reads prompts with OpenVINO GenAI: one process, three prompts.
func openVINO(ctx context.Context, p *programs, c *benchCase) (figures, error) {
	model, err := p.model(c)
	if err != nil {
		return nil, err
	}
	python, err := need(p.python, "a Python with openvino-genai==2026.4.1.0 and openvino-tokenizers==2026.4.1.0")
	if err != nil {
		return nil, err
	}
	r, err := execute(ctx, nil, python, "-c", openvinoScript, model, strconv.Itoa(c.threads), strconv.Itoa(c.prompt), strconv.Itoa(openvinoGen))
	if err != nil {
		return nil, err
	}
	f := figures{}
	if err := json.Unmarshal([]byte(lastLine(string(r.stdout))), &f); err != nil {
		return nil, fmt.Errorf("openvino.py: %w", err)
	}
	return f, nil
}

// commands are the command lines of both engines with M for the model and T for
// the threads, as the report has them.
func (c *benchCase) commands() (ours, theirs [][]string) {
	const m = "M"
	name := func(program string, all [][]string) [][]string {
		for i := range all {
			if program != "" {
				all[i] = append([]string{program}, all[i]...)
			}
			for j, arg := range all[i] {
				switch {
				case arg == startPrompt:
					all[i][j] = strconv.Quote(arg)
				case j > 0 && all[i][j-1] == "-t":
					all[i][j] = "T"
				}
			}
		}
		return all
	}
	ledge := "ledge"
	if c.level != "" {
		ledge = "LEDGE_CPU=" + c.level + " ledge"
	}
	switch {
	case c.sequences > 1:
		return name(ledge, ledgeBenchArgs(m, c)), name("llama-batched-bench", [][]string{llamaParallelArgs(m, c)})
	case c.open > 0:
		return name(ledge, [][]string{ledgeStartArgs(m, c)}), name("", llamaStartArgs(m, c))
	case strings.HasPrefix(c.id, "openvino"):
		return name(ledge, ledgeBenchArgs(m, c)), [][]string{{"openvino.py", m, "T", strconv.Itoa(c.prompt), strconv.Itoa(openvinoGen)}}
	}
	return name(ledge, ledgeBenchArgs(m, c)), name("llama-bench", llamaBenchArgs(m, c))
}

// ceilingsOf measures the machine in a process of its own: its memory would
// count as this program's, and with it as that of every process started later.
func ceilingsOf(ctx context.Context, p *programs, threads int) (read, dots float64, level string, err error) {
	r, err := execute(ctx, nil, p.self, "ceiling", strconv.Itoa(threads), strconv.Itoa(p.readMiB))
	if err != nil {
		return 0, 0, "", err
	}
	var c ceilings
	if err := json.Unmarshal(r.stdout, &c); err != nil {
		return 0, 0, "", fmt.Errorf("ceilings: %w", err)
	}
	return c.ReadGBs, c.Dots, c.Level, nil
}

// factsIn reads a model's sizes in a process of its own, for the same reason.
func factsIn(ctx context.Context, p *programs, c *benchCase) (m facts, err error) {
	model, err := p.model(c)
	if err != nil {
		return m, err
	}
	r, err := execute(ctx, nil, p.self, "facts", model)
	if err != nil {
		return m, err
	}
	return m, json.Unmarshal(r.stdout, &m)
}
