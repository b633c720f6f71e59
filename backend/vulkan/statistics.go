package vulkan

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
)

// Statistic is what a driver's compiler says of a program: registers, spills,
// instructions, under the driver's own names.
type Statistic struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
}

// Compiler is a device that is opened to compile alone. It serves tools: drivers
// can compile for GPUs that are not there.
type Compiler struct{ d *device }

// OpenCompiler opens the first device of the first driver.
func OpenCompiler() (*Compiler, error) {
	d, err := open(0, options{compileOnly: true})
	if err != nil {
		return nil, err
	}
	if !d.phys.executables {
		return nil, errors.Join(fmt.Errorf("vulkan: %s tells nothing about programs: it lacks %s", d.phys.name(), extExecutables), d.Close())
	}
	return &Compiler{d}, nil
}

// Device names the device that is compiled for.
func (c *Compiler) Device() string { return c.d.phys.name() }

// Driver names the driver and its version.
func (c *Compiler) Driver() string {
	return goString(c.d.phys.driver.driverName[:]) + " " + goString(c.d.phys.driver.driverInfo[:])
}

// Subgroup is the size of the subgroups that programs with the constant SUBGROUP
// are compiled for; 0 for none.
func (c *Compiler) Subgroup() int { return c.d.limits.Subgroup }

// Close ends it.
func (c *Compiler) Close() error { return c.d.Close() }

// formats of a statistic's value.
const (
	statisticBool   = 0
	statisticInt    = 1
	statisticUint   = 2
	statisticDouble = 3
)

// prepare says what the structure is, before a driver fills it.
func (s *executableStatistic) prepare() { s.sType = typeExecutableStatistic }

func (s *executableText) prepare() { s.sType = typeExecutableText }

// Compiled is what the compiler says of a program.
type Compiled struct {
	Statistics []Statistic
	Assembly   string // "" where the driver does not tell
}

// Compile compiles a kernel with constants.
func (c *Compiler) Compile(kernel string, constants []uint32) (Compiled, error) {
	d := c.d
	var out Compiled
	err := d.guard(d.calls, "compiling "+kernel, taskFunc(func() (err error) {
		out, err = d.compiled(kernel, constants)
		return err
	}))
	return out, err
}

func (d *device) compiled(kernel string, constants []uint32) (Compiled, error) {
	module, err := d.module(kernel)
	if err != nil {
		return Compiled{}, err
	}
	pipeline, err := d.pipeline(kernel, module, constants, captureStatistics|captureTexts)
	if err != nil {
		return Compiled{}, err
	}
	defer d.destroy(d.DestroyPipeline, pipeline)
	info := &executableInfo{head: head{sType: typeExecutableInfo}, pipeline: pipeline}
	statistics, err := d.statistics(info)
	if err != nil {
		return Compiled{}, err
	}
	assembly, err := d.assembly(info)
	return Compiled{statistics, assembly}, err
}

func (d *device) statistics(info *executableInfo) ([]Statistic, error) {
	if d.GetPipelineExecutableStatisticsKHR == 0 {
		return nil, errors.New("vulkan: the driver has no function vkGetPipelineExecutableStatisticsKHR")
	}
	all, err := list("statistics of a program", func(n *uint32, into *executableStatistic) result {
		return d.GetPipelineExecutableStatisticsKHR.call(d.handle, info, n, into)
	})
	if err != nil {
		return nil, err
	}
	var out []Statistic
	for i := range all {
		s := Statistic{Name: goString(all[i].name[:])}
		switch v := all[i].value; all[i].format {
		case statisticBool:
			s.Value = float64(uint32(v))
		case statisticInt:
			s.Value = float64(int64(v))
		case statisticUint:
			s.Value = float64(v)
		case statisticDouble:
			s.Value = math.Float64frombits(v)
		}
		out = append(out, s)
	}
	return out, nil
}

// textMax bounds what a driver writes of a program.
const textMax = 16 << 20

// assembly is the program in the GPU's instructions.
func (d *device) assembly(info *executableInfo) (string, error) {
	if d.GetPipelineExecutableInternalRepresentationsKHR == 0 {
		return "", nil
	}
	ask := func(n *uint32, into *executableText) result {
		return d.GetPipelineExecutableInternalRepresentationsKHR.call(d.handle, info, n, into)
	}
	all, err := list("texts of a program", ask)
	if err != nil || len(all) == 0 {
		return "", err
	}
	var h held
	defer h.Unpin()
	texts := make([][]byte, len(all))
	for i := range all {
		size := min(all[i].size, textMax)
		texts[i] = make([]byte, size+1)
		h.Pin(&texts[i][0])
		all[i].size, all[i].data = size, &texts[i][0]
	}
	n := uint32(len(all))
	if r := ask(&n, &all[0]); r != 0 && r != resultIncomplete {
		return "", r.err("texts of a program")
	}
	for i := range all {
		if all[i].isText == 1 && strings.Contains(goString(all[i].name[:]), "Assembly") {
			text, _, _ := bytes.Cut(texts[i], []byte{0})
			return string(text), nil
		}
	}
	return "", nil
}
