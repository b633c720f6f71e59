// Package cpu is the backend that runs on the processor: kernels/cpu over the
// shared pool of workers. It is in every build and supports every operation.
package cpu

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"sync"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/cpu/pool"
	"github.com/ledge-run/ledge/backend/internal/host"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/graph/pass"
	kernels "github.com/ledge-run/ledge/kernels/cpu"
)

// Name of the driver and of its one device.
const Name = "cpu"

func init() {
	backend.Register(backend.Driver{
		Name: Name,
		Probe: func(ctx context.Context) ([]backend.Info, error) {
			d, err := open(backend.Options{})
			if err != nil {
				return nil, err
			}
			return []backend.Info{d.Info()}, nil
		},
		Open: func(ctx context.Context, name string, o backend.Options) (backend.Device, error) { return open(o) },
	})
}

type device struct {
	k       *kernels.Kernels
	pool    *pool.Pool
	threads int
	note    string // of the number of threads
}

// Open opens the processor.
func Open(o backend.Options) (backend.Device, error) { return open(o) }

func open(o backend.Options) (*device, error) {
	if err := checkOrder(binary.NativeEndian); err != nil {
		return nil, err
	}
	k, err := selectKernels(o.Level)
	if err != nil {
		return nil, err
	}
	n, note, err := pool.Threads(o.Threads)
	if err != nil {
		return nil, err
	}
	if o.Threads == 0 {
		note = "" // nothing else was asked for
	}
	return &device{k: k, pool: pool.Shared(), threads: n, note: note}, nil
}

// checkOrder refuses processors whose numbers do not lie in memory as they do in
// files of weights, which kernels read as they are.
func checkOrder(native binary.ByteOrder) error {
	if native.Uint16([]byte{1, 0}) != 1 {
		return fmt.Errorf("cpu: big-endian processors (%s) are not supported: kernels read weights little-endian, as files have them", runtime.GOARCH)
	}
	return nil
}

// selected has the kernels that passed their check, by what was asked for: probing
// and opening the device ask for the same, and a check costs milliseconds.
var selected sync.Map

func selectKernels(level string) (*kernels.Kernels, error) {
	key := [2]string{level, os.Getenv(kernels.EnvLevel)}
	if k, ok := selected.Load(key); ok {
		return k.(*kernels.Kernels), nil
	}
	k, err := kernels.Select(level)
	if err == nil {
		selected.Store(key, k)
	}
	return k, err
}

func (d *device) Info() backend.Info {
	total, free := host.Memory()
	return backend.Info{
		Name:        Name,
		Backend:     Name,
		Description: fmt.Sprintf("%s, %d threads, %s", processorName(), d.threads, d.k.Level()),
		Kind:        backend.CPU,
		Memory:      backend.Memory{Total: total, Free: free, Unified: true},
		Features:    []string{runtime.GOARCH, d.k.Level().String()},
		Numerics:    backend.Numerics{Device: "cpu/" + runtime.GOARCH, Level: d.k.Level().String(), Version: d.k.Layout().String() + "/" + kernels.Version},
		Note:        d.note,
		Score:       10,
	}
}

func (d *device) Target() pass.Target {
	return pass.Target{Name: Name, Supports: d.supports, Lower: lower, Align: align}
}

func (d *device) Close() error { return nil }

// Threads is how many a run takes.
func (d *device) Threads() int { return d.threads }

// supports accepts every operation there is today. What it asks for is where
// operands come from: matrices of fused products, and what is prepared with them, are weights;
// indices are inputs.
func (d *device) supports(g *graph.Graph, n *graph.Node) error {
	if !known(n.Op) {
		return fmt.Errorf("the cpu backend does not know this operation")
	}
	for _, in := range n.In {
		if in.Op == graph.OpWeight && !in.Type.DType.Computable() {
			return fmt.Errorf("weight %q has type %s", in.Name, in.Type.DType)
		}
	}
	for _, name := range n.Writes() {
		s, _ := g.State(name)
		if err := supportsState(s); err != nil {
			return err
		}
	}
	for _, w := range loadedOperands(n) {
		if w.Op != graph.OpWeight {
			return fmt.Errorf("%s must be a weight", w)
		}
	}
	for _, i := range indexOperands(n) {
		if i.Op != graph.OpInput {
			return fmt.Errorf("%s must be an input of the graph", i)
		}
	}
	return nil
}

// known lists the operations that compile makes steps for.
func known(op graph.Op) bool {
	if op.IsUnary() || op.IsBinary() {
		return true
	}
	switch op {
	case graph.OpInput, graph.OpWeight, graph.OpEmbed, graph.OpLinear, graph.OpFusedLinear, graph.OpMatMul,
		graph.OpRMSNorm, graph.OpLayerNorm, graph.OpNormAdd, graph.OpRope, graph.OpCacheWrite, graph.OpRopeCache,
		graph.OpAttention, graph.OpSoftmax, graph.OpReshape, graph.OpSlice, graph.OpConcat, graph.OpTranspose,
		graph.OpGatherRows, graph.OpReadout:
		return true
	}
	return op.Stage() == graph.Training
}

// loadedOperands are the operands that must be weights.
func loadedOperands(n *graph.Node) []*graph.Node {
	switch n.Op {
	case graph.OpFusedLinear:
		p := n.FusedLinear()
		all := append(append([]*graph.Node{}, p.Weights...), p.Biases...)
		if p.Norm != nil {
			all = append(all, p.Norm)
		}
		return all
	case graph.OpRope:
		return n.In[2:]
	case graph.OpRopeCache:
		if f := n.RopeCache().Factors; f != nil {
			return []*graph.Node{f}
		}
	}
	return nil
}

// indexOperands are the operands of integers.
func indexOperands(n *graph.Node) []*graph.Node {
	var all []*graph.Node
	for _, in := range n.In {
		if in.Type.DType == dtype.I32 {
			all = append(all, in)
		}
	}
	return all
}

// supportsState says which caches the device keeps.
func supportsState(s graph.StateDecl) error {
	if s.Kind == graph.Tensor && s.DType == dtype.F32 {
		return nil
	}
	if s.Kind != graph.Paged {
		return fmt.Errorf("state %q is %s; this device keeps paged states and tensors", s.Name, s.Kind)
	}
	if s.DType != dtype.F16 && s.DType != dtype.F32 && s.DType != dtype.Q8_0 {
		return fmt.Errorf("state %q is stored as %s; this device stores f16, f32 or q8_0", s.Name, s.DType)
	}
	return nil
}

// lower names the kernel of a node; products read int8 blocks or floats,
// depending on their weights.
func lower(_ *graph.Graph, n *graph.Node) (kernel, format string) {
	kernel = n.Op.String()
	ws := productWeights(n)
	if len(ws) == 0 {
		return kernel, "f32"
	}
	formats := map[kernels.ActFormat]bool{}
	kernel = "matmul"
	seen := map[dtype.DType]bool{}
	for _, w := range ws {
		formats[kernels.ActFormatOf(w.Type.DType)] = true
		if !seen[w.Type.DType] {
			kernel += "." + w.Type.DType.String()
		}
		seen[w.Type.DType] = true
	}
	switch {
	case !formats[kernels.ActQ8]:
		format = "f32"
	case formats[kernels.ActF32]:
		format = "q8+f32"
	default:
		format = "q8"
	}
	return kernel, format
}

func productWeights(n *graph.Node) []*graph.Node {
	switch n.Op {
	case graph.OpLinear:
		return n.In[1:2]
	case graph.OpFusedLinear:
		return n.FusedLinear().Weights
	}
	return nil
}
