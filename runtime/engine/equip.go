package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ledge-run/ledge/backend"
)

// pages is how many the cache has.
func (m *Model) pages() int { return m.Options.Sequences * backend.PagesFor(m.Options.Context) }

// equip loads the model onto devices as OpenDevices gives them, which belong to
// the model from then on. Where the estimate of memory was too good, it tries
// again with fewer layers on the first.
func (m *Model) equip(ctx context.Context, devices []backend.Device) error {
	m.devices = devices
	if len(devices) == 1 {
		return m.assemble(ctx, devices, m.Network.Info().Layers)
	}
	layers, asked := m.Options.layers()
	if !asked {
		var err error
		if layers, err = fit(m.Network, m.Options, devices); err != nil {
			return err
		}
		if most := m.Network.Info().Layers; layers > 0 && layers < most {
			if short := shortage(m.Network, m.Options, devices); short != "" {
				m.notef("%s has %d of %d layers, the CPU the others: %s", devices[0].Info().Name, layers, most, short)
			}
		}
	}
	name, tried, short := devices[0].Info().Name, 0, error(nil)
	for {
		n, err := m.onFirst(layers)
		if err != nil {
			return err
		}
		if n == 0 { // nothing left for the first device
			switch {
			case asked && layers == 0:
				err = errors.New("no layer was to run on it")
			case tried == 0:
				err = refused(m.Network, m.Options, devices)
			default:
				err = short // with a single layer
			}
			return m.withoutFirst(ctx, err, asked)
		}
		err = m.assemble(ctx, devices, layers)
		var full *backend.ErrOutOfMemory
		var f *fault
		switch {
		case err == nil:
			if tried > 0 {
				m.notef("%s ran out of memory with %d layers, so it has %d", name, tried, n)
			}
			return nil
		case ctx.Err() != nil || !errors.As(err, &f):
			return err
		case errors.As(err, &full) && !asked:
			if tried == 0 {
				tried = n
			}
			short, layers = f.err, n-max(1, n/8)
		case errors.As(err, &full) || !m.Options.automatic():
			return err
		default:
			return m.withoutFirst(ctx, f.err, asked)
		}
	}
}

// onFirst is how many layers the first device gets of those it is to have.
func (m *Model) onFirst(layers int) (int, error) {
	parts, err := lower(m.Network, m.Options, m.devices, last, layers, nil)
	return layersOn(parts, 0), err
}

// withoutFirst closes the first device and loads the model onto the CPU alone. A
// device that was named is not given up like that, unless the number of its layers
// was, too.
func (m *Model) withoutFirst(ctx context.Context, reason error, asked bool) error {
	name := m.devices[0].Info().Name
	if n, _ := m.Options.layers(); !m.Options.automatic() && !(asked && n == 0) {
		if short := shortage(m.Network, m.Options, m.devices); short != "" {
			return fmt.Errorf("%s cannot run a layer of this model: %w; %s", name, reason, short)
		}
		return fmt.Errorf("%s cannot run a layer of this model: %w; use a smaller context, a smaller model or another device", name, reason)
	}
	m.notef("%s is not used: %v", name, reason)
	_ = m.devices[0].Close() // it is not needed any more, whatever it says
	m.devices = m.devices[1:]
	return m.assemble(ctx, m.devices, m.Network.Info().Layers)
}

// assemble makes a rig and takes it into use.
func (m *Model) assemble(ctx context.Context, devices []backend.Device, layers int) error {
	r, err := m.newRig(devices, layers)
	if err != nil {
		return err
	}
	if err := m.beginPace(r); err != nil {
		return err
	}
	if err := m.proveCPU(ctx, r); err != nil {
		return err
	}
	pack := packModel(m.Options.PackCache, m.File, m.Options.adapters, m.Options.Share)
	var keep backend.Pack
	if pack != nil { // else it would be an interface that is not nil
		keep = pack
	}
	_ = m.File.DropHeaders() // only a hint
	err = r.load(ctx, keep, m.progress)
	if err == nil {
		err = m.keep(ctx, r.weights, pack)
	}
	if err != nil {
		return errors.Join(err, r.closeExecutables(), r.states.Close(), r.closeWeights())
	}
	m.state.set(&r.states)
	m.mu.Lock()
	m.rig, m.lost = r, nil
	m.mu.Unlock()
	return nil
}

// proveCPU runs the CPU's self-test when it first runs something without having
// been chosen: the chosen device has passed its own.
func (m *Model) proveCPU(ctx context.Context, r *rig) error {
	end := len(r.devices) - 1
	if m.proven || !m.second || !runs(r.parts, end) {
		return nil
	}
	if err := m.Options.test(ctx, r.devices[end]); err != nil {
		return fmt.Errorf("%s: self-test failed: %w", r.devices[end].Info().Name, err)
	}
	m.proven = true
	return nil
}

// recover continues on the CPU after a device has failed that was picked
// automatically: what the cache held is lost, the streams read it again. The
// scheduler calls it, between runs.
func (m *Model) recover(ctx context.Context, err error) error {
	var f *fault
	if !errors.As(err, &f) {
		return err
	}
	if !m.Options.automatic() {
		return fmt.Errorf("%w (%s was asked for by name: one that is picked automatically hands over to the CPU)", err, f.device)
	}
	if !m.second {
		return err
	}
	if m.lostTo() == nil {
		m.retire(f)
	}
	if e := m.assemble(ctx, m.devices, m.Network.Info().Layers); e != nil {
		if ctx.Err() != nil {
			return e // the next run tries again
		}
		return fmt.Errorf("%w; going on on the CPU failed, too: %w", err, e)
	}
	m.notef("%s failed (%v): the CPU goes on from there", f.device, f.err)
	return nil
}

// retire takes a device that failed out of use, with all that is on any. Its
// errors are of no interest any more.
func (m *Model) retire(f *fault) {
	m.mu.Lock()
	r := m.rig
	m.lost = f
	m.mu.Unlock()
	m.keeper.abandon()
	m.keeper = nil
	_ = r.closeExecutables()
	_ = m.state.drop(f)
	m.cache.Lose() // before there are other pages of the same numbers
	_ = r.closeWeights()
	_ = m.devices[0].Close()
	m.devices = m.devices[1:]
}

// lostTo is the fault after which there is nothing to run on yet.
func (m *Model) lostTo() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lost == nil {
		return nil
	}
	return m.lost
}

// notef remembers what the user should know.
func (m *Model) notef(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.notes = append(m.notes, fmt.Sprintf(format, args...))
}

// Notes gives what the user should know of how the model runs and has not been
// told yet: a device that was given up, fewer layers on it than thought.
func (m *Model) Notes() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.notes
	m.notes = nil
	return n
}

// current is the rig in use.
func (m *Model) current() *rig {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rig
}

// Device describes the device in use; of several the one that was chosen. Its
// note says what runs on the other.
func (m *Model) Device() backend.Info { return m.current().info }

// Places says how many layers each device in use has, the chosen one first.
func (m *Model) Places() []Place { return slices.Clone(m.current().places) }

// Origin says where the weights came from: the file, or an earlier start.
func (m *Model) Origin() backend.Origin { return m.current().origin }

// Counters gives what runs on the chosen device have cost so far; ok is false if
// it does not count. It waits for a run in progress.
func (m *Model) Counters() (c backend.Counters, ok bool) {
	r := m.current()
	m.state.mu.Lock()
	defer m.state.mu.Unlock()
	return r.counters(0)
}
