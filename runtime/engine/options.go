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
	return model.Options{Max: l, Cache: o.CacheType, Context: o.Context, Hidden: hidden}
}

func passOptions(o Options, observe func(string, []pass.Part)) pass.Options {
	return pass.Options{NoFuse: o.NoFuse, CachedTokens: o.Sequences * o.Context, Layers: -1, Observe: observe}
}

// Stages are the names under which Graph shows a model's graph.
var Stages = []string{"built", "placed", "fused", "lowered", "planned"}

// StageGraph is a graph after a stage; Arena is set after "planned".
type StageGraph struct {
	Device string
	Graph  *graph.Graph
	Plan   *plan.Plan
}

// Graph shows the decoder of a network after a stage of compilation for a
// device, without loading any weight.
func Graph(net model.Model, d backend.Device, o Options, stage string) ([]StageGraph, error) {
	o, err := resolve(o, net.Info())
	if err != nil {
		return nil, err
	}
	l := graph.Limits{T: o.Batch, S: MaxStreams, R: MaxStreams, P: backend.PagesFor(o.Context)}
	g, err := net.Decoder(modelOptions(o, l, false))
	if err != nil {
		return nil, err
	}
	var out []StageGraph
	see := func(name string, parts []pass.Part) {
		if name != stage && !(stage == "planned" && name == "lowered") {
			return
		}
		out = nil
		for _, p := range parts {
			out = append(out, StageGraph{Device: p.Target.Name, Graph: p.Graph})
		}
	}
	parts, err := pass.Compile(g, []pass.Target{d.Target()}, passOptions(o, see))
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
