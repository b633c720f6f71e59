package opencl

import (
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"unsafe"

	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/backend/internal/dl"
	"github.com/ledge-run/ledge/kernels/opencl"
	"github.com/ledge-run/ledge/kernels/shader"
)

// buildOptions leaves out what would let a compiler change results, and warnings,
// which some drivers write into the program's own messages.
const buildOptions = "-cl-std=CL1.2 -w"

// program is a kernel, compiled with its constants.
type program struct {
	name   string
	group  int // invocations of a workgroup
	handle uintptr
}

func (p *program) Name() string { return p.name }

// Program compiles a kernel, or finds it compiled.
func (d *device) Program(kernel string, constants []uint32) (accel.Program, error) {
	key := fmt.Sprint(kernel, constants)
	if p := d.programs[key]; p != nil {
		return p, nil
	}
	text, err := source(kernel, constants, d.prop.fused)
	if err != nil {
		return nil, err
	}
	p := &program{name: kernel, group: int(constants[0])}
	if p.group > d.limits.Invocations {
		return nil, fmt.Errorf("opencl: kernel %s%v: %d invocations in a workgroup, the device runs %d", kernel, constants, p.group, d.limits.Invocations)
	}
	err = d.do("compile "+kernel, func() error {
		err := d.compile(p, text)
		if err == nil {
			return nil
		}
		return errors.Join(fmt.Errorf("opencl: kernel %s%v: %w", kernel, constants, err), d.release(d.lib.releaseProgram, p.handle, "clReleaseProgram"))
	})
	if err != nil {
		return nil, err
	}
	d.programs[key] = p
	return p, nil
}

// source is a kernel's text with its constants and the prelude.
func source(kernel string, constants []uint32, fused bool) (string, error) {
	names, err := shader.Constants(kernel)
	if err != nil {
		return "", fmt.Errorf("opencl: %w", err)
	}
	if len(names) != len(constants) || len(names) == 0 {
		return "", fmt.Errorf("opencl: kernel %s has %d constants, %d are given", kernel, len(names), len(constants))
	}
	if constants[0] == 0 || constants[0] > 1<<16 {
		return "", fmt.Errorf("opencl: kernel %s: a workgroup of %d invocations", kernel, constants[0])
	}
	text, err := shader.Source(kernel)
	if err != nil {
		return "", fmt.Errorf("opencl: %w", err)
	}
	var b strings.Builder
	for i, n := range names {
		fmt.Fprintf(&b, "#define %s %du\n", n, constants[i])
	}
	if fused {
		b.WriteString("#define FUSED\n")
	}
	b.WriteString(opencl.Prelude)
	b.WriteString(text)
	return b.String(), nil
}

// build compiles a text.
func (d *device) build(text string) (uintptr, error) {
	bytes := []byte(text)
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&bytes[0])
	lines := []uintptr{uintptr(unsafe.Pointer(&bytes[0]))}
	sizes := []uintptr{uintptr(len(bytes))}
	var c int32
	h := dl.Call(d.lib.createProgramWithSource, d.context, 1, uintptr(unsafe.Pointer(&lines[0])), uintptr(unsafe.Pointer(&sizes[0])), uintptr(unsafe.Pointer(&c)))
	if err := d.made(&h, c, "clCreateProgramWithSource"); err != nil {
		return 0, err
	}
	if err := d.buildProgram(h); err != nil {
		return 0, errors.Join(err, d.release(d.lib.releaseProgram, h, "clReleaseProgram"))
	}
	return h, nil
}

// buildProgram makes a program of source or binary runnable.
func (d *device) buildProgram(h uintptr) error {
	options := append([]byte(buildOptions), 0)
	list := []uintptr{d.prop.device}
	c := code(int32(dl.Call(d.lib.buildProgram, h, 1, uintptr(unsafe.Pointer(&list[0])), uintptr(unsafe.Pointer(&options[0])), 0, 0)))
	if c == 0 {
		return nil
	}
	log, err := infoBytes(4<<20, d.lib.getProgramBuildInfo, programBuildLog, h, d.prop.device)
	if err != nil {
		return c.err("clBuildProgram")
	}
	return fmt.Errorf("%w: %s", c.err("clBuildProgram"), firstErrors(clean(log)))
}

var errorWord = regexp.MustCompile(`(?i)error`)

// firstErrors is the part of a compiler's log that tells, in one line: drivers
// put warnings before errors.
func firstErrors(log string) string {
	if at := errorWord.FindStringIndex(log); at != nil && at[0] > 100 {
		log = "... " + strings.ToValidUTF8(log[at[0]-60:], "")
	}
	if len(log) > 600 {
		log = strings.ToValidUTF8(log[:600], "") + " ..."
	}
	if log == "" {
		return "the driver gives no reason"
	}
	return log
}

// checkProgram asks whether the kernel is what was compiled and can run.
func (d *device) checkProgram(p *program) error {
	k, err := d.kernel(p)
	if err != nil {
		return err
	}
	args, err := infoNumber(d.lib.getKernelInfo, kernelNumArgs, k)
	group, err2 := infoNumber(d.lib.getKernelWorkGroupInfo, kernelWorkGroupSize, k, d.prop.device)
	shared, err3 := infoNumber(d.lib.getKernelWorkGroupInfo, kernelLocalMemSize, k, d.prop.device)
	err = errors.Join(err, err2, err3, d.release(d.lib.releaseKernel, k, "clReleaseKernel"))
	switch {
	case err != nil:
		return accel.OneLine(err)
	case args != 5:
		return fmt.Errorf("the driver counts %d arguments, it has 5", args)
	case group < uint64(p.group):
		return fmt.Errorf("the driver can run it with %d invocations, it has %d", group, p.group)
	case shared > uint64(d.limits.Shared):
		return fmt.Errorf("it takes %d bytes of local memory, the device has %d", shared, d.limits.Shared)
	}
	return nil
}

// kernel makes an OpenCL kernel, which holds a set of arguments.
func (d *device) kernel(p *program) (uintptr, error) {
	name := append([]byte(p.name), 0)
	var c int32
	k := dl.Call(d.lib.createKernel, p.handle, uintptr(unsafe.Pointer(&name[0])), uintptr(unsafe.Pointer(&c)))
	return k, d.made(&k, c, "clCreateKernel")
}
