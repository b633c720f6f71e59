//go:build gles && cgo && !static && linux

package gles

import (
	"context"
	"fmt"
	"sync"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/backend/internal/installed"
	"github.com/ledge-run/ledge/backend/quirks"
	"github.com/ledge-run/ledge/kernels/gles"
)

// device is the name of the one device: EGL's default.
const device = Name + "0"

// score of a GPU: above the processor's, below OpenCL's, for OpenGL ES knows no
// subgroups, no float16 and no memory that the host sees.
const score = 20

// version names what decides results, besides the device and its driver.
var version = sync.OnceValue(func() string { return accel.KernelVersion(gles.Prelude) })

// knownFaults is where faults of drivers are looked up.
var knownFaults = quirks.For

func init() {
	backend.Register(backend.Driver{Name: Name, Probe: probe, Open: openDevice, Foreign: &backend.Foreign{Files: installedFiles, Kernels: version}})
}

// installedFiles are those of EGL and of the drivers behind it.
func installedFiles() ([]string, error) { return installed.EGL(wantedLibraries()...) }

func probe(ctx context.Context) ([]backend.Info, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s, err := accel.SwitchesOf(backend.Options{})
	if err != nil {
		return nil, err
	}
	a, err := open(s)
	if err != nil {
		return nil, err
	}
	return []backend.Info{a.info()}, a.Close() // one that is refused is shown, too
}

func openDevice(ctx context.Context, name string, o backend.Options) (backend.Device, error) {
	if name != device {
		return nil, fmt.Errorf("gles: no device %q; there is %s", name, device)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s, err := accel.SwitchesOf(o)
	if err != nil {
		return nil, err
	}
	a, err := open(s)
	if err != nil {
		return nil, err
	}
	d, err := backend.Device(nil), a.faults.Refuse
	if err != nil {
		err = fmt.Errorf("gles: %s: %w", a.about.renderer, err)
	} else {
		d, err = accel.New(a, a.info())
	}
	if err != nil {
		_ = a.Close() // the first error says why
		return nil, err
	}
	return d, nil
}

func (a *api) info() backend.Info {
	names := a.limits.Names()
	i := backend.Info{
		Name: device, Backend: Name, Kind: backend.GPU, Score: score,
		Description: fmt.Sprintf("%s (%s, %s)", a.about.renderer, a.about.vendor, a.about.version),
		Memory:      backend.Memory{Total: a.limits.MemoryTotal, Free: a.limits.MemoryFree, Unified: a.limits.Unified},
		Features:    names,
		Quirks:      a.faults.Lines,
		Numerics: backend.Numerics{Device: fmt.Sprintf("gles/%s:%s", a.about.renderer, a.about.version),
			Level: a.limits.Level(), Version: version()},
	}
	if a.about.software {
		i.Kind, i.Score = backend.CPU, 0
	}
	return i
}
