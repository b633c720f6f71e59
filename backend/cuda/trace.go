//go:build cuda && cgo && linux && !android && !static

package cuda

// #include "calls.h"
import "C"

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"unsafe"

	"gorgonia.org/cu"
)

// EnvTrace names a file to which every recording adds its blocks' times when it is closed,
// those of the last time that it ran: of a build whose kernels have timers (go run
// ./kernels/cuda/gen -trace). build/gpu-check.sh makes one, and says what a token consists of.
//
//	call INDEX VARIANT LABEL
//	BLOCK BEGAN INPUTS ENDED MULTIPROCESSOR    each in nanoseconds
const EnvTrace = "LEDGE_CUDA_TRACE"

// What kernels/cuda/trace.h writes for a launch.
const (
	traceBlocks = 512
	traceBytes  = 64 // of a block
)

// startTrace gives the packed calls memory for their times, where somebody asks for them.
func (r *recording) startTrace() error {
	size := len(r.calls) * traceBlocks * traceBytes
	if os.Getenv(EnvTrace) == "" || size == 0 {
		return nil
	}
	p, err := cu.MemAlloc(int64(size))
	if err != nil {
		return r.d.full("the times of blocks", size, check("cuMemAlloc", err))
	}
	r.trace = p
	if err := cu.MemsetD32Async(p, 0, int64(size/4), r.d.stream); err != nil {
		return check("cuMemsetD32Async", err)
	}
	for i := range r.calls {
		r.at(i).args.trace = C.CUdeviceptr(p) + C.CUdeviceptr(i*traceBlocks*traceBytes)
	}
	return nil
}

// endTrace writes the times down, of blocks that left any, when nothing runs.
func (r *recording) endTrace() error {
	if r.trace == 0 {
		return nil
	}
	times := make([]byte, len(r.calls)*traceBlocks*traceBytes)
	err := check("cuMemcpyDtoH", cu.MemcpyDtoH(unsafe.Pointer(&times[0]), r.trace, int64(len(times))))
	err = errors.Join(err, r.d.released("cuMemFree", cu.MemFree(r.trace)))
	r.trace = 0
	if err != nil {
		return err
	}
	f, err := os.OpenFile(os.Getenv(EnvTrace), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("%s: %w", EnvTrace, err)
	}
	w := bufio.NewWriter(f)
	for i := range r.calls {
		r.writeTimes(w, i, times[i*traceBlocks*traceBytes:][:traceBlocks*traceBytes])
	}
	return errors.Join(w.Flush(), f.Close())
}

func (r *recording) writeTimes(w *bufio.Writer, i int, times []byte) {
	said := false
	for block := range traceBlocks {
		word := func(j int) uint64 { return binary.LittleEndian.Uint64(times[block*traceBytes+8*j:]) }
		if word(3) == 0 {
			continue
		}
		if c := &r.calls[i]; !said {
			fmt.Fprintf(w, "call %d %s %s\n", i, c.program.variant, c.label)
		}
		said = true
		fmt.Fprintln(w, block, word(0), word(1), word(2), word(3)-1)
	}
}
