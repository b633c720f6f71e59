package main

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A build of Ledge whose kernels have timers (backend/cuda, EnvTrace) says what a token
// consists of in its graph, with kernels that overlap.

// launch is a kernel of a token: nanoseconds of the shared clock.
type launch struct {
	name   string // its label without the layer
	blocks int
	inputs float64 // when the first block had them
	ended  float64 // when the last one had
}

// launchesOf reads the times of the largest recording of a file: a token's but for the
// choice of what comes next.
func launchesOf(r io.Reader) ([]launch, error) {
	var all [][]launch // of each recording
	last, operation := -1, ""
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()
		var index, block, sm int
		var began, inputs, ended float64
		if strings.HasPrefix(line, "call ") {
			if _, err := fmt.Sscanf(line, "call %d", &index); err != nil {
				return nil, fmt.Errorf("%q: %w", line, err)
			}
			if len(all) == 0 || index <= last { // another recording
				all, operation = append(all, nil), ""
			}
			last = index
			now := &all[len(all)-1]
			name := strings.Trim(line[strings.LastIndex(line, " ")+1:], `"`) // "blk.0.ffn_gate", or rope_cache
			name = name[strings.LastIndex(name, ".")+1:]
			fields := strings.Fields(line)
			of := strings.Join(fields[min(3, len(fields)):], " ")
			if of == operation { // which takes a kernel more, for matrices of another type
				name += ", another type"
			}
			operation = of
			*now = append(*now, launch{name: name})
			continue
		}
		if _, err := fmt.Sscan(line, &block, &began, &inputs, &ended, &sm); err != nil || len(all) == 0 {
			return nil, fmt.Errorf("%q: no times of a block (%v)", line, err)
		}
		now := all[len(all)-1]
		l := &now[len(now)-1]
		if l.blocks == 0 || inputs < l.inputs {
			l.inputs = inputs
		}
		l.ended = max(l.ended, ended)
		l.blocks++
	}
	if err := lines.Err(); err != nil || len(all) == 0 {
		return nil, err
	}
	return slices.MaxFunc(all, func(x, y []launch) int { return len(x) - len(y) }), nil
}

// traced says how long the kernels of a token take, from the end of one to the next's.
func traced(c *check) error {
	if !c.has("trace/ledge") {
		c.line("No build with timers in the folder (LEDGE_TRACE=1 build/gpu-check.sh pack).")
		return nil
	}
	var failed error
	for _, kind := range []string{"q4_0", "q4_k_m"} {
		model, err := c.synth("8b", kind)
		if err != nil {
			return err
		}
		if err := c.trace(model); err != nil {
			failed = err
		}
	}
	return failed
}

func (c *check) trace(model string) error {
	file := filepath.Join(c.scratch, "times")
	os.Remove(file)
	for _, env := range [][]string{nil, {"LEDGE_CUDA_TRACE=" + file}} { // first the kernels are compiled and tried
		if _, err := c.program(env, "trace/ledge", "bench", "--device", c.device, "-m", model, "-p", "0", "-n", "16", "-r", "1"); err != nil {
			return err
		}
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	all, err := launchesOf(f)
	if err != nil {
		return err
	}
	if len(all) < 2 {
		return fmt.Errorf("%s: times of %d kernels", filepath.Base(model), len(all))
	}
	c.line("\n%s, the last token: %d kernels in %.3f ms\n", filepath.Base(model), len(all), (all[len(all)-1].ended-all[0].inputs)/1e6)
	c.head("kernel", "of a token", "us from the end of the one before to its own", "before its inputs are there")
	c.page.WriteString(kernelRows(all))
	return nil
}

// kernelRows is a row for each kernel, in the order of the first: medians.
func kernelRows(all []launch) string {
	took, waited, first := map[string][]float64{}, map[string][]float64{}, map[string]int{}
	for i, l := range all[1:] {
		if _, ok := first[l.name]; !ok {
			first[l.name] = i
		}
		took[l.name] = append(took[l.name], (l.ended-all[i].ended)/1e3)
		waited[l.name] = append(waited[l.name], (l.inputs-all[i].ended)/1e3)
	}
	var b strings.Builder
	for _, name := range slices.SortedFunc(maps.Keys(first), func(x, y string) int { return first[x] - first[y] }) {
		fmt.Fprintf(&b, "| %s | %d | %.1f | %.1f |\n", name, len(took[name]), median(took[name]), median(waited[name]))
	}
	return b.String()
}
