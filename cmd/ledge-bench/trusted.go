package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/bench/suite"
)

// harmless are the variables that a stranger's receipt may set for Ledge: those that
// only choose among what the program and the machine have. All others are refused:
// what loads or runs files (LEDGE_PROBE, LEDGE_LIB..., LEDGE_..._LIBRARY, LD_PRELOAD,
// LEDGE_VULKAN_VALIDATE), names folders (LEDGE_MODELS, caches), lifts a limit
// (LEDGE_..._TIMEOUT), writes reports (LEDGE_CUDA_PROFILE) or is not Ledge's.
var harmless = map[string]func(value string) bool{
	"LEDGE_CPU":            plain,    // kernel level of the processor
	"LEDGE_FUSE":           switches, // operations fused or as built
	"LEDGE_GPU":            plain,    // features of GPUs
	"LEDGE_CUDA_OVERLAP":   switches, // kernels begin before others end
	"LEDGE_PACK_CACHE":     switches, // else it would be a folder
	"LEDGE_GPU_CACHE":      switches, // the same
	"CUDA_VISIBLE_DEVICES": plain,
	"CUDA_DEVICE_ORDER":    plain,
}

// plain are names, numbers and lists of them: no paths.
func plain(value string) bool {
	return len(value) <= 200 && strings.Trim(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-_,.: ") == ""
}

func switches(value string) bool {
	return slices.Contains([]string{"", "0", "1", "on", "off", "true", "false", "yes", "no"}, strings.ToLower(value))
}

// trusted says why a stranger's records are not measured here; nil if they may be.
func trusted(all []record.Record) error {
	var bad []string
	for i := range all {
		for name, value := range all[i].Settings.Env {
			text := fmt.Sprintf("%.60q", name)
			if ok := harmless[name]; ok != nil && ok(value) {
				continue
			} else if ok != nil {
				text = fmt.Sprintf("%s=%.60q", name, value)
			}
			if !slices.Contains(bad, text) {
				bad = append(bad, text)
			}
		}
	}
	if len(bad) > 0 {
		slices.Sort(bad)
		more := ""
		if n := len(bad) - 10; n > 0 {
			bad, more = bad[:10], fmt.Sprintf(" and %d more", n)
		}
		return fmt.Errorf("nothing is measured: the receipt sets %s%s, which could load or run files; replay takes no variables but %s, with plain values",
			strings.Join(bad, ", "), more, strings.Join(slices.Sorted(maps.Keys(harmless)), ", "))
	}
	for i := range all {
		if err := suite.Check(all[i].Settings); err != nil {
			return fmt.Errorf("nothing is measured: no suite could ask for the case %.80q: %w", all[i].Case, err)
		}
	}
	return nil
}
