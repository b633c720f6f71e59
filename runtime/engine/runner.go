package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/pass"
	"github.com/ledge-run/ledge/graph/plan"
	"github.com/ledge-run/ledge/runtime/sched"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// variant is one way of reading the decoder out; each is compiled when it is
// first needed, over the same weights and state.
type variant int

const (
	last   variant = iota // logits of a few rows: generation
	all                   // logits of every row of a smaller batch
	hidden                // final hidden rows
	variants
)

// runner runs batches: the compiled parts of each variant, and the buffers
// between them.
type runner struct {
	m      *Model
	vocab  int
	embed  int
	states []graph.StateDecl
	first  []pass.Part // of variant last, kept from weightSpecs to compile
	exec   [variants][]*segment
}

// segment is one part on its device.
type segment struct {
	exec   backend.Executable
	part   pass.Part
	inputs []*graph.Node
	args   backend.Args
	cuts   map[string][]float32 // values that leave for a later part
}

// allRowsBytes bounds the logits that variant all holds at once.
const allRowsBytes = 64 << 20

func newRunner(m *Model) (*runner, error) {
	info := m.Network.Info()
	r := &runner{m: m, vocab: info.Vocab, embed: info.Embedding}
	parts, err := r.lower(last, nil)
	if err != nil {
		return nil, err
	}
	r.first = parts
	for _, p := range parts {
		r.states = append(r.states, p.Graph.States...)
	}
	return r, nil
}

// allRows is how many rows variant all takes at once: a power of two.
func (r *runner) allRows() int {
	n := 1
	for 2*n <= r.m.Options.Batch && 2*n <= 64 && 2*n*r.vocab*4 <= allRowsBytes {
		n *= 2
	}
	return n
}

func (r *runner) limits(v variant) graph.Limits {
	l := graph.Limits{T: r.m.Options.Batch, S: MaxStreams, R: MaxStreams, P: backend.PagesFor(r.m.Options.Context)}
	if v == all {
		l.T, l.R = r.allRows(), r.allRows()
	}
	return l
}

// lower emits a variant's graph and compiles it down to parts.
func (r *runner) lower(v variant, observe func(string, []pass.Part)) ([]pass.Part, error) {
	g, err := r.m.Network.Decoder(modelOptions(r.m.Options, r.limits(v), v == hidden))
	if err != nil {
		return nil, err
	}
	return pass.Compile(g, []pass.Target{r.m.device.Target()}, passOptions(r.m.Options, observe))
}

// weightSpecs lists the weights of the decoder, with how each is read, and the
// sum of their sizes in the file.
func (r *runner) weightSpecs(f *gguf.File) (specs []backend.WeightSpec, total int64) {
	for _, p := range r.first {
		uses := backend.WeightUses(p.Graph)
		for _, n := range p.Graph.Weights() {
			t, _ := f.Tensor(n.Name) // the model has asked for it already
			specs = append(specs, backend.WeightSpec{
				Name: n.Name, DType: t.DType, Shape: t.Shape, Uses: uses[n.Name],
				Open: func() ([]byte, func(), error) {
					return t.Data, func() { _ = t.Advise(gguf.DontNeed) }, nil // only a hint
				},
				Drop: func(from, to int) { _ = t.AdviseRange(from, to, gguf.DontNeed) },
			})
			total += int64(len(t.Data))
		}
	}
	return specs, total
}

// compile makes a variant's executables.
func (r *runner) compile(v variant) (err error) {
	parts := r.first
	if v != last {
		if parts, err = r.lower(v, nil); err != nil {
			return err
		}
	}
	var segs []*segment
	defer func() {
		if err != nil {
			for _, s := range segs {
				err = errors.Join(err, s.exec.Close())
			}
		}
	}()
	for _, p := range parts {
		pl, err := plan.New(p.Graph, p.Target.Align)
		if err != nil {
			return err
		}
		e, err := r.m.device.Compile(context.Background(), backend.CompileSpec{Graph: p.Graph, Plan: pl, Weights: r.m.weights})
		if err != nil {
			return err
		}
		segs = append(segs, newSegment(e, p))
	}
	r.exec[v] = segs
	return nil
}

func newSegment(e backend.Executable, p pass.Part) *segment {
	s := &segment{exec: e, part: p, inputs: p.Graph.Inputs(), cuts: map[string][]float32{}}
	s.args.Inputs = make([]backend.Tensor, len(s.inputs))
	s.args.Outputs = make([]backend.Output, len(p.Graph.Outputs))
	for _, o := range p.Graph.Outputs {
		if o.Node.Op == graph.OpReadout || o.Name == "hidden" {
			continue
		}
		n, _ := o.Node.Type.Shape.NumElems(p.Graph.Max.Binding())
		s.cuts[o.Name] = make([]float32, n)
	}
	return s
}

func (r *runner) close() error {
	var errs []error
	for _, segs := range r.exec {
		for _, s := range segs {
			errs = append(errs, s.exec.Close())
		}
	}
	return errors.Join(errs...)
}

// run executes a batch; the scheduler calls it.
func (r *runner) run(ctx context.Context, b *sched.Batch) error {
	v := last
	switch b.Want {
	case sched.All:
		v = all
	case sched.Hidden:
		v = hidden
	}
	if r.exec[v] == nil {
		if err := r.compile(v); err != nil {
			return err
		}
	}
	r.m.keeper.begin()
	defer r.m.keeper.end()
	r.makeRoom(b)
	r.m.state.mu.Lock()
	defer r.m.state.mu.Unlock()
	values := map[string][]float32(nil)
	for i, s := range r.exec[v] {
		if len(r.exec[v]) > 1 && i == 0 {
			values = map[string][]float32{}
		}
		if err := r.runSegment(ctx, s, b, values); err != nil {
			return err
		}
	}
	return nil
}

// makeRoom sizes the batch's result buffers.
func (r *runner) makeRoom(b *sched.Batch) {
	rows := len(b.Rows)
	switch b.Want {
	case sched.Top:
		b.Count = min(backend.TopCount, r.vocab)
		b.IDs = resize(b.IDs, rows*b.Count)
		b.Logits = resize(b.Logits, rows*b.Count)
		b.LogSumExp = resize(b.LogSumExp, rows)
	case sched.Full, sched.All:
		b.Logits = resize(b.Logits, rows*r.vocab)
	case sched.Hidden:
		b.Hidden = resize(b.Hidden, rows*r.embed)
	}
}

func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

func (r *runner) runSegment(ctx context.Context, s *segment, b *sched.Batch, values map[string][]float32) error {
	g := s.part.Graph
	for i, n := range s.inputs {
		in := &s.args.Inputs[i]
		switch n.Name {
		case "tokens":
			in.I32 = b.Tokens
		case "positions":
			in.I32 = b.Positions
		case "rows":
			in.I32 = b.Rows
		default:
			v, ok := values[n.Name]
			if !ok {
				return fmt.Errorf("engine: the graph has an input %q that nothing gives", n.Name)
			}
			in.F32 = v
		}
	}
	s.args.Segments, s.args.Seqs, s.args.State = b.Segments, len(b.Segments), r.m.state.State
	for i := range g.Outputs {
		o := &g.Outputs[i]
		out := &s.args.Outputs[i]
		*out = backend.Output{Skip: b.Want == sched.Nothing}
		switch {
		case o.Name == "hidden":
			out.F32 = b.Hidden
		case o.Node.Op == graph.OpReadout && b.Want == sched.Top:
			out.Mode, out.IDs, out.Logits, out.LogSumExp = backend.ReadTop, b.IDs, b.Logits, b.LogSumExp
		case o.Node.Op == graph.OpReadout:
			out.F32 = b.Logits
		default:
			n := 1
			for _, d := range o.Node.Type.Shape {
				switch {
				case d.IsConst():
					n *= d.N
				case d.String() == "R":
					n *= len(b.Rows)
				default:
					n *= len(b.Tokens)
				}
			}
			out.Skip, out.F32 = false, s.cuts[o.Name][:n]
			values[o.Name] = out.F32
		}
	}
	f, err := s.exec.Submit(ctx, &s.args)
	if err != nil {
		return err
	}
	return f.Wait()
}
