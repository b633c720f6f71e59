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
			}
		}
		joules, note, ok := energyOf(m.energy.SoFar())
		if ok {
			out.energy_available, out.energy_joules = 1, C.double(joules)
		}
		put(out.energy_note[:], note)
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

// energyOf is the energy that was measured and where it comes from, or why none was.
func energyOf(e power.Energy) (joules float64, note string, ok bool) {
	m, err := e.Main(false)
	if err != nil {
		return 0, "not available: " + err.Error(), false
	}
	return m.Joules, m.String(), true
}
