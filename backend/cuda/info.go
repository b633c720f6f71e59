//go:build cuda && cgo && linux && !android && !static

package cuda

import (
	"errors"
	"fmt"
	"strings"

	"gorgonia.org/cu"

	"github.com/ledge-run/ledge/backend/cuda/internal/driver"

	"github.com/ledge-run/ledge/backend/internal/accel"
)

// minCapability is the oldest compute capability that there are kernels for: tensor
// cores, and Xavier.
const minCapability = 72

// Bounds for what a driver says of itself.
const (
	maxDevices = 64
	maxRange   = 1<<32 - 4 // bytes of a buffer: the kernels that all GPUs share count them in 32 bits
	maxShared  = 48 << 10
	maxThreads = 1024
	maxGroups  = 65535 // in every direction but the first, which has more
)

// properties is what is known of a device before it is opened.
type properties struct {
	device     cu.Device
	ordinal    int
	name       string
	capability int // 87 for 8.7
	version    int // of the driver, as CUDA counts: 12020
	memory     uint64
	shared     int  // bytes for a block if it asks for them
	unified    bool // memory is the system's
	watchdog   bool // kernels may not run for long
	units      int  // multiprocessors
}

// describe asks for a device's properties; an error says why it cannot be used.
func describe(ordinal int) (p properties, err error) {
	p.ordinal = ordinal
	p.name = fmt.Sprintf("device %d", ordinal)
	wrong := func(err error) (properties, error) {
		return p, fmt.Errorf("%s: its properties cannot be read: %w", p.name, accel.OneLine(err))
	}
	if p.device, err = cu.GetDevice(ordinal); err != nil {
		return wrong(check("cuDeviceGet", err))
	}
	name, err := p.device.Name()
	if err != nil {
		return wrong(check("cuDeviceGetName", err))
	}
	if name = clean(name); name != "" {
		p.name = name
	}
	total, err := p.device.TotalMem()
	if err != nil {
		return wrong(check("cuDeviceTotalMem", err))
	}
	p.memory = uint64(max(total, 0))
	var errs []error
	ask := func(a cu.DeviceAttribute) int {
		n, err := p.device.Attribute(a)
		errs = append(errs, check("cuDeviceGetAttribute", err))
		return n
	}
	major, minor := ask(cu.ComputeCapabilityMajor), ask(cu.ComputeCapabilityMinor)
	threads, warp := ask(cu.MaxThreadsPerBlock), ask(cu.WarpSize)
	p.shared = ask(sharedOptin)
	p.unified = ask(cu.Integrated) != 0
	p.watchdog = ask(cu.KernelExecTimeout) != 0
	p.units = ask(cu.MultiprocessorCount)
	if err := errors.Join(errs...); err != nil {
		return wrong(err)
	}
	if p.version, err = driver.Version(); err != nil {
		return wrong(check("cuDriverGetVersion", err))
	}
	p.capability = 10*major + minor
	switch {
	case major < 1 || major > 99 || minor < 0 || minor > 9:
		err = fmt.Errorf("says that its compute capability is %d.%d", major, minor)
	case p.capability < minCapability:
		err = fmt.Errorf("has compute capability %d.%d, %d.%d is the oldest that there are kernels for (Xavier, Turing)", major, minor, minCapability/10, minCapability%10)
	case threads < maxThreads || warp != 32:
		err = fmt.Errorf("runs %d threads in warps of %d, %d in warps of 32 are needed", threads, warp, maxThreads)
	case p.shared < maxShared:
		err = fmt.Errorf("has %d bytes of shared memory for a block, %d are needed", p.shared, maxShared)
	case p.memory == 0:
		err = errors.New("has no memory")
	}
	if err != nil {
		return p, fmt.Errorf("%s: the GPU %w", p.name, err)
	}
	return p, nil
}

// sharedOptin is CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, which package
// cu has no name for.
const sharedOptin cu.DeviceAttribute = 97

// arch is the capability as compilers write it.
func (p *properties) arch() string { return fmt.Sprintf("sm_%d", p.capability) }

// clean is a driver's text in one line that fits a line, what cannot be printed left
// out.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case r < ' ' || r == 0x7f || r == '\ufffd':
			return -1
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > 120 {
		text = strings.ToValidUTF8(text[:120], "") + "..."
	}
	return text
}

// devices lists the GPUs that can be used; why tells of those that cannot.
func devices() (list []properties, why []error) {
	n, err := cu.NumDevices()
	switch {
	case err != nil:
		return nil, []error{check("cuDeviceGetCount", err)}
	case n <= 0:
		return nil, []error{errors.New("the driver shows no GPU; look at CUDA_VISIBLE_DEVICES")}
	case n > maxDevices:
		return nil, []error{fmt.Errorf("the driver counts %d GPUs, more than can be", n)}
	}
	for i := range n {
		p, err := describe(i)
		if err != nil {
			why = append(why, err)
			continue
		}
		list = append(list, p)
	}
	return list, why
}
