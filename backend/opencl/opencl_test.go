package opencl

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/backend/internal/dl"
	"github.com/ledge-run/ledge/kernels/shader"
)

// programs is the folder of compiled programs for the tests of this process.
var programs string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "ledge-opencl-test-")
	if err != nil {
		panic(err)
	}
	programs = filepath.Join(dir, "programs")
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// opened opens the first device; the test is skipped where there is none.
func opened(t testing.TB) *device {
	t.Helper()
	if !dl.Supported {
		t.Skip("no libraries in this build")
	}
	l, err := theLibrary()
	if err != nil {
		t.Skip(err)
	}
	list, why := l.devices()
	if len(list) == 0 {
		t.Skip(why)
	}
	return openedWith(t, l, list[0], accel.BlobsIn(programs))
}

func openedWith(t testing.TB, l *library, p properties, blobs *accel.Blobs) *device {
	t.Helper()
	limits, err := limitsOf(p, accel.Switches{})
	if err != nil {
		t.Fatal(err)
	}
	before := l.handles.Load()
	d, err := open(l, p, limits, blobs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if n := l.handles.Load(); n != before && !d.stuck.Load() {
			t.Errorf("%d handles were not released", n-before)
		}
	})
	return d
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(1, uint64(n)))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func TestWriteRead(t *testing.T) {
	d := opened(t)
	for _, n := range []int{4, 4096, stagePiece, stagePiece + 4, 3*stagePiece + 12} {
		b := must[accel.Buffer](t)(d.Allocate("test", n, accel.Local))
		if b.Size() != n || b.Host() != nil {
			t.Errorf("a local buffer of %d bytes has %d, host %v", n, b.Size(), b.Host() != nil)
		}
		got := bytes.Repeat([]byte{1}, n)
		if err := b.Read(0, got); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, make([]byte, n)) {
			t.Errorf("a new buffer of %d bytes is not clear", n)
		}
		want := randomBytes(n)
		if err := b.Write(0, want); err != nil {
			t.Fatal(err)
		}
		part := []byte{1, 2, 3, 4}
		if err := b.Write(n-4, part); err != nil {
			t.Fatal(err)
		}
		copy(want[n-4:], part)
		if err := b.Read(0, got); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%d bytes come back changed", n)
		}
		if err := b.Write(n-3, part); err == nil {
			t.Error("a write past the end is taken")
		}
		if err := b.Read(-1, part); err == nil {
			t.Error("a read before the start is taken")
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		if err := b.Write(0, part); err == nil {
			t.Error("a closed buffer takes a write")
		}
	}
}

// filler is a recording of fills: each dispatch i sets n uints of out from
// 1000*i on to i+1.
type filler struct {
	d         *device
	run, out  accel.Buffer
	recording accel.Recording
}

func newFiller(t testing.TB, d *device, count, n int) *filler {
	f := &filler{d: d}
	p := must[accel.Program](t)(d.Program("fill", []uint32{128}))
	f.run = must[accel.Buffer](t)(d.Allocate("run", 4096, accel.Upload))
	f.out = must[accel.Buffer](t)(d.Allocate("out", 4000*count, accel.Download))
	var list []accel.Dispatch
	for i := range count {
		list = append(list, accel.Dispatch{
			Label: "fill", Program: p, Buffers: [4]accel.Buffer{f.out, f.run}, Params: []uint32{uint32(1000 * i), uint32(n), uint32(i + 1)},
			Grid: f.run, GridAt: 12 * i,
		})
		f.grid(i, uint32(n+127)/128, 1, 1)
	}
	f.recording = must[accel.Recording](t)(d.Record(list))
	return f
}

func (f *filler) grid(i int, x, y, z uint32) {
	for j, n := range []uint32{x, y, z} {
		binary.NativeEndian.PutUint32(f.run.Host()[12*i+4*j:], n)
	}
}

func (f *filler) submit(t testing.TB, reads ...accel.Range) {
	t.Helper()
	fence, err := f.d.Submit([]accel.Recording{f.recording}, reads)
	if err != nil {
		t.Fatal(err)
	}
	if err := fence.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := fence.Wait(); err != nil {
		t.Fatal(err)
	}
}

func (f *filler) all() accel.Range { return accel.Range{Buffer: f.out, From: 0, To: f.out.Size()} }

func (f *filler) at(i int) uint32 { return binary.NativeEndian.Uint32(f.out.Host()[4*i:]) }

func TestReplay(t *testing.T) {
	d := opened(t)
	f := newFiller(t, d, 10, 300)
	for round := range 50 {
		clear(f.out.Host())
		f.submit(t, f.all())
		for i := range 10 {
			if f.at(1000*i) != uint32(i+1) || f.at(1000*i+299) != uint32(i+1) || f.at(1000*i+300) != 0 {
				t.Fatalf("round %d: call %d wrote %d .. %d, %d", round, i, f.at(1000*i), f.at(1000*i+299), f.at(1000*i+300))
			}
		}
	}
	if err := f.recording.Close(); err != nil {
		t.Error(err)
	}
	if _, err := d.Submit([]accel.Recording{f.recording}, nil); err == nil {
		t.Error("a closed recording runs")
	}
}

// TestGrids: the number of workgroups is what the host says at each submission,
// and none for a zero.
func TestGrids(t *testing.T) {
	d := opened(t)
	f := newFiller(t, d, 3, 1000)
	f.grid(0, 1, 1, 1)
	f.grid(1, 0, 1, 1)
	f.grid(2, 2, 1, 0)
	f.submit(t, f.all())
	if f.at(127) != 1 || f.at(128) != 0 || f.at(1000) != 0 || f.at(2000) != 0 {
		t.Errorf("one group wrote %d, %d; skipped calls %d, %d", f.at(127), f.at(128), f.at(1000), f.at(2000))
	}
	f.grid(0, 0, 0, 0)
	f.grid(2, 0, 5, 5)
	f.submit(t) // nothing at all to do
	f.grid(1, 2, 1, 1)
	f.submit(t, accel.Range{Buffer: f.out, From: 4000, To: 8000})
	if f.at(1255) != 2 || f.at(1256) != 0 {
		t.Errorf("two groups wrote %d, %d", f.at(1255), f.at(1256))
	}
	f.grid(1, 1<<31, 1, 1)
	if _, err := d.Submit([]accel.Recording{f.recording}, nil); err == nil {
		t.Error("more workgroups than there can be are taken")
	}
}

// TestSubmitAllocates: nothing from the second run on.
func TestSubmitAllocates(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	d := opened(t)
	f := newFiller(t, d, 5, 300)
	list, reads := []accel.Recording{f.recording}, []accel.Range{f.all()}
	run := func() {
		fence, err := d.Submit(list, reads)
		if err == nil {
			err = fence.Wait()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 10 {
		run()
	}
	if n := testing.AllocsPerRun(100, run); n > 0 {
		t.Errorf("a run allocates %v times", n)
	}
}

// TestKernels compiles every kernel with small constants; all of them must be
// kernels for every device.
func TestKernels(t *testing.T) {
	d := opened(t)
	for _, k := range shader.Plain() {
		names, err := shader.Constants(k)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Program(k, onesFor(names)); err != nil {
			t.Error(err)
		}
	}
}

func TestProgramErrors(t *testing.T) {
	d := opened(t)
	if _, err := d.Program("fill", nil); err == nil || !strings.Contains(err.Error(), "constants") {
		t.Errorf("a kernel without constants: %v", err)
	}
	if _, err := d.Program("no_such_kernel", []uint32{128}); err == nil || !strings.Contains(err.Error(), "no_such_kernel") {
		t.Errorf("an unknown kernel: %v", err)
	}
	_, err := d.build("__kernel void f() { undeclared = 1; }")
	if err == nil || !strings.Contains(err.Error(), "undeclared") || strings.Contains(err.Error(), "\n") {
		t.Errorf("a text that does not compile: %v", err)
	}
	a := must[accel.Program](t)(d.Program("fill", []uint32{128}))
	if b := must[accel.Program](t)(d.Program("fill", []uint32{128})); a != b {
		t.Error("a program is compiled twice")
	}
}
