package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/ledge-run/ledge/runtime/bench/stats"
)

const turns = 5

// speed takes turns with both programs, from the start of the process until the file
// is on disk, and compares the medians.
func (r *job) speed(ctx context.Context) (string, error) {
	source, ledge := r.path("synthetic.gguf"), r.ledge
	if !exists(source) {
		if err := synthetic(source, 4096, 4096); err != nil {
			return "", err
		}
	}
	if ledge == "" {
		ledge = r.path("ledge")
		build := exec.CommandContext(ctx, "go", "build", "-o", ledge, "./cmd/ledge")
		if out, err := build.CombinedOutput(); err != nil {
			return "", fmt.Errorf("go build: %w: %s", err, out)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "| Type | llama-quantize, s | ledge, s | times faster |\n|---|--:|--:|--:|\n")
	for _, t := range r.list(errorTypes) {
		var seconds [2][]float64
		for range turns {
			for i := range seconds {
				to := r.path("speed.gguf")
				name, args := filepath.Join(r.llama, "llama-quantize"), []string{"--pure", source, to, llamaType(t), fmt.Sprint(r.thread)}
				if i == 1 {
					name, args = ledge, []string{"quantize", "-q", "--no-speed", "-t", fmt.Sprint(r.thread), "--tensor", "weight=" + t, source, to, "F32"}
				}
				s, err := r.timed(ctx, name, args, to)
				if err != nil {
					return "", err
				}
				seconds[i] = append(seconds[i], s)
			}
		}
		theirs, ours := stats.Median(seconds[0]), stats.Median(seconds[1])
		fmt.Fprintf(&b, "| %s | %.3f | %.3f | %.2f |\n", t, theirs, ours, theirs/ours)
	}
	return b.String(), nil
}

// timed runs a program that writes a file, has it written to disk, and removes it.
func (r *job) timed(ctx context.Context, name string, args []string, file string) (float64, error) {
	c := exec.CommandContext(ctx, name, args...)
	c.Env = append(os.Environ(), "LD_LIBRARY_PATH="+r.llama)
	start := time.Now()
	if out, err := c.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("%s: %w: %s", name, err, out)
	}
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	err = f.Sync()
	s := time.Since(start).Seconds()
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Remove(file)
	}
	return s, err
}
