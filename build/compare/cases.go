package main

import (
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"strings"

	runtimes "github.com/ledge-run/ledge/runtime/engine"
)

// A benchCase is measured in rounds, Ledge and the peer in turn.
type benchCase struct {
	id        string
	model     string // file in the folder of models
	threads   int
	prompt    int
	gen       int
	depth     int    // positions in the cache beforehand
	sequences int    // that generate together
	repeat    int    // generation in a round; 0 counts as 1
	open      int    // context that is open, where it is more than is used
	level     string // that ledge is forced to
	large     bool
	once      bool // a round takes minutes: one is enough

	ledge, peer engine
	peerName    string
	rows        []row
}

// A row is a line of the report.
type row struct {
	table  table
	figure string // which of a round's figures
	bar    bar
}

// table is a table of the report.
type table int

const (
	decoding table = iota
	deep
	reading
	openvino
	together
	forced
	start
	memory
	disturbedCore
	numTables
)

// A bar is what must be shown. ratio is of Ledge to the peer; share is of the
// read ceiling of the same round. With either it is enough to reach one.
type bar struct {
	ratio, share float64
	either       bool
	most         bool // ratio is the most that is allowed
}

func (b bar) String() string {
	sign := "≥"
	if b.most {
		sign = "≤"
	}
	ratio, share := fmt.Sprintf("%s %.2g×", sign, b.ratio), fmt.Sprintf("≥ %.0f %%", 100*b.share)
	switch {
	case b.ratio == 0 && b.share == 0:
		return ""
	case b.share == 0:
		return ratio
	case b.ratio == 0:
		return share
	case b.either:
		return ratio + " or " + share
	}
	return ratio + ", " + share
}

// met says whether figures reach the bar. A figure that was not measured is NaN
// and reaches nothing.
func (b bar) met(ratio, share float64) bool {
	r := ratio >= b.ratio
	if b.most {
		r = ratio <= b.ratio
	}
	r = r || b.ratio == 0 && !math.IsNaN(ratio)
	s := share >= b.share || b.share == 0
	if b.either {
		return r || s
	}
	return r && s
}

// The models' files, and what the report calls them.
var modelNames = map[string]string{
	"smollm2-q4_0.gguf":        "SmolLM2-135M Q4_0",
	smolSource:                 "SmolLM2-135M Q4_1",
	"smollm2-q8_0.gguf":        "SmolLM2-135M Q8_0",
	"smollm2-q4_k_m.gguf":      "SmolLM2-135M Q4_K_M",
	"gemma-3-270m-q4_k_m.gguf": "Gemma-3-270M Q4_K_M",
	"synth-1b-q4_0.gguf":       "synthetic 1B Q4_0",
	"synth-1b-q4_k_m.gguf":     "synthetic 1B Q4_K_M",
	"synth-1b-q6_k.gguf":       "synthetic 1B Q6_K",
	"synth-1b-iq4_xs.gguf":     "synthetic 1B IQ4_XS",
	"smollm2-q4_0-32k.gguf":    "SmolLM2-135M Q4_0, context 32,768",
}

// llamaName is what build/llama.sh builds.
const llamaName = "llama.cpp b11434"

// short is a model's name in identifiers.
func short(model string) string { return strings.TrimSuffix(model, filepath.Ext(model)) }

// cases are all comparisons, in the order in which they run.
func cases() []benchCase {
	var all []benchCase
	small := []string{"smollm2-q4_0.gguf", smolSource, "smollm2-q8_0.gguf", "smollm2-q4_k_m.gguf", "gemma-3-270m-q4_k_m.gguf"}
	large := []string{"synth-1b-q4_0.gguf", "synth-1b-q4_k_m.gguf", "synth-1b-q6_k.gguf", "synth-1b-iq4_xs.gguf"}

	// Reading a prompt and generating: one process does both.
	speed := func(model string, threads int, decode, prefill bar) {
		gen, repeat := lengths(model)
		rows := []row{{decoding, fmt.Sprintf("tg%d", gen), decode}, {reading, "pp512", prefill}}
		if threads == 2 {
			rows = append(rows, row{memory, "peak_mb", bar{}})
		}
		all = append(all, benchCase{id: fmt.Sprintf("speed/%s/t%d", short(model), threads), model: model, threads: threads, prompt: 512, gen: gen, repeat: repeat,
			large: isLarge(model), ledge: ledgeBench(""), peer: llamaBench(native), peerName: llamaName, rows: rows})
	}
	for _, m := range small {
		for t := 1; t <= 2; t++ {
			speed(m, t, bar{ratio: 1.7, share: 0.88, either: true}, bar{ratio: 2})
		}
	}
	for _, m := range large {
		for t := 1; t <= 2; t++ {
			switch {
			case m != large[0]:
				speed(m, t, bar{ratio: 1.3, share: 0.88, either: true}, bar{ratio: 1.7})
			case t == 1:
				speed(m, t, bar{ratio: 1.4, share: 0.90}, bar{ratio: 2})
			default:
				speed(m, t, bar{ratio: 1.2, share: 0.85}, bar{ratio: 2})
			}
		}
	}

	for _, d := range []struct {
		model          string
		threads, depth int
	}{{small[0], 1, 4096}, {small[0], 2, 4096}, {small[4], 1, 4096}, {small[4], 2, 4096}, {"smollm2-q4_0-32k.gguf", 2, 16384}} {
		all = append(all, benchCase{id: fmt.Sprintf("depth%d/%s/t%d", d.depth, short(d.model), d.threads), model: d.model, threads: d.threads,
			gen: 32, depth: d.depth, once: d.depth > 8192, repeat: 2, ledge: ledgeBench(""), peer: llamaBench(native), peerName: llamaName,
			rows: []row{{deep, "tg32", bar{ratio: 2.5, share: 0.7}}}})
	}

	for t := 1; t <= 2; t++ {
		all = append(all, benchCase{id: fmt.Sprintf("openvino/smollm2-q8_0/t%d", t), model: "smollm2-q8_0.gguf", threads: t, prompt: 512, repeat: 3,
			ledge: ledgeBench(""), peer: openVINO, peerName: "OpenVINO GenAI 2026.4", rows: []row{{openvino, "pp512", bar{ratio: 1.2}}}})
	}

	for _, m := range []string{small[0], large[0]} {
		for t := 1; t <= 2; t++ {
			gen, repeat := lengths(m)
			all = append(all, benchCase{id: fmt.Sprintf("together8/%s/t%d", short(m), t), model: m, threads: t, gen: gen, repeat: repeat, depth: 128, sequences: 8,
				ledge: ledgeParallel, peer: llamaParallel, peerName: llamaName, rows: []row{{together, "together", bar{ratio: 2}}}})
		}
	}

	for _, m := range []string{small[0], small[2], small[3], large[1]} {
		for t := 1; t <= 2; t++ {
			gen, repeat := lengths(m)
			all = append(all, benchCase{id: fmt.Sprintf("avx2/%s/t%d", short(m), t), model: m, threads: t, prompt: 512, gen: gen, repeat: repeat,
				large: isLarge(m), level: "avx2", ledge: ledgeBench("avx2"), peer: llamaBench(avx2Only), peerName: llamaName + " for AVX2 only",
				rows: []row{{forced, fmt.Sprintf("tg%d", gen), bar{ratio: 1.3}}, {forced, "pp512", bar{ratio: 1.3}}}})
		}
	}

	for _, m := range []string{small[0], smolSource, small[3], small[4], large[1]} {
		all = append(all, benchCase{id: "start/" + short(m), model: m, threads: 2, gen: startTokens, open: runtimes.DefaultContext,
			ledge: ledgeStart, peer: llamaStart, peerName: llamaName,
			rows: []row{{start, "wall_s", bar{ratio: 0.7, most: true}}, {start, "cpu_s", bar{ratio: 0.7, most: true}}, {memory, "peak_mb", bar{}}}})
	}

	for _, m := range []string{small[0], large[0]} {
		gen, repeat := lengths(m)
		all = append(all, benchCase{id: "loaded/" + short(m) + "/t2", model: m, threads: 2, gen: gen, repeat: repeat, ledge: loaded(ledgeBench("")),
			peer: loaded(llamaBench(native)), peerName: llamaName, rows: []row{{disturbedCore, "loaded", bar{}}}})
	}
	return all
}

func isLarge(model string) bool { return strings.HasPrefix(model, "synth") }

// lengths are how many tokens are generated, and how often in a round: enough to
// take about a second.
func lengths(model string) (gen, repeat int) {
	if isLarge(model) {
		return 32, 1
	}
	return 64, 3
}

// choose picks cases whose identifiers match.
func choose(all []benchCase, only *regexp.Regexp) []benchCase {
	var some []benchCase
	for _, c := range all {
		if only == nil || only.MatchString(c.id) {
			some = append(some, c)
		}
	}
	return some
}
