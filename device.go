package ledge

import (
	"context"
	"slices"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/runtime/engine"
)

// Device describes a device.
type Device struct {
	Name        string // unique among devices: "cpu", "vulkan0"
	Driver      string // "cpu", "vulkan", ...
	Description string
	Kind        string // "cpu", "gpu", "npu"
	Discrete    bool   // a card with memory of its own, which the energy of the processor's package does not cover
	MemoryTotal uint64 // bytes, 0 if unknown
	MemoryFree  uint64 // bytes when the model was opened, 0 if unknown
	Features    []string
	Numerics    string   // results are bit-identical within this class
	Varies      bool     // but not on this device: a token's last bits depend on what is computed beside it
	Quirks      []string // known faults of its driver that are avoided
	Note        string   // what the user should know: a part of the model runs on the processor, ...
}

// Candidate is a device that was considered, or a driver without devices.
type Candidate struct {
	Driver string
	Device Device // without a name if the driver found none
	Reason string // why it was picked or not
	Picked bool
}

func deviceOf(i backend.Info) Device {
	return Device{
		Name: i.Name, Driver: i.Backend, Description: i.Description, Kind: string(i.Kind), Discrete: i.Discrete(),
		MemoryTotal: i.Memory.Total, MemoryFree: i.Memory.Free,
		Features: slices.Clone(i.Features), Numerics: i.Numerics.String(), Note: i.Note,
		Varies: i.Varies, Quirks: slices.Clone(i.Quirks),
	}
}

// Devices lists what there is to compute on without a model: what Open would find
// with the same options, why each would be picked or not, and the device that would
// be, which runs its self-test. Of the options WithDevice, WithThreads and WithProbe
// matter. The list is there with an error, too, which says that no device can be used.
func Devices(ctx context.Context, opts ...Option) ([]Candidate, error) {
	if err := checkContext(ctx); err != nil {
		return nil, err
	}
	c := configOf(opts)
	if err := c.check(); err != nil {
		return nil, wrap(err)
	}
	found, err := engine.Devices(ctx, c.o)
	return candidatesOf(found), wrap(err)
}

func candidatesOf(found []backend.Candidate) []Candidate {
	var out []Candidate
	for _, c := range found {
		k := Candidate{Driver: c.Driver, Reason: c.Reason, Picked: c.Picked}
		if c.Info != nil {
			k.Device = deviceOf(*c.Info)
		}
		out = append(out, k)
	}
	return out
}
