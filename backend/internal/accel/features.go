package accel

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/internal/owned"
)

// Variables of the environment that all GPU backends read.
const (
	EnvSwitches = "LEDGE_GPU"         // as Options.Level, where that is empty
	EnvTimeout  = "LEDGE_GPU_TIMEOUT" // seconds, or a duration like 90s or 5m
	EnvCache    = "LEDGE_GPU_CACHE"   // folder of compiled programs; 0 or off for none
)

// The least that the specifications promise: what the word "min" clamps to.
const (
	MinBuffers     = 4
	MinInvocations = 128
	MinShared      = 16 << 10
	MinRange       = 128 << 20
	MinGroups      = 65535
)

// Switches turn features of a device off, or on where they are not used unless
// asked for. They make every variant of the kernels testable on one device.
type Switches struct {
	min     bool
	off, on map[string]bool
}

// optional are the features that have a switch, in the order they are listed in.
var optional = []string{"subgroup", "half", "intdot", "coop", "tensor"}

// ParseSwitches reads a list with commas: "min", "-FEATURE", "+FEATURE".
func ParseSwitches(list string) (Switches, error) {
	s := Switches{off: map[string]bool{}, on: map[string]bool{}}
	for _, word := range strings.Split(list, ",") {
		word = strings.TrimSpace(word)
		if word == "" {
			continue
		}
		if word == "min" {
			s.min = true
			continue
		}
		known := false
		for _, f := range optional {
			switch word {
			case "-" + f:
				s.off[f], known = true, true
				delete(s.on, f)
			case "+" + f:
				s.on[f], known = true, true
				delete(s.off, f)
			}
		}
		if !known {
			return Switches{}, fmt.Errorf("GPU feature switch %q: there are min (the specification's minimum) and + or - before %s",
				word, strings.Join(optional, ", "))
		}
	}
	return s, nil
}

// SwitchesOf gives the switches of an option, or of the environment where the
// option says nothing.
func SwitchesOf(o backend.Options) (Switches, error) {
	if o.Level != "" {
		return ParseSwitches(o.Level)
	}
	s, err := ParseSwitches(os.Getenv(EnvSwitches))
	if err != nil {
		return s, fmt.Errorf("%s: %w", EnvSwitches, err)
	}
	return s, nil
}

// Asked reports whether a feature was turned on by its name.
func (s Switches) Asked(feature string) bool { return s.on[feature] }

// Off reports whether a feature was turned off by its name.
func (s Switches) Off(feature string) bool { return s.off[feature] }

// Apply takes from the limits what is switched off, and cooperative matrices, for
// which there are no kernels.
func (s Switches) Apply(l *Limits) {
	if s.Off("subgroup") {
		l.Subgroup = 0
	}
	if s.Off("half") {
		l.Half = false
	}
	if s.Off("intdot") {
		l.IntDot = false
	}
	if s.Off("tensor") {
		l.Tensor = false
	}
	l.CoopMatrix = false
	if s.min {
		l.Buffers = min(l.Buffers, MinBuffers)
		l.Invocations = min(l.Invocations, MinInvocations)
		l.Shared = min(l.Shared, MinShared)
		l.Range = min(l.Range, MinRange)
		l.Groups = min(l.Groups, MinGroups)
	}
}

// Missing is an error if a feature that was asked for by name is not there.
func (s Switches) Missing(l Limits) error {
	if s.on["coop"] {
		return errors.New(`GPU feature "coop" cannot be switched on: there are no kernels for cooperative matrices yet; leave it out`)
	}
	have := map[string]bool{"subgroup": l.Subgroup > 0, "half": l.Half, "intdot": l.IntDot, "coop": l.CoopMatrix, "tensor": l.Tensor}
	for _, f := range optional {
		if s.on[f] && !have[f] {
			return fmt.Errorf("GPU feature %q was asked for, and this device or its driver does not have it", f)
		}
	}
	return nil
}

// Check is an error if limits are below what the specifications promise: kernels
// could not run, or the driver is not to be trusted.
func (l Limits) Check() error {
	for _, c := range []struct {
		what      string
		have, min int
	}{
		{"storage buffers", l.Buffers, MinBuffers},
		{"invocations of a workgroup", l.Invocations, MinInvocations},
		{"bytes of shared memory", l.Shared, MinShared},
		{"bytes of a storage buffer", l.Range, MinRange},
		{"workgroups in a direction", l.Groups, MinGroups},
	} {
		if c.have < c.min {
			return fmt.Errorf("the driver reports %d %s, at least %d are needed", c.have, c.what, c.min)
		}
	}
	return nil
}

// Level names what decides about the bits of results, for Info.Numerics: products
// are in float32, but for matrices of whole numbers by int8 or in float16, or all by
// tensor cores from float16. Other
// features choose kernels that compute the same.
func (l Limits) Level() string {
	switch {
	case l.Tensor:
		return "tensor"
	case l.IntDot && l.Half: // float16 where columns do not fill units
		return "q8+f16"
	case l.IntDot:
		return "q8"
	case l.Half:
		return "f16"
	}
	return "f32"
}

// Names lists the features that choose kernels: Info.Features.
func (l Limits) Names() []string {
	names := []string{}
	if l.Subgroup > 0 {
		names = append(names, "subgroup"+strconv.Itoa(l.Subgroup))
	}
	if l.Half {
		names = append(names, "half")
	}
	if l.IntDot {
		names = append(names, "intdot")
	}
	if l.CoopMatrix {
		names = append(names, "coop")
	}
	if l.Tensor {
		names = append(names, "tensor")
	}
	if l.TensorBasic {
		names = append(names, "basic")
	}
	return append(names, fmt.Sprintf("%dx%dk", l.Invocations, l.Shared>>10))
}

// How long a fence waits unless the environment says. A driver that computes on the
// processor takes its time.
const (
	TimeoutGPU      = time.Minute
	TimeoutSoftware = 10 * time.Minute
)

// Timeout is how long a fence waits: by default, or as the environment says.
func Timeout(byDefault time.Duration) (time.Duration, error) {
	text := os.Getenv(EnvTimeout)
	if text == "" {
		return byDefault, nil
	}
	return owned.Duration(EnvTimeout, text)
}
