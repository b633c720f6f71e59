package null

import (
	"context"
	"errors"
	"fmt"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
)

type executable struct {
	device  *Device
	graph   *graph.Graph
	weights *weights
	inputs  []*graph.Node
	read    int64 // bytes of weights that every run reads
	arena   int64
	closed  bool
}

// done is the fence of a run that is over.
type done struct{}

func (done) Wait() error { return nil }

// Submit checks where the rows go, counts, and answers.
func (e *executable) Submit(ctx context.Context, a *backend.Args) (backend.Fence, error) {
	d := e.device
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.begin(Submit); err != nil {
		return nil, err
	}
	if e.closed || e.weights.closed {
		return nil, errors.New("null: Submit on an executable that is closed, or whose weights are")
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(a.Inputs) != len(e.inputs) || len(a.Outputs) != len(e.graph.Outputs) {
		return nil, fmt.Errorf("null: %d inputs and %d outputs, the graph has %d and %d", len(a.Inputs), len(a.Outputs), len(e.inputs), len(e.graph.Outputs))
	}
	if err := e.checkSegments(a); err != nil {
		return nil, err
	}
	e.count(a)
	for i, o := range e.graph.Outputs {
		if s := o.Node.Type.Shape; !a.Outputs[i].Skip {
			cols := 1
			if len(s) > 0 && s[len(s)-1].IsConst() {
				cols = s[len(s)-1].N
			}
			zeros(&a.Outputs[i], cols)
		}
	}
	if d.options.Answer != nil {
		d.options.Answer(a)
	}
	return done{}, nil
}

// checkSegments asks that every row has a cell of its own in the cache.
func (e *executable) checkSegments(a *backend.Args) error {
	if len(e.graph.States) == 0 {
		return nil
	}
	s, ok := a.State.(*state)
	if !ok || s.device != e.device || s.closed {
		return errors.New("null: the run's state is missing, closed, or another device's")
	}
	rows, max := 0, e.graph.Max
	written := map[int]int{} // cell -> segment
	for i, seg := range a.Segments {
		if seg.Rows < 0 || seg.Start < 0 || seg.Start > len(seg.Pages)*backend.PageTokens-seg.Rows {
			return fmt.Errorf("null: segment %d: %d rows from %d do not fit its %d pages", i, seg.Rows, seg.Start, len(seg.Pages))
		}
		if seg.Seq < 0 || seg.Seq >= a.Seqs {
			return fmt.Errorf("null: segment %d: sequence %d of a batch of %d", i, seg.Seq, a.Seqs)
		}
		for _, p := range seg.Pages {
			if p < 0 || int(p) >= s.pages {
				return fmt.Errorf("null: segment %d: page %d of %d", i, p, s.pages)
			}
		}
		for r := range seg.Rows {
			at := seg.Start + r
			cell := int(seg.Pages[at/backend.PageTokens])*backend.PageTokens + at%backend.PageTokens
			if other, ok := written[cell]; ok {
				return fmt.Errorf("null: segments %d and %d both write slot %d of page %d", other, i, cell%backend.PageTokens, cell/backend.PageTokens)
			}
			written[cell] = i
		}
		if len(seg.Pages) > max.P {
			return fmt.Errorf("null: segment %d has %d pages, compiled for at most %d", i, len(seg.Pages), max.P)
		}
		rows += seg.Rows
	}
	if rows > max.T || a.Seqs > max.S {
		return fmt.Errorf("null: %d rows of %d sequences, compiled for at most %d of %d", rows, a.Seqs, max.T, max.S)
	}
	return nil
}

// count adds up the run's traffic: weights once, rows looked up, keys and values
// written, and those that each row's attention sees.
func (e *executable) count(a *backend.Args) {
	st := &e.device.stats
	st.WeightReads += e.read
	rows := int64(0)
	for _, seg := range a.Segments {
		rows += int64(seg.Rows)
	}
	st.Rows += rows
	for _, n := range e.graph.Nodes {
		switch n.Op {
		case graph.OpEmbed:
			if size, err := n.In[0].Type.DType.RowBytes(n.In[0].Type.Shape[1].N); err == nil {
				st.WeightReads += rows * int64(size)
			}
		case graph.OpCacheWrite, graph.OpRopeCache:
			s, _ := e.graph.State(n.State())
			st.CacheWrites += rows * int64(s.TokenBytes())
		case graph.OpAttention:
			s, _ := e.graph.State(n.State())
			at := n.Attr.(graph.AttentionAttr)
			for _, seg := range a.Segments {
				for i := range seg.Rows {
					sees := seg.Start + i + 1
					if at.Mask == graph.Bidirectional {
						sees = seg.Start + seg.Rows
					}
					if at.Window > 0 {
						sees = min(sees, at.Window)
					}
					st.CacheReads += int64(sees) * int64(s.TokenBytes())
				}
			}
		}
	}
}

func (e *executable) Close() error {
	d := e.device
	d.mu.Lock()
	defer d.mu.Unlock()
	if e.closed {
		return nil
	}
	e.closed = true
	e.weights.users--
	d.stats.Executables--
	d.stats.ArenaBytes -= e.arena
	return nil
}
