// Command gpucheck proves and measures Ledge's CUDA backend on a machine with an
// NVIDIA GPU, and writes a report. build/gpu-check.sh packs and runs it: that machine
// needs nothing but the driver.
//
//	gpucheck -dir out/gpu -out report.md            everything
//	gpucheck -dir out/gpu -only tests,wide          some of the steps
//
// The folder has the programs ledge and synth, the test binaries cuda.test and
// all.test, the text GPL-3, in models/ real models, and in peer/ llama.cpp's programs
// for CUDA; before has other builds of Ledge, which are measured beside this one,
// and trace/ledge one whose kernels have timers.
// What is not there is said in the report and left out.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

type check struct {
	dir, scratch, device string
	folder               string // where programs run
	rounds               int
	asked                bool // for these steps, by name
	end                  time.Time
	ctx                  context.Context
	page                 strings.Builder
	failed               []string

	read float64 // GB/s of our own read kernel
}

type step struct {
	name  string
	most  time.Duration // that it may take
	run   func(*check) error
	about string
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gpucheck:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	f := flag.NewFlagSet("gpucheck", flag.ContinueOnError)
	c := &check{}
	f.StringVar(&c.dir, "dir", "out/gpu", "the folder with the programs and models")
	f.StringVar(&c.scratch, "scratch", "", "a folder for models that are made on the spot (default: a temporary one)")
	f.StringVar(&c.device, "device", "cuda0", "the device to check")
	f.IntVar(&c.rounds, "rounds", 3, "rounds of each timing, alternated with the peer")
	out := f.String("out", "report.md", "the report")
	only := f.String("only", "", "steps, with commas; none: all")
	budget := f.Duration("budget", 9*time.Minute, "that all steps may take")
	if err := f.Parse(args); err != nil {
		return err
	}
	var names []string
	if c.asked = *only != ""; c.asked {
		names = strings.Split(*only, ",")
	}
	chosen, err := stepsOf(names)
	if err != nil {
		return err
	}
	if c.dir, err = filepath.Abs(c.dir); err != nil {
		return err
	}
	c.folder = c.dir
	if c.scratch == "" {
		if c.scratch, err = os.MkdirTemp("", "gpucheck"); err != nil {
			return err
		}
		defer os.RemoveAll(c.scratch)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	c.end = time.Now().Add(*budget)
	c.line("# CUDA, checked on a GPU\n\nWritten by build/gpu-check.sh (%s).\nCommit: %s.", time.Now().UTC().Format("2006-01-02"), revision(debug.ReadBuildInfo()))
	for _, s := range chosen {
		left := min(s.most, time.Until(c.end))
		c.line("\n## %s\n", s.about)
		if left < 2*time.Second || ctx.Err() != nil {
			c.line("Left out: no time left.")
			continue
		}
		var cancel context.CancelFunc
		c.ctx, cancel = context.WithTimeout(ctx, left)
		start := time.Now()
		if err := s.run(c); err != nil {
			c.line("\n**Failed**: %v", err)
			c.failed = append(c.failed, s.name)
			fmt.Fprintln(os.Stderr, "gpucheck:", s.name, err)
		}
		cancel()
		fmt.Fprintf(os.Stderr, "gpucheck: %s took %.1f s\n", s.name, time.Since(start).Seconds())
		if err := os.WriteFile(*out, []byte(c.page.String()), 0o644); err != nil { // after each: a run may be cut off
			return err
		}
	}
	if len(c.failed) > 0 {
		return fmt.Errorf("failed: %s (see %s)", strings.Join(c.failed, ", "), *out)
	}
	return nil
}

// stepsOf is the steps of these names in their order, or all.
func stepsOf(names []string) ([]step, error) {
	if len(names) == 0 {
		return steps, nil
	}
	var all []string
	for _, s := range steps {
		all = append(all, s.name)
	}
	for i, n := range names {
		if names[i] = strings.TrimSpace(n); !slices.Contains(all, names[i]) {
			return nil, fmt.Errorf("-only: no step %q: there are %s", names[i], strings.Join(all, ", "))
		}
	}
	return slices.DeleteFunc(slices.Clone(steps), func(s step) bool { return !slices.Contains(names, s.name) }), nil
}

// revision is the commit that this program, and those packed with it, were built from.
func revision(info *debug.BuildInfo, ok bool) string {
	text, changes := "unknown", ""
	if !ok {
		return text
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			text = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			changes = ", with local changes"
		}
	}
	return text + changes
}

func (c *check) line(format string, args ...any) { fmt.Fprintf(&c.page, format+"\n", args...) }

func (c *check) row(cells ...string) { c.line("| %s |", strings.Join(cells, " | ")) }

func (c *check) head(cells ...string) {
	c.row(cells...)
	c.row(strings.Split(strings.TrimSuffix(strings.Repeat("---,", len(cells)), ","), ",")...)
}

// block prints text as it is, its last lines if it is long.
func (c *check) block(text string, most int) {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) > most {
		lines = append([]string{fmt.Sprintf("... (%d lines before)", len(lines)-most)}, lines[len(lines)-most:]...)
	}
	c.line("```\n%s\n```", strings.Join(lines, "\n"))
}

func (c *check) path(name string) string { return filepath.Join(c.dir, name) }

func (c *check) has(name string) bool {
	_, err := os.Stat(c.path(name))
	return err == nil
}

// program runs a program of the folder, or one of the system.
func (c *check) program(env []string, name string, args ...string) (string, error) {
	if c.has(name) {
		name = c.path(name)
	}
	fmt.Fprintln(os.Stderr, "+", filepath.Base(name), strings.Join(args, " "))
	cmd := exec.CommandContext(c.ctx, name, args...)
	cmd.Dir = c.folder
	cmd.Env = append(os.Environ(), env...)
	cmd.WaitDelay = 2 * time.Second
	var out, complaints strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		if c.ctx.Err() != nil {
			err = fmt.Errorf("%w (its time was over)", err)
		}
		return out.String(), fmt.Errorf("%s %s: %w: %s", filepath.Base(name), strings.Join(args, " "), err, tail(complaints.String()+out.String(), 1500))
	}
	return out.String() + complaints.String(), nil
}

func tail(s string, n int) string {
	s = strings.TrimSpace(s)
	if len(s) > n {
		s = "..." + s[len(s)-n:]
	}
	return s
}
