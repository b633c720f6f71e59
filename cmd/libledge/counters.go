//go:build cgo && linux

package main

// #include "calls.h"
import "C"

import "github.com/ledge-run/ledge/runtime/power"

//export ledgego_model_counters
func ledgego_model_counters(id C.uintptr_t, out *C.ledge_counters, e *C.ledge_error) C.int {
	return call(e, func() error {
		m, err := modelOf(id)
		if err != nil {
			return err
		}
		s := m.m.Stats()
		out.cache_pages, out.free_pages = C.uint64_t(s.CachePages), C.uint64_t(s.FreePages)
		if c, ok := m.m.Counters(); ok {
			out.device_counts = 1
			out.submissions, out.dispatches = C.uint64_t(c.Submissions), C.uint64_t(c.Dispatches)
			out.read_backs, out.read_back_bytes = C.uint64_t(c.ReadBacks), C.uint64_t(c.ReadBackBytes)
			out.traffic_bytes, out.streamed_bytes = C.uint64_t(c.Traffic), C.uint64_t(c.Streamed)
		}
		if b, known := power.Read(); known {
			if watts, ok := supply(b); ok {
				out.power_available, out.power_watts = 1, C.double(watts)
				put(out.power_source[:], moduleRail)
				put(out.power_covers[:], power.Module)
			}
		}
		e, err := m.spent()
		if err != nil {
			put(out.energy_note[:], "not available: "+err.Error())
			return nil
		}
		out.energy_available, out.energy_joules = 1, C.double(e.Joules)
		put(out.energy_note[:], e.String())
		put(out.energy_covers[:], e.Covers)
		return nil
	})
}

const moduleRail = "VDD_IN"

// supply is the power of the rail that feeds all of a board. Parts of a board are
// not added up: which of them there are differs.
func supply(b power.Board) (watts float64, ok bool) {
	for _, r := range b.Rails {
		if r.Name == moduleRail {
			return r.Watts, true
		}
	}
	return 0, false
}

// spent is the energy that was measured since the model was opened, of what computes it
// now; the error says why there is none.
func (m *model) spent() (power.Measured, error) {
	return m.energy.SoFar().Main(m.m.Device().Discrete)
}
