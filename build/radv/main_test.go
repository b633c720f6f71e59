package main

import (
	"os"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/backend/vulkan"
	"github.com/ledge-run/ledge/kernels/shader"
)

func TestMain(m *testing.M) {
	if os.Getenv(envChild) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestNoSpills: for every family all kernels compile, without spills, and the page
// is what the compiler says today, where it is the compiler that wrote it.
func TestNoSpills(t *testing.T) {
	if _, err := driverFile(); err != nil {
		t.Skip(err)
	}
	reports, err := all()
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range spills(reports) {
		t.Error(err)
	}
	for _, r := range reports {
		if len(r.Programs) < len(shader.Kernels()) {
			t.Errorf("%s: %d programs", r.Family, len(r.Programs))
		}
		for _, p := range r.Programs {
			if p.of("VGPRs") <= 0 || p.of("Instructions") <= 0 || p.of("LDS size") > 16<<10 {
				t.Errorf("%s for %s: %v", title(p), r.Family, p.Statistics)
			}
		}
	}
	committed, err := os.ReadFile("../../" + page)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(committed), header(reports)) {
		t.Skipf("%s was written by another version of the driver than %s", page, reports[0].Driver)
	}
	if string(committed) != markdown(reports) {
		t.Errorf("%s is not what the compiler says: go run ./build/radv", page)
	}
}

func TestSpillsAreFound(t *testing.T) {
	good := []vulkan.Statistic{{Name: "Spilled SGPRs"}, {Name: "Spilled VGPRs"}, {Name: "Scratch size"}}
	bad := append([]vulkan.Statistic{{Name: "Spilled VGPRs", Value: 3}}, good...)
	reports := []report{{Family: "vega10", Programs: []program{
		{"fill", []uint32{128}, good, 0}, {"fill", []uint32{64}, bad, 0}, {"fill", []uint32{64}, nil, 0},
	}}}
	if errs := spills(reports); len(errs) != 4 { // a compiler that does not say is no proof
		t.Errorf("found %v", errs)
	}
}

func TestLoop(t *testing.T) {
	const outer, idle, busy = "BB0:\n\ts_nop 0 ; x\n", "BB1:\n\ts_nop 0\n\ts_nop 0\n\ts_cbranch_scc1 BB1 ; y\n",
		"BB2:\n\tv_fmac_f32 v0, v1, v2\n\ts_nop 0\n\ts_branch BB2\n"
	for text, want := range map[string]int{
		"": 0, outer: 0, outer + idle: 0, outer + busy: 3,
		outer + idle + busy + "\ts_cbranch_vccz BB0 ; back\n":                  3,
		outer + busy + "\ts_cbranch_scc0 BB9\nBB9:\n":                          3,
		busy + "BB3:\n\tv_dot4c_i32_i8_e32 v0, v1, v2\n\ts_cbranch_scc1 BB3\n": 2, // four products against one
	} {
		if have := loop(text); have != want {
			t.Errorf("%q: %d, want %d", text, have, want)
		}
	}
}
