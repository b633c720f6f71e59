package record

import (
	"encoding/json"
	"math"
)

// UnknownCPU is the name of a processor that the system does not tell.
const UnknownCPU = "unknown processor"

// Same reports whether two machines are one and the same, or cannot be told apart:
// the same processor, cores, board, architecture and memory. A kernel keeps some
// memory for itself, another one more; a processor that one of them does not name is
// no difference.
func (m *Machine) Same(o *Machine) bool {
	memory := math.Abs(float64(m.Memory-o.Memory)) <= 0.05*float64(max(m.Memory, o.Memory))
	cpu := m.CPU == o.CPU || m.CPU == UnknownCPU || o.CPU == UnknownCPU
	return cpu && memory && m.Cores == o.Cores && m.Board == o.Board && m.Arch == o.Arch
}

// Alike reports whether two records are rounds of one thing, so that they count
// together: the same case with the same settings and variables, on the same model and
// the same machine. Whether their programs are the same is another question.
func (r *Record) Alike(o *Record) bool {
	return r.Case == o.Case && r.Model.SHA256 == o.Model.SHA256 && equal(r.Settings, o.Settings) && equal(r.Env, o.Env) && r.Machine.Same(&o.Machine)
}

// equal compares values as a journal has them.
func equal(a, b any) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}

// Same reports whether two engines are the same program, asked in the same way.
func (e *Engine) Same(o *Engine) bool {
	return e.Name == o.Name && e.SHA256 == o.SHA256 && e.Config == o.Config
}

// Device is the one that Ledge computed on most: the one that the case asks for, or
// where it asks for none the one that Ledge chose; "" if that is not known.
func (r *Record) Device() string {
	if run, ok := r.Of(Ledge); ok && len(run.Devices) > 0 {
		return run.Devices[0].Name
	}
	return r.Settings.Device
}

// OnProcessor reports whether Ledge computed on the processor alone, as far as the
// record tells. The ceilings of a record are the processor's.
func (r *Record) OnProcessor() bool {
	if run, ok := r.Of(Ledge); ok && len(run.Devices) > 0 {
		for _, d := range run.Devices {
			if d.Name != "cpu" {
				return false
			}
		}
		return true
	}
	return r.Settings.Device == "" || r.Settings.Device == "cpu"
}
