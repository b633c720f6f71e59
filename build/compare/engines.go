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
)

// programs are the engines and the folder of their models.
type programs struct {
	self      string // this program, for what must not count as its own memory
	ledge     string
	llama     string // a folder of build/llama.sh
	llamaAVX2 string // the same for AVX2 only
	python    string // one that has openvino_genai
	models    string
	readMiB   int // what the read ceiling is measured on
}

// An engine measures its part of a round.
type engine func(ctx context.Context, p *programs, c *benchCase) (figures, error)

func (p *programs) model(c *benchCase) (string, error) {
	return need(filepath.Join(p.models, c.model), "build/models.sh and go run ./build/compare models make the models")
}

// benchArgs are what ledge bench and llama-bench have in common.
func benchArgs(model string, c *benchCase) []string {
	return []string{"-m", model, "-p", strconv.Itoa(c.prompt), "-n", strconv.Itoa(c.gen), "-d", strconv.Itoa(c.depth),
		"-t", strconv.Itoa(c.threads), "-r", "1", "-o", "json"}
}

// benchResult are the fields that both give.
type benchResult struct {
	Prompt int     `json:"n_prompt"`
	Gen    int     `json:"n_gen"`
	Depth  int     `json:"n_depth"`
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
		f[name] = max(f[name], r.TS)
	}
	if len(f) == 0 {
		return nil, errors.New("bench results: there are none")
	}
	return f, nil
}

// benched runs a bench program and adds the figures of its process.
func benched(ctx context.Context, env []string, name string, args ...string) (figures, error) {
	r, err := execute(ctx, env, name, args...)
	if err != nil {
		return nil, err
	}
	f, err := parseBench(r.stdout)
	if err != nil {
		return nil, err
	}
	for k, v := range r.figures() {
		f[k] = v
	}
	return f, nil
}

func ledgeBench(env ...string) engine {
	return func(ctx context.Context, p *programs, c *benchCase) (figures, error) {
		model, err := p.model(c)
		if err != nil {
			return nil, err
		}
		return benched(ctx, env, p.ledge, append([]string{"bench", "-q"}, benchArgs(model, c)...)...)
	}
}

// llamaBench runs llama-bench of a folder. At a depth it is run with and without
// flash attention, since either may be faster; prompts of large models are not
// read twice, as nothing there needs to warm up.
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
		args := benchArgs(model, c)
		if c.depth > 0 {
			args = append(args, "-fa", "0,1")
		}
		if c.large {
			args = append(args, "--no-warmup")
		}
		return benched(ctx, nil, program, args...)
	}
}

func native(p *programs) string   { return p.llama }
func avx2Only(p *programs) string { return p.llamaAVX2 }

// ledgeParallel is ledge bench's test of sequences that generate together.
func ledgeParallel(ctx context.Context, p *programs, c *benchCase) (figures, error) {
	model, err := p.model(c)
	if err != nil {
		return nil, err
	}
	help, err := execute(ctx, nil, p.ledge, "bench", "--help")
	if err != nil {
		return nil, err
	}
	if !bytes.Contains(help.stdout, []byte("--parallel")) {
		return nil, missing{"ledge bench --parallel", "this build has no test of several sequences"}
	}
	args := append([]string{"bench", "-q", "--parallel", strconv.Itoa(c.sequences)}, benchArgs(model, c)...)
	r, err := execute(ctx, nil, p.ledge, args...)
	if err != nil {
		return nil, err
	}
	f, err := parseBench(r.stdout)
	if err != nil {
		return nil, err
	}
	total := f[fmt.Sprintf("tg%d", c.gen)]
	if total <= 0 {
		return nil, errors.New("bench results: no generation")
	}
	return figures{"together": total}, nil
}

// llamaParallel is S_TG of llama-batched-bench.
func llamaParallel(ctx context.Context, p *programs, c *benchCase) (figures, error) {
	model, err := p.model(c)
	if err != nil {
		return nil, err
	}
	program, err := need(filepath.Join(p.llama, "bin", "llama-batched-bench"), "build/llama.sh builds it")
	if err != nil {
		return nil, err
	}
	const prompt = 32
	r, err := execute(ctx, nil, program, "-m", model, "-c", strconv.Itoa(2*c.sequences*(prompt+c.gen)), "-b", "2048", "-ub", "512",
		"-npp", strconv.Itoa(prompt), "-ntg", strconv.Itoa(c.gen), "-npl", strconv.Itoa(c.sequences),
		"-t", strconv.Itoa(c.threads), "--output-format", "jsonl")
	if err != nil {
		return nil, err
	}
	v, err := parseBatched(r.stdout)
	return figures{"together": v}, err
}

// parseBatched reads the speed of generation from llama-batched-bench's lines.
func parseBatched(out []byte) (float64, error) {
	for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
		var l struct {
			Speed float64 `json:"speed_tg"`
		}
		if json.Unmarshal(s.Bytes(), &l) == nil && l.Speed > 0 {
			return l.Speed, nil
		}
	}
	return 0, errors.New("llama-batched-bench gave no speed_tg")
}

// startPrompt is what the start of a process is measured with.
const startPrompt = "The capital of France is"

// ledgeStart is the process from its start to its end after one token: a second
// start, after one that is not measured and keeps what it packed.
func ledgeStart(ctx context.Context, p *programs, c *benchCase) (figures, error) {
	model, err := p.model(c)
	if err != nil {
		return nil, err
	}
	var r *run
	for range 2 {
		if r, err = execute(ctx, nil, p.ledge, "run", "-q", "--raw", "--temp", "0", "-t", strconv.Itoa(c.threads), "-n", "1", "-m", model, startPrompt); err != nil {
			return nil, err
		}
	}
	return r.figures(), nil
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
	for _, args := range [][]string{
		{"llama-simple", "-m", model, "-n", "1", startPrompt},
		{"llama-bench", "-m", model, "-p", "5", "-n", "0", "-r", "1", "--no-warmup", "-t", strconv.Itoa(c.threads), "-o", "json"},
	} {
		program, err := need(filepath.Join(p.llama, "bin", args[0]), "build/llama.sh builds it")
		if err != nil {
			return nil, err
		}
		var r *run
		for range 2 {
			if r, err = execute(ctx, nil, program, args[1:]...); err != nil {
				return nil, err
			}
		}
		if f := r.figures(); best == nil || f["wall_s"] < best["wall_s"] {
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

// openVINO reads prompts with OpenVINO GenAI.
func openVINO(ctx context.Context, p *programs, c *benchCase) (figures, error) {
	model, err := p.model(c)
	if err != nil {
		return nil, err
	}
	python, err := need(p.python, "a Python with openvino-genai==2026.4.1.0 and openvino-tokenizers==2026.4.1.0")
	if err != nil {
		return nil, err
	}
	r, err := execute(ctx, nil, python, "-c", openvinoScript, model, strconv.Itoa(c.threads), strconv.Itoa(c.prompt), strconv.Itoa(c.gen))
	if err != nil {
		return nil, err
	}
	f := figures{}
	if err := json.Unmarshal([]byte(lastLine(string(r.stdout))), &f); err != nil {
		return nil, fmt.Errorf("openvino.py: %w", err)
	}
	return f, nil
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
