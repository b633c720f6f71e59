//go:build cuda && cgo && linux && !android && !static

package cuda

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/cuda/internal/driver"
	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/backend/internal/installed"
	"github.com/ledge-run/ledge/backend/quirks"
	"github.com/ledge-run/ledge/kernels/cuda"
	"github.com/ledge-run/ledge/kernels/shader"
)

func init() {
	backend.Register(backend.Driver{Name: Name, Probe: probe, Open: openNamed, Foreign: &backend.Foreign{Files: installedFiles, Kernels: version}})
}

// installedFiles are the driver's library, and those that it loads itself.
func installedFiles() ([]string, error) { return installed.CUDA(driver.Libraries()...) }

// version names what decides results, besides the device and its driver.
var version = sync.OnceValue(func() string { return accel.VersionWith(cuda.Version()) })

// knownFaults is where faults of drivers are looked up.
var knownFaults = quirks.For

// vendor is NVIDIA's PCI number.
const vendor = 0x10de

// avoiding takes from the switches what known faults of a device ask for.
func avoiding(p properties, s accel.Switches) (accel.Switches, accel.Faults) {
	return s.Avoid(knownFaults(Name, vendor, "NVIDIA Corporation", p.name, "CUDA "+driver.VersionText(p.version)))
}

// found is the devices, and why others cannot be used.
type found struct {
	devices []properties
	why     []error
}

// find loads the driver and lists its devices, in a time limit: until a device is
// opened there is no worker that keeps it.
func find() (found, error) {
	return accel.Guarded(Name, "looking for devices", func() (f found, err error) {
		if err = driver.Open(); err == nil {
			f.devices, f.why = devices()
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
		return nil, fmt.Errorf("cuda: %w", err)
	}
	if len(all.devices) == 0 {
		return nil, fmt.Errorf("no device: %w", accel.OneLine(errors.Join(all.why...)))
	}
	var out []backend.Info
	for _, p := range all.devices {
		_, faults := avoiding(p, switches)
		out = append(out, infoOf(p, faults))
	}
	return out, nil
}

// infoOf describes a device.
func infoOf(p properties, faults accel.Faults) backend.Info {
	driverVersion, arch := driver.VersionText(p.version), p.arch()
	info := backend.Info{
		Name:        fmt.Sprintf("%s%d", Name, p.ordinal),
		Backend:     Name,
		Description: fmt.Sprintf("%s (%s, %d multiprocessors, driver for CUDA %s)", p.name, arch, p.units, driverVersion),
		Kind:        backend.GPU,
		Memory:      backend.Memory{Total: p.memory, Unified: p.unified},
		Numerics:    backend.Numerics{Device: fmt.Sprintf("cuda/%s:%s:%s", p.name, arch, driverVersion), Level: features.Level(), Version: version()},
		Quirks:      faults.Lines,
		Score:       scoreDiscrete,
	}
	if p.unified {
		info.Score = scoreIntegrated
	}
	return info
}

// Scores lie above those of Vulkan and OpenCL for the same device.
const (
	scoreDiscrete   = 120
	scoreIntegrated = 60
)

// features is what kernels are compiled for ahead: the same for every device.
var features = accel.Limits{Features: shader.Features{Subgroup: 32, Tensor: true, Invocations: maxThreads, Shared: maxShared}, Buffers: 4, Groups: maxGroups}

// limitsOf is what a device can do. Kernels are compiled ahead, so that none of their
// features can be switched off, nor on.
func limitsOf(p properties, s accel.Switches) (accel.Limits, error) {
	l := features
	l.Range = int(min(p.memory, maxRange)) &^ 3
	l.MemoryTotal, l.Unified = p.memory, p.unified
	l.SharedMost, l.Processors = p.shared, max(p.units, 0)
	l.TensorBasic = p.capability < cuda.TensorFrom
	was := l
	if s.Apply(&l); l != was {
		return l, fmt.Errorf("cuda: %s: the kernels are compiled ahead for %s, and cannot do without: of the GPU's switches leave out min, -subgroup and -tensor", p.name, strings.Join(was.Names(), ", "))
	}
	if err := errors.Join(l.Check(), s.Missing(l)); err != nil {
		return l, fmt.Errorf("cuda: %s: %w", p.name, accel.OneLine(err))
	}
	var err error
	if l.Timeout, err = accel.Timeout(accel.TimeoutGPU); err != nil {
		return l, fmt.Errorf("cuda: %w", err)
	}
	return l, nil
}

func openNamed(_ context.Context, name string, o backend.Options) (backend.Device, error) {
	all, err := find()
	if err != nil {
		return nil, fmt.Errorf("cuda: %w", err)
	}
	switches, err := accel.SwitchesOf(o)
	if err != nil {
		return nil, fmt.Errorf("cuda: %w", err)
	}
	for _, p := range all.devices {
		switches, faults := avoiding(p, switches)
		info := infoOf(p, faults)
		if info.Name != name {
			continue
		}
		if faults.Refuse != nil {
			return nil, fmt.Errorf("cuda: %s: %w", p.name, faults.Refuse)
		}
		limits, err := limitsOf(p, switches)
		if err != nil {
			return nil, err
		}
		info.Features = limits.Names()
		api, err := open(p, limits, accel.OpenBlobs())
		if err != nil {
			return nil, err
		}
		d, err := accel.New(api, info)
		if err != nil {
			return nil, errors.Join(err, api.Close())
		}
		return d, nil
	}
	return nil, fmt.Errorf("cuda: no device %q: %w", name, accel.OneLine(errors.Join(append(all.why, fmt.Errorf("there are %d devices", len(all.devices)))...)))
}
