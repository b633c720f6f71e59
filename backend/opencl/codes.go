package opencl

import (
	"errors"
	"fmt"

	"github.com/ledge-run/ledge/backend"
)

// Words of cl.h.
const (
	platformVersion = 0x0901
	platformName    = 0x0902
	platformVendor  = 0x0903

	typeCPU         = 1 << 1
	typeGPU         = 1 << 2
	typeAccelerator = 1 << 3
	typeAll         = 0xffffffff

	deviceType              = 0x1000
	deviceVendorID          = 0x1001
	deviceMaxWorkGroupSize  = 0x1004
	deviceMaxWorkItemSizes  = 0x1005
	deviceAddressBits       = 0x100d
	deviceMaxMemAllocSize   = 0x1010
	deviceMaxParameterSize  = 0x1017
	deviceSingleConfig      = 0x101b
	deviceDotAcceleration   = 0x1075 // of packed int8; structure of six cl_bool
	deviceGlobalMemSize     = 0x101f
	deviceLocalMemSize      = 0x1023
	deviceEndianLittle      = 0x1026
	deviceAvailable         = 0x1027
	deviceCompilerAvailable = 0x1028
	deviceName              = 0x102b
	deviceVendor            = 0x102c
	driverVersion           = 0x102d
	deviceVersion           = 0x102f
	deviceExtensions        = 0x1030
	deviceUnified           = 0x1035

	configFused = 1 << 5

	contextPlatform = 0x1084

	memReadWrite = 1

	programNumDevices  = 0x1162
	programBinarySizes = 0x1165
	programBinaries    = 0x1166
	programBuildLog    = 0x1183

	kernelNumArgs       = 0x1191
	kernelWorkGroupSize = 0x11b0
	kernelLocalMemSize  = 0x11b2

	eventStatus = 0x11d3
)

// code is a result of OpenCL: 0, or what went wrong.
type code int32

const (
	deviceNotFound        code = -1
	allocationFailure     code = -4
	outOfResources        code = -5
	outOfHostMemory       code = -6
	invalidBufferSize     code = -61
	platformNotFoundByICD code = -1001
)

var codeNames = map[code]string{
	-1: "DEVICE_NOT_FOUND", -2: "DEVICE_NOT_AVAILABLE", -3: "COMPILER_NOT_AVAILABLE", -4: "MEM_OBJECT_ALLOCATION_FAILURE",
	-5: "OUT_OF_RESOURCES", -6: "OUT_OF_HOST_MEMORY", -7: "PROFILING_INFO_NOT_AVAILABLE", -8: "MEM_COPY_OVERLAP",
	-11: "BUILD_PROGRAM_FAILURE", -12: "MAP_FAILURE", -13: "MISALIGNED_SUB_BUFFER_OFFSET", -14: "EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST",
	-15: "COMPILE_PROGRAM_FAILURE", -16: "LINKER_NOT_AVAILABLE", -17: "LINK_PROGRAM_FAILURE", -19: "KERNEL_ARG_INFO_NOT_AVAILABLE",
	-30: "INVALID_VALUE", -31: "INVALID_DEVICE_TYPE", -32: "INVALID_PLATFORM", -33: "INVALID_DEVICE", -34: "INVALID_CONTEXT",
	-35: "INVALID_QUEUE_PROPERTIES", -36: "INVALID_COMMAND_QUEUE", -37: "INVALID_HOST_PTR", -38: "INVALID_MEM_OBJECT",
	-42: "INVALID_BINARY", -43: "INVALID_BUILD_OPTIONS", -44: "INVALID_PROGRAM", -45: "INVALID_PROGRAM_EXECUTABLE",
	-46: "INVALID_KERNEL_NAME", -47: "INVALID_KERNEL_DEFINITION", -48: "INVALID_KERNEL", -49: "INVALID_ARG_INDEX",
	-50: "INVALID_ARG_VALUE", -51: "INVALID_ARG_SIZE", -52: "INVALID_KERNEL_ARGS", -53: "INVALID_WORK_DIMENSION",
	-54: "INVALID_WORK_GROUP_SIZE", -55: "INVALID_WORK_ITEM_SIZE", -56: "INVALID_GLOBAL_OFFSET", -57: "INVALID_EVENT_WAIT_LIST",
	-58: "INVALID_EVENT", -59: "INVALID_OPERATION", -61: "INVALID_BUFFER_SIZE", -63: "INVALID_GLOBAL_WORK_SIZE",
	-64: "INVALID_PROPERTY", -1001: "PLATFORM_NOT_FOUND_KHR", -9999: "NVIDIA_ILLEGAL_ACCESS",
}

// Error names the code as cl.h does.
func (c code) Error() string {
	if n := codeNames[c]; n != "" {
		return "CL_" + n
	}
	return fmt.Sprintf("OpenCL error %d", int32(c))
}

// err is the error of a call, nil if it went well. Results above 0 are none that
// OpenCL knows.
func (c code) err(call string) error {
	if c == 0 {
		return nil
	}
	return fmt.Errorf("%s: %w", call, c)
}

// memoryErr is the error of allocating size bytes for something, of which left
// are thought to be free; err is what the call gave.
func (c code) memoryErr(err error, what string, size int, left uint64) error {
	if noMemory(c) {
		return fmt.Errorf("opencl: %w (%w)", &backend.ErrOutOfMemory{What: what, Need: uint64(size), Have: left}, c)
	}
	return fmt.Errorf("opencl: %s: %w", what, err)
}

// noMemory: the code says that something does not fit.
func noMemory(c code) bool {
	return c == allocationFailure || c == outOfResources || c == outOfHostMemory || c == invalidBufferSize
}

// lost is the error of a device that stopped working.
func lost(what string, err error) error {
	return fmt.Errorf("opencl: %s: %w (%w)", what, backend.ErrDeviceLost, err)
}

var errNull = errors.New("the driver gives no handle and no error")
