//go:build gles && cgo && !static && linux

package gles

import (
	"errors"
	"fmt"
	"slices"

	"github.com/ledge-run/ledge/backend/internal/accel"
)

// maxParams is the length of the prelude's uniform array.
const maxParams = 32

// recording is a list of dispatches with everything looked up. OpenGL ES cannot
// record: each submission makes the calls again.
type recording struct {
	a       *api
	steps   []step
	uploads []*buffer // whose shadows the steps read, each once
	reads   bool      // the steps write what is read back
}

// step is one dispatch.
type step struct {
	label   string
	program *program
	buffers [4]*buffer
	params  []uint32
	grid    *buffer
	gridAt  int
	free    bool
}

func (a *api) Record(list []accel.Dispatch) (accel.Recording, error) {
	r := &recording{a: a, steps: make([]step, len(list))}
	for i, d := range list {
		s, err := a.step(d)
		if err != nil {
			return nil, fmt.Errorf("gles: recording %s: %w", d.Label, err)
		}
		r.steps[i] = s
		for _, b := range s.buffers {
			r.reads = r.reads || b.use == accel.Download
			if b.use == accel.Upload && !slices.Contains(r.uploads, b) {
				r.uploads = append(r.uploads, b)
			}
		}
	}
	return r, nil
}

func (a *api) step(d accel.Dispatch) (step, error) {
	s := step{label: d.Label, params: slices.Clone(d.Params), gridAt: d.GridAt, free: d.Free}
	var ok bool
	if s.program, ok = d.Program.(*program); !ok || s.program == nil {
		return s, errors.New("no program of this device")
	}
	if len(s.params) > maxParams {
		return s, fmt.Errorf("%d parameters, want at most %d", len(s.params), maxParams)
	}
	for i, b := range d.Buffers {
		if b == nil {
			s.buffers[i] = a.zero
		} else if s.buffers[i], ok = b.(*buffer); !ok || s.buffers[i].a != a || s.buffers[i].name == 0 {
			return s, fmt.Errorf("buffer %d is not an open one of this device", i)
		}
	}
	if s.grid, ok = d.Grid.(*buffer); !ok || s.grid.a != a || s.grid.use != accel.Upload {
		return s, errors.New("the grid is not in an upload buffer of this device")
	}
	if d.GridAt%4 != 0 {
		return s, fmt.Errorf("the grid is at byte %d, want a multiple of 4", d.GridAt)
	}
	return s, s.grid.inside("the grid's reading", d.GridAt, 12)
}

func (r *recording) Close() error {
	r.steps, r.uploads = nil, nil
	return nil
}
