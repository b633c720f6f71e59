//go:build cuda && cgo && linux && !android && !static

package cuda

// #include <stdlib.h>
// #include "calls.h"
import "C"

import (
	"errors"
	"fmt"
	"strings"
	"unsafe"

	"gorgonia.org/cu"

	"github.com/ledge-run/ledge/backend/cuda/internal/driver"
	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/kernels/cuda"
)

// program is a kernel with its constants.
type program struct {
	d         *device
	name      string // of the kernel
	variant   string // of its code
	function  cu.Function
	threads   int // of a block
	dynamic   int // bytes of shared memory of a launch
	constants [cuda.MaxConstants]uint32
}

func (p *program) Name() string { return p.name }

// Program compiles a kernel, or finds it compiled.
func (d *device) Program(kernel string, constants []uint32) (accel.Program, error) {
	key := fmt.Sprint(kernel, constants)
	if p := d.programs[key]; p != nil {
		return p, nil
	}
	b, err := cuda.Find(kernel, constants, d.prop.capability)
	if err != nil {
		return nil, err
	}
	if b.Threads <= 0 || b.Threads > d.limits.Invocations || b.Dynamic < 0 || b.Dynamic > d.prop.shared {
		return nil, fmt.Errorf("cuda: kernel %s%v: blocks of %d threads with %d bytes of shared memory; %s allows %d and %d",
			kernel, constants, b.Threads, b.Dynamic, d.prop.name, d.limits.Invocations, d.prop.shared)
	}
	p := &program{d: d, name: kernel, variant: b.Name, threads: b.Threads, dynamic: b.Dynamic}
	copy(p.constants[:], constants)
	err = d.do("compile "+kernel, func() error { return d.fail(fmt.Sprintf("kernel %s%v", kernel, constants), p.load(b)) })
	if err != nil {
		return nil, err
	}
	d.programs[key] = p
	return p, nil
}

// load finds the function in its module, and prepares it.
func (p *program) load(b cuda.Binary) error {
	m, err := p.d.module(b)
	if err != nil {
		return err
	}
	if p.function, err = m.Function(b.Entry); err != nil {
		return check("cuModuleGetFunction", err)
	}
	if handleOf(&p.function) == nil {
		return fmt.Errorf("cuModuleGetFunction: %w", errNull)
	}
	most, err := p.function.Attribute(cu.FnMaxThreadsPerBlock)
	if err != nil {
		return check("cuFuncGetAttribute", err)
	}
	if most < p.threads {
		return fmt.Errorf("the driver can run it with %d threads, it has %d", most, p.threads)
	}
	if p.dynamic == 0 {
		return nil
	}
	static, err := p.function.Attribute(cu.SharedSizeBytes)
	if err != nil {
		return check("cuFuncGetAttribute", err)
	}
	if static+p.dynamic > p.d.prop.shared {
		return fmt.Errorf("it takes %d bytes of shared memory, a block may have %d", static+p.dynamic, p.d.prop.shared)
	}
	if static+p.dynamic > maxShared { // which a function has to be told; it is for all its launches
		f := C.CUfunction(handleOf(&p.function))
		most := p.d.prop.shared - static
		// A wish: that two blocks fit, whatever cache that leaves.
		C.cuFuncSetAttribute(f, C.CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT, 100)
		return check("cuFuncSetAttribute", driver.Check(int(C.cuFuncSetAttribute(f, C.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, C.int(most)))))
	}
	return nil
}

// module gives a kernel's code: loaded already, or as codeOf finds it.
func (d *device) module(b cuda.Binary) (cu.Module, error) {
	if m, ok := d.modules[b.Name]; ok {
		return m, nil
	}
	c, err := d.codeOf(&b)
	if err != nil {
		return cu.Module{}, err
	}
	m, err := d.loadModule(b, c.binary)
	if err != nil && c.kept {
		if lost := d.fail("load a compiled program", err); d.alive() != nil {
			return cu.Module{}, lost
		}
		if c, err = d.compiled(&b); err != nil {
			return cu.Module{}, err
		}
		m, err = d.loadModule(b, c.binary)
	}
	if err != nil {
		return cu.Module{}, err
	}
	if c.kept {
		d.found++
	} else {
		d.made++
	}
	return m, nil
}

// loadModule loads a binary, which must have the kernel's function.
func (d *device) loadModule(b cuda.Binary, binary []byte) (cu.Module, error) {
	m, err := cu.LoadData(string(binary))
	if err == nil && handleOf(&m) == nil {
		err = errNull
	}
	if err != nil {
		return cu.Module{}, check("cuModuleLoadData", err)
	}
	if _, err := m.Function(b.Entry); err != nil {
		return cu.Module{}, errors.Join(check("cuModuleGetFunction", err), d.released("cuModuleUnload", m.Unload()))
	}
	d.modules[b.Name] = m
	return m, nil
}

// compile has the driver make a binary of PTX for the current context's GPU.
func compile(ptx []byte) ([]byte, error) {
	const room = 8 << 10
	text, log := C.CBytes(append(ptx[:len(ptx):len(ptx)], 0)), (*C.char)(C.malloc(room))
	defer C.free(text)
	defer C.free(unsafe.Pointer(log))
	var binary unsafe.Pointer
	var size C.size_t
	err := driver.Check(int(C.ledge_jit((*C.char)(text), C.size_t(len(ptx)+1), &binary, &size, log, room)))
	defer C.free(binary)
	switch {
	case err != nil:
		return nil, fmt.Errorf("compiling PTX: %w: %s", err, firstErrors(C.GoString(log)))
	case binary == nil || size == 0 || size > maxBinary:
		return nil, fmt.Errorf("compiling PTX: the driver gives a binary of %d bytes, and no error", size)
	}
	return C.GoBytes(binary, C.int(size)), nil
}

const maxBinary = 64 << 20

// firstErrors is the part of a compiler's log that tells, in one line.
func firstErrors(log string) string {
	log = strings.Join(strings.Fields(strings.ToValidUTF8(log, "")), " ")
	if len(log) > 600 {
		log = strings.ToValidUTF8(log[:600], "") + " ..."
	}
	if log == "" {
		return "the driver gives no reason"
	}
	return log
}
