// Package backend is the contract between Ledge and the devices it computes
// on. A backend (backend/cpu, backend/vulkan, ...) registers a [Driver]; a
// driver finds devices and opens them; a [Device] loads weights, keeps state
// and compiles a lowered graph into an [Executable]. Nothing above this
// package knows which device it runs on.
//
// The order of a device's life: Open, Load, NewState, Compile, then Submit for
// every step. Everything is closed by whoever made it, executables and states
// before weights, weights before the device.
package backend

import (
	"context"
	"io"

	"github.com/ledge-run/ledge/backend/packcache"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/graph/pass"
	"github.com/ledge-run/ledge/graph/plan"
)

// PageTokens is the number of tokens in one page of a paged state.
const PageTokens = 64

// PagesFor is the number of pages that so many tokens take.
func PagesFor(tokens int) int { return (tokens + PageTokens - 1) / PageTokens }

// Kind is the sort of hardware behind a device.
type Kind string

const (
	CPU  Kind = "cpu"
	GPU  Kind = "gpu"
	NPU  Kind = "npu"
	Null Kind = "null" // computes nothing: for tests and accounting
)

// Info describes a device.
type Info struct {
	Name        string   `json:"name"`    // unique among devices: "cpu", "vulkan0"
	Backend     string   `json:"backend"` // the driver's name: "cpu", "vulkan"
	Description string   `json:"description"`
	Kind        Kind     `json:"kind"`
	Memory      Memory   `json:"memory"`
	Features    []string `json:"features,omitempty"` // capabilities that choose kernels
	Quirks      []string `json:"quirks,omitempty"`   // known driver faults that are avoided
	Numerics    Numerics `json:"numerics"`
	Note        string   `json:"note,omitempty"` // what the user should know of how it was opened

	// Varies: the self-test found that a row's bits depend on what else is in the
	// batch, so that Numerics promises nothing. Set by who tested the device.
	Varies bool `json:"varies,omitempty"`

	Score int `json:"score"` // for automatic selection: higher is preferred, 0 never picked
}

// Processor tells whether the device is the backend cpu. A driver of others that
// computes on the processor is of [Kind] CPU, too, but no such device.
func (i Info) Processor() bool { return i.Backend == string(CPU) }

// Discrete tells whether the device computes outside the processor's package: a card
// with memory of its own, which what measures the package does not cover.
func (i Info) Discrete() bool { return i.Kind != CPU && !i.Memory.Unified }

// Memory of a device in bytes; zero where unknown.
type Memory struct {
	Total   uint64 `json:"total"`
	Free    uint64 `json:"free"`
	Unified bool   `json:"unified"` // shared with the host: mapping needs no copy
}

// Numerics names the class within which results are bit-identical: same class,
// same graph, same inputs, same bits, whatever the threads, batch or chunking.
// Caches and receipts record it.
type Numerics struct {
	Device  string `json:"device"`
	Level   string `json:"level"`
	Version string `json:"version"`
}

// String is the class in one word: "cpu/amd64:avx2:rows16-2/2".
func (n Numerics) String() string { return n.Device + ":" + n.Level + ":" + n.Version }

// Options for opening a device.
type Options struct {
	Threads int    // CPU workers; 0 for automatic
	Level   string // forces a kernel level ("generic", "avx2"); "" for the best
}

// Device is one opened device. Its methods may be called from any goroutine;
// a device with thread-affine APIs moves the work to its own thread.
type Device interface {
	Info() Info

	// Target is how the passes see the device: what it supports, how it
	// lowers an operation. Compile may not refuse what Target supports.
	Target() pass.Target

	// Load brings weights onto the device in its own packed layout.
	Load(ctx context.Context, spec LoadSpec) (Weights, error)

	// NewState allocates states. Memory is cleared.
	NewState(spec StateSpec) (State, error)

	// Compile makes an executable; the weights must outlive it.
	Compile(ctx context.Context, spec CompileSpec) (Executable, error)

	Close() error
}

// Threaded is implemented by devices that compute with threads of the processor.
type Threaded interface {
	// Threads is how many a run takes at most; see Args.Threads.
	Threads() int
}

// LoadSpec says what to load. It and CompileSpec are structs so that what
// later devices need (cache folders, keys, shared arenas) changes no interface.
type LoadSpec struct {
	Weights  []WeightSpec
	Progress func(done int64) // told the bytes of the file done so far; may be nil
	Pack     Pack             // where packed weights are kept from start to start; nil for nowhere
}

// Pack keeps packed weights of one model on disk. *packcache.Model is one.
// Devices of different layouts may use the same.
type Pack interface {
	// Share tells whether weights are to be mapped, where a device can do so.
	Share() bool

	// Find gives the packed weights that an earlier start has kept, open for
	// reading; nil if there are none that are sound.
	Find(ctx context.Context, b *packcache.Block) *packcache.Entry

	// Save keeps the Block.Size bytes of data. pace is called every few
	// hundred microseconds of work and may sleep.
	Save(ctx context.Context, b *packcache.Block, data io.ReaderAt, pace func()) error
}

// Sizer is implemented by devices that can tell what a weight will take in
// their memory once it is loaded; for others it is assumed to be what it takes
// in the file. Open of the WeightSpec is not used.
type Sizer interface {
	WeightBytes(s WeightSpec) (int64, error)
}

// StateSizer is implemented by devices that can tell what states will take in
// their memory; for others it is assumed to be what the declarations add up to.
type StateSizer interface {
	StateBytes(s StateSpec) (int64, error)
}

// CompileSpec is a lowered graph, its plan, and weights that hold all of the
// graph's.
type CompileSpec struct {
	Graph   *graph.Graph
	Plan    *plan.Plan
	Weights Weights

	// Progress, if set, is called after each part of the work: a driver that
	// compiles kernels for a minute can be told from one that hangs.
	Progress func()
}

// Uses says how a graph reads a weight; a device packs accordingly.
type Uses uint8

const (
	UseProduct Uses = 1 << iota // matrix of a product
	UseGather                   // rows looked up
	UseVector                   // read as float32 elements
)

// WeightSpec describes one weight to load.
type WeightSpec struct {
	Name  string
	DType dtype.DType
	Shape []int // outermost first
	Uses  Uses

	// Open gives the bytes in the file's format. They stay valid until
	// release is called; a device that keeps its own copy calls release at
	// once, so that the file's pages can be given back, and one that reads
	// them in place calls it when it is closed.
	Open func() (data []byte, release func(), err error)

	// Drop, if set, may be called while the data is open, from several
	// goroutines: the bytes [from, to) have been read and are not needed soon,
	// so that a large weight and its packed form are not both in memory.
	Drop func(from, to int)
}

// Weights are a model's weights on a device.
type Weights interface {
	Bytes() int64 // memory held on the device, without what is mapped from a file
	Close() error
}

// Keeper is implemented by Weights that LoadSpec.Pack can keep.
type Keeper interface {
	// Keep writes the packed weights for the next start, unless they came from
	// there. It may run beside everything but Close; pace is called every few hundred
	// of microseconds of work and may sleep.
	Keep(ctx context.Context, pace func()) error

	// Origin says where the weights came from.
	Origin() Origin
}

// Origin says how weights came onto a device.
type Origin string

const (
	Packed Origin = "packed" // from the model's file
	Cached Origin = "cached" // read from LoadSpec.Pack
	Shared Origin = "shared" // mapped from LoadSpec.Pack, in common with other processes
)

// StateSpec asks for states: Pages pages of PageTokens tokens for every paged
// declaration, rings and fixed parts for Sequences sequences.
type StateSpec struct {
	Decls     []graph.StateDecl
	Pages     int
	Sequences int
}

// State holds the caches of all layers. Page numbers run from 0 to Pages-1 and
// mean the same page in every layer. State is not used by two runs at a time,
// nor are its methods called while a run uses it.
type State interface {
	// Layout names the format of a page's bytes; pages can be written to a
	// state of the same layout only.
	Layout() string
	PageBytes() int
	CopyPage(dst, src int) error
	ReadPage(page int, dst []byte) error
	WritePage(page int, src []byte) error
	Close() error
}

// Tensors is implemented by states of devices that can train: those that hold
// declarations of kind graph.Tensor. Like State's methods these are not called
// while a run uses the state.
type Tensors interface {
	ReadTensor(name string, dst []float32) error
	WriteTensor(name string, src []float32) error
}

// Executable is a compiled graph. It is run by one goroutine at a time.
type Executable interface {
	// Submit starts a run. It does not allocate from token to token; buffers
	// may grow now and then as contexts do. The arguments must stay
	// untouched until the fence has been waited for. A cancelled context may
	// end the run early with its error; the state's pages of the run's rows
	// are then undefined. A device asks ctx.Err from time to time: several
	// callers may stand behind ctx, whose Done then never closes.
	Submit(ctx context.Context, a *Args) (Fence, error)
	Close() error
}

// Sized is implemented by executables that can tell what they take.
type Sized interface {
	// Bytes is the memory held besides weights and states: values in between, and
	// scratch. Some of that may grow with the first runs.
	Bytes() int64
}

// Fence marks the end of a run.
type Fence interface {
	// Wait blocks until the run is over and its outputs are readable.
	Wait() error
}

// Args are the arguments of one run.
type Args struct {
	Inputs   []Tensor  // one for each input, in the order of graph.Inputs
	Segments []Segment // the batch: rows in order, each segment's rows contiguous
	Seqs     int       // sequences in the batch
	State    State
	Outputs  []Output // one for each output, in the order of graph.Outputs

	// Threads is the most that a Threaded device takes for the run, 0 for all it has.
	// It changes no result.
	Threads int
}

// Tensor is host memory; the field of the input's type is set.
type Tensor struct {
	F32 []float32
	I32 []int32
}

// Segment is a run of rows that belong to one sequence. Row i of the segment
// is written to the sequence's cache slot Start+i; Pages lists the pages of
// slots 0 to Start+Rows-1 in order.
type Segment struct {
	Seq   int // number of the sequence in the batch
	Start int
	Rows  int
	Pages []int32
}

// ReadMode says what a run reads back of a readout.
type ReadMode uint8

const (
	ReadFull   ReadMode = iota // whole rows
	ReadTop                    // the TopCount best of each row, with the row's log-sum-exp
	ReadArgMax                 // the best of each row (lowest id on ties)
)

// TopCount is how many candidates ReadTop gives of each row (fewer if the row
// is shorter).
const TopCount = 128

// Output receives one output. An output that is not a readout is always full.
type Output struct {
	Mode ReadMode
	Skip bool // not wanted in this run

	F32 []float32 // full: rows x columns

	// top and arg-max: K candidates for each row (TopCount or 1), best first,
	// equal logits by id. The caller gives room.
	IDs       []int32
	Logits    []float32
	LogSumExp []float32 // one for each row, natural logarithm; not set by ReadArgMax

	// Mask, if set, has one bit for each column of each row (rows of
	// (columns+63)/64 words, bit i%64 of word i/64): a zero bit forbids the
	// column. Bias is added to logits first. Full rows get both as well.
	Mask []uint64
	Bias []Bias
}

// Bias is added to one logit of one row.
type Bias struct {
	Row int
	ID  int32
	Add float32
}
