// Package selftest proves a device before it is trusted: it runs a small
// network with every kernel a model needs on the device and on the reference,
// and refuses the device if they differ.
package selftest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/graph/pass"
	"github.com/ledge-run/ledge/graph/plan"
)

// Tolerance is the largest normalised mean square error that the self-test
// lets pass: quantised activations stay below it, a wrong kernel does not.
const Tolerance = 1e-3

// quick are the weight types that every start tries: a few milliseconds.
var quick = []dtype.DType{dtype.Q8_0, dtype.Q4_0, dtype.Q4_1, dtype.F32}

// thorough are those of nearly all files. The reference needs a tenth of a
// second for them: too long for every start.
var thorough = []dtype.DType{
	dtype.F32, dtype.F16, dtype.BF16, dtype.Q8_0, dtype.Q4_0, dtype.Q4_1, dtype.Q5_0, dtype.Q5_1,
	dtype.Q4_K, dtype.Q5_K, dtype.Q6_K, dtype.Q3_K, dtype.Q2_K, dtype.IQ4_NL, dtype.IQ4_XS, dtype.MXFP4,
}

// passed remembers, for this process, the devices that passed, by name and
// numerics: what ran right once is not asked again by every model.
var passed sync.Map

// Run tests a device. The error tells which stage failed and how.
func Run(ctx context.Context, d backend.Device) error { return test(ctx, d, quick, "") }

// RunTypes is Run with weights of some types alone, for a model that has no others and
// is not to wait longer than it works. A GPU is tested as a whole all the same.
func RunTypes(ctx context.Context, d backend.Device, types []dtype.DType) error {
	if !d.Info().Processor() {
		return Run(ctx, d)
	}
	return test(ctx, d, types, fmt.Sprint(types))
}

// test tests a device with weights of some types, which are named if they are not the
// usual ones.
func test(ctx context.Context, d backend.Device, types []dtype.DType, named string) error {
	info := d.Info()
	whole := info.Name + "\x00" + info.Numerics.String()
	key := whole + "\x00" + named
	for _, k := range []string{whole + "\x00", key} {
		if _, ok := passed.Load(k); ok {
			return nil
		}
	}
	var err error
	if info.Processor() || info.Kind == backend.Null {
		err = run(ctx, d, types)
	} else {
		_, err = Prove(ctx, d, nil, nil)
	}
	if err != nil {
		return err
	}
	passed.Store(key, true)
	return nil
}

// RunAll tests a device with every weight type it takes, and asks again what has
// passed before.
func RunAll(ctx context.Context, d backend.Device) error { return run(ctx, d, thorough) }

func run(ctx context.Context, d backend.Device, types []dtype.DType) error {
	tried := 0
	for i, t := range types {
		k := kind{weights: t, cache: dtype.F16, limits: graph.Limits{T: rows, S: 1, R: 2, P: 1}, second: i%2 == 1}
		g, err := k.network()
		if err != nil {
			return err
		}
		if !takes(d, g) {
			continue
		}
		tried++
		if err := runGraph(ctx, d, g); err != nil {
			return fmt.Errorf("weights of type %s: %w", t, err)
		}
	}
	if tried == 0 {
		return errors.New("the device takes no decoder of any weight type")
	}
	return nil
}

// takes reports whether the device supports all that g has.
func takes(d backend.Device, g *graph.Graph) bool {
	target := d.Target()
	for _, n := range g.Nodes {
		if n.Op != graph.OpInput && n.Op != graph.OpWeight && target.Supports(g, n) != nil {
			return false
		}
	}
	return true
}

// session is a network on a device and on the reference.
type session struct {
	graph *graph.Graph
	ref   *Reference
	w     backend.Weights
	e     backend.Executable
	s     backend.State
	alive func() // told of every step that is over; may be nil
}

// open brings a network onto a device.
func open(ctx context.Context, d backend.Device, g *graph.Graph, seqs int, alive func()) (_ *session, err error) {
	m := &session{graph: g, alive: alive}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.close())
		}
	}()
	specs, err := randomWeights(g, 1, spread)
	if err != nil {
		return nil, err
	}
	parts, err := pass.Compile(g, []pass.Target{d.Target()}, pass.Options{Layers: -1})
	if err != nil {
		return nil, err
	}
	lowered := parts[0].Graph
	uses := backend.WeightUses(lowered)
	for i := range specs {
		specs[i].Uses = uses[specs[i].Name]
	}
	p, err := plan.New(lowered, d.Target().Align)
	if err != nil {
		return nil, err
	}
	if m.w, err = d.Load(ctx, backend.LoadSpec{Weights: specs}); err != nil {
		return nil, err
	}
	if m.e, err = d.Compile(ctx, backend.CompileSpec{Graph: lowered, Plan: p, Weights: m.w, Progress: alive}); err != nil {
		return nil, err
	}
	if m.s, err = d.NewState(backend.StateSpec{Decls: g.States, Pages: seqs * g.Max.P, Sequences: seqs}); err != nil {
		return nil, err
	}
	m.ref, err = NewReference(g, specs)
	return m, err
}

func (m *session) close() error {
	var errs []error
	if m.s != nil {
		errs = append(errs, m.s.Close())
	}
	if m.e != nil {
		errs = append(errs, m.e.Close())
	}
	if m.w != nil {
		errs = append(errs, m.w.Close())
	}
	return errors.Join(errs...)
}

// submit runs a batch on the device.
func (m *session) submit(ctx context.Context, a *backend.Args) error {
	f, err := m.e.Submit(ctx, a)
	if err != nil {
		return err
	}
	if err := f.Wait(); err != nil {
		return err
	}
	if m.alive != nil {
		m.alive()
	}
	return nil
}

func runGraph(ctx context.Context, d backend.Device, g *graph.Graph) (err error) {
	m, err := open(ctx, d, g, 1, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.close()) }()
	return m.compare(ctx)
}

// compare runs a prompt and one more token on both.
func (m *session) compare(ctx context.Context) error {
	start := 0
	for _, n := range []int{rows, 1} {
		a := &backend.Args{
			Inputs:   []backend.Tensor{{I32: make([]int32, n)}, {I32: make([]int32, n)}, {I32: []int32{0, int32(n - 1)}}},
			Segments: []backend.Segment{{Start: start, Rows: n, Pages: []int32{0}}},
			Seqs:     1, State: m.s,
			Outputs: []backend.Output{{F32: make([]float32, 2*vocab)}},
		}
		for i := range n {
			a.Inputs[0].I32[i], a.Inputs[1].I32[i] = token(start+i), int32(start+i)
		}
		if err := m.submit(ctx, a); err != nil {
			return err
		}
		want, err := m.ref.Run(a)
		if err != nil {
			return err
		}
		if err := Compare(a.Outputs[0].F32, want[0], Tolerance); err != nil {
			return fmt.Errorf("after %d tokens: %w", start+n, err)
		}
		start += n
	}
	return nil
}

// token is the token at a position.
func token(at int) int32 { return int32(at * 37 % vocab) }

// Compare judges a result by their normalised mean square error,
// |got-want|² / |want|².
func Compare(got, want []float32, tolerance float64) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d values instead of %d", len(got), len(want))
	}
	diff, norm := 0.0, 0.0
	for i, w := range want {
		d := float64(got[i]) - float64(w)
		diff += d * d
		norm += float64(w) * float64(w)
	}
	nmse := diff / max(norm, 1e-12)
	if math.IsNaN(nmse) || nmse > tolerance {
		return fmt.Errorf("wrong result: normalised error %.3g, allowed %.3g", nmse, tolerance)
	}
	return nil
}

// RandomWeights makes weights for all of a graph's weights: small random
// values, vectors near one, encoded in each weight's type.
func RandomWeights(g *graph.Graph, seed uint64) ([]backend.WeightSpec, error) {
	return randomWeights(g, seed, func(string) float64 { return usual })
}

// usual is the spread of small random values.
const usual = 0.2

// spread is that of a weight of the self-test's networks. Attention's output is
// small, as in real models: so small that blocks have scales below the smallest
// normal float16, which devices may take for zeros. What is beside it is small
// enough to let that be seen.
func spread(name string) float64 {
	switch name {
	case "o":
		return 0.002
	case "embd":
		return 0.05
	}
	return usual
}

func randomWeights(g *graph.Graph, seed uint64, spread func(name string) float64) ([]backend.WeightSpec, error) {
	rng := rand.New(rand.NewPCG(seed, 0))
	var specs []backend.WeightSpec
	for _, n := range g.Weights() {
		sizes, err := n.Type.Shape.Sizes(g.Max.Binding())
		if err != nil {
			return nil, err
		}
		count, ok := dtype.Product(sizes)
		if !ok {
			return nil, fmt.Errorf("weight %q: shape %v is too large", n.Name, sizes)
		}
		x := make([]float32, count)
		for i := range x {
			x[i] = float32(rng.NormFloat64()) * float32(spread(n.Name))
			if len(sizes) == 1 {
				x[i]++
			}
		}
		bytes, err := dtype.ByteSize(n.Type.DType, sizes)
		if err != nil {
			return nil, err
		}
		data := make([]byte, bytes)
		if err := dtype.Quantize(n.Type.DType, data, x); err != nil {
			return nil, err
		}
		specs = append(specs, backend.WeightSpec{
			Name: n.Name, DType: n.Type.DType, Shape: sizes, Uses: backend.WeightUses(g)[n.Name],
			Open: func() ([]byte, func(), error) { return data, func() {}, nil },
		})
	}
	return specs, nil
}
