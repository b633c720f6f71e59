package opencl

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/ledge-run/ledge/backend/internal/dl"
	"github.com/ledge-run/ledge/backend/internal/owned"

	"github.com/ledge-run/ledge/backend/internal/accel"
)

// EnvLibrary is the environment variable that names a library to be loaded
// instead of those that are known.
const EnvLibrary = "LEDGE_OPENCL_LIBRARY"

// library is an OpenCL library: the addresses of its functions.
type library struct {
	name string

	getPlatformIDs, getPlatformInfo                   uintptr
	getDeviceIDs, getDeviceInfo                       uintptr
	createContext, releaseContext                     uintptr
	createCommandQueue, releaseCommandQueue, flush    uintptr
	createBuffer, releaseMemObject                    uintptr
	enqueueWriteBuffer, enqueueReadBuffer             uintptr
	enqueueFillBuffer, enqueueMarker, enqueueKernel   uintptr
	createProgramWithSource, createProgramWithBinary  uintptr
	buildProgram, getProgramBuildInfo, getProgramInfo uintptr
	releaseProgram                                    uintptr
	createKernel, setKernelArg, getKernelInfo         uintptr
	getKernelWorkGroupInfo, releaseKernel             uintptr
	waitForEvents, getEventInfo, releaseEvent         uintptr

	// handles counts what was made by the library and not released yet.
	handles atomic.Int64
}

// load loads the first of the named libraries that is one of OpenCL 1.2.
func load(names ...string) (*library, error) {
	var errs []error
	for _, n := range names {
		l, err := loadOne(n)
		if err == nil {
			return l, nil
		}
		if !missing(n, err) {
			errs = append(errs, err)
		}
	}
	switch {
	case !dl.Supported:
		return nil, errs[0]
	case len(errs) > 0:
		return nil, accel.OneLine(errors.Join(errs...))
	case len(names) == 1:
		return nil, fmt.Errorf("there is no library %s", names[0])
	}
	return nil, fmt.Errorf("there is no library %s, nor one of %d other names (%s names another)", names[0], len(names)-1, EnvLibrary)
}

// missing reports whether a library is simply not there, for which nobody needs to
// know the names of all.
func missing(name string, err error) bool {
	text := strings.ToLower(err.Error())
	return strings.Contains(text, strings.ToLower(name)+": cannot open shared object file: no such file") || // glibc
		strings.Contains(text, "library \""+strings.ToLower(name)+"\" not found") || // Android
		strings.Contains(text, "no such file") && strings.HasPrefix(name, "/System/") // macOS
}

func loadOne(name string) (*library, error) {
	found, err := dl.Open(name)
	if err != nil {
		return nil, err
	}
	l := &library{name: found.Name}
	for _, f := range []struct {
		at   *uintptr
		name string
	}{
		{&l.getPlatformIDs, "clGetPlatformIDs"},
		{&l.getPlatformInfo, "clGetPlatformInfo"},
		{&l.getDeviceIDs, "clGetDeviceIDs"},
		{&l.getDeviceInfo, "clGetDeviceInfo"},
		{&l.createContext, "clCreateContext"},
		{&l.releaseContext, "clReleaseContext"},
		{&l.createCommandQueue, "clCreateCommandQueue"},
		{&l.releaseCommandQueue, "clReleaseCommandQueue"},
		{&l.flush, "clFlush"},
		{&l.createBuffer, "clCreateBuffer"},
		{&l.releaseMemObject, "clReleaseMemObject"},
		{&l.enqueueWriteBuffer, "clEnqueueWriteBuffer"},
		{&l.enqueueReadBuffer, "clEnqueueReadBuffer"},
		{&l.enqueueFillBuffer, "clEnqueueFillBuffer"},
		{&l.enqueueMarker, "clEnqueueMarkerWithWaitList"},
		{&l.enqueueKernel, "clEnqueueNDRangeKernel"},
		{&l.createProgramWithSource, "clCreateProgramWithSource"},
		{&l.createProgramWithBinary, "clCreateProgramWithBinary"},
		{&l.buildProgram, "clBuildProgram"},
		{&l.getProgramBuildInfo, "clGetProgramBuildInfo"},
		{&l.getProgramInfo, "clGetProgramInfo"},
		{&l.releaseProgram, "clReleaseProgram"},
		{&l.createKernel, "clCreateKernel"},
		{&l.setKernelArg, "clSetKernelArg"},
		{&l.getKernelInfo, "clGetKernelInfo"},
		{&l.getKernelWorkGroupInfo, "clGetKernelWorkGroupInfo"},
		{&l.releaseKernel, "clReleaseKernel"},
		{&l.waitForEvents, "clWaitForEvents"},
		{&l.getEventInfo, "clGetEventInfo"},
		{&l.releaseEvent, "clReleaseEvent"},
	} {
		if *f.at, err = found.Symbol(f.name); err != nil {
			return nil, fmt.Errorf("not a library of OpenCL 1.2: %w", err)
		}
	}
	return l, nil
}

var loaded struct {
	sync.Mutex
	byName map[string]*library
}

// theLibrary gives the system's OpenCL library, or the one that the environment
// names. A library that was found is kept; a failure is not, as a library may be
// installed while the program runs.
func theLibrary() (*library, error) {
	loaded.Lock()
	defer loaded.Unlock()
	name := owned.Env(EnvLibrary)
	if l := loaded.byName[name]; l != nil {
		return l, nil
	}
	l, err := load(wantedLibraries()...)
	if err != nil {
		return nil, err
	}
	if loaded.byName == nil {
		loaded.byName = map[string]*library{}
	}
	loaded.byName[name] = l
	return l, nil
}

// wantedLibraries are the names that are tried, first to last.
func wantedLibraries() []string {
	if name := owned.Env(EnvLibrary); name != "" {
		return []string{name}
	}
	return libraryNames(runtime.GOOS, runtime.GOARCH)
}

// libraryNames lists where OpenCL is found: the loader that picks among drivers
// first, then the drivers that phones and boards have instead of one. Android
// lets programs load what the vendor lists as public by name, and shells by path.
func libraryNames(system, arch string) []string {
	switch system {
	case "darwin":
		return []string{"/System/Library/Frameworks/OpenCL.framework/OpenCL"}
	case "windows":
		return []string{"OpenCL.dll"}
	}
	lib := "lib64"
	if arch == "arm" || arch == "386" {
		lib = "lib"
	}
	names := []string{"libOpenCL.so.1", "libOpenCL.so"}
	if system == "android" {
		for _, root := range []string{"/vendor/", "/system/vendor/", "/system/"} {
			names = append(names, root+lib+"/libOpenCL.so")
		}
		for _, root := range []string{"/vendor/", "/system/vendor/"} {
			names = append(names,
				root+lib+"/libOpenCL_adreno.so",    // Adreno
				root+lib+"/egl/libGLES_mali.so",    // Mali, all in one
				root+lib+"/libGLES_mali.so",        //
				root+lib+"/libmali.so",             //
				root+lib+"/libPVROCL.so",           // PowerVR
				root+lib+"/egl/libGLES_powervr.so", //
				root+lib+"/egl/libVIVANTE.so",      // Vivante
				root+lib+"/libOpenCL-pixel.so",     // Pixel, a loader of its own
			)
		}
		return names
	}
	names = append(names, "libmali.so.1", "libmali.so", "libMali.so", "libPVROCL.so.1", "libPVROCL.so", "libOpenCL_adreno.so.1", "libOpenCL_adreno.so")
	triple := map[string]string{"arm64": "aarch64-linux-gnu", "arm": "arm-linux-gnueabihf", "amd64": "x86_64-linux-gnu", "riscv64": "riscv64-linux-gnu"}[arch]
	for _, n := range []string{"libmali.so.1", "libmali.so", "mali/libmali.so", "libOpenCL_adreno.so.1", "libPVROCL.so.1", "libVivanteOpenCL.so"} {
		if triple != "" {
			names = append(names, "/usr/lib/"+triple+"/"+n)
		}
	}
	for _, root := range []string{"/usr/lib/", "/usr/" + lib + "/", "/usr/local/lib/", "/vendor/" + lib + "/", "/system/vendor/" + lib + "/", "/opt/vendor/lib/"} {
		for _, n := range []string{"libOpenCL.so.1", "libOpenCL.so", "libmali.so"} {
			names = append(names, root+n)
		}
	}
	return unique(names)
}

// unique leaves out what came before.
func unique(names []string) []string {
	var out []string
	for _, n := range names {
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}
