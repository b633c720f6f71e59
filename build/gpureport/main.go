// Command gpureport measures the GPU backends on real models against the CPU
// backend and, on Vulkan, against llama.cpp's Vulkan backend, and writes the page
// docs/gpu.md. Everything goes through the program ledge, as a user would see it.
//
//	go run ./build/gpureport -ledge out/bin/ledge -models out/models -devices vulkan0,opencl0,gles0
//
// Software drivers are slow: the whole takes half an hour.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
)

// models that are measured, by file name.
var models = []string{"smollm2-135m-instruct-q4_1.gguf", "gemma-3-270m-q4_k_m.gguf"}

// prompts whose greedy continuations are compared.
var prompts = []string{
	"The capital of France is",
	"def fibonacci(n):",
}

type settings struct {
	ledge, models, text, peer, peerModel string
	devices                              []string
	chunks, tokens, rounds               int
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gpureport:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	var s settings
	f := flag.NewFlagSet("gpureport", flag.ContinueOnError)
	f.StringVar(&s.ledge, "ledge", "out/ledge", "the program to measure")
	f.StringVar(&s.models, "models", "out/models", "folder of build/models.sh")
	f.StringVar(&s.text, "text", "/usr/share/common-licenses/GPL-3", "text for the perplexity")
	f.StringVar(&s.peer, "peer", "", "a program that prints llama.cpp's tokens per second on Vulkan (see build/gpureport/peer/peer.sh); none: no comparison")
	f.StringVar(&s.peerModel, "peer-model", "smollm2-q4_0.gguf", "the model that the peer and Ledge are timed with")
	devices := f.String("devices", "vulkan0,opencl0,gles0", "devices to measure")
	f.IntVar(&s.chunks, "chunks", 4, "chunks of 512 tokens of the perplexity")
	f.IntVar(&s.tokens, "tokens", 64, "greedy tokens to compare")
	f.IntVar(&s.rounds, "rounds", 3, "rounds of the timing, alternated with the peer")
	only := f.String("only", "", "some of devices, perplexity, text, cost, start, speed; none: all")
	out := f.String("out", "docs/gpu.md", "the page to write")
	if err := f.Parse(args); err != nil {
		return err
	}
	s.devices = strings.Split(*devices, ",")
	p := &page{}
	var failed []error
	for _, part := range []struct {
		name string
		run  func(*settings, *page) error
	}{{"devices", intro}, {"perplexity", perplexities}, {"text", texts}, {"cost", costs}, {"start", starts}, {"speed", speeds}} {
		if *only != "" && !strings.Contains(*only, part.name) {
			continue
		}
		if err := part.run(&s, p); err != nil {
			failed = append(failed, err)
			fmt.Fprintln(os.Stderr, "gpureport:", err)
		}
	}
	if err := os.WriteFile(*out, []byte(p.String()), 0o644); err != nil {
		return err
	}
	return errors.Join(failed...)
}

// page is Markdown text.
type page struct{ strings.Builder }

func (p *page) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

func (p *page) row(cells ...string) { p.line("| %s |", strings.Join(cells, " | ")) }

func (p *page) head(cells ...string) {
	p.row(cells...)
	rule := make([]string, len(cells))
	for i := range rule {
		rule[i] = "---"
	}
	p.row(rule...)
}
