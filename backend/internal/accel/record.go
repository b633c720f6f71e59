package accel

import (
	"errors"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/kernels/shader"
)

// Calls for many rows are recorded in pieces, each of which is a submission:
// kernels of systems stop one that takes longer than some seconds, or less (AMD's
// integrated GPUs, Adreno), and the device is lost. A piece has at most so many
// calls and so much work, which is a third of a second at 200 Gflop/s.
const (
	mostDispatches = 32
	mostWork       = 16 << 30 // bytes of weights times rows, and bytes of cache
)

// work is what a call does in the largest run, as mostWork counts it.
func (l *list) work(c *call) int64 {
	if c.Streamed == nil {
		return 0
	}
	longest := l.max.P * backend.PageTokens
	n := c.Streamed(shader.Sizes{T: l.max.T, R: l.max.R, S: l.max.S, P: l.max.P, Longest: longest, Cached: l.max.T * longest, Segments: 1})
	if c.Buffers[0] == shader.Weights {
		n *= int64(l.max.T)
	}
	return n
}

// inPieces cuts calls into what is recorded together.
func (l *list) inPieces(calls []call) (all [][]call) {
	from, work := 0, int64(0)
	for i := range calls {
		w := l.work(&calls[i])
		if l.many && i > from && (i-from == mostDispatches || work+w > mostWork) {
			all = append(all, calls[from:i])
			from, work = i, 0
		}
		work += w
	}
	if from < len(calls) {
		all = append(all, calls[from:])
	}
	return all
}

// bodyFor gives the recordings of the graph's calls on a state, made when it is
// first run. The device is held.
func (l *list) bodyFor(s *state) ([]Recording, error) {
	if rs, ok := l.recorded[s]; ok {
		return rs, nil
	}
	var rs []Recording
	for _, calls := range l.inPieces(l.body) {
		r, err := l.record(calls, s, nil)
		if err != nil {
			for _, r := range rs {
				err = errors.Join(err, r.Close())
			}
			return nil, err
		}
		rs = append(rs, r)
	}
	l.recorded[s] = rs
	if s != nil {
		s.users[l.executable], l.states[s] = true, true
	}
	return rs, nil
}

// tailFor gives the recording that reads an output back in a mode. The device is
// held.
func (l *list) tailFor(i int, mode backend.ReadMode) (Recording, error) {
	if l.tail[i][mode] == nil {
		r, err := l.record(l.tails[i][mode], nil, l.outs[i][mode].buffer)
		if err != nil {
			return nil, err
		}
		l.tail[i][mode] = r
	}
	return l.tail[i][mode], nil
}

func (l *list) record(calls []call, s *state, out Buffer) (Recording, error) {
	list := make([]Dispatch, len(calls))
	for i := range calls {
		c := &calls[i]
		list[i] = Dispatch{Label: c.label, Program: c.program, Params: c.Params, Grid: l.grids, GridAt: 4 * c.grid, Free: c.Free && i > 0, Traffic: &c.moved}
		for b, role := range c.Buffers {
			list[i].Buffers[b] = l.buffer(*c, role, s, out)
		}
	}
	return l.device.api.Record(list)
}

// buffer is what plays a role in a call; nil for none.
func (l *list) buffer(c call, role shader.Role, s *state, out Buffer) Buffer {
	switch role {
	case shader.Weights:
		return l.weights.banks[c.Bank]
	case shader.Vectors:
		if l.weights.vectors == nil {
			return l.arena // the kernel has the buffer, but this call reads nothing there
		}
		return l.weights.vectors
	case shader.Arena:
		return l.arena
	case shader.Run:
		return l.args
	case shader.Keys:
		return s.layerOf(l.Graph.States[c.Layer].Name).keys
	case shader.Values:
		return s.layerOf(l.Graph.States[c.Layer].Name).values
	case shader.Out:
		return out
	}
	return nil
}

// forget closes what was recorded with a state.
func (e *executable) forget(s *state) error {
	errs := []error{e.drain()}
	for _, l := range []*list{e.few, e.many} {
		for _, r := range l.recorded[s] {
			errs = append(errs, e.device.release(r))
		}
		delete(l.recorded, s)
	}
	delete(e.states, s)
	return errors.Join(errs...)
}
