package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/packcache"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/bench/process"
	"github.com/ledge-run/ledge/runtime/engine"
	homemodel "github.com/ledge-run/ledge/runtime/home/model"
	"github.com/ledge-run/ledge/runtime/hub"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
	"github.com/ledge-run/ledge/runtime/weights/lora"
)

// defaultModel is used when nobody names one, but by ledge run: see usualModel.
const defaultModel = "smollm2:135m"

const catModel = "MODEL AND DEVICE"

// nameFlags say which model; deviceFlags how to run it.
func nameFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "model", Aliases: []string{"m"}, Usage: "`MODEL`: file, short name, hf:..., ms:..., address or builtin", Category: catModel},
		offlineFlag(), quietFlag(),
	}
}

func offlineFlag() cli.Flag {
	return &cli.BoolFlag{Name: "offline", Usage: "download nothing", Category: catModel}
}

func quietFlag() cli.Flag {
	return &cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "no notes and no progress", Category: catModel}
}

func deviceFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "device", Usage: "`NAME` of a device or backend (see ledge devices)", Category: catModel},
		&cli.IntFlag{Name: "threads", Aliases: []string{"t"}, Usage: "`N` CPU threads (default or 0: as many as help; more than there are processors: that many)", Category: catModel},
		contextFlag(),
		&cli.IntFlag{Name: "batch", Aliases: []string{"b"}, Usage: "read prompts in chunks of `N` tokens (default: 512)", Category: catModel},
		gpuLayersFlag(), cacheFlag(),
		noCacheFlag(), shareFlag(),
	}
}

func gpuLayersFlag() cli.Flag {
	return &cli.IntFlag{Name: "gpu-layers", Usage: "run `N` layers on the GPU and the others on the CPU (default or -1: as many as fit)", Value: -1, Category: catModel}
}

// gpuLayers reads --gpu-layers or LEDGE_GPU_LAYERS; nil is automatic.
func (a *app) gpuLayers(c *cli.Context) (*int, error) {
	n, from := -1, "--gpu-layers"
	switch text := strings.TrimSpace(a.getenv("LEDGE_GPU_LAYERS")); {
	case c.IsSet("gpu-layers"):
		n = c.Int("gpu-layers")
	case text != "" && !strings.EqualFold(text, "auto"):
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			return nil, usagef("LEDGE_GPU_LAYERS=%s: it must be a whole number, or -1 or auto for as many layers as fit", text)
		}
		from = "LEDGE_GPU_LAYERS"
	}
	switch {
	case n < -1 || n > 1<<16:
		return nil, usagef("%s %d: it must be 0 or more, or -1 for as many as fit", from, n)
	case n < 0:
		return nil, nil
	}
	return &n, nil
}

func noCacheFlag() cli.Flag {
	return &cli.BoolFlag{Name: "no-cache", Usage: "pack the weights anew and keep nothing of them on disk (see ledge cache)", Category: catModel}
}

func shareFlag() cli.Flag {
	return &cli.BoolFlag{Name: "share", Usage: "share the packed weights in memory with other ledge processes; a little slower", Category: catModel}
}

func contextFlag() cli.Flag {
	return &cli.IntFlag{Name: "ctx", Aliases: []string{"c"}, Usage: "context of `N` tokens (default: 4096, or what the model was trained for if that is less)", Category: catModel}
}

func cacheFlag() cli.Flag {
	return &cli.StringFlag{Name: "cache-type", Usage: "`TYPE` of the stored keys and values: f16, q8_0 (about half the memory) or f32", Value: "f16", Category: catModel}
}

func jsonFlag() cli.Flag {
	return &cli.BoolFlag{Name: "json", Usage: "write JSON"}
}

// join puts lists of flags together.
func join(lists ...[]cli.Flag) []cli.Flag {
	var all []cli.Flag
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// modelName is the model a command means: named on the command line, in the
// environment, in the configuration, or the default.
func (a *app) modelName(c *cli.Context, cfg config, arg string) (string, error) {
	flag := c.String("model")
	switch {
	case arg != "" && flag != "" && arg != flag:
		return "", usagef("two models are named, %s and %s: name one", arg, flag)
	case arg != "":
		return arg, nil
	case flag != "":
		return flag, nil
	case c.IsSet("model"):
		return "", usagef("-m names no model")
	}
	name := a.usualModel(c, cfg)
	if name == "" {
		return "", usagef("%s makes something of a model: name it, -m MODEL", c.Command.FullName())
	}
	return name, nil
}

// usualModel is the model of the environment or the configuration, or the command's
// default; none where a model is made of it, for which nothing is fetched unasked.
func (a *app) usualModel(c *cli.Context, cfg config) string {
	usual := defaultModel
	switch c.Command.Name {
	case "run":
		usual = builtinModel
	case "finetune", "merge", "imatrix":
		usual = ""
	}
	return cmp.Or(a.getenv("LEDGE_MODEL"), cfg.Model, usual)
}

// locate finds a model's file and downloads it if it is not here.
func (a *app) locate(ctx context.Context, name string, offline bool) (string, error) {
	if name == builtinModel {
		return "", usagef("%s is a part of this program: there is no file of it; ledge run, info, eval and bench take it as it is", name)
	}
	h := hub.New(hub.Config{Getenv: a.getenv})
	path, err := h.Resolve(name)
	ref, _ := hub.ParseName(name)
	switch {
	case err == nil:
		return path, nil
	case errors.Is(err, hub.ErrNotGGUF): // a file of this machine
		return "", err
	case !errors.Is(err, hub.ErrNotDownloaded):
		return "", modelError{err}
	case offline:
		return "", modelError{fmt.Errorf("%s: not on this machine, and downloading is off (--offline, LEDGE_OFFLINE or the configuration)", ref)}
	}
	bar := a.newProgress()
	path, err = h.Pull(ctx, name, hub.Options{
		Progress: func(p hub.Progress) { bar.Show(p.File, p.Fraction(), p.String()) },
		Log:      func(line string) { bar.Log(line) },
	})
	bar.Done()
	switch {
	case err == nil:
		return path, nil
	case ctx.Err() != nil:
		a.note("%s: what has come is kept; the next try goes on from there", ref)
		return "", context.Cause(ctx)
	}
	return "", modelError{err}
}

func (a *app) offline(c *cli.Context, cfg config) bool {
	return c.Bool("offline") || cfg.Offline
}

// openFile opens the file of the model that a command means, without loading
// anything.
func (a *app) openFile(c *cli.Context, arg string) (*gguf.File, string, error) {
	cfg, err := a.readConfig()
	if err != nil {
		return nil, "", err
	}
	name, err := a.modelName(c, cfg, arg)
	if err != nil {
		return nil, "", err
	}
	f, err := a.openNamed(c.Context, name, a.offline(c, cfg))
	if arg == "" {
		err = a.ofConfig(c, err)
	}
	return f, name, err
}

// openNamed opens a model's file, having downloaded it if it is not here.
func (a *app) openNamed(ctx context.Context, name string, offline bool) (*gguf.File, error) {
	if name == builtinModel {
		return homemodel.Open()
	}
	path, err := a.locate(ctx, name, offline)
	if err != nil {
		return nil, err
	}
	return gguf.Open(path)
}

// here opens a model's file if it is on this machine and whole; nil if not.
func (a *app) here(name string) *gguf.File {
	if name == builtinModel {
		f, _ := homemodel.Open() // the error comes again when it is used
		return f
	}
	path, err := hub.New(hub.Config{Getenv: a.getenv}).Resolve(name)
	if err != nil {
		return nil
	}
	f, _ := gguf.Open(path) // as above
	return f
}

// inFile says in which file something is wrong, unless the error does: it names the
// model's file or an adapter's.
func inFile(f *gguf.File, err error, uses ...lora.Use) error {
	var device deviceError
	var limit limitError
	if err == nil || len(f.Paths()) == 0 || errors.As(err, &device) || errors.As(err, &limit) {
		return err
	}
	names := f.Paths()
	for _, u := range uses {
		names = append(names, u.File.Name())
	}
	for _, name := range names {
		if strings.Contains(err.Error(), name) {
			return err
		}
	}
	return fmt.Errorf("%s: %w", names[0], err)
}

// inModel is inFile for errors of work that a model, texts and other files have a part in:
// those of the model say so.
func inModel(f *gguf.File, err error) error {
	for _, of := range []string{"model ", "model:", "graph ", "tokenizer:"} {
		if err != nil && strings.HasPrefix(err.Error(), of) {
			return inFile(f, err)
		}
	}
	return err
}

// defaultChunk is the size of the chunks that texts are measured in.
const defaultChunk = 512

// chunkUsual says so, for flags.
const chunkUsual = "512, or what the model was trained for if that is less"

// atMost is n, or the number of tokens that a model was trained for if that is less. A
// file that is no model is found out when it is loaded.
func atMost(f *gguf.File, n int) int {
	if net, err := engine.Network(f); err == nil {
		return min(n, net.Info().Context)
	}
	return n
}

// options reads the flags of deviceFlags.
func (a *app) options(c *cli.Context) (engine.Options, error) {
	cfg, err := a.readConfig()
	if err != nil {
		return engine.Options{}, err
	}
	o := engine.Options{Device: a.getenv("LEDGE_DEVICE"), Threads: cfg.Threads, Context: c.Int("ctx"), Batch: c.Int("batch")}
	if o.Device == "" {
		o.Device = cfg.Device
	}
	if d := c.String("device"); d != "" {
		o.Device = d
	}
	if c.IsSet("threads") { // of ledge bench it is a list, read there
		o.Threads = c.Int("threads")
	}
	if o.GPULayers, err = a.gpuLayers(c); err != nil {
		return o, err
	}
	for _, n := range []struct {
		name       string
		value, top int
	}{{"-t", o.Threads, maxThreads}, {"-c", o.Context, 1 << 24}, {"-b", o.Batch, 1 << 16}} {
		if n.value < 0 || n.value > n.top {
			return o, usagef("%s %d: it must be 0 (automatic) to %d", n.name, n.value, n.top)
		}
	}
	if o.Share = c.Bool("share"); !c.Bool("no-cache") {
		o.PackCache = packcache.Default(a.getenv)
	}
	if o.Share && o.PackCache == nil {
		return o, usagef("--share needs the cache of packed weights, which is off: leave --no-cache away, unset LEDGE_PACK_CACHE or name a folder there")
	}
	o.Prover = a.prover()
	if o.CacheType, err = cacheType(c); err != nil {
		return o, err
	}
	return o, a.limit(c, &o)
}

func cacheType(c *cli.Context) (dtype.DType, error) {
	switch t := strings.ToLower(c.String("cache-type")); t {
	case "", "f16":
		return dtype.F16, nil
	case "f32":
		return dtype.F32, nil
	case "q8_0":
		return dtype.Q8_0, nil
	default:
		return dtype.Invalid, usagef("--cache-type %s: it must be f16, q8_0 or f32", t)
	}
}

// load makes an open file ready to run, and says so if that takes time. It
// owns the file from then on.
func (a *app) load(ctx context.Context, f *gguf.File, o engine.Options) (*engine.Model, error) {
	start := time.Now()
	a.noteDistrust(o.PackCache, o.Prover.Cache)
	bar := a.newProgress()
	bar.After(time.Second)
	o.Progress = func(done, total int64) {
		if total > 0 {
			bar.Show("loading", float64(done)/float64(total), hub.FormatBytes(done)+" of "+hub.FormatBytes(total))
		}
	}
	m, err := engine.OpenFile(ctx, f, o)
	bar.Done()
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, a.blame(ctx, o, inFile(f, ofLimit(err), o.Adapters...))
	}
	m.LoadTime = time.Since(start)
	if n := m.Device().Note; n != "" {
		a.note("note: %s", n)
	}
	a.notes(m)
	return m, nil
}

// notes passes on what a model has to say about how it runs.
func (a *app) notes(m *engine.Model) {
	for _, n := range m.Notes() {
		a.note("note: %s", n)
	}
}

// close closes a model and passes its last notes on: until then it keeps weights.
func (a *app) close(m *engine.Model) error {
	err := m.Close()
	a.notes(m)
	if a.governor != nil {
		a.governor.Close()
	}
	return err
}

// blame finds out whether opening a model failed because of the device.
func (a *app) blame(ctx context.Context, o engine.Options, err error) error {
	ds, derr := openDevices(ctx, o, true)
	if derr != nil {
		return derr
	}
	return errors.Join(err, closeDevices(ds))
}

// openDevices opens the devices that a model would run on, without a model, and
// tests them or not.
func openDevices(ctx context.Context, o engine.Options, test bool) ([]backend.Device, error) {
	c := o.Choice()
	if !test {
		c.Test = nil
	}
	ds, _, err := engine.OpenDevices(ctx, o, c)
	if err != nil {
		return nil, deviceError{err}
	}
	return ds, nil
}

func closeDevices(ds []backend.Device) error {
	var errs []error
	for _, d := range ds {
		errs = append(errs, d.Close())
	}
	return errors.Join(errs...)
}

// open finds and loads the model that a command means.
func (a *app) open(c *cli.Context) (*engine.Model, string, error) {
	o, err := a.options(c)
	if err != nil {
		return nil, "", err
	}
	f, name, err := a.openFile(c, "")
	if err != nil {
		return nil, "", err
	}
	o = onProcessor(c, name, o)
	if o.Adapters, err = a.adapters(c); err != nil {
		return nil, "", errors.Join(err, f.Close())
	}
	m, err := a.load(c.Context, f, o)
	return m, name, err
}

// peakMemory is the most memory the process has held, in bytes; 0 if unknown.
func peakMemory() int64 {
	n, _ := process.Memory(process.Peak)
	return n
}
