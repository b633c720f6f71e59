package accel

import (
	"errors"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/kernels/shader"
)

// mostDispatches is how many calls for many rows are recorded together: devices
// that stop what runs too long see shorter submissions.
const mostDispatches = 32

// bodyFor gives the recordings of the graph's calls on a state, made when it is
// first run. The device is held.
func (l *list) bodyFor(s *state) ([]Recording, error) {
	if rs, ok := l.recorded[s]; ok {
		return rs, nil
	}
	step := len(l.body)
	if l.many {
		step = mostDispatches
	}
	var rs []Recording
	for from := 0; from < len(l.body); from += step {
		r, err := l.record(l.body[from:min(len(l.body), from+step)], s, nil)
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
	for i, c := range calls {
		list[i] = Dispatch{Label: c.label, Program: c.program, Params: c.Params, Grid: l.grids, GridAt: 4 * c.grid, Free: c.Free && i > 0}
		for b, role := range c.Buffers {
			list[i].Buffers[b] = l.buffer(c, role, s, out)
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
