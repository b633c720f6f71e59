package report

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/ledge-run/ledge/runtime/bench/record"
)

// machine is one that was measured on, as lines of a table.
type machine struct{ Facts [][2]string }

func machines(records []record.Record) []machine {
	var seen []record.Machine
	var all []machine
	for _, r := range records {
		if slices.ContainsFunc(seen, func(m record.Machine) bool { return reflect.DeepEqual(m, r.Machine) }) {
			continue
		}
		seen = append(seen, r.Machine)
		all = append(all, newMachine(r.Machine, conditions(records, r.Machine)))
	}
	return all
}

func newMachine(m record.Machine, more [][2]string) machine {
	var out machine
	add := func(name, value string) {
		if value != "" {
			out.Facts = append(out.Facts, [2]string{name, value})
		}
	}
	add("board", strings.TrimSpace(m.Board+" "+m.Release))
	add("processor", fmt.Sprintf("%s, %d cores", m.CPU, m.Cores))
	add("kernels' level", m.Level)
	if m.Memory > 0 {
		add("memory", fmt.Sprintf("%.1f GB", float64(m.Memory)/1e9))
	}
	add("system", strings.TrimSpace(m.OS+" "+m.Kernel+" "+m.Arch))
	add("virtual machine", m.Virtual)
	add("power mode", m.Mode)
	for _, d := range m.Devices {
		text := d.Description
		if d.Driver != "" {
			text += ", driver " + d.Driver
		}
		if d.Memory > 0 {
			text += fmt.Sprintf(", %.1f GB", float64(d.Memory)/1e9)
		}
		if d.Numerics != "" {
			text += ", numerics " + d.Numerics
		}
		add("device "+d.Name, strings.TrimPrefix(text, ", "))
	}
	add("energy from", strings.Join(m.Sensors, "; "))
	add("not measured", strings.Join(m.Absent, "; "))
	out.Facts = append(out.Facts, more...)
	return out
}

// conditions are the ranges of what changed while a machine was measured.
func conditions(records []record.Record, m record.Machine) [][2]string {
	clocks, temperatures := map[string][2]float64{}, map[string][2]float64{}
	var held []string
	widen := func(all map[string][2]float64, values map[string]float64) {
		for k, v := range values {
			r, ok := all[k]
			if !ok {
				r = [2]float64{v, v}
			}
			all[k] = [2]float64{min(r[0], v), max(r[1], v)}
		}
	}
	for _, r := range records {
		if !reflect.DeepEqual(r.Machine, m) {
			continue
		}
		for _, c := range []record.Condition{r.Before, r.After} {
			widen(clocks, c.Clocks)
			widen(temperatures, c.Temperatures)
			for _, h := range c.Held {
				if !slices.Contains(held, h) {
					held = append(held, h)
				}
			}
		}
	}
	var all [][2]string
	if s := ranges(clocks); s != "" {
		all = append(all, [2]string{"clocks, MHz", s})
	}
	if s := ranges(temperatures); s != "" {
		all = append(all, [2]string{"temperatures, °C", s})
	}
	if len(held) > 0 {
		all = append(all, [2]string{"held back", strings.Join(held, "; ")})
	}
	return all
}

func ranges(all map[string][2]float64) string {
	var parts []string
	for k, r := range all {
		s := k + " " + Short(r[0])
		if r[0] != r[1] {
			s += "–" + Short(r[1])
		}
		parts = append(parts, s)
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

// engine is a program that ran.
type engine struct {
	record.Engine
	Command string // its first command line
}

func programs(records []record.Record) []engine {
	var all []engine
	for _, r := range records {
		for _, run := range r.Runs {
			e := run.Engine
			if !slices.ContainsFunc(all, func(o engine) bool { return o.Name == e.Name && o.Version == e.Version && o.SHA256 == e.SHA256 }) {
				all = append(all, engine{e, strings.Join(e.Args, " ")})
			}
		}
	}
	return all
}
