//go:build cuda && cgo && linux && !android && !static

package cuda

// #include "calls.h"
import "C"

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"unsafe"

	"gorgonia.org/cu"

	"github.com/ledge-run/ledge/backend/cuda/internal/driver"
	"github.com/ledge-run/ledge/backend/internal/owned"
)

// EnvProfile is the variable that has kernels run one by one and be measured.
const EnvProfile = "LEDGE_CUDA_PROFILE"

// profile is how long kernels took, by variant, constants and grid. That tells the
// shapes apart, but not the layers.
type profile struct {
	events []cu.Event
	kinds  map[kind]*cost
}

type kind struct {
	variant string
	program *program
	grid    [3]uint32
}

type cost struct {
	label   string // of the first
	calls   int
	seconds float64
	bytes   int64
}

// newProfile gives nil where nobody asks for it.
func newProfile() (*profile, error) {
	asked, err := owned.Switch(EnvProfile, false)
	if !asked || err != nil {
		return nil, err
	}
	return &profile{kinds: map[kind]*cost{}}, nil
}

// measure runs a submission without a graph, an event before each kernel and one after
// all, and waits for it.
func (d *device) measure(s *submission) error {
	p := d.profile
	for len(p.events) <= len(s.calls) {
		e, err := d.makeEvent(cu.DefaultEvent)
		if err != nil {
			return check("cuEventCreate", err)
		}
		p.events = append(p.events, e)
	}
	for _, b := range uploadsOf(s.list) {
		if err := cu.MemcpyHtoDAsync(b.memory, unsafe.Pointer(&b.host[0]), int64(b.size), d.stream); err != nil {
			return check("cuMemcpyHtoDAsync", err)
		}
	}
	for i := range s.calls {
		c := &s.calls[i]
		if err := p.events[i].Record(d.stream); err != nil {
			return check("cuEventRecord", err)
		}
		if err := driver.Check(int(C.ledge_launch(c.packed(), C.CUstream(handleOf(&d.stream))))); err != nil {
			return fmt.Errorf("%s: cuLaunchKernel: %w", c.r.calls[c.i].label, err)
		}
		d.progress.Add(1)
	}
	last := p.events[len(s.calls)]
	if err := last.Record(d.stream); err != nil {
		return check("cuEventRecord", err)
	}
	for _, g := range s.reads {
		b := g.Buffer.(*buffer)
		if err := cu.MemcpyDtoHAsync(unsafe.Pointer(&b.host[g.From]), b.memory+cu.DevicePtr(g.From), int64(g.To-g.From), d.stream); err != nil {
			return check("cuMemcpyDtoHAsync", err)
		}
	}
	if err := d.await("run", last); err != nil {
		return err
	}
	for i := range s.calls {
		ms, err := p.events[i].Elapsed(p.events[i+1])
		if err != nil {
			return check("cuEventElapsedTime", err)
		}
		p.add(&s.calls[i], ms/1e3)
	}
	return nil
}

func (p *profile) add(c *live, seconds float64) {
	of := &c.r.calls[c.i]
	k := kind{of.program.variant, of.program, c.grid}
	sum := p.kinds[k]
	if sum == nil {
		sum = &cost{label: of.label}
		p.kinds[k] = sum
	}
	sum.calls++
	sum.seconds += seconds
	if of.traffic != nil {
		sum.bytes += *of.traffic
	}
}

// print writes the table, the most expensive first.
func (p *profile) print(to io.Writer, device string) {
	if p == nil || len(p.kinds) == 0 {
		return
	}
	all, calls := 0.0, 0
	for _, c := range p.kinds {
		all += c.seconds
		calls += c.calls
	}
	fmt.Fprintf(to, "%s: %d kernels in %.3f ms (%s):\n", device, calls, 1e3*all, EnvProfile)
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "variant\tconstants\tgrid\tcalls\ttotal us\tus/call\tshare\tGB/s\tfirst")
	order := slices.SortedFunc(maps.Keys(p.kinds), func(a, b kind) int { return cmp.Compare(p.kinds[b].seconds, p.kinds[a].seconds) })
	for _, k := range order {
		c := p.kinds[k]
		rate := "-"
		if c.bytes > 0 && c.seconds > 0 {
			rate = fmt.Sprintf("%.1f", float64(c.bytes)/c.seconds/1e9)
		}
		fmt.Fprintf(w, "%s\t%v\t%v\t%d\t%.1f\t%.2f\t%.1f%%\t%s\t%s\n", k.variant, k.program.constants, k.grid, c.calls, 1e6*c.seconds,
			1e6*c.seconds/float64(c.calls), 100*c.seconds/max(all, 1e-12), rate, c.label)
	}
	_ = w.Flush() // the standard error may be closed
}
