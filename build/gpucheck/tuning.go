package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// What follows says where the time of decoding goes, and what overlapping is worth: no
// bar is in it.

var product = regexp.MustCompile(`(?m)^BenchmarkProducts/(\S+)/([a-z]+)(?:-\d+)?\s.*$`)

// productWays are those of BenchmarkProducts.
var productWays = []string{"chained", "apart"}

// products times each kind of product of two models by itself.
func products(c *check) error {
	out, failed := c.test("cuda.test", "-test.run", "^$", "-test.bench", "Products", "-test.benchtime", "1x")
	shapes, all := figuresOf(out) // those that there was time for, too
	if failed == nil && len(shapes) == 0 {
		return fmt.Errorf("no product in %s", tail(out, 300))
	}
	c.line("Chains of products, weights from memory; microseconds of one, and GB/s of weights, as graphs chain them and apart, where each "+
		"begins when the one before has ended. The read kernel: %.0f GB/s.\n", c.read)
	c.head(append([]string{"product"}, productWays...)...)
	for _, s := range shapes {
		cells := []string{s}
		for _, way := range productWays {
			f, ok := all[s][way]
			if !ok {
				cells = append(cells, "")
				continue
			}
			cells = append(cells, fmt.Sprintf("%.2f us, %.0f", f.us, f.gbs))
		}
		c.row(cells...)
	}
	return failed
}

type figures struct{ us, gbs float64 }

// figuresOf reads what BenchmarkProducts printed: the shapes in order, and their figures by way.
func figuresOf(out string) (shapes []string, all map[string]map[string]figures) {
	all = map[string]map[string]figures{}
	for _, m := range product.FindAllStringSubmatch(out, -1) {
		if all[m[1]] == nil {
			all[m[1]] = map[string]figures{}
			shapes = append(shapes, m[1])
		}
		all[m[1]][m[2]] = figures{metric(m[0], "us/product"), metric(m[0], "GB/s")}
	}
	return shapes, all
}

// metric is a benchmark's figure of a unit.
func metric(line, unit string) float64 {
	fields := strings.Fields(line)
	if i := slices.Index(fields, unit); i > 0 {
		if x, err := strconv.ParseFloat(fields[i-1], 64); err == nil {
			return x
		}
	}
	return 0
}

// ways decodes with kernels that overlap and without, and with what other builds there are.
func ways(c *check) error {
	type way struct {
		name, program string
		env           []string
	}
	list := []way{
		{"as it is", "ledge", nil},
		{"LEDGE_CUDA_OVERLAP=0", "ledge", []string{"LEDGE_CUDA_OVERLAP=0"}},
	}
	others, _ := filepath.Glob(c.path("before/*")) // the pattern is right
	for _, o := range others {
		list = append(list, way{filepath.Base(o), "before/" + filepath.Base(o), nil})
	}
	var names []string
	for _, w := range list {
		names = append(names, w.name)
	}
	c.head(append([]string{"model, tokens/s"}, names...)...)
	models := c.models()
	defer func() { os.Remove(filepath.Join(c.scratch, "wide-q4_0.gguf")) }()
	for _, m := range [][2]string{{"8b", "q4_0"}, {"8b", "q4_k_m"}, {"wide", "q4_0"}} {
		path, err := c.synth(m[0], m[1])
		if err != nil {
			return err
		}
		models = append(models, path)
	}
	for _, m := range models {
		speed := make([][]float64, len(list))
		for range 2 {
			for i, w := range list {
				var t []timed
				if err := c.jsonOf(&t, w.env, w.program, "bench", "--device", c.device, "-m", m, "-p", "0", "-n", "64", "-r", "3"); err != nil {
					return fmt.Errorf("%s: %w", w.name, err)
				}
				for _, x := range t {
					speed[i] = append(speed[i], x.Speed)
				}
			}
		}
		cells := []string{filepath.Base(m)}
		for _, s := range speed {
			cells = append(cells, fmt.Sprintf("%.1f (%.2f)", median(s), median(s)/median(speed[0])))
		}
		c.row(cells...)
	}
	return nil
}

// stalls has Nsight Compute look at the products of a token, where it is installed.
func stalls(c *check) error {
	if out, err := c.program(nil, "ncu", "--version"); err != nil {
		c.line("Nsight Compute is not installed: %s", tail(err.Error()+out, 200))
		return nil
	}
	m, err := c.synth("8b", "q4_0")
	if err != nil {
		return err
	}
	args := []string{"--clock-control", "none", "--kernel-name", "regex:product_tensor", "--launch-skip", "40", "--launch-count", "4"}
	for _, s := range []string{"SpeedOfLight", "LaunchStats", "Occupancy", "SchedulerStats", "WarpStateStats", "MemoryWorkloadAnalysis", "InstructionStats", "SourceCounters"} {
		args = append(args, "--section", s)
	}
	args = append(args, "--metrics", "smsp__average_warps_issue_stalled_no_instruction_per_issue_active.ratio,"+
		"smsp__average_warps_issue_stalled_long_scoreboard_per_issue_active.ratio,smsp__average_warps_issue_stalled_short_scoreboard_per_issue_active.ratio,"+
		"smsp__average_warps_issue_stalled_barrier_per_issue_active.ratio,smsp__average_warps_issue_stalled_wait_per_issue_active.ratio,"+
		"smsp__average_warps_issue_stalled_math_pipe_throttle_per_issue_active.ratio,smsp__average_warps_issue_stalled_mio_throttle_per_issue_active.ratio,"+
		"smsp__average_warps_issue_stalled_lg_throttle_per_issue_active.ratio,smsp__inst_executed.avg.per_cycle_active,gpu__time_duration.sum,"+
		"lts__t_sectors_srcunit_tex_op_read.sum,dram__sectors_read.sum") // each sector of weights is to be asked for once
	out, failed := c.program([]string{"LEDGE_CUDA_PROFILE=1"}, "ncu", append(args, c.path("ledge"), "bench", "--device", c.device, "-m", m, "-p", "0", "-n", "2", "-r", "1")...)
	c.block(out, 400)
	if failed != nil { // not every machine lets programs count
		c.line("\nNsight Compute says: %s", tail(failed.Error(), 300))
	}
	return nil
}
