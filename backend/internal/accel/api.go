// Package accel is the device that the GPU backends share: it packs weights into
// banks, lowers a graph to calls of the kernels in kernels/shader, keeps caches
// and runs batches. What differs between CUDA, Vulkan, OpenCL and OpenGL ES is behind
// the interface API.
package accel

import (
	"context"
	"time"

	"github.com/ledge-run/ledge/kernels/shader"
)

// API is an opened device of CUDA, Vulkan, OpenCL or OpenGL ES. Its methods are called
// by one goroutine at a time; an API that is bound to a thread moves to it.
//
// Errors: an allocation that does not fit is a *backend.ErrOutOfMemory, a device
// that stopped working or did not finish in time wraps backend.ErrDeviceLost.
type API interface {
	Limits() Limits

	// Allocate makes a buffer of size bytes (a multiple of 4, at most
	// Limits.Range), cleared unless it is Upload.
	Allocate(what string, size int, use Use) (Buffer, error)

	// Program compiles a kernel with its constants, or finds it compiled
	// already, in this process or in the cache on disk.
	Program(kernel string, constants []uint32) (Program, error)

	// Record prepares a list of dispatches, to be submitted again and again.
	Record(list []Dispatch) (Recording, error)

	// Submit runs recordings one after the other, each at most once; one is not
	// submitted again before the fence of its last submission was waited for. A
	// recording is handed to the driver by itself, together with those after it
	// that write Download buffers: what is to run for long comes as several.
	// Upload buffers are seen as they are when Submit is called, and must stay
	// until the fence; the ranges of Download buffers are readable by Host after
	// it. A call waits for nothing on the device.
	Submit(list []Recording, reads []Range) (Fence, error)

	// Close frees what is left. Everything made by the device is closed before.
	Close() error
}

// Use says who writes and who reads a buffer.
type Use uint8

const (
	Local    Use = iota // the device; the host by Write and Read, seldom
	Upload              // the host writes through Host, the device reads
	Download            // the device writes, the host reads through Host
)

// Limits of a device, and what it can do.
type Limits struct {
	shader.Features
	Buffers     int // storage buffers of a kernel, at least 4
	Range       int // bytes of a storage buffer that a kernel can see, at least 128 MiB
	Groups      int // workgroups in each direction, at least 65,535
	MemoryTotal uint64
	MemoryFree  uint64
	Unified     bool          // memory is the host's, too
	Timeout     time.Duration // after which a fence gives up
}

// Buffer is memory of the device.
type Buffer interface {
	Size() int

	// Host is the memory of an Upload or Download buffer as the host has it;
	// nil for others.
	Host() []byte

	// Write and Read move bytes of a Local buffer and wait for that.
	Write(at int, data []byte) error
	Read(at int, dst []byte) error

	Close() error
}

// Program is a compiled kernel. It lives until the API is closed.
type Program interface{ Name() string }

// Dispatch is one call, bound to buffers.
type Dispatch struct {
	Label   string // the node, for errors
	Program Program
	Buffers [4]Buffer // nil where the kernel uses none
	Params  []uint32

	// The number of workgroups is read from an Upload buffer when the run is
	// submitted: three uints at GridAt bytes. A zero among them skips the call.
	Grid   Buffer
	GridAt int

	// Free as in shader.Call: no barrier is needed before it.
	Free bool

	// Traffic, if set, is the bytes that the call moves in the run that is
	// submitted, for an API that measures.
	Traffic *int64
}

// Recording is a prepared list of dispatches.
type Recording interface{ Close() error }

// Range is a part of a buffer, in bytes.
type Range struct {
	Buffer   Buffer
	From, To int
}

// Fence marks the end of a submission.
type Fence interface {
	// Wait blocks until it is over, at most Limits.Timeout.
	Wait() error

	// Submissions is how many the device's queue was handed for it; asked before Wait.
	Submissions() int
}

// Preparer is an API that compiles several kernels at once, where Program takes one
// after the other.
type Preparer interface {
	// Prepare compiles those of the kernels that Program would have to, and calls
	// progress, if set, now and then. It is a help and no more: Program gives the
	// error of what could not be compiled. An error is the context's, between two
	// kernels, or says that the device is lost.
	Prepare(ctx context.Context, kernels []Kernel, progress func()) error
}

// Kernel is what Program takes.
type Kernel struct {
	Name      string
	Constants []uint32
}
