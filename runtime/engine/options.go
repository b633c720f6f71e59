package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/pass"
	"github.com/ledge-run/ledge/graph/plan"
	"github.com/ledge-run/ledge/runtime/model"
)

// automatic reports whether the device is left to Ledge.
func (o Options) automatic() bool { return o.Device == "" || o.Device == "auto" }

// layers is how many layers were asked for on a device that is not the CPU.
func (o Options) layers() (n int, asked bool) {
	if o.GPULayers == nil || *o.GPULayers < 0 {
		return 0, false
	}
	return *o.GPULayers, true
}

// OpenDevices opens what the options ask for: the chosen device, and after it,
// unless it is the CPU itself, the CPU, for what the first does not take. The choice
// is that of the options, perhaps without a test.
func OpenDevices(ctx context.Context, o Options, c backend.Choice) ([]backend.Device, []backend.Candidate, error) {
	first, found, err := backend.Select(ctx, c)
	if err != nil {
		return nil, found, err
	}
	devices := []backend.Device{first}
	if !first.Info().Processor() {
		// The level is one of the first device.
		cpu, err := backend.Open(ctx, string(backend.CPU), string(backend.CPU), backend.Options{Threads: o.Threads})
		switch {
		case err == nil:
			devices = append(devices, cpu)
		case !errors.Is(err, backend.ErrNoDriver):
			return nil, found, errors.Join(fmt.Errorf("the CPU beside %s: %w", first.Info().Name, err), first.Close())
		}
	} else if n, _ := o.layers(); n > 0 {
		return nil, found, errors.Join(&onlyCPU{n, first.Info().Name}, first.Close())
	}
	return devices, found, nil
}

// Devices lists what OpenDevices would find with these options, opens what it would
// choose and closes it again. The list is there with an error, too.
func Devices(ctx context.Context, o Options) ([]backend.Candidate, error) {
	devices, found, err := OpenDevices(ctx, o, o.Choice())
	return found, errors.Join(err, closeAll(devices))
}

// onlyCPU refuses layers for a GPU where there is none.
type onlyCPU struct {
	layers int
	device string
}

func (e *onlyCPU) Error() string {
	return fmt.Sprintf("%d layers were asked for on a GPU, but the model runs on %s alone: no GPU was picked; leave the number of GPU layers away or name a GPU as the device",
		e.layers, e.device)
}

// closeAll closes devices.
func closeAll(devices []backend.Device) error {
	var errs []error
	for _, d := range devices {
		errs = append(errs, d.Close())
	}
	return errors.Join(errs...)
}

// Stages are the names under which Graph shows a model's graph.
var Stages = []string{"built", "placed", "fused", "lowered", "planned"}

// StageGraph is a graph after a stage; Arena is set after "planned".
type StageGraph struct {
	Device string
	Layers int // on the device, in this graph
	Graph  *graph.Graph
	Plan   *plan.Plan

	device int // in order of preference
}

// Graph shows the decoder of a network after a stage of compilation for devices
// as OpenDevices gives them, without loading any weight.
func Graph(net model.Model, devices []backend.Device, o Options, stage string) ([]StageGraph, error) {
	o, err := resolve(o, net.Info())
	if err != nil {
		return nil, err
	}
	layers, asked := o.layers()
	if !asked {
		if layers, err = fit(net, o, devices); err != nil {
			return nil, err
		}
	}
	var out []StageGraph
	see := func(name string, parts []pass.Part) {
		if name != stage && !(stage == "planned" && name == "lowered") {
			return
		}
		out = nil
		for _, p := range parts {
			out = append(out, StageGraph{Device: p.Target.Name, Layers: layersOn([]pass.Part{p}, p.Device), Graph: p.Graph, device: p.Device})
		}
	}
	parts, err := lower(net, o, devices, last, layers, see)
	if err != nil {
		return nil, err
	}
	if stage == "planned" {
		for i, p := range parts {
			if out[i].Plan, err = plan.New(p.Graph, p.Target.Align); err != nil {
				return nil, err
			}
		}
	}
	if out == nil {
		return nil, fmt.Errorf("no stage %q; there are %v", stage, Stages)
	}
	return out, nil
}

// PlacesOf sums up what Graph gives, the preferred device first.
func PlacesOf(parts []StageGraph) []Place {
	var out []Place
	for device := 0; device < 2; device++ {
		at := -1
		for _, p := range parts {
			if p.device != device {
				continue
			}
			if at < 0 {
				at = len(out)
				out = append(out, Place{Device: p.Device})
			}
			out[at].Layers += p.Layers
		}
	}
	return out
}
