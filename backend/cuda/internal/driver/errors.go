//go:build cuda && cgo && linux && !android && !static

package driver

// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
)

// Error is a CUresult other than CUDA_SUCCESS.
type Error int

// Check turns the number that a function of the driver returned into an error.
func Check(result int) error {
	if result == C.CUDA_SUCCESS {
		return nil
	}
	return Error(result)
}

func check(r C.CUresult) error { return Check(int(r)) }

// Name is the constant's, and a number where there is none.
func (e Error) Name() string {
	if n := C.ledge_cuda_name(C.CUresult(e)); n != nil {
		return C.GoString(n)
	}
	var n *C.char
	if C.cuGetErrorName(C.CUresult(e), &n) == C.CUDA_SUCCESS && n != nil { // a newer driver knows more
		return C.GoString(n)
	}
	return fmt.Sprintf("CUDA error %d", int(e))
}

// Error gives the name and, where the driver has one, the meaning.
func (e Error) Error() string {
	var s *C.char
	if C.cuGetErrorString(C.CUresult(e), &s) == C.CUDA_SUCCESS && s != nil {
		return e.Name() + " (" + C.GoString(s) + ")"
	}
	return e.Name()
}

// advice is what to do about an error of cuInit, or "".
func advice(err error) string {
	var e Error
	if !errors.As(err, &e) {
		return ""
	}
	switch e {
	case C.CUDA_ERROR_NO_DEVICE:
		return ": no NVIDIA GPU that it can use; in a container, start it with the NVIDIA runtime (--runtime nvidia, or --gpus all); look at CUDA_VISIBLE_DEVICES"
	case C.CUDA_ERROR_STUB_LIBRARY:
		return ": this is the stub that the CUDA toolkit has for linking; put the real driver's folder before it in LD_LIBRARY_PATH, or name it in LEDGE_LIBCUDA"
	case C.CUDA_ERROR_SYSTEM_DRIVER_MISMATCH:
		return ": the library and the kernel's module are of different versions, as after an update; reboot"
	case C.CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE:
		return ": a compat driver of the CUDA toolkit, which this GPU does not take; take its folder out of LD_LIBRARY_PATH"
	case C.CUDA_ERROR_SYSTEM_NOT_READY:
		return ": a service of the system is not running (nvidia-fabricmanager on boards with NVSwitch)"
	case C.CUDA_ERROR_UNKNOWN, C.CUDA_ERROR_OPERATING_SYSTEM, C.CUDA_ERROR_NOT_PERMITTED, C.CUDA_ERROR_INVALID_DEVICE:
		return ": look whether nvidia-smi works (on a Jetson: dmesg), whether this user may open /dev/nvidia* (on a Jetson: is in the group video), and CUDA_VISIBLE_DEVICES"
	}
	return ""
}
