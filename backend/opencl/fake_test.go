package opencl

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/backend/internal/dl"
)

// fake is the faulty library of testdata/fake.c.
type fake struct {
	*library
	control, calls, handles uintptr
}

var buildFake = sync.OnceValues(func() (path string, err error) {
	path = filepath.Join(filepath.Dir(programs), "libfakeopencl.so")
	out, err := exec.Command("gcc", "-O1", "-fPIC", "-shared", "-o", path, "testdata/fake.c", "-ldl").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

// faulty gives the faulty library; the test is skipped where it cannot be built or
// has no real one to forward to.
func faulty(t *testing.T) *fake {
	t.Helper()
	opened(t)
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip(err)
	}
	path, err := buildFake()
	if err != nil {
		t.Fatal(err)
	}
	l, err := load(path)
	if err != nil {
		t.Fatal(err)
	}
	handle, err := dl.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{library: l}
	for name, at := range map[string]*uintptr{"fake_control": &f.control, "fake_calls": &f.calls, "fake_handles": &f.handles} {
		if *at, err = handle.Symbol(name); err != nil {
			t.Fatal(err)
		}
	}
	f.tell("")
	t.Cleanup(func() { f.tell("") })
	return f
}

func (f *fake) tell(format string, args ...any) {
	words := append(fmt.Appendf(nil, format, args...), 0)
	dl.Call(f.control, uintptr(unsafe.Pointer(&words[0])))
}

func (f *fake) callCount() int { return int(dl.Call(f.calls)) }
func (f *fake) made() int      { return int(dl.Call(f.handles)) }

// errWrong is a life whose results are wrong.
var errWrong = errors.New("wrong results")

// life opens a device through the library, moves data, runs kernels twice and
// closes it. An error is what a user would get.
func life(l *library, dir string, limit time.Duration) (err error) {
	list, why := l.devices()
	if len(list) == 0 {
		return fmt.Errorf("no device: %w", accel.OneLine(errors.Join(why...)))
	}
	limits, err := limitsOf(list[0], accel.Switches{})
	if err != nil {
		return err
	}
	limits.Timeout = limit
	d, err := open(l, list[0], limits, accel.BlobsIn(dir))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	return work(d)
}

// work is what life does with a device.
func work(d *device) error {
	p, err := d.Program("fill", []uint32{128})
	if err != nil {
		return err
	}
	bank, err := d.Allocate("bank", 1<<16, accel.Local)
	if err != nil {
		return err
	}
	want := randomBytes(1 << 16)
	if err := bank.Write(0, want); err != nil {
		return err
	}
	run, err := d.Allocate("run", 4096, accel.Upload)
	if err != nil {
		return err
	}
	out, err := d.Allocate("out", 8000, accel.Download)
	if err != nil {
		return err
	}
	f := &filler{d: d, run: run, out: out}
	var dispatches []accel.Dispatch
	for i := range 2 {
		dispatches = append(dispatches, accel.Dispatch{Label: "fill", Program: p, Buffers: [4]accel.Buffer{out, run},
			Params: []uint32{uint32(1000 * i), 300, uint32(i + 1)}, Grid: run, GridAt: 12 * i})
		f.grid(i, 3, 1, 1)
	}
	if f.recording, err = d.Record(dispatches); err != nil {
		return err
	}
	for range 2 {
		clear(out.Host())
		fence, err := d.Submit([]accel.Recording{f.recording}, []accel.Range{f.all()})
		if err != nil {
			return err
		}
		if err := fence.Wait(); err != nil {
			return err
		}
		for i := range 2 {
			if f.at(1000*i) != uint32(i+1) || f.at(1000*i+299) != uint32(i+1) || f.at(1000*i+300) != 0 {
				return errWrong
			}
		}
	}
	got := make([]byte, len(want))
	if err := bank.Read(0, got); err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return errWrong
	}
	return errors.Join(f.recording.Close(), out.Close(), run.Close(), bank.Close())
}

func checkError(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil && (errors.Is(err, errWrong) || err.Error() == "") {
		t.Errorf("%s: %v", what, err)
	}
}

// TestEveryCallFails: whichever call fails, and however, there is an error or the
// failure did not matter, and nothing is left behind.
func TestEveryCallFails(t *testing.T) {
	f := faulty(t)
	dir := t.TempDir()
	for _, start := range []string{"cold", "warm"} {
		hows := []string{"", "code=-4", "null"}
		if err := life(f.library, dir, 10*time.Second); err != nil {
			t.Fatal(err)
		}
		f.tell("")
		at := dir
		if start == "cold" {
			at = os.DevNull // no folder: everything is compiled
			hows = hows[:1]
		}
		if err := life(f.library, at, 10*time.Second); err != nil {
			t.Fatal(err)
		}
		total, failed := f.callCount(), 0
		for _, how := range hows {
			for n := 1; n <= total; n++ {
				f.tell("fail=%d %s", n, how)
				err := life(f.library, at, 10*time.Second)
				what := fmt.Sprintf("%s start, call %d of %d fails %s", start, n, total, how)
				checkError(t, what, err)
				if err != nil {
					failed++
				}
				if left := f.made(); left != 0 {
					t.Fatalf("%s: %d objects are left (error %v)", what, left, err)
				}
			}
		}
		if failed < total*len(hows)/2 {
			t.Errorf("%s start: only %d errors in %d failures", start, failed, len(hows)*total)
		}
		t.Logf("%s start: %d calls, %d of %d failures are errors", start, total, failed, len(hows)*total)
	}
}

// TestGarbage: whatever a driver says about itself, there is an error or it is of
// no matter.
func TestGarbage(t *testing.T) {
	f := faulty(t)
	dir := t.TempDir()
	failed := 0
	const rounds = 300
	for seed := range rounds {
		f.tell("garbage=%d", seed+1)
		err := life(f.library, dir, 10*time.Second)
		checkError(t, fmt.Sprintf("garbage %d", seed+1), err)
		if err != nil {
			failed++
		}
		if left := f.made(); left != 0 {
			t.Fatalf("garbage %d: %d objects are left (error %v)", seed+1, left, err)
		}
	}
	if failed < rounds/2 || failed == rounds {
		t.Errorf("%d of %d garbage drivers are refused", failed, rounds)
	}
}

// TestWrong: the library can make kernels do nothing, for the tests of those who
// must notice.
func TestWrong(t *testing.T) {
	f := faulty(t)
	f.tell("wrong")
	if err := life(f.library, os.DevNull, 10*time.Second); !errors.Is(err, errWrong) {
		t.Errorf("kernels that do not run: %v", err)
	}
}

// through opens a device of the faulty library.
func (f *fake) open(t *testing.T, limit time.Duration) *device {
	t.Helper()
	list, why := f.devices()
	if len(list) == 0 {
		t.Fatal(why)
	}
	limits, err := limitsOf(list[0], accel.Switches{})
	if err != nil {
		t.Fatal(err)
	}
	limits.Timeout = limit
	d, err := open(f.library, list[0], limits, accel.BlobsIn(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestStatus: an event that ends with an error is a lost device with the error's
// name, and nothing works afterwards.
func TestStatus(t *testing.T) {
	f := faulty(t)
	d := f.open(t, 10*time.Second)
	fill := newFiller(t, d, 1, 100)
	fence, err := d.Submit([]accel.Recording{fill.recording}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := fence.Wait(); err != nil {
		t.Fatal(err)
	}
	f.tell("status=-5")
	fence, err = d.Submit([]accel.Recording{fill.recording}, []accel.Range{fill.all()})
	if err != nil {
		t.Fatal(err)
	}
	err = fence.Wait()
	if !errors.Is(err, backend.ErrDeviceLost) || !strings.Contains(err.Error(), "CL_OUT_OF_RESOURCES") {
		t.Errorf("a run that ends with CL_OUT_OF_RESOURCES: %v", err)
	}
	f.tell("")
	if _, err := d.Submit([]accel.Recording{fill.recording}, nil); !errors.Is(err, backend.ErrDeviceLost) {
		t.Errorf("a run after the loss: %v", err)
	}
	if _, err := d.Allocate("more", 4, accel.Local); !errors.Is(err, backend.ErrDeviceLost) {
		t.Errorf("an allocation after the loss: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if left := f.made(); left != 0 {
		t.Errorf("%d objects are left", left)
	}
}

// TestOutOfMemory: what does not fit is an ErrOutOfMemory, be it refused or found
// out when it is first used, and the device goes on.
func TestOutOfMemory(t *testing.T) {
	f := faulty(t)
	d := f.open(t, 10*time.Second)
	for _, words := range []string{"only=clCreateBuffer fail=1 code=-4", "only=clCreateBuffer fail=1 code=-6", "only=clEnqueueFillBuffer fail=1 code=-5", "status=-4", "status=-5"} {
		f.tell("%s", words)
		_, err := d.Allocate("a large thing", 1<<20, accel.Local)
		var oom *backend.ErrOutOfMemory
		if !errors.As(err, &oom) || oom.Need != 1<<20 || oom.What != "a large thing" {
			t.Errorf("%s: %v", words, err)
		}
		f.tell("")
		if err := work(d); err != nil {
			t.Errorf("after %s: %v", words, err)
		}
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if left := f.made(); left != 0 {
		t.Errorf("%d objects are left", left)
	}
}

// TestHang: a call that does not come back is a lost device within the limit, and
// closing it takes no time.
func TestHang(t *testing.T) {
	f := faulty(t)
	const limit = 500 * time.Millisecond
	first := f.open(t, time.Minute) // compiles, which on a busy machine takes long
	if err := errors.Join(work(first), first.Close()); err != nil {
		t.Fatal(err)
	}
	for _, fn := range []string{"clWaitForEvents", "clFlush", "clEnqueueNDRangeKernel", "clEnqueueWriteBuffer", "clEnqueueReadBuffer", "clCreateBuffer",
		"clEnqueueFillBuffer", "clBuildProgram", "clCreateKernel", "clSetKernelArg", "clReleaseEvent", "clReleaseMemObject", "clReleaseKernel"} {
		d := f.open(t, limit)
		f.tell("hang=%s", fn)
		start := time.Now()
		err := work(d)
		if !errors.Is(err, backend.ErrDeviceLost) || !strings.Contains(err.Error(), "no answer") {
			t.Errorf("%s does not come back: %v", fn, err)
		}
		if err := d.Close(); err != nil {
			t.Errorf("%s does not come back: close: %v", fn, err)
		}
		if took := time.Since(start); took > 20*limit {
			t.Errorf("%s does not come back: it took %v", fn, took)
		}
		f.tell("")
	}
	d := f.open(t, limit)
	if err := work(d); err != nil {
		t.Fatal(err)
	}
	f.tell("hang=clReleaseContext")
	if err := d.Close(); !errors.Is(err, backend.ErrDeviceLost) {
		t.Errorf("close does not come back: %v", err)
	}
	f.tell("")
}
