package engine

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/packcache"
	"github.com/ledge-run/ledge/backend/selftest"
	"github.com/ledge-run/ledge/backend/trust"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
	"github.com/ledge-run/ledge/runtime/weights/lora"
)

// Choice is how the options select a device.
func (o Options) Choice() backend.Choice {
	p := o.Prover
	if p == nil {
		p = prover(o.Probe)
	}
	return backend.Choice{
		Device:  o.Device,
		Options: backend.Options{Threads: o.Threads, Level: o.Level},
		Test:    o.test,
		Prove:   p.Prove,
	}
}

// provers are kept for the process, with what they found out, by what was asked
// for.
var provers sync.Map

func prover(program string) *trust.Prover {
	key := [4]string{program, os.Getenv(trust.EnvProbe), os.Getenv(trust.EnvCache), os.Getenv(trust.EnvLimit)}
	p, _ := provers.LoadOrStore(key, trust.New(os.Getenv, program))
	return p.(*trust.Prover)
}

// weightTypes are the types of a file's matrices, and of adapters' if there are any:
// what a device must compute rightly to run this model.
func weightTypes(f *gguf.File, adapters *lora.Set) []dtype.DType {
	var out []dtype.DType
	add := func(d dtype.DType) {
		if d.Computable() && !slices.Contains(out, d) {
			out = append(out, d)
		}
	}
	for _, t := range f.Tensors() {
		if len(t.Shape) > 1 {
			add(t.DType)
		}
	}
	if adapters != nil {
		for _, w := range adapters.Weights() {
			a, _ := adapters.Adapter(w)
			add(a.A)
			add(a.B)
		}
	}
	return out
}

// test is the device's self-test, unless the same device has passed it lately with
// the same program and the cache remembers that.
func (o Options) test(ctx context.Context, d backend.Device) error {
	return o.remembered(ctx, d, "", selftest.Run)
}

// testTypes is test with weights of some types.
func (o Options) testTypes(ctx context.Context, d backend.Device, types []dtype.DType) error {
	return o.remembered(ctx, d, fmt.Sprintf(", weights %s", types), func(ctx context.Context, d backend.Device) error {
		return selftest.RunTypes(ctx, d, types)
	})
}

// remembered runs a self-test, unless the cache remembers that it, or the whole of it,
// was passed.
func (o Options) remembered(ctx context.Context, d backend.Device, part string, run func(context.Context, backend.Device) error) error {
	program := ""
	if o.PackCache != nil {
		program = packcache.Program()
	}
	if program == "" {
		return run(ctx, d)
	}
	info := d.Info()
	fact := fmt.Sprintf("passed self-test: program %s, device %s, %s, %s", program, info.Name, info.Description, info.Numerics)
	if o.PackCache.Remembers(fact) || part != "" && o.PackCache.Remembers(fact+part) {
		return nil
	}
	if err := run(ctx, d); err != nil {
		return err
	}
	_ = o.PackCache.Remember(fact + part) // else the next start tests again
	return nil
}
