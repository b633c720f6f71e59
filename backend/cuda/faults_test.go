//go:build cuda && cgo && linux && !android && !static

package cuda

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/internal/accel"
)

// TestEveryCallFails: whichever call fails, and however, there is an error or the
// failure did not matter, and nothing is left behind.
func TestEveryCallFails(t *testing.T) {
	useFake(t)
	warm := accel.BlobsIn(t.TempDir())
	for _, start := range []string{"cold", "warm", "traced"} {
		blobs := warm
		switch start {
		case "cold":
			blobs = accel.BlobsIn(os.DevNull)
		case "traced":
			t.Setenv(EnvTrace, filepath.Join(t.TempDir(), "times"))
		}
		fake.Set("")
		if err := life(blobs, time.Minute); err != nil {
			t.Fatal(err)
		}
		fake.Set("")
		if err := life(blobs, time.Minute); err != nil {
			t.Fatal(err)
		}
		total := fake.Calls("")
		for _, how := range []string{"code=1", "code=2", "code=700 sticky", "null"} {
			failed, memory, gone := 0, 0, 0
			for n := 1; n <= total; n++ {
				fake.Set(fmt.Sprintf("fail=%d %s", n, how))
				err := life(blobs, time.Minute)
				what := fmt.Sprintf("%s start, call %d of %d, %s", start, n, total, how)
				nothingLeft(t, what)
				if err == nil {
					continue
				}
				failed++
				if text := err.Error(); errors.Is(err, errWrong) || len(text) < 10 || strings.Contains(text, "\n") {
					t.Errorf("%s: %q", what, text)
				}
				var oom *backend.ErrOutOfMemory
				if errors.As(err, &oom) {
					memory++
				}
				if isLost(err) {
					gone++
				}
			}
			t.Logf("%s start, %s: %d calls, %d failures are errors, %d out of memory, %d a lost device", start, how, total, failed, memory, gone)
			if total < 60 || how != "null" && failed < total*2/3 || how == "null" && failed < 5 ||
				how == "code=2" && memory < 5 || strings.Contains(how, "sticky") && gone < total/3 {
				t.Errorf("%s start, %s: too few", start, how)
			}
		}
	}
	well(t, "in the end")
}

// TestOutOfMemory: what does not fit is an ErrOutOfMemory that says of what and how
// much, and the device goes on.
func TestOutOfMemory(t *testing.T) {
	const card = "integrated=0 memory=209715200 "
	d := opened(t, card)
	for fault, use := range map[string]accel.Use{"only=cuMemAlloc fail=1 code=2": accel.Local, "only=cuMemHostAlloc fail=1 code=2": accel.Upload} {
		fake.Set(card + fault)
		_, err := d.Allocate("a large thing", 1<<20, use)
		var oom *backend.ErrOutOfMemory
		if !errors.As(err, &oom) || oom.Need != 1<<20 || oom.Have == 0 || oom.What != "a large thing" || !strings.Contains(err.Error(), "CUDA_ERROR_OUT_OF_MEMORY") {
			t.Errorf("%s: %v", fault, err)
		}
		fake.Set(card)
		if err := work(d); err != nil {
			t.Errorf("after %s: %v", fault, err)
		}
	}
	out := must[accel.Buffer](t)(d.Allocate("out", 400, accel.Local))
	grid := must[accel.Buffer](t)(d.Allocate("grid", 12, accel.Upload))
	setGrid(grid, 0, 1, 1, 1)
	r := must[accel.Recording](t)(d.Record(must[[]accel.Dispatch](t)(fills(d, out, grid, false, [3]uint32{0, 100, 5}))))
	for _, function := range []string{"cuGraphInstantiate", "cuGraphLaunch"} {
		fake.Set(card + "only=" + counted(t, function) + " fail=1 code=2")
		_, err := d.Submit([]accel.Recording{r}, nil)
		var oom *backend.ErrOutOfMemory
		if !errors.As(err, &oom) || isLost(err) || !strings.Contains(err.Error(), "a graph of calls") {
			t.Errorf("%s: %v", function, err)
		}
		fake.Set(card)
		f, err := d.Submit([]accel.Recording{r}, nil)
		if err == nil {
			err = f.Wait()
		}
		if err != nil {
			t.Errorf("after %s: %v", function, err)
		}
	}
	if err := errors.Join(r.Close(), out.Close(), grid.Close()); err != nil {
		t.Error(err)
	}
	// More than there is.
	if _, err := d.Allocate("a part", 1<<20, accel.Local); err != nil {
		t.Fatal(err)
	}
	total := fake.Bytes()
	if _, err := d.Allocate("all of it", int(min(d.limits.MemoryTotal, uint64(d.limits.Range)))&^3, accel.Local); err == nil {
		t.Error("memory for more than there is")
	}
	if n := fake.Bytes(); n != total {
		t.Errorf("%d bytes are kept of what failed", n-total)
	}
	if err := work(d); err != nil {
		t.Error(err)
	}
}

// TestOutOfSystemMemory: where memory is the system's, what it has not got is refused
// before the driver takes it.
func TestOutOfSystemMemory(t *testing.T) {
	d := opened(t, "integrated=1")
	if !d.limits.Unified || d.limits.MemoryFree == 0 {
		t.Fatalf("%+v", d.limits)
	}
	d.limits.Range = 1 << 50
	before := fake.Calls("cuMemAlloc")
	_, err := d.Allocate("a world", 1<<49, accel.Local)
	var oom *backend.ErrOutOfMemory
	if !errors.As(err, &oom) || oom.Need != 1<<49 || oom.Have == 0 {
		t.Error(err)
	}
	if n := fake.Calls("cuMemAlloc") - before; n != 0 {
		t.Errorf("the driver was asked %d times", n)
	}
}

// TestSticky: a kernel that went wrong is a lost device with the error's name, nothing
// works afterwards, and all is given back.
func TestSticky(t *testing.T) {
	useFake(t)
	for _, function := range []string{"cuEventQuery", "cuGraphLaunch", "cuEventRecord", "cuMemcpyHtoDAsync"} {
		d := opened(t, "")
		asking(d, true)
		out := must[accel.Buffer](t)(d.Allocate("out", 400, accel.Local))
		grid := must[accel.Buffer](t)(d.Allocate("grid", 12, accel.Upload))
		setGrid(grid, 0, 1, 1, 1)
		r := must[accel.Recording](t)(d.Record(must[[]accel.Dispatch](t)(fills(d, out, grid, false, [3]uint32{0, 100, 5}))))
		fake.Set("only=" + counted(t, function) + " fail=1 code=700 sticky")
		var err error
		if function == "cuMemcpyHtoDAsync" {
			err = out.Write(0, make([]byte, 400))
		} else {
			var f accel.Fence
			if f, err = d.Submit([]accel.Recording{r}, nil); err == nil {
				err = f.Wait()
			}
		}
		if !isLost(err) || !strings.Contains(err.Error(), "CUDA_ERROR_ILLEGAL_ADDRESS (an illegal memory access") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", function, err)
		}
		fake.Set("")
		if _, err := d.Submit([]accel.Recording{r}, nil); !isLost(err) {
			t.Errorf("%s: a run after the loss: %v", function, err)
		}
		if _, err := d.Allocate("more", 4, accel.Local); !isLost(err) {
			t.Errorf("%s: an allocation after the loss: %v", function, err)
		}
		if err := errors.Join(r.Close(), out.Close(), d.Close()); err != nil {
			t.Errorf("%s: closing: %v", function, err)
		}
		nothingLeft(t, function)
		well(t, "after "+function)
	}
}

// TestLate: what the GPU does not finish in time is a lost device, and closing it takes
// no time.
func TestLate(t *testing.T) {
	if !inChild(t) {
		return
	}
	useFake(t)
	const limit = 300 * time.Millisecond
	fake.Set("")
	d := must[*device](t)(openFirst(accel.BlobsIn(t.TempDir()), limit))
	asking(d, true)
	grid := must[accel.Buffer](t)(d.Allocate("grid", 12, accel.Upload))
	out := must[accel.Buffer](t)(d.Allocate("out", 400, accel.Local))
	setGrid(grid, 0, 1, 1, 1)
	r := must[accel.Recording](t)(d.Record(must[[]accel.Dispatch](t)(fills(d, out, grid, false, [3]uint32{0, 100, 5}))))
	fake.Set("stall")
	start := time.Now()
	f := must[accel.Fence](t)(d.Submit([]accel.Recording{r}, nil))
	if took := time.Since(start); took > limit {
		t.Errorf("Submit waited %v", took)
	}
	second := must[accel.Fence](t)(d.Submit(nil, nil))
	err := f.Wait()
	if !isLost(err) || !strings.Contains(err.Error(), "did not finish within 300ms (LEDGE_GPU_TIMEOUT") {
		t.Error(err)
	}
	if err := second.Wait(); !isLost(err) {
		t.Errorf("one after it: %v", err)
	}
	if err := errors.Join(r.Close(), out.Close(), d.Close()); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took < limit || took > 20*limit {
		t.Errorf("that took %v", took)
	}
	well(t, "afterwards")
}

// TestHang: a call that does not come back is a lost device within the limit, and
// closing it takes no time.
func TestHang(t *testing.T) {
	if !inChild(t) {
		return
	}
	useFake(t)
	const limit = 250 * time.Millisecond
	blobs := accel.BlobsIn(t.TempDir())
	for i, function := range []string{"cuMemAlloc", "cuMemHostAlloc", "cuMemsetD32Async", "cuMemcpyHtoDAsync", "cuMemcpyDtoHAsync", "cuEventRecord",
		"cuEventQuery", "cuLinkComplete", "cuModuleLoadData", "cuModuleGetFunction", "cuGraphCreate", "cuGraphInstantiate", "cuGraphLaunch",
		"cuGraphExecDestroy", "cuMemFree"} {
		if function == "cuLinkComplete" { // once, and then there is a binary
			blobs = accel.BlobsIn(t.TempDir())
		}
		fake.Set("")
		d := must[*device](t)(openFirst(blobs, limit))
		asking(d, i%2 == 0)
		fake.Set("hang=" + counted(t, function))
		start := time.Now()
		err := work(d)
		if !isLost(err) || !strings.Contains(err.Error(), "no answer") {
			t.Errorf("%s does not come back: %v", function, err)
		}
		if err := d.Close(); err != nil {
			t.Errorf("%s does not come back: close: %v", function, err)
		}
		if took := time.Since(start); took > 20*limit {
			t.Errorf("%s does not come back: it took %v", function, took)
		}
		fake.Set("")
	}
	well(t, "afterwards")
}

// TestGarbage: whatever a driver says of itself, there is an error or it is of no
// matter.
func TestGarbage(t *testing.T) {
	useFake(t)
	blobs := accel.BlobsIn(t.TempDir())
	failed := 0
	const rounds = 200
	for seed := range rounds {
		fake.Set(fmt.Sprintf("garbage=%d", seed+1))
		err := life(blobs, 10*time.Second)
		if err != nil {
			failed++
			if errors.Is(err, errWrong) || strings.Contains(err.Error(), "\n") {
				t.Errorf("garbage %d: %q", seed+1, err)
			}
		}
		nothingLeft(t, fmt.Sprintf("garbage %d (%v)", seed+1, err))
	}
	t.Logf("%d of %d garbage drivers are refused", failed, rounds)
	if failed < rounds/4 || failed == rounds {
		t.Error("too few, or all")
	}
	well(t, "afterwards")
}

// TestWrong: the fake can have kernels do nothing, for the tests of those who must
// notice.
func TestWrong(t *testing.T) {
	useFake(t)
	fake.Set("wrong")
	if err := life(accel.BlobsIn(t.TempDir()), time.Minute); !errors.Is(err, errWrong) {
		t.Errorf("kernels that do not run: %v", err)
	}
}
