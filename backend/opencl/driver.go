package opencl

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/backend/internal/dl"
	"github.com/ledge-run/ledge/backend/internal/installed"
	"github.com/ledge-run/ledge/backend/quirks"
	"github.com/ledge-run/ledge/kernels/opencl"
)

// Name of the driver; its devices are opencl0, opencl1, ...
const Name = "opencl"

func init() {
	backend.Register(backend.Driver{Name: Name, Probe: probe, Open: openNamed, Foreign: &backend.Foreign{Files: installedFiles, Kernels: version}})
}

// installedFiles are those of the loader and of the drivers behind it.
func installedFiles() ([]string, error) {
	if !dl.Supported {
		_, err := theLibrary() // says why
		return nil, err
	}
	return installed.OpenCL(wantedLibraries()...)
}

// version names what decides results, besides the device and its driver.
var version = sync.OnceValue(func() string { return accel.KernelVersion(opencl.Prelude) })

// knownFaults is where faults of drivers are looked up.
var knownFaults = quirks.For

// avoiding takes from the switches what known faults of a device ask for. Drivers
// tell a device's model in its name or in its version.
func avoiding(p properties, s accel.Switches) (accel.Switches, accel.Faults) {
	return s.Avoid(knownFaults(Name, p.vendorID, p.vendor+", "+p.platformVendor, p.name+", "+p.version, p.driver))
}

// found is a library with its devices, and why others cannot be used.
type found struct {
	library *library
	devices []properties
	why     []error
}

// find loads the library and lists its devices, in a time limit: until a device is
// opened there is no worker that keeps it.
func find() (found, error) {
	return accel.Guarded(Name, "looking for devices", func() (f found, err error) {
		if f.library, err = theLibrary(); err == nil {
			f.devices, f.why = f.library.devices()
		}
		return f, err
	})
}

func probe(context.Context) ([]backend.Info, error) {
	all, err := find()
	if err != nil {
		return nil, err
	}
	switches, err := accel.SwitchesOf(backend.Options{})
	if err != nil {
		return nil, fmt.Errorf("opencl: %w", err)
	}
	if len(all.devices) == 0 {
		return nil, fmt.Errorf("no device: %w", accel.OneLine(errors.Join(all.why...)))
	}
	var out []backend.Info
	for i, p := range all.devices {
		_, faults := avoiding(p, switches)
		out = append(out, infoOf(p, i, faults))
	}
	return out, nil
}

// infoOf describes a device. A processor by OpenCL is slower than by package cpu
// and only used by name.
func infoOf(p properties, number int, faults accel.Faults) backend.Info {
	info := backend.Info{
		Name:        fmt.Sprintf("%s%d", Name, number),
		Backend:     Name,
		Description: fmt.Sprintf("%s (%s, driver %s)", p.name, p.version, p.driver),
		Kind:        backend.GPU,
		Memory:      backend.Memory{Total: p.memory, Unified: p.unified},
		Numerics: backend.Numerics{
			Device:  "opencl/" + p.platformName + ":" + p.name + ":" + p.driver,
			Level:   "f32",
			Version: version(),
		},
		Quirks: faults.Lines,
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
	all, err := find()
	if err != nil {
		return nil, fmt.Errorf("opencl: %w", err)
	}
	switches, err := accel.SwitchesOf(o)
	if err != nil {
		return nil, fmt.Errorf("opencl: %w", err)
	}
	for i, p := range all.devices {
		switches, faults := avoiding(p, switches)
		info := infoOf(p, i, faults)
		if info.Name != name {
			continue
		}
		if faults.Refuse != nil {
			return nil, fmt.Errorf("opencl: %s: %w", p.name, faults.Refuse)
		}
		limits, err := limitsOf(p, switches)
		if err != nil {
			return nil, err
		}
		info.Features = limits.Names()
		info.Numerics.Level = limits.Level()
		api, err := open(all.library, p, limits, accel.OpenBlobs())
		if err != nil {
			return nil, err
		}
		d, err := accel.New(api, info)
		if err != nil {
			return nil, errors.Join(err, api.Close())
		}
		return d, nil
	}
	return nil, fmt.Errorf("opencl: no device %q: %w", name, accel.OneLine(errors.Join(append(all.why, fmt.Errorf("there are %d devices", len(all.devices)))...)))
}
