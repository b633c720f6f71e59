// Package vulkan is the backend for GPUs with Vulkan 1.1 or later: AMD, Intel,
// NVIDIA, Adreno, Mali, PowerVR, and Apple's through MoltenVK. It loads the
// system's library when it is asked for devices; what runs on them is in
// backend/internal/accel and kernels/shader.
//
// What drivers say is checked before it is used: counts, handles, addresses and
// limits. What they do is bounded in time. A driver that crashes is not survived
// in this process: programs probe in a child process first.
package vulkan

import (
	"context"
	"errors"
	"fmt"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/backend/internal/dl"
	"github.com/ledge-run/ledge/backend/internal/installed"
	"github.com/ledge-run/ledge/backend/quirks"
	kernels "github.com/ledge-run/ledge/kernels/vulkan"
)

// Name of the driver; its devices are vulkan0, vulkan1, ...
const Name = "vulkan"

func init() {
	backend.Register(backend.Driver{Name: Name, Probe: probe, Open: openNamed, Foreign: &backend.Foreign{Files: installedFiles, Kernels: version}})
}

// installedFiles are those of the loader and of the drivers behind it.
func installedFiles() ([]string, error) {
	if !dl.Supported {
		_, err := openLibrary() // says why
		return nil, err
	}
	return installed.Vulkan(names()...)
}

// version names what decides results, besides the device and its driver.
func version() string { return accel.VersionWith(kernels.Version()) }

// knownFaults is where faults of drivers are looked up.
var knownFaults = quirks.For

// openNamed opens the device that probe lists under a name.
func openNamed(_ context.Context, name string, o backend.Options) (backend.Device, error) {
	switches, err := accel.SwitchesOf(o)
	if err != nil {
		return nil, fmt.Errorf("vulkan: %w", err)
	}
	number, err := numberOf(name)
	if err != nil {
		return nil, err
	}
	d, err := open(number, options{switches: switches})
	if err != nil {
		return nil, err
	}
	dev, err := accel.New(d, d.phys.info(number, d.limits))
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return dev, nil
}

// probe lists the devices that can be used. If there are none, the error says what
// is wrong with each.
func probe(context.Context) ([]backend.Info, error) {
	switches, err := accel.SwitchesOf(backend.Options{})
	if err != nil {
		return nil, fmt.Errorf("vulkan: %w", err)
	}
	return accel.Guarded(Name, Name+": looking for devices", func() ([]backend.Info, error) {
		in, err := newInstance()
		if err != nil {
			return nil, err
		}
		infos, err := in.infos(switches)
		return infos, errors.Join(err, in.close())
	})
}

func (i *instance) infos(switches accel.Switches) ([]backend.Info, error) {
	handles, err := i.devices()
	if err != nil {
		return nil, err
	}
	var infos []backend.Info
	var wrong []error
	for number, handle := range handles {
		p, err := i.describe(handle)
		if err == nil {
			err = p.usable()
		}
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		l, err := p.limitsFor(switches)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", p.name(), err))
			continue
		}
		infos = append(infos, p.info(number, l))
	}
	if len(infos) > 0 {
		return infos, nil
	}
	err = fmt.Errorf("vulkan: %s has no device that can be used", i.lib.name)
	for _, w := range wrong {
		err = fmt.Errorf("%w; %w", err, w)
	}
	return nil, err
}

// numberOf is the number in a device's name.
func numberOf(name string) (int, error) {
	var n int
	if _, err := fmt.Sscanf(name, Name+"%d", &n); err != nil || n < 0 || fmt.Sprintf("%s%d", Name, n) != name {
		return 0, fmt.Errorf("vulkan: no device %q: they are called %s0, %s1 and so on", name, Name, Name)
	}
	return n, nil
}
