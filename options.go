package ledge

import (
	"errors"
	"fmt"
	"os"

	"github.com/ledge-run/ledge/backend/packcache"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/power/governor"
	"github.com/ledge-run/ledge/runtime/weights/lora"
)

// Option changes how a model is opened. Options do not change once made and may
// be used again.
type Option struct{ apply func(*config) }

type config struct {
	o      engine.Options
	limits governor.Limits
	err    error

	adapters []adapter
}

type adapter struct {
	path  string
	scale float32
}

// openAdapters opens the adapters for the engine, which closes them.
func (c *config) openAdapters() error {
	for _, a := range c.adapters {
		f, err := lora.Open(a.path)
		if err != nil {
			return errors.Join(err, lora.CloseAll(c.o.Adapters))
		}
		c.o.Adapters = append(c.o.Adapters, lora.Use{File: f, Scale: a.scale})
	}
	return nil
}

func configOf(opts []Option) config {
	c := config{}
	for _, o := range opts {
		if o.apply != nil {
			o.apply(&c)
		}
	}
	return c
}

// WithAdapter changes the weights by a low-rank adapter (LoRA) in llama.cpp's GGUF
// format, as ledge finetune and convert_lora_to_gguf.py write them: at the given scale,
// 1 as it was trained. Several adapters add up. The weights in memory stay as they
// are; ledge merge writes a model with the adapter in it.
func WithAdapter(path string, scale float32) Option {
	return Option{func(c *config) { c.adapters = append(c.adapters, adapter{path, scale}) }}
}

// WithDevice asks for a device ("vulkan0") or a driver ("vulkan") by name. If it
// is missing or does not work, Open fails; it never runs elsewhere instead. The
// default, "" or "auto", is the best device that works.
func WithDevice(name string) Option {
	return Option{func(c *config) { c.o.Device = name }}
}

// WithGPULayers sets how many of the model's layers run on the device if that is
// not the processor, which runs the others; more than the model has are all. The
// default, -1, is as many as fit its memory. Where the processor is the only
// device, asking for layers is an error.
func WithGPULayers(n int) Option { return Option{func(c *config) { c.o.GPULayers = &n }} }

// WithThreads sets the number of threads of the processor's device, at most 1,024; 0,
// the default, is one for each fast core.
func WithThreads(n int) Option { return Option{func(c *config) { c.o.Threads = n }} }

// WithContext sets how many tokens a sequence may have, prompt and answer
// together: at most what the model was trained for. The default, 0, is that, or
// 4,096 if it is less.
func WithContext(tokens int) Option { return Option{func(c *config) { c.o.Context = tokens }} }

// WithSequences sets how many full contexts the cache has room for, from 1, the
// default, to 16. More sessions than that may be open as long as they are
// shorter.
func WithSequences(n int) Option { return Option{func(c *config) { c.o.Sequences = n }} }

// WithBatch sets how many tokens are run at once at most, up to 65,536: the size of a
// prompt's pieces. The default, 0, is 512; less saves memory.
func WithBatch(tokens int) Option { return Option{func(c *config) { c.o.Batch = tokens }} }

// WithCacheType sets how keys and values are stored: "f16", the default,
// "q8_0", which takes about half the memory, or "f32".
func WithCacheType(name string) Option {
	return Option{func(c *config) {
		d, err := dtype.Parse(name)
		if err != nil {
			c.err = fmt.Errorf("the cache type is %q: it must be f16, q8_0 or f32", name)
			return
		}
		c.o.CacheType = d
	}}
}

// WithPackCache keeps the packed weights on disk, so that the next Open of the
// same model only reads them: in the given folder, or with "" in the folder
// ledge/packed of the user's cache folder, where the program ledge has them. The
// default is to keep nothing. What fails when they are kept is in Model.Notes, and nothing
// else fails but with WithSharedWeights. A folder that others may write to is not used.
func WithPackCache(dir string) Option {
	return Option{func(c *config) {
		if dir != "" {
			c.o.PackCache = packcache.New(dir)
		} else {
			c.o.PackCache = packcache.Default(os.Getenv)
		}
	}}
}

// WithSharedWeights maps the weights from the folder of WithPackCache instead of
// reading them, so that processes with the same model have them in memory once.
// It is a little slower, and Open fails where they cannot be kept there. The folder's files must not be cut off while they are in
// use: that would be a memory fault.
func WithSharedWeights() Option { return Option{func(c *config) { c.o.Share = true }} }

// Limits are what the machine is to stay within while a model works; 0 is no limit. The
// model waits between tokens and takes fewer threads; what it generates stays the same.
type Limits struct {
	MaxWatts   float64 // mean power of what the machine measures: the module, the processor's package, a card
	MaxCelsius float64 // of the hottest sensor

	// BatteryFloor is a percentage. Near it the model slows down; at it generations end
	// with [ErrBattery], unless a charger is connected.
	BatteryFloor float64
}

// WithLimits has the model held back so that the machine stays within limits. Open fails
// with [ErrLimit] if it has no sensor for one of them. What is held back is told by
// Model.Notes, and how long by Usage.Paused. NVIDIA's cards are measured in programs that
// import github.com/ledge-run/ledge/runtime/power/nvidia for its side effects.
func WithLimits(l Limits) Option {
	return Option{func(c *config) {
		c.limits = governor.Limits{Watts: l.MaxWatts, Celsius: l.MaxCelsius, BatteryFloor: l.BatteryFloor}
	}}
}

// WithProbe names the program ledge, which then tries the drivers of GPUs in a
// process of its own before one of them is loaded into this one: a driver that
// crashes or hangs does no harm. The default is what the environment variable
// LEDGE_PROBE names. With neither, what is known from earlier trials counts, also
// from those of the program ledge, and unknown drivers are tried in this process. It
// only matters where backends of GPUs are linked in.
func WithProbe(program string) Option {
	return Option{func(c *config) { c.o.Probe = program }}
}

// WithLoadProgress has f told how many of the weights' bytes are loaded. It is
// called on the goroutine of Open.
func WithLoadProgress(f func(done, total int64)) Option {
	return Option{func(c *config) { c.o.Progress = f }}
}
