// Command radv compiles the kernels for AMD GPUs that are not there, through the
// null device of Mesa's Vulkan driver, and writes what its compiler says of them to
// docs/gpu-kernels.md: go run ./build/radv.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ledge-run/ledge/backend/vulkan"
	"github.com/ledge-run/ledge/kernels/shader"
)

// families of GPUs, as the driver calls them, and what they are.
var families = []struct{ name, what string }{
	{"vega10", "GCN 5"},
	{"navi10", "RDNA 1"},
	{"navi21", "RDNA 2"},
}

// envChild tells this program that it is the one that compiles. The driver reads
// its settings once in a process, so each family has a process of its own.
const envChild = "LEDGE_RADV_CHILD"

const page = "docs/gpu-kernels.md"

func main() {
	out := flag.String("o", page, "file to write")
	flag.Parse()
	if err := run(*out); err != nil {
		fmt.Fprintln(os.Stderr, "radv:", err)
		os.Exit(1)
	}
}

func run(out string) error {
	if os.Getenv(envChild) != "" {
		r, err := compileAll()
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(r)
	}
	reports, err := all()
	if err != nil {
		return err
	}
	if err := os.WriteFile(out, []byte(markdown(reports)), 0o644); err != nil {
		return err
	}
	return errors.Join(spills(reports)...)
}

// report is what was compiled for one family.
type report struct {
	Family   string    `json:"family"`
	Device   string    `json:"device"`
	Driver   string    `json:"driver"`
	Programs []program `json:"programs"`
}

type program struct {
	Kernel     string             `json:"kernel"`
	Constants  []uint32           `json:"constants"`
	Statistics []vulkan.Statistic `json:"statistics"`
	Loop       int                `json:"loop"` // instructions of the loop that matters
}

// of is a statistic by the driver's name for it; -1 where it has none.
func (p program) of(name string) float64 {
	for _, s := range p.Statistics {
		if s.Name == name {
			return s.Value
		}
	}
	return -1
}

// driverFile finds Mesa's driver among those that are installed.
func driverFile() (string, error) {
	for _, dir := range []string{"/usr/share/vulkan/icd.d", "/usr/local/share/vulkan/icd.d", "/etc/vulkan/icd.d"} {
		if all, err := filepath.Glob(filepath.Join(dir, "radeon_icd*.json")); err == nil && len(all) > 0 {
			return all[0], nil
		}
	}
	return "", errors.New("no Vulkan driver of Mesa for AMD is installed (Debian: mesa-vulkan-drivers)")
}

// all compiles for every family.
func all() ([]report, error) {
	driver, err := driverFile()
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var reports []report
	for _, f := range families {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), envChild+"=1", "VK_ICD_FILENAMES="+driver, "VK_DRIVER_FILES="+driver,
			"RADV_FORCE_FAMILY="+f.name, "MESA_SHADER_CACHE_DISABLE=true", "LEDGE_GPU_CACHE=off")
		cmd.Stderr = os.Stderr
		text, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("compiling for %s: %w", f.name, err)
		}
		var r report
		if err := json.Unmarshal(text, &r); err != nil {
			return nil, fmt.Errorf("compiling for %s: %w", f.name, err)
		}
		if !strings.Contains(strings.ToLower(r.Device), f.name) {
			return nil, fmt.Errorf("compiling for %s: the driver compiled for %s", f.name, r.Device)
		}
		r.Family = f.name
		reports = append(reports, r)
	}
	return reports, nil
}

// compileAll compiles every kernel with the constants that matter.
func compileAll() (r report, err error) {
	c, err := vulkan.OpenCompiler()
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	r.Device, r.Driver = c.Device(), c.Driver()
	for _, kernel := range shader.Kernels() {
		variants, err := shader.Variants(kernel)
		if err != nil {
			return r, err
		}
		for _, constants := range variants {
			if names, err := shader.Constants(kernel); err != nil {
				return r, err
			} else if at := slices.Index(names, "SUBGROUP"); at >= 0 {
				constants[at] = uint32(c.Subgroup())
			}
			made, err := c.Compile(kernel, constants)
			if err != nil {
				return r, err
			}
			r.Programs = append(r.Programs, program{kernel, constants, made.Statistics, loop(made.Assembly)})
		}
	}
	return r, nil
}

// spills are errors: values that did not fit into registers, or memory of an
// invocation's own, which is as slow.
func spills(reports []report) []error {
	var errs []error
	for _, r := range reports {
		for _, p := range r.Programs {
			for _, name := range []string{"Spilled SGPRs", "Spilled VGPRs", "Scratch size"} {
				if n := p.of(name); n != 0 {
					errs = append(errs, fmt.Errorf("%s for %s: %s is %g", title(p), r.Family, name, n))
				}
			}
		}
	}
	return errs
}
