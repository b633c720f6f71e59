package opencl

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"unsafe"

	"github.com/ledge-run/ledge/backend/internal/dl"

	"github.com/ledge-run/ledge/backend/internal/accel"
)

// Bounds for what a driver says about itself.
const (
	maxPlatforms = 32
	maxDevices   = 64
	maxText      = 64 << 10
	maxBinary    = 64 << 20
)

// ids asks for a list of handles: fn(args..., n, handles, &count).
func ids(fn uintptr, call string, most int, none code, args ...uintptr) ([]uintptr, error) {
	var count uint32
	ask := func(n int, out *uintptr) code {
		a := append(append([]uintptr{}, args...), uintptr(n))
		var c uintptr
		switch len(a) {
		case 1:
			c = dl.Call(fn, a[0], uintptr(unsafe.Pointer(out)), uintptr(unsafe.Pointer(&count)))
		default:
			c = dl.Call(fn, a[0], a[1], a[2], uintptr(unsafe.Pointer(out)), uintptr(unsafe.Pointer(&count)))
		}
		return code(int32(c))
	}
	if c := ask(0, nil); c == none || c == 0 && count == 0 {
		return nil, nil
	} else if c != 0 {
		return nil, c.err(call)
	}
	if count > uint32(most) {
		return nil, fmt.Errorf("%s: the driver counts %d, more than can be", call, count)
	}
	list := make([]uintptr, count)
	if c := ask(len(list), &list[0]); c != 0 {
		return nil, c.err(call)
	}
	if int64(count) < int64(len(list)) {
		list = list[:count]
	}
	for _, h := range list {
		if h == 0 {
			return nil, fmt.Errorf("%s: %w", call, errNull)
		}
	}
	return list, nil
}

// infoBytes asks fn(handle..., what, size, value, &size) for a value of any size
// up to most.
func infoBytes(most int, fn uintptr, what uintptr, handles ...uintptr) ([]byte, error) {
	var size uintptr
	ask := func(n int, out *byte) code {
		if len(handles) == 2 {
			return code(int32(dl.Call(fn, handles[0], handles[1], what, uintptr(n), uintptr(unsafe.Pointer(out)), uintptr(unsafe.Pointer(&size)))))
		}
		return code(int32(dl.Call(fn, handles[0], what, uintptr(n), uintptr(unsafe.Pointer(out)), uintptr(unsafe.Pointer(&size)))))
	}
	if c := ask(0, nil); c != 0 {
		return nil, fmt.Errorf("information %#x: %w", what, c)
	}
	if size == 0 {
		return nil, nil
	}
	if size > uintptr(most) {
		return nil, fmt.Errorf("information %#x: the driver says it has %d bytes, more than can be", what, size)
	}
	b := make([]byte, size)
	if c := ask(len(b), &b[0]); c != 0 {
		return nil, fmt.Errorf("information %#x: %w", what, c)
	}
	if size < uintptr(len(b)) {
		b = b[:size]
	}
	return b, nil
}

// infoText is a string as the driver gives it: up to its NUL, in one line, what
// cannot be printed left out.
func infoText(fn uintptr, what uintptr, handles ...uintptr) (string, error) {
	b, err := infoBytes(maxText, fn, what, handles...)
	return clean(b), err
}

func clean(b []byte) string {
	text, _, _ := strings.Cut(string(b), "\x00")
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case r < ' ' || r == 0x7f || r == '\ufffd':
			return -1
		}
		return r
	}, text)
	return strings.Join(strings.Fields(text), " ")
}

// infoNumber is a value of one number of 4 or 8 bytes. The room is larger than
// any number: what a driver writes beyond what it was given would be our memory.
func infoNumber(fn uintptr, what uintptr, handles ...uintptr) (uint64, error) {
	b, err := infoBytes(64, fn, what, handles...)
	if err != nil {
		return 0, err
	}
	switch len(b) {
	case 4:
		return uint64(binary.NativeEndian.Uint32(b)), nil
	case 8:
		return binary.NativeEndian.Uint64(b), nil
	}
	return 0, fmt.Errorf("information %#x: the driver gives %d bytes for a number", what, len(b))
}

// properties is what is known of a device before it is opened.
type properties struct {
	platform, device uintptr

	platformName, name, vendor, version, driver string

	platformVendor string // for what is known of faults, where the driver tells them
	vendorID       uint32

	kind        uint64
	extensions  map[string]bool
	invocations int
	shared      int
	rangeBytes  int
	groups      int
	memory      uint64
	unified     bool
	fused       bool // multiplies and adds in one instruction
	dot         bool // has an instruction for dot products of int8
}

// describe asks for a device's properties; an error says why it cannot be used.
func (l *library) describe(platform, device uintptr) (p properties, err error) {
	p = properties{platform: platform, device: device}
	var errs []error
	text := func(what uintptr) string {
		s, err := infoText(l.getDeviceInfo, what, device)
		errs = append(errs, err)
		return s
	}
	number := func(what uintptr) uint64 {
		n, err := infoNumber(l.getDeviceInfo, what, device)
		errs = append(errs, err)
		return n
	}
	p.platformName, err = infoText(l.getPlatformInfo, platformName, platform)
	errs = append(errs, err)
	p.name, p.vendor, p.version, p.driver = shorten(text(deviceName)), shorten(text(deviceVendor)), shorten(text(deviceVersion)), shorten(text(driverVersion))
	p.platformName = shorten(p.platformName)
	if p.name == "" {
		p.name = "device without a name"
	}
	p.extensions = map[string]bool{}
	for _, e := range strings.Fields(text(deviceExtensions)) {
		p.extensions[e] = true
	}
	if s, err := infoText(l.getPlatformInfo, platformVendor, platform); err == nil {
		p.platformVendor = shorten(s)
	}
	if n, err := infoNumber(l.getDeviceInfo, deviceVendorID, device); err == nil {
		p.vendorID = uint32(n)
	}
	p.kind = number(deviceType)
	p.memory = number(deviceGlobalMemSize)
	p.unified = number(deviceUnified) != 0
	p.fused = number(deviceSingleConfig)&configFused != 0
	p.dot = p.extensions[extArmDot] || p.extensions[extDot] && l.dotAccelerated(device)
	p.shared = clip(number(deviceLocalMemSize), 1<<30)
	p.rangeBytes = clip(number(deviceMaxMemAllocSize), maxRange) &^ 3
	available, compiler, little := number(deviceAvailable), number(deviceCompilerAvailable), number(deviceEndianLittle)
	addressBits := number(deviceAddressBits)
	parameters := number(deviceMaxParameterSize)
	p.invocations = clip(number(deviceMaxWorkGroupSize), 1<<20)
	sizes, err := infoBytes(1024, l.getDeviceInfo, deviceMaxWorkItemSizes, device)
	errs = append(errs, err)
	word := int(unsafe.Sizeof(uintptr(0)))
	if len(sizes) < 3*word {
		errs = append(errs, errors.New("the driver gives fewer than three dimensions"))
	} else if word == 8 {
		p.invocations = min(p.invocations, clip(binary.NativeEndian.Uint64(sizes), 1<<20))
	} else {
		p.invocations = min(p.invocations, clip(uint64(binary.NativeEndian.Uint32(sizes)), 1<<20))
	}
	if err := errors.Join(errs...); err != nil {
		return p, fmt.Errorf("%s: its properties cannot be read: %w", p.name, accel.OneLine(err))
	}
	if p.invocations < 1 {
		p.invocations = 0
	}
	// get_global_id is of the device's address size.
	p.groups = math.MaxInt32
	if addressBits == 32 && p.invocations > 0 {
		p.groups = int(math.MaxUint32 / uint32(p.invocations))
	}
	var major, minor int
	if _, err := fmt.Sscanf(p.version, "OpenCL %d.%d", &major, &minor); err != nil {
		return p, fmt.Errorf("%s: version %q is none of OpenCL", p.name, p.version)
	}
	switch {
	case available == 0:
		err = errors.New("is not available")
	case compiler == 0:
		err = errors.New("has no compiler")
	case little == 0 || !littleHost:
		err = errors.New("is not little-endian")
	case addressBits != 32 && addressBits != 64:
		err = fmt.Errorf("has addresses of %d bits", addressBits)
	case major < 1 || major == 1 && minor < 2:
		err = fmt.Errorf("has version %d.%d, 1.2 is needed", major, minor)
	case parameters < 4*8+4*maxParams:
		err = fmt.Errorf("passes %d bytes of arguments, %d are needed", parameters, 4*8+4*maxParams)
	case p.memory == 0:
		err = errors.New("has no memory")
	}
	if err != nil {
		return p, fmt.Errorf("%s: the device %w", p.name, err)
	}
	return p, nil
}

// Extensions with dot products of int8: the prelude uses whichever the compiler has.
const (
	extDot    = "cl_khr_integer_dot_product"
	extArmDot = "cl_arm_integer_dot_product_accumulate_int8"
)

// dotAccelerated reports whether the dot product of packed signed int8 is faster
// than what it replaces. The first version of the extension does not say.
func (l *library) dotAccelerated(device uintptr) bool {
	b, err := infoBytes(64, l.getDeviceInfo, deviceDotAcceleration, device)
	return err == nil && len(b) >= 4 && binary.NativeEndian.Uint32(b) != 0
}

const (
	maxParams = 32        // of a kernel, in uints
	maxRange  = 1<<34 - 4 // bytes: the uints that a uint counts
)

var littleHost = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// clip is n as an int, at most most.
func clip(n uint64, most uint64) int {
	return int(min(n, most, uint64(math.MaxInt)))
}

// shorten keeps a driver's text to a size that fits a line.
func shorten(s string) string {
	if len(s) > 120 {
		s = strings.ToValidUTF8(s[:120], "") + "..."
	}
	return s
}

// devices lists the devices of all platforms that can be used, in the library's
// order. why tells of those that cannot.
func (l *library) devices() (list []properties, why []error) {
	platforms, err := ids(l.getPlatformIDs, "clGetPlatformIDs", maxPlatforms, platformNotFoundByICD)
	if err != nil {
		return nil, []error{err}
	}
	if len(platforms) == 0 {
		return nil, []error{errors.New("the library has no driver")}
	}
	for _, p := range platforms {
		found, err := ids(l.getDeviceIDs, "clGetDeviceIDs", maxDevices, deviceNotFound, p, typeAll)
		if err != nil {
			why = append(why, err)
			continue
		}
		if len(found) == 0 {
			why = append(why, errors.New("a driver has no devices"))
		}
		for _, d := range found {
			prop, err := l.describe(p, d)
			if err != nil {
				why = append(why, err)
				continue
			}
			list = append(list, prop)
		}
	}
	return list, why
}
