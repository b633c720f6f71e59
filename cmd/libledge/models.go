//go:build cgo && linux

package main

// #include <stdlib.h>
// #include "calls.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"unsafe"

	"github.com/ledge-run/ledge"
	_ "github.com/ledge-run/ledge/backend/all" // every backend of this build
	"github.com/ledge-run/ledge/backend/packcache"
	"github.com/ledge-run/ledge/runtime/power"
	_ "github.com/ledge-run/ledge/runtime/power/nvidia" // reads NVIDIA's cards
)

// open are the things that C programs have names for.
var open handles

// openMeter finds what this machine measures; tests bring the sensors of others.
var openMeter = power.Open

// model is an open model and its sessions' names.
type model struct {
	m      *ledge.Model
	energy *power.Run // since it was opened

	mu       sync.Mutex
	closed   bool
	sessions map[uintptr]bool
	notes    []string // of its options, not told yet
}

func newModel(m *ledge.Model) *model {
	return &model{m: m, energy: openMeter().StartSlow(), sessions: map[uintptr]bool{}}
}

// modelOf finds a model by its handle.
func modelOf(id C.uintptr_t) (*model, error) {
	v, err := open.get(modelKind, uintptr(id))
	if err != nil {
		return nil, err
	}
	return v.(*model), nil
}

// release is the version that build/libledge.sh gives the library: that of the packages.
var release string

//export ledgego_version
func ledgego_version(v *C.ledge_version, e *C.ledge_error) C.int {
	return call(e, func() error {
		put(v.platform[:], runtime.GOOS+"/"+runtime.GOARCH)
		put(v.toolchain[:], runtime.Version())
		version := "(devel)"
		if b, ok := debug.ReadBuildInfo(); ok {
			if b.Main.Version != "" {
				version = b.Main.Version
			}
			for _, s := range b.Settings {
				switch s.Key {
				case "vcs.revision":
					put(v.revision[:], s.Value)
				case "vcs.modified":
					if s.Value == "true" {
						v.modified = 1
					}
				}
			}
		}
		if release != "" {
			version = release
		}
		put(v.version[:], version)
		return nil
	})
}

// canceller is what ends calls.
type canceller struct {
	ctx    context.Context
	cancel context.CancelFunc
}

// contextOf is the context of a call that may have a canceller.
func contextOf(id C.uintptr_t) (context.Context, error) {
	if id == 0 {
		return context.Background(), nil
	}
	v, err := open.get(cancellerKind, uintptr(id))
	if err != nil {
		return nil, err
	}
	return v.(*canceller).ctx, nil
}

//export ledgego_canceller_new
func ledgego_canceller_new(id *C.uintptr_t, e *C.ledge_error) C.int {
	return call(e, func() error {
		ctx, cancel := context.WithCancel(context.Background())
		*id = C.uintptr_t(open.add(cancellerKind, &canceller{ctx, cancel}))
		return nil
	})
}

//export ledgego_canceller_cancel
func ledgego_canceller_cancel(id C.uintptr_t, e *C.ledge_error) C.int {
	return call(e, func() error {
		v, err := open.get(cancellerKind, uintptr(id))
		if err == nil {
			v.(*canceller).cancel()
		}
		return err
	})
}

//export ledgego_canceller_close
func ledgego_canceller_close(id C.uintptr_t, e *C.ledge_error) C.int {
	return call(e, func() error { // calls that have its context go on
		_, err := open.take(cancellerKind, uintptr(id))
		return err
	})
}

// options are those of the Go API, which refuses what is out of range.
func options(o *C.ledge_open_options) ([]ledge.Option, error) {
	if o.flags&^C.LEDGE_SHARED_WEIGHTS != 0 {
		return nil, argument("the flags %#x are not all known", uint32(o.flags))
	}
	out := []ledge.Option{
		ledge.WithDevice(stringOf(o.device)), ledge.WithGPULayers(int(o.gpu_layers)), ledge.WithThreads(int(o.threads)),
		ledge.WithContext(int(o.context)), ledge.WithSequences(int(o.sequences)), ledge.WithBatch(int(o.batch)),
		ledge.WithProbe(stringOf(o.probe)),
		ledge.WithLimits(ledge.Limits{MaxWatts: float64(o.max_watts), MaxCelsius: float64(o.max_celsius), BatteryFloor: float64(o.battery_floor)}),
	}
	switch t := strings.ToLower(stringOf(o.cache_type)); t {
	case "": // as for the device: the usual one
	case "f16", "q8_0", "f32":
		out = append(out, ledge.WithCacheType(t))
	default:
		return nil, fmt.Errorf("cache_type is %.40q: it must be f16, q8_0 or f32", t)
	}
	if o.pack_cache != nil {
		out = append(out, ledge.WithPackCache(stringOf(o.pack_cache)))
	}
	if o.flags&C.LEDGE_SHARED_WEIGHTS != 0 {
		if o.pack_cache == nil {
			return nil, argument("LEDGE_SHARED_WEIGHTS needs a pack_cache, in which the weights are")
		}
		out = append(out, ledge.WithSharedWeights())
	}
	return out, nil
}

// packed says what is wrong with the folder for packed weights that no one else tells:
// an error if weights are to be shared through it, else a note.
func packed(o *C.ledge_open_options) (note string, err error) {
	if o.pack_cache == nil {
		return "", nil
	}
	var why error
	if dir := stringOf(o.pack_cache); dir != "" {
		why = packcache.New(dir).Distrusted()
	} else if c := packcache.Default(os.Getenv); c != nil {
		why = c.Distrusted()
	} else {
		why = errors.New("LEDGE_PACK_CACHE is off, or the user has no cache folder")
	}
	switch {
	case why == nil:
		return "", nil
	case o.flags&C.LEDGE_SHARED_WEIGHTS != 0:
		return "", fmt.Errorf("pack_cache: the weights cannot be shared: %w; name a folder that is this user's alone", why)
	}
	return fmt.Sprintf("packed weights are not kept for the next start: %v", why), nil
}

//export ledgego_open
func ledgego_open(path *C.char, o *C.ledge_open_options, cancel C.uintptr_t, s *C.ledgego_sink, id *C.uintptr_t, e *C.ledge_error) C.int {
	return call(e, func() error {
		parent, err := contextOf(cancel)
		if err != nil {
			return err
		}
		opts, err := options(o)
		if err != nil {
			return err
		}
		var notes []string
		if note, err := packed(o); err != nil {
			return err
		} else if note != "" {
			notes = append(notes, note)
		}
		ctx, stop := context.WithCancelCause(parent)
		defer stop(nil)
		opts = append(opts, ledge.WithLoadProgress(func(done, total int64) {
			if ctx.Err() != nil {
				return // nothing is told after it was refused
			}
			if err := went(s, C.ledgego_emit_progress(s, C.uint64_t(done), C.uint64_t(total))); err != nil {
				stop(err)
			}
		}))
		m, err := ledge.Open(ctx, C.GoString(path), opts...)
		var refused *refusal
		if errors.As(context.Cause(ctx), &refused) { // also if that came with the last byte
			if m == nil {
				return refused // what Open says is only that it was ended
			}
			return errors.Join(refused, m.Close())
		}
		if err != nil {
			return err
		}
		named := newModel(m)
		named.notes = notes
		*id = C.uintptr_t(open.add(modelKind, named))
		return nil
	})
}

//export ledgego_model_close
func ledgego_model_close(id C.uintptr_t, e *C.ledge_error) C.int {
	return call(e, func() error {
		v, err := open.take(modelKind, uintptr(id))
		if err != nil {
			return err
		}
		m := v.(*model)
		m.mu.Lock()
		m.closed = true
		for id := range m.sessions {
			if v, err := open.take(sessionKind, id); err == nil { // else its own close came first
				defer v.(*session).s.Close()
			}
		}
		m.mu.Unlock()
		m.energy.Stop()
		return m.m.Close()
	})
}

//export ledgego_model_info
func ledgego_model_info(id C.uintptr_t, out *C.ledge_info, e *C.ledge_error) C.int {
	return call(e, func() error {
		m, err := modelOf(id)
		if err != nil {
			return err
		}
		i, d := m.m.Info(), m.m.Device()
		out.parameters, out.file_bytes = C.int64_t(i.Parameters), C.int64_t(i.FileBytes)
		out.layers, out.embedding, out.vocab = C.int32_t(i.Layers), C.int32_t(i.Embedding), C.int32_t(i.Vocab)
		out.train_context, out.context, out.sequences = C.int32_t(i.TrainContext), C.int32_t(i.Context), C.int32_t(i.Sequences)
		if i.ChatTemplate {
			out.has_template = 1
		}
		out.load_seconds = C.double(i.LoadTime.Seconds())
		put(out.name[:], i.Name)
		put(out.architecture[:], i.Architecture)
		put(out.cache_type[:], i.CacheType)
		put(out.device[:], d.Name)
		put(out.numerics[:], d.Numerics)
		return nil
	})
}

//export ledgego_model_notes
func ledgego_model_notes(id C.uintptr_t, s *C.ledgego_sink, e *C.ledge_error) C.int {
	return call(e, func() error {
		m, err := modelOf(id)
		if err != nil {
			return err
		}
		var text strung
		defer text.free()
		m.mu.Lock()
		notes := append(m.notes, m.m.Notes()...)
		m.notes = nil
		m.mu.Unlock()
		for _, n := range notes {
			if err := went(s, C.ledgego_emit_text(s, text.add(n), C.size_t(len(n)))); err != nil {
				return err
			}
		}
		return nil
	})
}

//export ledgego_devices
func ledgego_devices(o *C.ledge_open_options, cancel C.uintptr_t, s *C.ledgego_sink, e *C.ledge_error) C.int {
	return call(e, func() error {
		ctx, err := contextOf(cancel)
		if err != nil {
			return err
		}
		opts, err := options(o)
		if err != nil {
			return err
		}
		found, err := ledge.Devices(ctx, opts...)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if e := tellDevices(s, found); e != nil {
			return e
		}
		return err
	})
}

//export ledgego_model_devices
func ledgego_model_devices(id C.uintptr_t, s *C.ledgego_sink, e *C.ledge_error) C.int {
	return call(e, func() error {
		m, err := modelOf(id)
		if err != nil {
			return err
		}
		return tellDevices(s, m.m.Candidates())
	})
}

func tellDevices(s *C.ledgego_sink, found []ledge.Candidate) error {
	for _, k := range found {
		if err := tellDevice(s, k); err != nil {
			return err
		}
	}
	return nil
}

func tellDevice(s *C.ledgego_sink, k ledge.Candidate) error {
	var text strung
	defer text.free()
	d := (*C.ledge_device)(C.calloc(1, C.sizeof_ledge_device)) // C's memory: it has pointers to C's
	if d == nil {
		return &failure{code: C.LEDGE_ERROR_MEMORY, text: "no memory for a device"}
	}
	defer C.free(unsafe.Pointer(d))
	d.driver, d.name, d.description = text.add(k.Driver), text.add(k.Device.Name), text.add(k.Device.Description)
	d.kind, d.features = text.add(k.Device.Kind), text.add(strings.Join(k.Device.Features, ","))
	d.numerics, d.note, d.reason = text.add(k.Device.Numerics), text.add(k.Device.Note), text.add(oneLine(k.Reason))
	d.memory_total, d.memory_free = C.uint64_t(k.Device.MemoryTotal), C.uint64_t(k.Device.MemoryFree)
	if k.Picked {
		d.picked = 1
	}
	if k.Device.Varies {
		d.varies = 1
	}
	return went(s, C.ledgego_emit_device(s, d))
}
