package runner

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/ledge-run/ledge/runtime/bench/process"
	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/bench/suite"
)

// llama is llama.cpp's llama-bench, and llama-batched-bench for several sequences.
type llama struct {
	peer *suite.Peer
	hash *hashes
}

func (l *llama) identity(c *suite.Case) (record.Engine, error) {
	path, err := found(l.peer.Needs(c))
	if err != nil {
		return record.Engine{}, err
	}
	sum, err := l.hash.of(path)
	var args []string
	for _, a := range llamaCommands(c, "MODEL", 1, l.peer.Args) {
		args = append(append(args, strings.TrimSuffix(l.peer.Needs(c), ".exe")), a...)
	}
	return record.Engine{Name: l.peer.Name, Version: l.peer.Version, SHA256: sum, Args: short(args)}, err
}

// llamaCommands are the arguments of each process that a case needs.
func llamaCommands(c *suite.Case, model string, tokens int, more []string) [][]string {
	set := c.Settings
	args := []string{"-m", model}
	if set.Threads > 0 {
		args = append(args, "-t", strconv.Itoa(set.Threads))
	}
	if set.Batch > 0 {
		args = append(args, "-ub", strconv.Itoa(set.Batch))
	}
	add := func(words ...string) []string { return append(append(append([]string{}, args...), words...), more...) }
	repeat := max(1, set.Repeat)
	switch {
	case set.Start != "":
		return [][]string{add("-p", strconv.Itoa(max(1, tokens)), "-n", "0", "-r", "1", "--no-warmup", "-o", "json")}
	case set.Parallel <= 1:
		words := []string{"-p", strconv.Itoa(set.Prompt), "-n", strconv.Itoa(set.Gen), "-r", strconv.Itoa(repeat), "-o", "json"}
		if set.Depth > 0 {
			words = append(words, "-d", strconv.Itoa(set.Depth))
		}
		if set.Cache != "" {
			words = append(words, "-ctk", set.Cache, "-ctv", set.Cache)
		}
		return [][]string{add(words...)}
	}
	// Every sequence has a prompt of its own. A test repeated in the list is measured again.
	batched := func(prompt, gen int) []string {
		gens := strings.Repeat(","+strconv.Itoa(gen), repeat)[1:]
		return add("-c", strconv.Itoa(set.Parallel*(prompt+gen)), "-b", "2048", "-npp", strconv.Itoa(prompt), "-ntg", gens,
			"-npl", strconv.Itoa(set.Parallel), "--output-format", "jsonl")
	}
	var all [][]string
	if set.Prompt > 0 {
		all = append(all, batched(set.Prompt, 1))
	}
	if set.Gen > 0 {
		all = append(all, batched(max(1, set.Depth), set.Gen))
	}
	return all
}

func (l *llama) measure(ctx context.Context, c *suite.Case, in input, r *record.Run) error {
	program, err := found(l.peer.Needs(c))
	if err != nil {
		return err
	}
	set := c.Settings
	if set.Parallel > 1 && set.Prompt > 0 && set.Depth > 0 {
		return errors.New("llama-batched-bench reads prompts at depth 0 only")
	}
	timeout := cmp.Or(l.peer.Timeout, in.timeout)
	commands := llamaCommands(c, in.model, in.tokens, l.peer.Args)
	run := func(args []string) (process.Result, error) {
		return process.Run(ctx, process.Command{Path: program, Args: args, Env: l.peer.Variables(), Timeout: timeout})
	}
	var all []process.Result
	if set.Start != "" {
		for i := range set.Repeat + 1 {
			p, err := run(commands[0])
			if err != nil {
				return err
			}
			if i > 0 { // the first one finds the file's pages cold
				all = append(all, p)
			}
		}
		processFigures(r, all)
		return nil
	}
	for i, args := range commands {
		p, err := run(args)
		if err != nil {
			return err
		}
		all = append(all, p)
		if set.Parallel > 1 {
			err = parseBatched(p.Stdout, r, set.Prompt > 0 && i == 0)
		} else {
			err = parseBench(p.Stdout, r, set)
		}
		if err != nil {
			return err
		}
	}
	processFigures(r, all)
	return nil
}

// benchResult are fields of llama-bench's JSON.
type benchResult struct {
	Commit  string    `json:"build_commit"`
	Build   int       `json:"build_number"`
	Prompt  int       `json:"n_prompt"`
	Gen     int       `json:"n_gen"`
	Depth   int       `json:"n_depth"`
	Average float64   `json:"avg_ts"`
	Samples []float64 `json:"samples_ts"`
}

// parseBench reads results. Of several of one test, such as with and without flash
// attention, the fastest counts.
func parseBench(out []byte, r *record.Run, set record.Settings) error {
	var results []benchResult
	if err := json.Unmarshal(out, &results); err != nil {
		return fmt.Errorf("llama-bench printed no results in JSON: %q", clip(process.LastLine(out)))
	}
	best := map[string]benchResult{}
	for _, b := range results {
		name := ""
		switch {
		case b.Depth != set.Depth:
		case b.Prompt == set.Prompt && b.Gen == 0 && b.Prompt > 0:
			name = record.Prefill
		case b.Prompt == 0 && b.Gen == set.Gen && b.Gen > 0:
			name = record.Decode
		}
		if name != "" && b.Average > best[name].Average {
			best[name] = b
		}
	}
	for name, wanted := range map[string]bool{record.Prefill: set.Prompt > 0, record.Decode: set.Gen > 0} {
		b, ok := best[name]
		if wanted && !ok {
			return fmt.Errorf("llama-bench gave no figure for %s", name)
		}
		if !wanted {
			continue
		}
		samples := b.Samples
		if len(samples) == 0 {
			samples = []float64{b.Average}
		}
		r.Figures[name] = record.NewFigure(name, samples...)
		if r.Engine.Version == "" && b.Build > 0 {
			r.Engine.Version = fmt.Sprintf("b%d (%s)", b.Build, b.Commit)
		}
	}
	return nil
}

// parseBatched reads the speeds from llama-batched-bench's lines; of all sequences
// together, as Ledge's are.
func parseBatched(out []byte, r *record.Run, prompt bool) error {
	var samples []float64
	name, key := record.Decode, "speed_tg"
	if prompt {
		name, key = record.Prefill, "speed_pp"
	}
	for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
		var l map[string]any
		if json.Unmarshal(s.Bytes(), &l) != nil {
			continue
		}
		if v, ok := l[key].(float64); ok && v > 0 {
			samples = append(samples, v)
		}
	}
	if len(samples) == 0 {
		return fmt.Errorf("llama-batched-bench gave no %s: %q", key, clip(process.LastLine(out)))
	}
	r.Figures[name] = record.NewFigure(name, samples...)
	return nil
}

// clip bounds what a message repeats of a program's output.
func clip(s string) string {
	const longest = 120
	if len(s) > longest {
		return strings.ToValidUTF8(s[:longest], "") + "…"
	}
	return s
}
