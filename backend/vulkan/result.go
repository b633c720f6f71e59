package vulkan

import (
	"fmt"

	"github.com/ledge-run/ledge/backend"
)

// result is a VkResult: negative for errors.
type result int32

const (
	resultTimeout     result = 2
	resultIncomplete  result = 5
	outOfHostMemory   result = -1
	outOfDeviceMemory result = -2
	deviceLost        result = -4
	tooManyObjects    result = -10
)

var resultNames = map[result]string{
	1: "not ready", resultTimeout: "timeout", resultIncomplete: "incomplete",
	outOfHostMemory: "out of host memory", outOfDeviceMemory: "out of device memory",
	-3: "initialisation failed", deviceLost: "device lost", -5: "mapping memory failed", -6: "layer not present",
	-7: "extension not present", -8: "feature not present", -9: "incompatible driver", tooManyObjects: "too many objects",
	-11: "format not supported", -12: "fragmented pool", -13: "unknown error", -1000069000: "out of pool memory", -1000072003: "invalid external handle",
}

func (r result) String() string {
	if n, ok := resultNames[r]; ok {
		return n
	}
	return "no result that Vulkan knows"
}

// err is nil for success. Losing the device is the contract's error.
func (r result) err(call string) error {
	switch r {
	case 0:
		return nil
	case deviceLost:
		return fmt.Errorf("vulkan: %s: %w", call, backend.ErrDeviceLost)
	}
	return fmt.Errorf("vulkan: %s: %s (%d)", call, r, int32(r))
}

// noMemory reports whether the result is one of those of a lack of memory.
func (r result) noMemory() bool {
	return r == outOfHostMemory || r == outOfDeviceMemory || r == tooManyObjects
}
