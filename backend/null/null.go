// Package null is a device that computes nothing and accepts everything. It
// counts what is asked of it, refuses memory beyond a limit, fails when told to,
// and notices what no real device survives: pages that are not there, cells
// written twice in a run, closing in the wrong order. Tests of the layers above
// run on it.
//
// Importing it registers the driver "null", whose score of 0 keeps it from ever
// being picked automatically.
package null

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/graph/pass"
)

// Name of the driver and of its one device.
const Name = "null"

func init() {
	backend.Register(backend.Driver{
		Name:  Name,
		Probe: func(context.Context) ([]backend.Info, error) { return []backend.Info{New(Options{}).Info()}, nil },
		Open: func(_ context.Context, name string, _ backend.Options) (backend.Device, error) {
			return New(Options{}), nil
		},
	})
}

// Options of a device made for a test.
type Options struct {
	Name   string // of the device; "" is "null"
	Memory uint64 // bytes for weights, states and arenas; 0 for no limit

	// Supports says what the device takes; nil takes everything.
	Supports func(g *graph.Graph, n *graph.Node) error

	// Answer, if set, fills the outputs of a run. Without it rows are zeros
	// and the best candidates are the lowest ids.
	Answer func(a *backend.Args)
}

// Call is something that a device is asked to do.
type Call int

const (
	Load Call = iota
	NewState
	Compile
	Submit
	calls
)

func (c Call) String() string {
	return [...]string{"Load", "NewState", "Compile", "Submit"}[c]
}

// Stats are what a device has been asked for since it was made.
type Stats struct {
	Calls [calls]int // by Call, failed ones too

	Weights, States, Executables int // open now

	WeightBytes int64 // held now, as in the file
	StateBytes  int64
	ArenaBytes  int64

	Rows         int64 // submitted
	WeightReads  int64 // bytes of products' and gathered weights that the runs read
	CacheReads   int64 // bytes of keys and values that attention read
	CacheWrites  int64
	PageTransfer int64 // bytes that CopyPage, ReadPage and WritePage moved
}

// Device is the null device. Its methods may be called from any goroutine.
type Device struct {
	options Options

	mu     sync.Mutex
	stats  Stats
	fail   map[Call]map[int]error // by number of the call
	lost   error
	closed bool
}

// New makes a device.
func New(o Options) *Device {
	if o.Name == "" {
		o.Name = Name
	}
	return &Device{options: o, fail: map[Call]map[int]error{}}
}

// Fail makes the n-th call of a kind from now on, counted from 1, return err. If
// err is backend.ErrDeviceLost, so does every call after it.
func (d *Device) Fail(c Call, n int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail[c] == nil {
		d.fail[c] = map[int]error{}
	}
	d.fail[c][d.stats.Calls[c]+n] = err
}

// Stats returns the counts so far.
func (d *Device) Stats() Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stats
}

// begin counts a call and gives the error it was told to fail with.
func (d *Device) begin(c Call) error {
	d.stats.Calls[c]++
	if d.closed {
		return fmt.Errorf("null: %s on a closed device", c)
	}
	if d.lost != nil {
		return d.lost
	}
	err := d.fail[c][d.stats.Calls[c]]
	if errors.Is(err, backend.ErrDeviceLost) {
		d.lost = err
	}
	return err
}

// take accounts for memory, or refuses it.
func (d *Device) take(what string, size int64, of *int64) error {
	used := d.stats.WeightBytes + d.stats.StateBytes + d.stats.ArenaBytes
	if limit := d.options.Memory; limit > 0 && uint64(used+size) > limit {
		return &backend.ErrOutOfMemory{What: what, Need: uint64(size), Have: limit - uint64(used)}
	}
	*of += size
	return nil
}

// Info implements backend.Device.
func (d *Device) Info() backend.Info {
	s := d.Stats()
	free := uint64(0)
	if d.options.Memory > 0 {
		free = d.options.Memory - uint64(s.WeightBytes+s.StateBytes+s.ArenaBytes)
	}
	return backend.Info{
		Name: d.options.Name, Backend: Name, Description: "computes nothing", Kind: backend.Null,
		Memory:   backend.Memory{Total: d.options.Memory, Free: free},
		Numerics: backend.Numerics{Device: Name, Level: "none", Version: "1"},
	}
}

// Target implements backend.Device.
func (d *Device) Target() pass.Target {
	supports := d.options.Supports
	if supports == nil {
		supports = func(*graph.Graph, *graph.Node) error { return nil }
	}
	return pass.Target{
		Name: d.options.Name, Supports: supports, Memory: d.options.Memory, Align: 64,
		Lower: func(_ *graph.Graph, n *graph.Node) (kernel, format string) { return "null." + n.Op.String(), "f32" },
	}
}

// Load opens and releases every weight, and keeps its size.
func (d *Device) Load(ctx context.Context, spec backend.LoadSpec) (backend.Weights, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.begin(Load); err != nil {
		return nil, err
	}
	w := &weights{device: d, size: map[string]int64{}}
	for _, s := range spec.Weights {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		data, release, err := s.Open()
		if err != nil {
			return nil, fmt.Errorf("null: weight %q: %w", s.Name, err)
		}
		have := len(data)
		release()
		want, err := dtype.ByteSize(s.DType, s.Shape)
		if err != nil || have != want {
			return nil, fmt.Errorf("null: weight %q has %d bytes, want %d (%v)", s.Name, have, want, err)
		}
		w.size[s.Name] = int64(have)
		w.bytes += int64(have)
		if spec.Progress != nil {
			spec.Progress(w.bytes)
		}
	}
	if err := d.take("weights", w.bytes, &d.stats.WeightBytes); err != nil {
		return nil, err
	}
	d.stats.Weights++
	return w, nil
}

// NewState makes pages that remember what is written to them by page.
func (d *Device) NewState(spec backend.StateSpec) (backend.State, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.begin(NewState); err != nil {
		return nil, err
	}
	if spec.Pages < 0 || spec.Sequences < 0 {
		return nil, fmt.Errorf("null: a state of %d pages and %d sequences", spec.Pages, spec.Sequences)
	}
	s := &state{device: d, pages: spec.Pages, data: map[int][]byte{}, layout: "null-1"}
	for _, decl := range spec.Decls {
		switch decl.Kind {
		case graph.Paged:
			s.page += decl.TokenBytes() * backend.PageTokens
		case graph.Ring:
			s.bytes += int64(decl.TokenBytes()) * int64(decl.Window) * int64(spec.Sequences)
		case graph.Fixed:
			s.bytes += int64(decl.Bytes) * int64(spec.Sequences)
		default:
			return nil, fmt.Errorf("null: state %q has the unknown kind %q", decl.Name, decl.Kind)
		}
		s.layout += fmt.Sprintf(";%s:%s:%dx%d,%d:%s", decl.Name, decl.Kind, decl.KVHeads, decl.KeyDim, decl.ValueDim, decl.DType)
	}
	s.bytes += int64(s.page) * int64(s.pages)
	if err := d.take("states", s.bytes, &d.stats.StateBytes); err != nil {
		return nil, err
	}
	d.stats.States++
	return s, nil
}

// Compile takes any graph whose weights are there.
func (d *Device) Compile(ctx context.Context, spec backend.CompileSpec) (backend.Executable, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.begin(Compile); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w, ok := spec.Weights.(*weights)
	if !ok || w.device != d || w.closed {
		return nil, errors.New("null: Compile with weights that are closed or another device's")
	}
	e := &executable{device: d, graph: spec.Graph, weights: w}
	uses := backend.WeightUses(spec.Graph)
	for _, n := range spec.Graph.Weights() {
		size, ok := w.size[n.Name]
		if !ok {
			return nil, fmt.Errorf("null: weight %q is not loaded", n.Name)
		}
		if uses[n.Name]&^backend.UseGather != 0 {
			e.read += size
		}
	}
	e.inputs = spec.Graph.Inputs()
	e.arena = int64(spec.Plan.Arena)
	if err := d.take("the arena", e.arena, &d.stats.ArenaBytes); err != nil {
		return nil, err
	}
	w.users++
	d.stats.Executables++
	return e, nil
}

// Close reports what is still open.
func (d *Device) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	if s := d.stats; s.Weights+s.States+s.Executables > 0 {
		return fmt.Errorf("null: the device is closed while %d weights, %d states and %d executables are open", s.Weights, s.States, s.Executables)
	}
	return nil
}

type weights struct {
	device *Device
	size   map[string]int64
	bytes  int64
	users  int // executables
	closed bool
}

func (w *weights) Bytes() int64 { return w.bytes }

func (w *weights) Close() error {
	d := w.device
	d.mu.Lock()
	defer d.mu.Unlock()
	if w.closed {
		return nil
	}
	w.closed = true
	d.stats.Weights--
	d.stats.WeightBytes -= w.bytes
	if w.users > 0 {
		return fmt.Errorf("null: weights are closed while %d executables use them", w.users)
	}
	return nil
}

type state struct {
	device *Device
	layout string
	page   int // bytes
	pages  int
	bytes  int64
	data   map[int][]byte // pages written to by CopyPage and WritePage
	closed bool
}

func (s *state) Layout() string { return s.layout }
func (s *state) PageBytes() int { return s.page }

// check is called with the device's lock held.
func (s *state) check(page, size int) error {
	switch {
	case s.closed:
		return errors.New("null: the state is closed")
	case page < 0 || page >= s.pages:
		return fmt.Errorf("null: page %d of %d", page, s.pages)
	case size != s.page:
		return fmt.Errorf("null: a page has %d bytes, not %d", s.page, size)
	}
	s.device.stats.PageTransfer += int64(size)
	return nil
}

func (s *state) CopyPage(dst, src int) error {
	s.device.mu.Lock()
	defer s.device.mu.Unlock()
	if err := s.check(src, s.page); err != nil {
		return err
	}
	if err := s.check(dst, s.page); err != nil {
		return err
	}
	s.data[dst] = append([]byte(nil), s.data[src]...)
	return nil
}

func (s *state) ReadPage(page int, dst []byte) error {
	s.device.mu.Lock()
	defer s.device.mu.Unlock()
	if err := s.check(page, len(dst)); err != nil {
		return err
	}
	clear(dst[copy(dst, s.data[page]):])
	return nil
}

func (s *state) WritePage(page int, src []byte) error {
	s.device.mu.Lock()
	defer s.device.mu.Unlock()
	if err := s.check(page, len(src)); err != nil {
		return err
	}
	s.data[page] = append([]byte(nil), src...)
	return nil
}

func (s *state) Close() error {
	d := s.device
	d.mu.Lock()
	defer d.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed, s.data = true, nil
	d.stats.States--
	d.stats.StateBytes -= s.bytes
	return nil
}

// zeros fills the outputs of a run of no rows in particular.
func zeros(o *backend.Output, cols int) {
	clear(o.F32)
	clear(o.Logits)
	k := 1
	if o.Mode == backend.ReadTop {
		k = max(1, min(backend.TopCount, cols))
	}
	for i := range o.IDs {
		o.IDs[i] = int32(i % k)
	}
	for i := range o.LogSumExp {
		o.LogSumExp[i] = float32(math.Log(float64(max(1, cols))))
	}
}
