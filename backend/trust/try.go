package trust

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/selftest"
)

// Try finds a driver's devices and tests those that the trial is about, in this
// process. alive, if set, is called whenever the driver has come back from some work.
func Try(ctx context.Context, d backend.Driver, t backend.Trial, alive func()) backend.Verdict {
	start := time.Now()
	v := backend.Verdict{Driver: d.Name, When: start, Types: typeNames(t.Types)}
	infos, err := d.Probe(ctx)
	switch {
	case err != nil:
		v.Reason = err.Error()
	case len(infos) == 0:
		v.Reason = "no device"
	}
	if v.Reason != "" {
		return v
	}
	for _, info := range infos {
		p := backend.Proof{Info: info}
		if d.Foreign != nil && !t.Counts(info) {
			p.Untested = true
			v.Devices = append(v.Devices, p)
			continue
		}
		begin := time.Now()
		if err := tryDevice(ctx, d, t, &p, alive); err != nil {
			p.Reason = err.Error()
		} else {
			p.Passed = true
		}
		p.Seconds = time.Since(begin).Seconds()
		v.Devices = append(v.Devices, p)
	}
	v.Seconds = time.Since(start).Seconds()
	return v
}

func tryDevice(ctx context.Context, d backend.Driver, t backend.Trial, p *backend.Proof, alive func()) (err error) {
	dev, err := d.Open(ctx, p.Info.Name, t.Options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	p.Info = dev.Info()
	if d.Foreign == nil { // Ledge's own kernels on the processor: they have their tests
		if err := selftest.Run(ctx, dev); err != nil {
			return fmt.Errorf("self-test failed: %w", err)
		}
		return nil
	}
	r, err := selftest.Prove(ctx, dev, t.Types, alive)
	if err != nil {
		return fmt.Errorf("self-test failed: %w", err)
	}
	p.Info.Varies = r.Varies != nil
	return nil
}
