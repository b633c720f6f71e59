package ledge

import (
	"slices"

	"github.com/ledge-run/ledge/backend"
)

// Device describes a device.
type Device struct {
	Name        string // unique among devices: "cpu", "vulkan0"
	Driver      string // "cpu", "vulkan", ...
	Description string
	Kind        string // "cpu", "gpu", "npu"
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
		Name: i.Name, Driver: i.Backend, Description: i.Description, Kind: string(i.Kind),
		MemoryTotal: i.Memory.Total, MemoryFree: i.Memory.Free,
		Features: slices.Clone(i.Features), Numerics: i.Numerics.String(), Note: i.Note,
		Varies: i.Varies, Quirks: slices.Clone(i.Quirks),
	}
}
