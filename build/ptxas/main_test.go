package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/kernels/cuda"
)

// TestPage: every GPU takes the kernels, none spills that must not, and the page is
// what the assemblers say. LEDGE_TEST_PTXAS is the folder that build/ptxas.sh made;
// with LEDGE_TEST_FULL the GPUs without a column are there, too.
func TestPage(t *testing.T) {
	tools, demanded := os.LookupEnv("LEDGE_TEST_PTXAS")
	if !demanded {
		tools = "../../out/ptxas"
	}
	if err := checkTools(tools); err != nil && !demanded {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	full := os.Getenv("LEDGE_TEST_FULL") != ""
	programs, err := assembleAll(tools, full)
	if err != nil {
		t.Fatal(err)
	}
	want := 0
	for _, u := range cuda.Units() {
		for _, target := range cuda.Targets {
			if u.For(target) {
				want++
			}
		}
	}
	if len(programs) != want {
		t.Errorf("%d programs, want %d", len(programs), want)
	}
	for _, err := range faults(programs) {
		t.Error(err)
	}
	for _, p := range programs {
		for i, m := range p.made {
			if !full && !hasColumn(gpusOf(p.target)[i], p.target) {
				continue
			}
			if m.registers < 4 || m.registers > 255 || m.instructions < 8 {
				t.Errorf("%s for sm_%d: %d registers, %d instructions", name(p.unit, p.target), m.gpu.capability, m.registers, m.instructions)
			}
		}
	}
	committed, err := os.ReadFile("../../" + page)
	if err != nil {
		t.Fatal(err)
	}
	if string(committed) != markdown(programs) {
		t.Errorf("%s is not what the assemblers say: go run ./build/ptxas", page)
	}
}

// TestGPUs: code is assembled for the GPUs that get it, and for Jetsons and H100.
func TestGPUs(t *testing.T) {
	for _, target := range cuda.Targets {
		var have []int
		for _, g := range gpusOf(target) {
			have = append(have, g.capability)
		}
		want := map[string]string{"sm_80": "[80 86 87 89 90 100 110 120 121]", "sm_72": "[72 75 87 90 110]"}[target.Arch]
		if fmt.Sprint(have) != want {
			t.Errorf("%s: %d, want %s", target.Arch, have, want)
		}
	}
	for _, g := range gpus {
		b, err := cuda.Find("fill", []uint32{128}, g.capability)
		want := "fill." + newest(g).Arch
		if g.capability >= cuda.OverlapFrom {
			want = "fill.sm_90"
		}
		if err != nil || b.Name != want {
			t.Errorf("sm_%d gets %s: %v; want %s", g.capability, b.Name, err, want)
		}
	}
}

func TestParse(t *testing.T) {
	const good = `ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'top' for 'sm_87'
ptxas info    : Function properties for top
    8 bytes stack frame, 12 bytes spill stores, 16 bytes spill loads
ptxas info    : Used 33 registers, used 1 barriers, 8704 bytes smem, 544 bytes cmem[0]
`
	m, err := parse(good, "top")
	if err != nil || m.registers != 33 || m.shared != 8704 || m.spills != 28 || m.stack != 8 {
		t.Errorf("%+v, %v", m, err)
	}
	if m, err := parse(strings.Replace(good, " 8704 bytes smem,", "", 1), "top"); err != nil || m.shared != 0 {
		t.Errorf("%+v, %v", m, err)
	}
	for _, bad := range []string{"", strings.Replace(good, "Used", "Has", 1), strings.Replace(good, "stack", "", 1), good + good} {
		if m, err := parse(bad, "top"); err == nil {
			t.Errorf("%+v of %q", m, bad)
		}
	}
	if _, err := parse(good, "fill"); err == nil {
		t.Error("another kernel's report is taken")
	}
}

func TestFaults(t *testing.T) {
	for _, c := range []struct {
		unit cuda.Unit
		made made
		want string
	}{
		{cuda.Unit{Threads: 128}, made{registers: 128, shared: 4096}, ""},
		{cuda.Unit{Threads: 128}, made{registers: 128, spills: 8}, "registers spill: 8 bytes"},
		{cuda.Unit{Threads: 128}, made{registers: 128, stack: 16}, "16 bytes of local memory"},
		{cuda.Unit{Threads: 128, MaySpill: true}, made{registers: 128, spills: 8, stack: 16}, ""},
		{cuda.Unit{Threads: 128}, made{registers: 32, shared: 163*kib + 4}, "a block may have 163 KiB"},
		{cuda.Unit{Threads: 512}, made{registers: 255}, "do not fit a multiprocessor"},
	} {
		c.unit.Entry = "k"
		c.made.gpu = of(87)
		errs := faults([]program{{c.unit, cuda.Targets[0], []made{c.made}}})
		if c.want == "" && len(errs) == 0 {
			continue
		}
		if c.want == "" || len(errs) != 1 || !strings.HasPrefix(errs[0].Error(), "k.sm_80 for sm_87: ") || !strings.Contains(errs[0].Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.made, errs, c.want)
		}
	}
}

func of(capability int) gpu {
	for _, g := range gpus {
		if g.capability == capability {
			return g
		}
	}
	panic("no such GPU")
}

// TestResident: as NVIDIA's occupancy calculator has it.
func TestResident(t *testing.T) {
	for _, c := range []struct{ capability, registers, shared, threads, want int }{
		{87, 32, 0, 128, 12},           // threads
		{87, 32, 0, 64, 16},            // blocks
		{87, 64, 0, 128, 8},            // registers
		{87, 56, 0, 128, 9},            // a partition holds 9 warps of them
		{87, 65, 0, 128, 7},            // eight more are taken
		{87, 32, 48 * 1024, 128, 3},    // shared memory
		{87, 32, 163 * 1024, 128, 1},   // all of it
		{87, 255, 0, 512, 0},           // too many registers
		{90, 32, 0, 128, 16},           // threads
		{90, 32, 100 * 1024, 128, 2},   // shared memory
		{90, 128, 0, 256, 2},           // registers
		{72, 32, 32 * 1024, 128, 3},    // shared memory: the system takes none
		{72, 16, 0, 32, 32},            // blocks
		{75, 32, 0, 256, 4},            // threads
		{120, 32, 99*1024 + 1, 128, 0}, // too much
	} {
		if have := of(c.capability).resident(c.registers, c.shared, c.threads); have != c.want {
			t.Errorf("%+v: %d", c, have)
		}
	}
}
