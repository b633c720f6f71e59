package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/pass"
	"github.com/ledge-run/ledge/graph/plan"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// rig is what a model runs on: devices in order of preference, and by device the
// weights and states that its parts need; nil where it has no part.
type rig struct {
	m       *Model
	devices []backend.Device
	layers  int         // asked for on the first device
	parts   []pass.Part // of variant last
	weights []backend.Weights
	states  states
	exec    [variants][]*segment

	numerics []string // of the devices
	origin   backend.Origin
	info     backend.Info // of the first device, with what is to be said about the others
	places   []Place
	threads  int // of the processor, that a run takes; 0: it computes nothing
}

// newRig places a model, without loading it.
func (m *Model) newRig(devices []backend.Device, layers int) (*rig, error) {
	r := &rig{m: m, devices: devices, layers: layers, weights: make([]backend.Weights, len(devices))}
	r.states.of = make([]backend.State, len(devices))
	for i, d := range devices {
		r.numerics = append(r.numerics, d.Info().Numerics.String())
		r.states.wrap = append(r.states.wrap, func(err error) error { return r.blame(i, err) })
	}
	var err error
	if r.parts, err = lower(m.Network, m.Options, devices, last, layers, nil); err != nil {
		return nil, err
	}
	r.info, r.places = devices[0].Info(), places(r.parts, devices)
	for i, d := range devices {
		if t, ok := d.(backend.Threaded); ok && runs(r.parts, i) {
			r.threads = max(r.threads, t.Threads())
		}
	}
	if len(r.places) > 1 {
		r.info.Note = strings.TrimPrefix(r.info.Note+"; "+DescribePlaces(r.places), "; ")
	}
	return r, nil
}

// DescribePlaces says how many layers run where; ps has two devices.
func DescribePlaces(ps []Place) string {
	total := 0
	for _, p := range ps {
		total += p.Layers
	}
	if ps[0].Layers == total {
		return fmt.Sprintf("all %d layers run on %s, what it does not support on %s", total, ps[0].Device, ps[1].Device)
	}
	return fmt.Sprintf("%d of %d layers run on %s, %d on %s", ps[0].Layers, total, ps[0].Device, ps[1].Layers, ps[1].Device)
}

// fault is the error of a device other than the CPU.
type fault struct {
	device string
	err    error
}

func (f *fault) Error() string { return f.device + ": " + f.err.Error() }
func (f *fault) Unwrap() error { return f.err }

// Is has backend.ErrDevice stand for all faults.
func (f *fault) Is(target error) bool { return target == backend.ErrDevice }

// blame names the device whose error it is, unless it is the CPU, of which
// everybody has only one.
func (r *rig) blame(device int, err error) error {
	info := r.devices[device].Info()
	if err == nil || info.Processor() {
		return err
	}
	return &fault{info.Name, err}
}

// load brings weights and caches onto the devices and compiles what every
// generation needs.
func (r *rig) load(ctx context.Context, pack backend.Pack, progress func(done, total int64)) error {
	m := r.m
	total, before := int64(0), int64(0)
	specs := make([][]backend.WeightSpec, len(r.devices))
	for i := range r.devices {
		specs[i] = r.weightSpecs(i)
		total += fileBytes(specs[i])
	}
	for i, d := range r.devices {
		if !runs(r.parts, i) {
			continue
		}
		report := func(done int64) {
			if progress != nil {
				progress(before+done, total)
			}
		}
		w, err := d.Load(ctx, backend.LoadSpec{Weights: specs[i], Progress: report, Pack: pack})
		if err != nil {
			return r.blame(i, err)
		}
		r.weights[i] = w
		before += fileBytes(specs[i])
	}
	r.origin = originOf(r.weights)
	for i, d := range r.devices {
		if !runs(r.parts, i) {
			continue
		}
		st, err := d.NewState(statesOn(r.parts, i, m.Options))
		if err != nil {
			return r.blame(i, err)
		}
		r.states.of[i] = st
	}
	return r.compile(ctx, last)
}

// weightSpecs lists the weights of a device, with how each is read.
func (r *rig) weightSpecs(device int) []backend.WeightSpec {
	specs := weightsOn(r.parts, device)
	for i := range specs {
		t := r.m.tensor(specs[i].Name)
		specs[i].Open = func() ([]byte, func(), error) {
			return t.Data, func() { _ = t.Advise(gguf.DontNeed) }, nil // only a hint
		}
		specs[i].Drop = func(from, to int) { _ = t.AdviseRange(from, to, gguf.DontNeed) }
	}
	return specs
}

func fileBytes(specs []backend.WeightSpec) (n int64) {
	for _, s := range specs {
		size, _ := byteSize(s) // the file was checked when it was opened
		n += int64(size)
	}
	return n
}

// compile makes a variant's executables.
func (r *rig) compile(ctx context.Context, v variant) (err error) {
	parts := r.parts
	if v != last {
		if parts, err = lower(r.m.Network, r.m.Options, r.devices, v, r.layers, nil); err != nil {
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
		e, err := r.devices[p.Device].Compile(ctx, backend.CompileSpec{Graph: p.Graph, Plan: pl, Weights: r.weights[p.Device]})
		if err != nil {
			return r.blame(p.Device, err)
		}
		segs = append(segs, newSegment(e, p, pl.Arena))
	}
	r.exec[v] = segs
	return nil
}

func newSegment(e backend.Executable, p pass.Part, arena int) *segment {
	s := &segment{exec: e, part: p, arena: arena, inputs: p.Graph.Inputs(), cuts: map[string][]float32{}}
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

// closeExecutables and closeWeights are for the end, in this order; the states
// are closed in between, by the page store if that has them already. Both lock the
// store: Counters and Memory may be looking on.
func (r *rig) closeExecutables() error {
	r.m.state.mu.Lock()
	defer r.m.state.mu.Unlock()
	var errs []error
	for v, segs := range r.exec {
		for _, s := range segs {
			errs = append(errs, s.exec.Close())
		}
		r.exec[v] = nil
	}
	return errors.Join(errs...)
}

func (r *rig) closeWeights() error {
	r.m.state.mu.Lock()
	defer r.m.state.mu.Unlock()
	var errs []error
	for i, w := range r.weights {
		if w != nil {
			errs = append(errs, w.Close())
		}
		r.weights[i] = nil
	}
	return errors.Join(errs...)
}

// originOf says where weights came from; of several devices the farthest.
func originOf(ws []backend.Weights) backend.Origin {
	first := backend.Origin("")
	for _, w := range ws {
		k, ok := w.(backend.Keeper)
		switch {
		case w == nil:
		case !ok || k.Origin() == backend.Packed:
			return backend.Packed
		case first == "":
			first = k.Origin()
		}
	}
	return first
}

// counters sums up what the executables on a device have counted; ok says that
// they all count.
func (r *rig) counters(device int) (sum backend.Counters, ok bool) {
	for _, segs := range r.exec {
		for _, s := range segs {
			if s.part.Device != device {
				continue
			}
			c, counts := s.exec.(backend.Counted)
			if !counts {
				return sum, false
			}
			sum, ok = sum.Add(c.Counters()), true
		}
	}
	return sum, ok
}
