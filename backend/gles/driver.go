//go:build gles && cgo && !static && linux

package gles

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"sync"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/kernels/gles"
	"github.com/ledge-run/ledge/kernels/shader"
)

// device is the name of the one device: EGL's default.
const device = Name + "0"

// score of a GPU: above the processor's, below OpenCL's, for OpenGL ES knows no
// subgroups, no float16 and no memory that the host sees.
const score = 20

// version names the kernels, for Numerics: it differs where any of their text does.
var version = sync.OnceValue(func() string {
	h := sha256.New()
	io.WriteString(h, gles.Prelude)
	for _, k := range shader.Kernels() {
		text, _ := shader.Source(k) // Program reports what is not there
		fmt.Fprintf(h, "%s %d\n%s", k, len(text), text)
	}
	return hex.EncodeToString(h.Sum(nil)[:6])
})

func init() {
	backend.Register(backend.Driver{Name: Name, Probe: probe, Open: openDevice})
}

func probe(ctx context.Context) ([]backend.Info, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s, err := accel.SwitchesOf(backend.Options{})
	if err != nil {
		return nil, err
	}
	a, err := open(s)
	if err != nil {
		return nil, err
	}
	return []backend.Info{a.info()}, a.Close()
}

func openDevice(ctx context.Context, name string, o backend.Options) (backend.Device, error) {
	if name != device {
		return nil, fmt.Errorf("gles: no device %q; there is %s", name, device)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s, err := accel.SwitchesOf(o)
	if err != nil {
		return nil, err
	}
	a, err := open(s)
	if err != nil {
		return nil, err
	}
	d, err := accel.New(a, a.info())
	if err != nil {
		_ = a.Close() // the first error says why
		return nil, err
	}
	return d, nil
}

func (a *api) info() backend.Info {
	names := a.limits.Names()
	i := backend.Info{
		Name: device, Backend: Name, Kind: backend.GPU, Score: score,
		Description: fmt.Sprintf("%s (%s, %s)", a.about.renderer, a.about.vendor, a.about.version),
		Memory:      backend.Memory{Total: a.limits.MemoryTotal, Free: a.limits.MemoryFree, Unified: a.limits.Unified},
		Features:    names,
		Numerics: backend.Numerics{Device: fmt.Sprintf("gles/%s:%s", a.about.renderer, a.about.version),
			Level: a.limits.Level(), Version: version()},
	}
	if a.about.software {
		i.Kind, i.Score = backend.CPU, 0
	}
	return i
}
