package accel

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/kernels/shader"
)

// fake is an API that computes nothing. It counts what is open, refuses what no
// API may be asked for, and fails call number failAt.
type fake struct {
	limits Limits
	calls  int
	failAt int   // 0 for never
	fail   error // what that call gives
	open   map[any]string
	wrong  []string // misuse
	closed bool

	// Of the last submission: calls, without those that are skipped, and what the queue was
	// handed: recordings, but for those that only write what is read back.
	dispatches, submissions int
}

func newFake() *fake {
	return &fake{open: map[any]string{}, fail: errFake, limits: Limits{
		Features: shader.Features{Invocations: 128, Shared: 16 << 10},
		Buffers:  4, Range: 128 << 20, Groups: 65535, MemoryTotal: 4 << 30, MemoryFree: 3 << 30, Timeout: time.Second,
	}}
}

var errFake = errors.New("the fake device fails here")

// step counts a call, and fails it if its turn has come.
func (f *fake) step(what string) error {
	if f.closed {
		f.wrong = append(f.wrong, what+" after the API was closed")
	}
	f.calls++
	if f.calls == f.failAt {
		return fmt.Errorf("%s: %w", what, f.fail)
	}
	return nil
}

func (f *fake) Limits() Limits { return f.limits }

func (f *fake) Allocate(what string, size int, use Use) (Buffer, error) {
	if err := f.step("allocating " + what); err != nil {
		return nil, err
	}
	if size <= 0 || size%4 != 0 || size > f.limits.Range {
		f.wrong = append(f.wrong, fmt.Sprintf("%s: a buffer of %d bytes", what, size))
	}
	b := &fakeBuffer{fake: f, what: what, use: use, data: make([]byte, size)}
	f.open[b] = what
	return b, nil
}

func (f *fake) Program(kernel string, constants []uint32) (Program, error) {
	if err := f.step("compiling " + kernel); err != nil {
		return nil, err
	}
	if n, err := constantsOf(kernel); err != nil || n != len(constants) {
		f.wrong = append(f.wrong, fmt.Sprintf("kernel %s has %d constants, %d are given (%v)", kernel, n, len(constants), err))
	}
	return fakeProgram(kernel), nil
}

var constantsKnown = map[string]int{}

// constantsOf is how many constants a kernel has.
func constantsOf(kernel string) (int, error) {
	if n, ok := constantsKnown[kernel]; ok {
		return n, nil
	}
	names, err := shader.Constants(kernel)
	constantsKnown[kernel] = len(names)
	return len(names), err
}

func (f *fake) Record(list []Dispatch) (Recording, error) {
	if err := f.step("recording"); err != nil {
		return nil, err
	}
	r := &fakeRecording{f, list}
	for i := range list {
		if why := f.check(&list[i]); why != "" {
			f.wrong = append(f.wrong, list[i].Label+": "+why)
		}
	}
	f.open[r] = "a recording"
	return r, nil
}

// check says what is wrong with a dispatch.
func (f *fake) check(d *Dispatch) string {
	if d.Program == nil || d.Label == "" {
		return "no program or label"
	}
	for _, b := range d.Buffers {
		if _, ok := f.open[b]; b != nil && !ok {
			return fmt.Sprintf("kernel %s is given a closed buffer", d.Program.Name())
		}
	}
	if g, ok := d.Grid.(*fakeBuffer); !ok || g.use != Upload || d.GridAt < 0 || d.GridAt+12 > len(g.data) {
		return "its grid is nowhere"
	}
	if len(d.Params) > 32 {
		return fmt.Sprintf("%d parameters", len(d.Params))
	}
	return ""
}

func (f *fake) Submit(list []Recording, reads []Range) (Fence, error) {
	if err := f.step("submitting"); err != nil {
		return nil, err
	}
	f.dispatches, f.submissions = 0, 0
	for i, r := range list {
		if _, ok := f.open[r]; !ok {
			f.wrong = append(f.wrong, "a closed recording is submitted")
			continue
		}
		if i == 0 || !r.(*fakeRecording).reads() {
			f.submissions++
		}
		for _, d := range r.(*fakeRecording).list {
			if g := d.Grid.(*fakeBuffer).data[d.GridAt:]; zero(g[:4]) || zero(g[4:8]) || zero(g[8:12]) {
				continue
			}
			f.dispatches++
		}
	}
	for _, g := range reads {
		if b, ok := g.Buffer.(*fakeBuffer); !ok || b.use != Download || g.From < 0 || g.From >= g.To || g.To > len(b.data) {
			f.wrong = append(f.wrong, fmt.Sprintf("bytes %d to %d are read back", g.From, g.To))
		}
	}
	return (*fakeFence)(f), nil
}

func zero(b []byte) bool { return b[0]|b[1]|b[2]|b[3] == 0 }

func (f *fake) Close() error {
	f.closed = true
	return nil
}

type fakeFence fake

func (f *fakeFence) Wait() error      { return (*fake)(f).step("waiting") }
func (f *fakeFence) Submissions() int { return f.submissions }

type fakeProgram string

func (p fakeProgram) Name() string { return string(p) }

type fakeRecording struct {
	fake *fake
	list []Dispatch
}

// reads reports whether it writes what is read back.
func (r *fakeRecording) reads() bool {
	return slices.ContainsFunc(r.list, func(d Dispatch) bool {
		return slices.ContainsFunc(d.Buffers[:], func(b Buffer) bool {
			f, ok := b.(*fakeBuffer)
			return ok && f.use == Download
		})
	})
}

func (r *fakeRecording) Close() error { return r.fake.shut(r) }

// shut closes what is open, once.
func (f *fake) shut(x any) error {
	if _, ok := f.open[x]; !ok {
		f.wrong = append(f.wrong, fmt.Sprintf("%T closed twice", x))
	}
	delete(f.open, x)
	return nil
}

type fakeBuffer struct {
	fake *fake
	what string
	use  Use
	data []byte
}

func (b *fakeBuffer) Size() int { return len(b.data) }

func (b *fakeBuffer) Host() []byte {
	if b.use == Local {
		return nil
	}
	return b.data
}

func (b *fakeBuffer) Write(at int, data []byte) error {
	if err := b.access("writing", at, len(data)); err != nil {
		return err
	}
	copy(b.data[at:], data)
	return nil
}

func (b *fakeBuffer) Read(at int, dst []byte) error {
	if err := b.access("reading", at, len(dst)); err != nil {
		return err
	}
	copy(dst, b.data[at:])
	return nil
}

func (b *fakeBuffer) access(what string, at, n int) error {
	if _, ok := b.fake.open[b]; !ok || b.use != Local || at < 0 || n < 0 || at+n > len(b.data) {
		b.fake.wrong = append(b.fake.wrong, fmt.Sprintf("%s %d bytes from %d of %s (%d bytes)", what, n, at, b.what, len(b.data)))
		return errFake
	}
	return b.fake.step(what + " " + b.what)
}

func (b *fakeBuffer) Close() error { return b.fake.shut(b) }

var fakeInfo = backend.Info{Name: "fake0", Backend: "fake", Description: "computes nothing", Kind: backend.Null,
	Numerics: backend.Numerics{Device: "fake", Level: "f32", Version: "1"}}
