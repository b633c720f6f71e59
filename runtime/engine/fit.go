package engine

import (
	"errors"
	"fmt"
	"sort"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/graph/pass"
	"github.com/ledge-run/ledge/runtime/model"
)

func byteSize(w backend.WeightSpec) (int, error) { return dtype.ByteSize(w.DType, w.Shape) }

// budget is what weights, caches and the arena may take on a device; 0 if that
// is unknown.
func budget(d backend.Device) uint64 {
	if n := d.Target().Memory; n > 0 {
		return n
	}
	return d.Info().Memory.Free
}

// fit finds how many layers the first of several devices takes: as many as it
// supports and its memory holds. A model that fits is on it as a whole.
func fit(net model.Model, o Options, devices []backend.Device) (int, error) {
	most := net.Info().Layers
	limit := budget(devices[0])
	if limit == 0 || len(devices) == 1 {
		return most, nil
	}
	var failed error
	tooMuch := func(layers int) bool {
		parts, err := lower(net, o, devices, last, layers, nil)
		if err == nil {
			var n uint64
			if n, err = need(parts, 0, devices[0], o); err == nil {
				return n > limit
			}
		}
		failed = err
		return true
	}
	if !tooMuch(most) {
		return most, nil
	}
	n := sort.Search(most, func(i int) bool { return tooMuch(i + 1) })
	return n, failed
}

// refused says why the first device takes not even one layer.
func refused(net model.Model, o Options, devices []backend.Device) error {
	parts, err := lower(net, o, devices, last, 1, nil)
	if err != nil {
		return err
	}
	if layersOn(parts, 0) > 0 {
		n, err := need(parts, 0, devices[0], o)
		if err != nil {
			return err
		}
		return &backend.ErrOutOfMemory{What: "one layer with the cache and what is between", Need: n, Have: budget(devices[0])}
	}
	g, err := net.Decoder(modelOptions(o, limits(net, o, last), false))
	if err != nil {
		return err
	}
	t := devices[0].Target()
	for _, n := range g.Nodes {
		if n.Op == graph.OpInput || n.Op == graph.OpWeight || n.Layer != 0 {
			continue
		}
		if err := t.Supports(g, n); err != nil {
			return fmt.Errorf("%s is not supported: %w", n, err)
		}
	}
	return errors.New("it takes no layer")
}

// Place is what a model has on a device.
type Place struct {
	Device string `json:"device"`
	Layers int    `json:"layers"`
}

func places(parts []pass.Part, devices []backend.Device) []Place {
	var out []Place
	for i, d := range devices {
		if runs(parts, i) {
			out = append(out, Place{Device: d.Info().Name, Layers: layersOn(parts, i)})
		}
	}
	return out
}
