package opencl

import (
	"context"
	"errors"
	"fmt"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/internal/accel"
)

func init() {
	backend.Register(backend.Driver{Name: "opencl", Probe: probe, Open: openNamed})
}

func probe(context.Context) ([]backend.Info, error) {
	l, err := theLibrary()
	if err != nil {
		return nil, err
	}
	list, why := l.devices()
	if len(list) == 0 {
		return nil, fmt.Errorf("no device: %w", oneLine(errors.Join(why...)))
	}
	var out []backend.Info
	for i, p := range list {
		out = append(out, infoOf(p, i))
	}
	return out, nil
}

// infoOf describes a device. A processor by OpenCL is slower than by package cpu
// and only used by name.
func infoOf(p properties, number int) backend.Info {
	info := backend.Info{
		Name:        fmt.Sprintf("opencl%d", number),
		Backend:     "opencl",
		Description: fmt.Sprintf("%s (%s, driver %s)", p.name, p.version, p.driver),
		Kind:        backend.GPU,
		Memory:      backend.Memory{Total: p.memory, Unified: p.unified},
		Numerics: backend.Numerics{
			Device:  "opencl/" + p.platformName + ":" + p.name + ":" + p.driver,
			Level:   "f32",
			Version: "1",
		},
	}
	switch {
	case p.kind&typeCPU != 0:
		info.Kind = backend.CPU
	case p.kind&typeGPU != 0 && !p.unified:
		info.Score = scoreDiscrete
	case p.kind&typeGPU != 0:
		info.Score = scoreIntegrated
	case p.kind&typeAccelerator != 0:
		info.Kind = backend.NPU
	}
	return info
}

// Scores lie below those of Vulkan for the same device, whose drivers are the
// better kept ones, and above the processor's.
const (
	scoreDiscrete   = 70
	scoreIntegrated = 40
)

func openNamed(_ context.Context, name string, o backend.Options) (backend.Device, error) {
	l, err := theLibrary()
	if err != nil {
		return nil, fmt.Errorf("opencl: %w", err)
	}
	list, why := l.devices()
	for i, p := range list {
		info := infoOf(p, i)
		if info.Name != name {
			continue
		}
		switches, err := accel.SwitchesOf(o)
		if err != nil {
			return nil, fmt.Errorf("opencl: %w", err)
		}
		limits, err := limitsOf(p, switches)
		if err != nil {
			return nil, err
		}
		info.Features = limits.Names()
		info.Numerics.Level = limits.Level()
		api, err := open(l, p, limits, accel.OpenBlobs())
		if err != nil {
			return nil, err
		}
		return accel.New(api, info)
	}
	return nil, fmt.Errorf("opencl: no device %q: %w", name, oneLine(errors.Join(append(why, fmt.Errorf("there are %d devices", len(list)))...)))
}
