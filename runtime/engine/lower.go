package engine

import (
	"fmt"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/pass"
	"github.com/ledge-run/ledge/graph/plan"
	"github.com/ledge-run/ledge/runtime/model"
)

func modelOptions(o Options, l graph.Limits, hidden bool) model.Options {
	return model.Options{Max: l, Cache: o.CacheType, Context: o.Context, Hidden: hidden, Adapters: adapterOf(o.adapters)}
}

// limits of a variant's graph.
func limits(net model.Model, o Options, v variant) graph.Limits {
	l := graph.Limits{T: o.Batch, S: MaxStreams, R: MaxStreams, P: backend.PagesFor(o.Context)}
	if v == all {
		n := allRows(net, o)
		l.T, l.R = n, n
	}
	return l
}

// allRows is how many rows variant all takes at once: a power of two.
func allRows(net model.Model, o Options) int {
	n := 1
	for 2*n <= o.Batch && 2*n <= 64 && 2*n*net.Info().Vocab*4 <= allRowsBytes {
		n *= 2
	}
	return n
}

// lower emits a variant's graph and compiles it down to parts, with so many
// layers on the first device, or as many as it supports.
func lower(net model.Model, o Options, devices []backend.Device, v variant, layers int, observe func(string, []pass.Part)) ([]pass.Part, error) {
	g, err := net.Decoder(modelOptions(o, limits(net, o, v), v == hidden))
	if err != nil {
		return nil, err
	}
	if o.Tap != nil {
		addTaps(g)
	}
	targets := make([]pass.Target, len(devices))
	for i, d := range devices {
		targets[i] = d.Target()
	}
	return pass.Compile(g, targets, pass.Options{NoFuse: o.NoFuse, CachedTokens: o.Sequences * o.Context, Layers: layers, Observe: observe})
}

// layersOn counts the layers that a device has among parts.
func layersOn(parts []pass.Part, device int) int {
	layers := map[int]bool{}
	for _, p := range parts {
		if p.Device != device {
			continue
		}
		for _, n := range p.Graph.Nodes {
			if n.Op != graph.OpInput && n.Op != graph.OpWeight && n.Layer >= 0 {
				layers[n.Layer] = true
			}
		}
	}
	return len(layers)
}

// runs reports whether a device has any of the parts.
func runs(parts []pass.Part, device int) bool {
	for _, p := range parts {
		if p.Device == device {
			return true
		}
	}
	return false
}

// need is the memory that a device's parts take: weights as it packs them, caches,
// and the values between its operations.
func need(parts []pass.Part, device int, d backend.Device, o Options) (uint64, error) {
	sum := uint64(0)
	for _, p := range parts {
		if p.Device != device {
			continue
		}
		pl, err := plan.New(p.Graph, p.Target.Align)
		if err != nil {
			return 0, err
		}
		sum += uint64(pl.Arena)
	}
	n, err := stateBytes(d, statesOn(parts, device, o))
	if err != nil {
		return 0, err
	}
	sum += n
	sizer, _ := d.(backend.Sizer)
	for _, w := range weightsOn(parts, device) {
		if n, err = weightBytes(sizer, w); err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// weightsOn lists the weights that a device's parts read, each once, with all
// that is done with it; without Open.
func weightsOn(parts []pass.Part, device int) []backend.WeightSpec {
	var specs []backend.WeightSpec
	at := map[string]int{}
	for _, p := range parts {
		if p.Device != device {
			continue
		}
		uses := backend.WeightUses(p.Graph)
		for _, n := range p.Graph.Weights() {
			if i, ok := at[n.Name]; ok {
				specs[i].Uses |= uses[n.Name]
				continue
			}
			at[n.Name] = len(specs)
			shape := make([]int, len(n.Type.Shape))
			for i, d := range n.Type.Shape {
				shape[i] = d.N
			}
			specs = append(specs, backend.WeightSpec{Name: n.Name, DType: n.Type.DType, Shape: shape, Uses: uses[n.Name]})
		}
	}
	return specs
}

func weightBytes(sizer backend.Sizer, w backend.WeightSpec) (uint64, error) {
	if sizer != nil {
		n, err := sizer.WeightBytes(w)
		if err == nil && n < 0 {
			err = fmt.Errorf("weight %q is said to take %d bytes", w.Name, n)
		}
		return uint64(max(n, 0)), err
	}
	n, err := byteSize(w)
	return uint64(n), err
}

// statesOn is what a device's parts ask for.
func statesOn(parts []pass.Part, device int, o Options) backend.StateSpec {
	spec := backend.StateSpec{Pages: o.Sequences * backend.PagesFor(o.Context), Sequences: o.Sequences}
	for _, p := range parts {
		if p.Device == device {
			spec.Decls = append(spec.Decls, p.Graph.States...)
		}
	}
	return spec
}

func stateBytes(d backend.Device, spec backend.StateSpec) (uint64, error) {
	if sizer, ok := d.(backend.StateSizer); ok {
		n, err := sizer.StateBytes(spec)
		return uint64(max(n, 0)), err
	}
	sum := 0
	for _, s := range spec.Decls {
		switch s.Kind {
		case graph.Paged:
			sum += s.TokenBytes() * spec.Pages * backend.PageTokens
		case graph.Ring:
			sum += s.TokenBytes() * s.Window * spec.Sequences
		default:
			sum += s.Bytes * spec.Sequences
		}
	}
	return uint64(sum), nil
}
