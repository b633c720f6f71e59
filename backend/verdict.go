package backend

import (
	"context"
	"slices"
	"time"

	"github.com/ledge-run/ledge/graph/dtype"
)

// Foreign describes the code of others that a driver calls: what is installed on
// the machine, of whatever quality. It may crash or hang, so that nothing of it is
// loaded before it has proven itself: see Choice.Prove.
type Foreign struct {
	// Files lists the files that the code is in, found without loading any: the
	// API's library, the drivers behind it, the files that name them. When one of
	// them changes, the driver has to prove itself again. The error says that
	// nothing is installed, and what was looked for. It costs a few calls of stat.
	Files func() ([]string, error)

	// Kernels names the state of Ledge's own part, by a hash or a version: another
	// one has to be proven again, too.
	Kernels func() string
}

// Trial says how a driver is to be tried.
type Trial struct {
	Options Options

	// Types are the weight types that will be used, besides those that are always
	// tried.
	Types []dtype.DType

	// Asked: the driver was asked for by name, so that devices count which are never
	// picked otherwise.
	Asked bool
}

// Verdict is how a driver did in a trial.
type Verdict struct {
	Driver  string    `json:"driver"`
	Reason  string    `json:"reason,omitempty"` // why there are no devices: none was found, or it crashed
	Devices []Proof   `json:"devices,omitempty"`
	Types   []string  `json:"types,omitempty"` // weight types that were asked for
	When    time.Time `json:"when"`
	Seconds float64   `json:"seconds"` // that the trial took
}

// Proof is how a device did.
type Proof struct {
	Info   Info   `json:"info"`
	Passed bool   `json:"passed"`
	Reason string `json:"reason,omitempty"` // why not

	// Untested: the driver lists the device, which is never picked unless it is asked
	// for by name, and it was not.
	Untested bool `json:"untested,omitempty"`

	Seconds float64 `json:"seconds"`
}

// Counts tells whether the trial is about a device: those that are never picked
// matter only if they may have been asked for.
func (t Trial) Counts(i Info) bool { return t.Asked || i.Score > 0 }

// Passed tells whether any device did.
func (v *Verdict) Passed() bool {
	for _, p := range v.Devices {
		if p.Passed {
			return true
		}
	}
	return false
}

// sameDevice tells whether an opened device is the one that a proof speaks of, as
// far as it can be told: another driver's version shows in the description or the
// features, other kernels in the numerics.
func sameDevice(a, b Info) bool {
	return a.Name == b.Name && a.Backend == b.Backend && a.Description == b.Description && a.Kind == b.Kind &&
		a.Numerics == b.Numerics && slices.Equal(a.Features, b.Features) && slices.Equal(a.Quirks, b.Quirks)
}

// VariesNote is the note of devices whose results vary with the batch.
const VariesNote = "a token's result depends on what is computed beside it: runs are right, but not repeatable to the last bit"

// AsProven gives a device's description as its proof has it: what only the
// self-test knows is added.
func (i Info) AsProven(varies bool) Info {
	if i.Varies = varies; varies {
		if i.Note != "" {
			i.Note += "; "
		}
		i.Note += VariesNote
	}
	return i
}

// varying is a device that gives right results, but not the same whatever else is
// in the batch. It hides what a device may be besides: Sizer, StateSizer, Threaded. No
// device of a driver that has to prove itself is any of them so far; the first one has to
// have it passed on here.
type varying struct{ Device }

func (d varying) Info() Info { return d.Device.Info().AsProven(true) }

// prove asks about a driver; ctx may end it.
func (c *Choice) prove(ctx context.Context, d Driver, want string) Verdict {
	return c.Prove(ctx, d, Trial{Options: c.Options, Types: c.Types, Asked: want != ""})
}
