//go:build cuda && cgo && linux && !android && !static

package cuda

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"gorgonia.org/cu"

	"github.com/ledge-run/ledge/backend/internal/accel"
)

// EnvTrace names a file to which every recording adds its blocks' times when it is closed,
// those of the last time that each block ran: of a build whose kernels have timers (go run
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

// startTrace makes memory for the times, where somebody asks for them.
func (r *recording) startTrace() error {
	size := len(r.calls) * traceBlocks * traceBytes
	if os.Getenv(EnvTrace) == "" || size == 0 {
		return nil
	}
	b, err := r.d.Allocate("the times of blocks", size, accel.Local)
	if err == nil {
		r.times = b.(*buffer)
	}
	return err
}

// timesOf is where a call's blocks leave theirs.
func (r *recording) timesOf(i int) cu.DevicePtr {
	if r.times == nil {
		return 0
	}
	return r.times.memory + cu.DevicePtr(i*traceBlocks*traceBytes)
}

// endTrace writes the times down, of blocks that left any: of a device that is lost, none.
func (r *recording) endTrace() error {
	if r.times == nil {
		return nil
	}
	b := r.times
	r.times = nil
	times := make([]byte, b.size)
	err := b.Read(0, times)
	if r.d.loss() != nil || r.packed == nil {
		return b.Close()
	}
	if err = errors.Join(err, b.Close()); err != nil {
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
