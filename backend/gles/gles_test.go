//go:build gles && cgo && !static && linux

package gles

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/kernels/shader"
)

// opened is a device for a test, which skips where there is none.
func opened(t *testing.T, words string) *api {
	t.Helper()
	s, err := accel.ParseSwitches(words)
	if err != nil {
		t.Fatal(err)
	}
	a, err := open(s)
	if err != nil {
		if os.Getenv("LEDGE_TEST_GLES") != "" {
			t.Fatal(err)
		}
		t.Skipf("no OpenGL ES here (Debian: libegl1 libgles2 libgl1-mesa-dri): %v", err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (a *api) test(t *testing.T, what string, size int, use accel.Use) accel.Buffer {
	t.Helper()
	b := must[accel.Buffer](t)(a.Allocate(what, size, use))
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// fills are dispatches of the kernel fill: uints from, n, value.
func (a *api) fills(t *testing.T, target, grid accel.Buffer, free bool, calls ...[3]uint32) []accel.Dispatch {
	t.Helper()
	p := must[accel.Program](t)(a.Program("fill", []uint32{128}))
	var list []accel.Dispatch
	for i, c := range calls {
		list = append(list, accel.Dispatch{Label: fmt.Sprint("fill ", i), Program: p, Buffers: [4]accel.Buffer{target},
			Params: c[:], Grid: grid, GridAt: 12 * i, Free: free})
	}
	return list
}

func setGrid(b accel.Buffer, at int, x, y, z uint32) {
	for i, n := range []uint32{x, y, z} {
		binary.LittleEndian.PutUint32(b.Host()[12*at+4*i:], n)
	}
}

func run(t *testing.T, a *api, reads []accel.Range, list ...accel.Recording) {
	t.Helper()
	if err := must[accel.Fence](t)(a.Submit(list, reads)).Wait(); err != nil {
		t.Fatal(err)
	}
}

func uints(b []byte) []uint32 {
	u := make([]uint32, len(b)/4)
	for i := range u {
		u[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	return u
}

// TestFill: a recording is replayed, the grid is read anew each time, a zero in it
// skips a call, the reads give what is there then, and buffers begin cleared.
func TestFill(t *testing.T) {
	a := opened(t, "")
	const n = 1000
	out := a.test(t, "out", 4*n, accel.Download)
	grid := a.test(t, "grid", 24, accel.Upload)
	r := must[accel.Recording](t)(a.Record(a.fills(t, out, grid, false, [3]uint32{0, 600, 7}, [3]uint32{500, 500, 9})))
	whole := []accel.Range{{Buffer: out, From: 0, To: 4 * n}}
	check := func(what string, want func(i int) uint32) {
		t.Helper()
		for i, v := range uints(out.Host()) {
			if v != want(i) {
				t.Fatalf("%s: uint %d is %d, want %d", what, i, v, want(i))
			}
		}
	}
	run(t, a, whole, r)
	check("all grids zero", func(int) uint32 { return 0 })
	setGrid(grid, 0, 8, 1, 1)
	setGrid(grid, 1, 8, 0, 1)
	run(t, a, whole, r)
	check("the second skipped", func(i int) uint32 {
		if i < 600 {
			return 7
		}
		return 0
	})
	setGrid(grid, 1, 8, 1, 1)
	for range 3 {
		run(t, a, whole, r, r)
		check("both", func(i int) uint32 {
			if i < 500 {
				return 7
			}
			return 9
		})
	}
	setGrid(grid, 0, 1<<31, 1, 1)
	if _, err := a.Submit([]accel.Recording{r}, nil); err == nil || !strings.Contains(err.Error(), "fill 0") {
		t.Errorf("a grid beyond the limits: %v", err)
	}
	setGrid(grid, 0, 0, 1, 1)
	run(t, a, whole, r)
}

// TestPartialRead: only the range that is asked for is read.
func TestPartialRead(t *testing.T) {
	a := opened(t, "")
	out := a.test(t, "out", 400, accel.Download)
	grid := a.test(t, "grid", 12, accel.Upload)
	setGrid(grid, 0, 1, 1, 1)
	r := must[accel.Recording](t)(a.Record(a.fills(t, out, grid, true, [3]uint32{0, 100, 5})))
	run(t, a, []accel.Range{{Buffer: out, From: 40, To: 80}, {Buffer: out, From: 8, To: 8}}, r)
	for i, v := range uints(out.Host()) {
		if want := map[bool]uint32{true: 5}[i >= 10 && i < 20]; v != want {
			t.Errorf("uint %d is %d, want %d", i, v, want)
		}
	}
}

// TestWriteRead: what Write writes and what a kernel writes over it is what Read
// gives, also where that takes several calls.
func TestWriteRead(t *testing.T) {
	a := opened(t, "")
	const size = 2*chunk + 400
	b := a.test(t, "local", size, accel.Local)
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(i * 7 >> 3)
	}
	if err := b.Write(0, data); err != nil {
		t.Fatal(err)
	}
	grid := a.test(t, "grid", 12, accel.Upload)
	setGrid(grid, 0, 1, 1, 1)
	r := must[accel.Recording](t)(a.Record(a.fills(t, b, grid, false, [3]uint32{25, 50, 0xdeadbeef})))
	run(t, a, nil, r)
	for i := 25; i < 75; i++ {
		binary.LittleEndian.PutUint32(data[4*i:], 0xdeadbeef)
	}
	got := make([]byte, size-12)
	if err := b.Read(12, got); err != nil {
		t.Fatal(err)
	}
	if string(got) != string(data[12:]) {
		t.Error("read differs from what was written")
	}
	for _, c := range []struct{ at, n int }{{-1, 4}, {size, 1}, {size - 4, 8}} {
		if err := b.Read(c.at, make([]byte, c.n)); err == nil {
			t.Errorf("a read of %d bytes at %d is no error", c.n, c.at)
		}
		if err := b.Write(c.at, make([]byte, c.n)); err == nil {
			t.Errorf("a write of %d bytes at %d is no error", c.n, c.at)
		}
	}
}

// TestMisuse: what is not of the device, or closed, is an error.
func TestMisuse(t *testing.T) {
	a, other := opened(t, ""), opened(t, "")
	out := a.test(t, "out", 400, accel.Download)
	grid := a.test(t, "grid", 12, accel.Upload)
	good := a.fills(t, out, grid, false, [3]uint32{0, 100, 5})[0]
	for what, spoil := range map[string]func(d *accel.Dispatch){
		"no program":           func(d *accel.Dispatch) { d.Program = nil },
		"another's buffer":     func(d *accel.Dispatch) { d.Buffers[1] = other.zero },
		"no grid":              func(d *accel.Dispatch) { d.Grid = nil },
		"a local grid":         func(d *accel.Dispatch) { d.Grid = a.zero },
		"a grid at an odd one": func(d *accel.Dispatch) { d.GridAt = 2 },
		"a grid outside":       func(d *accel.Dispatch) { d.GridAt = 4 },
		"33 parameters":        func(d *accel.Dispatch) { d.Params = make([]uint32, 33) },
	} {
		d := good
		spoil(&d)
		if _, err := a.Record([]accel.Dispatch{d}); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	r := must[accel.Recording](t)(a.Record([]accel.Dispatch{good}))
	if _, err := other.Submit([]accel.Recording{r}, nil); err == nil {
		t.Error("another's recording: no error")
	}
	for _, rng := range []accel.Range{{Buffer: grid, To: 4}, {Buffer: out, From: 8, To: 4}, {Buffer: out, To: 404}} {
		if _, err := a.Submit([]accel.Recording{r}, []accel.Range{rng}); err == nil {
			t.Errorf("reading %d to %d: no error", rng.From, rng.To)
		}
	}
	for _, size := range []int{0, 3, -4, a.limits.Range + 4} {
		if _, err := a.Allocate("odd", size, accel.Local); err == nil {
			t.Errorf("a buffer of %d bytes: no error", size)
		}
	}
	if _, err := a.Program("fill", nil); err == nil {
		t.Error("a kernel without its constants: no error")
	}
	if _, err := a.Program("none", []uint32{1}); err == nil {
		t.Error("a kernel that is not there: no error")
	}
	if _, err := a.Program("fill", []uint32{1 << 20}); err == nil {
		t.Error("a workgroup of a million: no error")
	}
	setGrid(grid, 0, 1, 1, 1)
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Submit([]accel.Recording{r}, nil); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("a recording with a closed buffer: %v", err)
	}
}

// TestSubmitAllocates nothing once it is warm.
func TestSubmitAllocates(t *testing.T) {
	a := opened(t, "")
	out := a.test(t, "out", 400, accel.Download)
	grid := a.test(t, "grid", 36, accel.Upload)
	for i := range 3 {
		setGrid(grid, i, 1, 1, 1)
	}
	r := must[accel.Recording](t)(a.Record(a.fills(t, out, grid, true, [3]uint32{0, 10, 5}, [3]uint32{10, 10, 5}, [3]uint32{20, 10, 5})))
	list, reads := []accel.Recording{r}, []accel.Range{{Buffer: out, To: 400}}
	run(t, a, reads, r)
	n := testing.AllocsPerRun(20, func() {
		f, err := a.Submit(list, reads)
		if err == nil {
			err = f.Wait()
		}
		if err != nil {
			t.Error(err)
		}
	})
	if n > 0 {
		t.Errorf("a submission and its wait allocate %v times", n)
	}
}

// TestKernelsCompile: every kernel, on the specification's minimum.
func TestKernelsCompile(t *testing.T) {
	t.Setenv(accel.EnvCache, "off")
	a := opened(t, "min")
	for _, k := range shader.Plain() {
		names, err := shader.Constants(k)
		if err != nil {
			t.Fatal(err)
		}
		constants := make([]uint32, len(names))
		for i := range constants {
			constants[i] = 1
		}
		constants[0] = 128
		if _, err := a.Program(k, constants); err != nil {
			t.Errorf("%s: %v", k, err)
		}
	}
}

// TestSource: the version comes first, the constants before all that uses them.
func TestSource(t *testing.T) {
	s := must[string](t)(source("fill", []uint32{64}))
	if !strings.HasPrefix(s, "#version 310 es\n#define WG 64u\n") {
		t.Errorf("a kernel begins with %q", s[:60])
	}
}

// TestOpens: contexts are given back, with what was left open in them.
func TestOpens(t *testing.T) {
	opened(t, "")
	opens := func(n int) {
		for range n {
			a := must[*api](t)(open(accel.Switches{}))
			must[accel.Program](t)(a.Program("fill", []uint32{128}))
			must[accel.Buffer](t)(a.Allocate("a buffer that is left open", 1<<20, accel.Local))
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	// Heaps of the C library and of Go settle in some rounds; a leak grows in each.
	const rounds, most = 5, 8 << 20
	least := int64(1 << 40)
	for round := range rounds {
		debug.FreeOSMemory()
		threads, before := threadCount(t), resident(t)
		opens(100)
		debug.FreeOSMemory()
		least = min(least, resident(t)-before)
		if more := threadCount(t) - threads; round > 0 && more > 8 {
			t.Errorf("100 opens leave %d threads", more)
		}
		if round > 0 && least <= most {
			return
		}
	}
	t.Errorf("100 opens hold at least %d KiB", least>>10)
}

func resident(t *testing.T) int64 {
	t.Helper()
	var size, pages int64
	data := must[[]byte](t)(os.ReadFile("/proc/self/statm"))
	if _, err := fmt.Sscan(string(data), &size, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

func threadCount(t *testing.T) int {
	t.Helper()
	return len(must[[]os.DirEntry](t)(os.ReadDir("/proc/self/task")))
}

// TestProgramCache: a second start takes the driver's binary; a damaged or cut one
// is compiled again.
func TestProgramCache(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(accel.EnvCache, dir)
	a := opened(t, "")
	if !a.binaries {
		t.Skip("this driver gives no program binaries")
	}
	p := must[accel.Program](t)(a.Program("fill", []uint32{128}))
	if q := must[accel.Program](t)(a.Program("fill", []uint32{128})); p != q {
		t.Error("the same program is compiled twice")
	}
	files := must[[]os.DirEntry](t)(os.ReadDir(dir))
	if len(files) != 1 {
		t.Fatalf("%d files in the cache", len(files))
	}
	path := dir + "/" + files[0].Name()
	whole := must[[]byte](t)(os.ReadFile(path))
	for what, data := range map[string][]byte{"whole": whole, "damaged": append(append([]byte{}, whole[:len(whole)-50]...), make([]byte, 50)...),
		"cut": whole[:len(whole)/2], "empty": nil} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		again := opened(t, "")
		out, grid := again.test(t, "out", 400, accel.Download), again.test(t, "grid", 12, accel.Upload)
		setGrid(grid, 0, 1, 1, 1)
		r := must[accel.Recording](t)(again.Record(again.fills(t, out, grid, false, [3]uint32{0, 100, 3})))
		run(t, again, []accel.Range{{Buffer: out, To: 400}}, r)
		if out.Host()[0] != 3 || out.Host()[396] != 3 {
			t.Errorf("%s: the kernel of the cache does not work", what)
		}
		if now := must[[]byte](t)(os.ReadFile(path)); len(now) < len(whole)/2+1 {
			t.Errorf("%s: the cache was not mended", what)
		}
	}
	// Bytes that are whole for Ledge, and no program for the driver.
	bad := &program{kernel: "fill"}
	if err := a.call("a foreign binary", func() error {
		a.onLoad(bad, append([]byte{1, 0, 0, 0}, make([]byte, 1000)...))
		return a.onError("")
	}); err != nil || bad.name != 0 {
		t.Errorf("a foreign binary: %v, program %d", err, bad.name)
	}
}

// TestProbe: the driver lists what it opens.
func TestProbe(t *testing.T) {
	opened(t, "")
	infos, err := probe(context.Background())
	if err != nil || len(infos) != 1 {
		t.Fatalf("%d devices, %v", len(infos), err)
	}
	i := infos[0]
	t.Logf("%+v", i)
	if i.Name != "gles0" || i.Memory.Total == 0 || i.Numerics.Device == "" || i.Description == "" {
		t.Errorf("probed: %+v", i)
	}
	if strings.Contains(i.Description, "llvmpipe") && (i.Kind != backend.CPU || i.Score != 0) {
		t.Errorf("a software renderer is picked by itself: %+v", i)
	}
	if _, err := openDevice(context.Background(), "gles7", backend.Options{}); err == nil {
		t.Error("a device that is not there: no error")
	}
	if _, err := openDevice(context.Background(), "gles0", backend.Options{Level: "nonsense"}); err == nil {
		t.Error("a switch that is not there: no error")
	}
	if _, err := openDevice(context.Background(), "gles0", backend.Options{Level: "+half"}); err == nil {
		t.Error("a feature that is not there: no error")
	}
}

// TestMinimum: the words of Options.Level take away what the specification does
// not promise.
func TestMinimum(t *testing.T) {
	l := opened(t, "min").Limits()
	if l.Buffers != 4 || l.Invocations != 128 || l.Shared != 16<<10 || l.Range != 128<<20 || l.Groups != 65535 {
		t.Errorf("the minimum: %+v", l)
	}
}

// child runs a test of this binary in a process of its own.
func child(t *testing.T, test string, env ...string) (string, error) {
	t.Helper()
	c := exec.Command(os.Args[0], "-test.run", "^"+test+"$", "-test.v", "-test.timeout", "60s")
	c.Env = append(append(os.Environ(), "LEDGE_TEST_CHILD=1"), env...)
	out, err := c.CombinedOutput()
	return string(out), err
}

// TestMissingLibrary: without libEGL there is a reason, nothing else.
func TestMissingLibrary(t *testing.T) {
	if os.Getenv("LEDGE_TEST_CHILD") != "" {
		_, err := probe(context.Background())
		fmt.Println("probe:", err)
		return
	}
	out, err := child(t, "TestMissingLibrary", "LEDGE_EGL_LIBRARY=libno-such-egl.so.1")
	if err != nil || !strings.Contains(out, "probe: gles: OpenGL ES is not here: no library libno-such-egl.so.1") {
		t.Errorf("%v: %s", err, out)
	}
	out, err = child(t, "TestMissingLibrary", "LEDGE_EGL_LIBRARY=libc.so.6")
	if err != nil || !strings.Contains(out, "libc.so.6 has no function egl") {
		t.Errorf("another library: %v: %s", err, out)
	}
}

// TestHang: a call that does not come back ends the device, not the caller.
func TestHang(t *testing.T) {
	if os.Getenv("LEDGE_TEST_CHILD") == "" {
		opened(t, "")
		if out, err := child(t, "TestHang", "LEDGE_GPU_TIMEOUT=0.2"); err != nil || !strings.Contains(out, "--- PASS") {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	a := must[*api](t)(open(accel.Switches{}))
	if err := a.t.do("hanging", func() { select {} }); !errors.Is(err, backend.ErrDeviceLost) || !strings.Contains(err.Error(), "hanging") {
		t.Errorf("hanging: %v", err)
	}
	if _, err := a.Allocate("more", 4, accel.Local); !errors.Is(err, backend.ErrDeviceLost) {
		t.Errorf("allocating after it: %v", err)
	}
	if err := a.Close(); err != nil {
		t.Errorf("closing after it: %v", err)
	}
	if _, err := open(accel.Switches{}); !errors.Is(err, backend.ErrDeviceLost) {
		t.Errorf("opening after it: %v", err)
	}
}
