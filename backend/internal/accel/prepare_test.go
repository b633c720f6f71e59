package accel

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/ledge-run/ledge/backend"
)

// preparer is the fake, with kernels that are compiled at once.
type preparer struct {
	*fake
	ready map[string]bool
	asked int // calls of Prepare
	late  int // calls of Program for what was not prepared
	fails error
}

func (p *preparer) Prepare(ctx context.Context, kernels []Kernel, progress func()) error {
	if p.asked++; p.fails != nil {
		return p.fails
	}
	for _, k := range kernels {
		p.ready[fmt.Sprint(k.Name, k.Constants)] = true
	}
	return ctx.Err()
}

func (p *preparer) Program(kernel string, constants []uint32) (Program, error) {
	if !p.ready[fmt.Sprint(kernel, constants)] {
		p.late++
	}
	return p.fake.Program(kernel, constants)
}

// TestPrepare: an API that compiles several kernels at once is told all of an
// executable's at a time, and its error is that of Compile.
func TestPrepare(t *testing.T) {
	for _, fails := range []error{nil, context.Canceled, fmt.Errorf("it broke: %w", backend.ErrDeviceLost)} {
		p := &preparer{fake: newFake(), ready: map[string]bool{}, fails: fails}
		dev, err := New(p, fakeInfo)
		if err != nil {
			t.Fatal(err)
		}
		s, err := start(dev, decoder(t, "gemma3"))
		if !errors.Is(err, fails) {
			t.Errorf("%v: %v", fails, err)
		}
		if p.asked != 1 || p.late != 0 || fails == nil && len(p.ready) < 5 {
			t.Errorf("%v: asked %d times, %d kernels, %d that were not prepared", fails, p.asked, len(p.ready), p.late)
		}
		if err := s.close(); err != nil {
			t.Error(err)
		}
		p.checkClosed(t)
	}
}
