package vulkan

import (
	"errors"
	"fmt"
	"math"
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
	d, _, err := open(0, options{compileOnly: true})
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

// Compile compiles a kernel with constants and gives what the compiler says.
func (c *Compiler) Compile(kernel string, constants []uint32) ([]Statistic, error) {
	d := c.d
	module, err := d.module(kernel)
	if err != nil {
		return nil, err
	}
	pipeline, err := d.pipeline(kernel, module, constants, captureStatistics)
	if err != nil {
		return nil, err
	}
	defer d.destroy(d.DestroyPipeline, pipeline)
	if d.GetPipelineExecutableStatisticsKHR == 0 {
		return nil, errors.New("vulkan: the driver has no function vkGetPipelineExecutableStatisticsKHR")
	}
	info := &executableInfo{head: head{sType: typeExecutableInfo}, pipeline: pipeline}
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
