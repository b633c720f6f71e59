package accel

import (
	"context"
	"errors"
	"fmt"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/pass"
)

// New makes a device of an opened API. It closes the API when it is closed
// itself; info says all but the memory, which comes from the API's limits.
func New(api API, info backend.Info) (backend.Device, error) {
	return &device{api: api, info: info, limits: api.Limits()}, nil
}

type device struct {
	api    API
	info   backend.Info
	limits Limits
}

func (d *device) Info() backend.Info { return d.info }

func (d *device) Target() pass.Target {
	return pass.Target{
		Name:     d.info.Name,
		Supports: func(g *graph.Graph, n *graph.Node) error { return fmt.Errorf("%s has no kernel", n.Op) },
		Lower:    func(g *graph.Graph, n *graph.Node) (string, string) { return n.Op.String(), "f32" },
		Align:    256,
	}
}

func (d *device) Load(ctx context.Context, spec backend.LoadSpec) (backend.Weights, error) {
	return nil, errors.New("not supported yet")
}

func (d *device) NewState(spec backend.StateSpec) (backend.State, error) {
	return nil, errors.New("not supported yet")
}

func (d *device) Compile(ctx context.Context, spec backend.CompileSpec) (backend.Executable, error) {
	return nil, errors.New("not supported yet")
}

func (d *device) Close() error { return d.api.Close() }
