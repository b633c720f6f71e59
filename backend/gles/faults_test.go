//go:build gles && cgo && !static && linux

package gles

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	gl "github.com/go-gl/gl/v3.1/gles2"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/backend/internal/dl"
)

// The library of testdata/faultyegl.c forwards to the real driver and does calls
// wrong. Each test runs a process with it, so that a crash fails one test.
const (
	faultRight = iota
	faultFail
	faultSilent
	faultLost
	faultGarbage
	faultStuck
)

// faultyLibrary compiles the library.
func faultyLibrary(t *testing.T) string {
	t.Helper()
	opened(t, "") // the real one is needed as well
	cc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("gcc is needed to build the faulty library")
	}
	lib := filepath.Join(t.TempDir(), "libfaultyegl.so")
	if out, err := exec.Command(cc, "-shared", "-fPIC", "-O1", "-Wall", "-o", lib, "testdata/faultyegl.c", "-ldl").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return lib
}

// use is what a program does with a device; it gives an error, or whether the
// numbers are right.
func use() (right bool, err error) {
	a, err := open(accel.Switches{})
	if err != nil {
		return false, err
	}
	defer func() {
		if cerr := a.Close(); err == nil {
			err = cerr
		}
	}()
	var list []accel.Dispatch
	p, err := a.Program("fill", []uint32{128})
	if err != nil {
		return false, err
	}
	var b [3]accel.Buffer
	for i, u := range []accel.Use{accel.Local, accel.Upload, accel.Download} {
		if b[i], err = a.Allocate("test "+strconv.Itoa(i), 1024, u); err != nil {
			return false, err
		}
		defer b[i].Close()
	}
	for i := range 2 {
		setGrid(b[1], i, 2, 1, 1)
		list = append(list, accel.Dispatch{Label: "fill", Program: p, Buffers: [4]accel.Buffer{b[2*i]}, Params: []uint32{0, 256, 5}, Grid: b[1], GridAt: 12 * i})
	}
	if err := b[0].Write(0, make([]byte, 1024)); err != nil {
		return false, err
	}
	r, err := a.Record(list)
	if err != nil {
		return false, err
	}
	for range 2 {
		f, err := a.Submit([]accel.Recording{r}, []accel.Range{{Buffer: b[2], To: 1024}})
		if err != nil {
			return false, err
		}
		if err := f.Wait(); err != nil {
			return false, err
		}
	}
	local := make([]byte, 1024)
	if err := b[0].Read(0, local); err != nil {
		return false, err
	}
	right = true
	for i, v := range uints(b[2].Host()) {
		right = right && v == 5 && uints(local)[i] == 5
	}
	return right, nil
}

// fresh forgets the library and its display.
func fresh() { shared.egl, shared.functions = nil, false }

// faulty controls the library.
type faulty struct{ set, count, hang uintptr }

func theFaulty(t *testing.T) faulty {
	t.Helper()
	lib := must[*dl.Library](t)(dl.Open(os.Getenv("LEDGE_EGL_LIBRARY")))
	f := must[uintptr](t)
	return faulty{f(lib.Symbol("faulty_set")), f(lib.Symbol("faulty_count")), f(lib.Symbol("faulty_hang"))}
}

// TestFaults: whichever call of the driver fails, there is an error or the right
// result, and a device that is opened after it works.
func TestFaults(t *testing.T) {
	if os.Getenv("LEDGE_TEST_CHILD") == "" {
		lib := faultyLibrary(t)
		for _, cache := range []string{"off", t.TempDir()} {
			out, err := child(t, "TestFaults", "LEDGE_EGL_LIBRARY="+lib, accel.EnvCache+"="+cache, "LEDGE_GPU_TIMEOUT=20")
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			t.Log(strings.Join(regexp.MustCompile(`(?m)^ *faults_test.*$`).FindAllString(out, -1), "\n"))
		}
		return
	}
	f := theFaulty(t)
	for _, c := range []struct {
		what       string
		mode, code uintptr
		wrong      bool // a wrong result without an error can't be noticed here
		wants      error
	}{
		{"error", faultFail, gl.INVALID_OPERATION, false, nil},
		{"out of memory", faultFail, gl.OUT_OF_MEMORY, false, new(backend.ErrOutOfMemory)},
		{"silence", faultSilent, 0, true, nil},
		{"lost", faultLost, contextLost, false, backend.ErrDeviceLost},
	} {
		failed, wanted := 0, 0
		n := uintptr(1)
		for ; ; n++ {
			fresh()
			dl.Call(f.set, c.mode, n, c.code)
			right, err := use()
			if dl.Call(f.count) < n {
				break // there are fewer calls
			}
			if err == nil && !right && !c.wrong {
				t.Errorf("%s at call %d: wrong numbers and no error", c.what, n)
			}
			if err != nil {
				failed++
				if strings.Contains(err.Error(), "\n") {
					t.Errorf("%s at call %d: more than a line: %q", c.what, n, err)
				}
			}
			var oom *backend.ErrOutOfMemory
			if errors.As(err, &oom) && errors.As(c.wants, &oom) || c.wants != nil && errors.Is(err, c.wants) {
				wanted++
			}
			dl.Call(f.set, faultRight, 0, 0)
			if right, err := use(); err != nil || !right {
				t.Fatalf("%s at call %d: the next device: %v, right %v", c.what, n, err, right)
			}
		}
		t.Logf("%s: %d calls, %d give an error, %d the one that is meant", c.what, n-1, failed, wanted)
		if n < 50 || failed < 20 || c.wants != nil && wanted < 10 {
			t.Errorf("%s: too few", c.what)
		}
	}
}

// TestStuck: a submission that is never over is an error after the limit, and the
// device is lost.
func TestStuck(t *testing.T) {
	if os.Getenv("LEDGE_TEST_CHILD") == "" {
		lib := faultyLibrary(t)
		if out, err := child(t, "TestStuck", "LEDGE_EGL_LIBRARY="+lib, accel.EnvCache+"=off", "LEDGE_GPU_TIMEOUT=0.5"); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return
	}
	dl.Call(theFaulty(t).set, faultStuck, 0, 0)
	a := must[*api](t)(open(accel.Switches{}))
	f := must[accel.Fence](t)(a.Submit(nil, nil))
	start := time.Now()
	err := f.Wait()
	if !errors.Is(err, backend.ErrDeviceLost) || !strings.Contains(err.Error(), "not over after 500ms") {
		t.Errorf("waiting: %v", err)
	}
	if d := time.Since(start); d < 500*time.Millisecond || d > 20*time.Second {
		t.Errorf("waited %v", d)
	}
	start = time.Now()
	if _, err := a.Submit(nil, nil); !errors.Is(err, backend.ErrDeviceLost) {
		t.Errorf("submitting after it: %v", err)
	}
	if err := f.Wait(); !errors.Is(err, backend.ErrDeviceLost) {
		t.Errorf("waiting again: %v", err)
	}
	if err := a.Close(); err != nil {
		t.Errorf("closing: %v", err)
	}
	if d := time.Since(start); d > 3*time.Second {
		t.Errorf("that took %v", d)
	}
}

// TestGarbage: nonsense for whatever is asked is survived.
func TestGarbage(t *testing.T) {
	if os.Getenv("LEDGE_TEST_CHILD") == "" {
		lib := faultyLibrary(t)
		if out, err := child(t, "TestGarbage", "LEDGE_EGL_LIBRARY="+lib, accel.EnvCache+"=off", "LEDGE_GPU_TIMEOUT=2"); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return
	}
	f := theFaulty(t)
	failed := 0
	for n := range uintptr(150) {
		fresh()
		dl.Call(f.set, faultGarbage, n+1, 0)
		if _, err := use(); err != nil {
			failed++
		}
	}
	if failed < 50 {
		t.Errorf("%d of 150 fail", failed)
	}
}

// TestHangs: whichever function hangs, there is an error within the limit.
func TestHangs(t *testing.T) {
	if name := os.Getenv("LEDGE_TEST_CHILD_HANGS"); name != "" {
		c := append([]byte(name), 0)
		if dl.Call(theFaulty(t).hang, uintptr(unsafe.Pointer(&c[0]))) == 0 {
			t.Fatalf("no function %s", name)
		}
		start := time.Now()
		_, err := use()
		fmt.Printf("use: %v after %.1f s\n", err, time.Since(start).Seconds())
		return
	}
	lib := faultyLibrary(t)
	for _, name := range []string{"eglInitialize", "eglCreateContext", "eglMakeCurrent", "glGetString", "glBufferData", "glBufferSubData",
		"glCompileShader", "glLinkProgram", "glDispatchCompute", "glFlush", "glClientWaitSync", "glMapBufferRange"} {
		out, err := child(t, "TestHangs", "LEDGE_EGL_LIBRARY="+lib, accel.EnvCache+"=off", "LEDGE_GPU_TIMEOUT=0.5", "LEDGE_TEST_CHILD_HANGS="+name)
		if err != nil || !strings.Contains(out, "the driver did not come back within") {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}
