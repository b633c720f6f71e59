package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/pass"
	"github.com/ledge-run/ledge/runtime/sched"
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

// allRowsBytes bounds the logits that variant all holds at once.
const allRowsBytes = 64 << 20

// segment is one part on its device.
type segment struct {
	exec   backend.Executable
	part   pass.Part
	arena  int // bytes between operations
	inputs []*graph.Node
	args   backend.Args
	cuts   map[string][]float32 // values that leave for a later part
}

// runner runs batches: one segment after the other, with the buffers between
// them.
type runner struct {
	m      *Model
	vocab  int
	embed  int
	values map[string][]float32 // that left earlier segments of the run
}

func newRunner(m *Model) *runner {
	info := m.Network.Info()
	return &runner{m: m, vocab: info.Vocab, embed: info.Embedding, values: map[string][]float32{}}
}

// runNow executes a batch on a rig, with at most so many threads of the processor if that
// is not 0.
func (r *runner) runNow(ctx context.Context, rig *rig, b *sched.Batch, threads int) error {
	v := last
	switch b.Want {
	case sched.All:
		v = all
	case sched.Hidden:
		v = hidden
	}
	r.m.state.mu.Lock()
	defer r.m.state.mu.Unlock()
	if rig.exec[v] == nil {
		if err := rig.compile(context.Background(), v); err != nil {
			return err
		}
	}
	r.m.keeper.begin()
	defer r.m.keeper.end()
	r.makeRoom(b)
	clear(r.values)
	for _, s := range rig.exec[v] {
		s.args.Threads = threads
		err := r.runSegment(ctx, rig, s, b)
		if err != nil && ctx.Err() == nil {
			err = rig.blame(s.part.Device, err)
		}
		if err != nil {
			return err
		}
		if r.m.Options.Tap != nil {
			r.m.showTap(s, r.values)
		}
	}
	if !rig.info.Processor() && !r.numbers(b) {
		return rig.blame(0, errNoNumber)
	}
	return nil
}

// errNoNumber is the one wrong result that is found in a run: it is taken for the
// device's fault, for the CPU will find out if it is the model's.
var errNoNumber = errors.New("it computed no number (NaN), which is the driver's fault, or the file is damaged")

// numbers tells whether each row that was read has a number at all.
func (r *runner) numbers(b *sched.Batch) bool {
	values, width := b.Logits, r.vocab
	switch b.Want {
	case sched.Nothing:
		return true
	case sched.Best, sched.Top:
		for at := 0; at < len(b.IDs); at += b.Count {
			if b.IDs[at] < 0 {
				return false
			}
		}
		return true
	case sched.Hidden:
		values, width = b.Hidden, r.embed
	}
	for ; len(values) >= width && width > 0; values = values[width:] {
		if !slices.ContainsFunc(values[:width], func(x float32) bool { return x == x }) {
			return false
		}
	}
	return true
}

// makeRoom sizes the batch's result buffers.
func (r *runner) makeRoom(b *sched.Batch) {
	rows := len(b.Rows)
	switch b.Want {
	case sched.Best:
		b.Count = 1
		b.IDs, b.Logits = resize(b.IDs, rows), resize(b.Logits, rows)
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

func (r *runner) runSegment(ctx context.Context, rig *rig, s *segment, b *sched.Batch) error {
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
			v, ok := r.values[n.Name]
			if !ok {
				return fmt.Errorf("engine: the graph has an input %q that nothing gives", n.Name)
			}
			in.F32 = v
		}
	}
	s.args.Segments, s.args.Seqs, s.args.State = b.Segments, len(b.Segments), rig.states.of[s.part.Device]
	for i := range g.Outputs {
		o := &g.Outputs[i]
		out := &s.args.Outputs[i]
		*out = backend.Output{Skip: b.Want == sched.Nothing}
		switch {
		case o.Name == "hidden":
			out.F32 = b.Hidden
		case o.Node.Op == graph.OpReadout && b.Want == sched.Best:
			out.Mode, out.IDs, out.Logits = backend.ReadArgMax, b.IDs, b.Logits
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
			r.values[o.Name] = out.F32
		}
	}
	f, err := s.exec.Submit(ctx, &s.args)
	if err != nil {
		return err
	}
	return f.Wait()
}
