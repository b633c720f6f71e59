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
		watts, source, missing := supply(power.Read())
		if source != "" {
			out.power_available, out.power_watts = 1, C.double(watts)
			put(out.power_source[:], source)
		}
		put(out.energy_note[:], "not available: no sensor of this version adds up energy; "+missing)
		return nil
	})
}

// supply is the rail that feeds all of a board, or what is missing. Parts of a board
// are not added up: which of them there are differs.
func supply(b power.Board, known bool) (watts float64, source, missing string) {
	if !known {
		return 0, "", "power rails (ina3221) are read on Jetson boards only, and RAPL, NVML and batteries are not read"
	}
	for _, r := range b.Rails {
		if r.Name == "VDD_IN" {
			return r.Watts, "VDD_IN", "the rail VDD_IN gives the power at this moment"
		}
	}
	return 0, "", "this board has no rail VDD_IN, or it may not be read"
}
