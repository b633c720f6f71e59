package vulkan

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/backend/internal/dl"
)

// fake is the faulty library of testdata/fake.c, before the real one.
type fake struct{ control, calls, handles uintptr }

// faulty has the faulty library loaded by the test, or skips.
func faulty(t *testing.T) *fake {
	t.Helper()
	openTest(t, options{}) // skips without a device
	if _, err := exec.LookPath("gcc"); err != nil || runtime.GOOS != "linux" {
		t.Skip("the faulty library needs gcc, on Linux")
	}
	path := filepath.Join(t.TempDir(), "libfake-vulkan.so")
	if out, err := exec.Command("gcc", "-O1", "-Wall", "-Werror", "-fPIC", "-shared", "-o", path, "testdata/fake.c", "-ldl").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	l, err := dl.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{must(l.Symbol("fake_control"))(t), must(l.Symbol("fake_calls"))(t), must(l.Symbol("fake_handles"))(t)}
	t.Setenv(EnvLibrary, path)
	t.Setenv(accel.EnvTimeout, "20")
	t.Cleanup(func() { f.set("") })
	return f
}

func (f *fake) set(words string) {
	dl.Call(f.control, uintptr(unsafe.Pointer(cString(words))))
}

// errWrong: a session without an error that computed something else.
var errWrong = errors.New("wrong result")

// session is a short life of a device, whose result is checked. Its errors are a
// driver's, but for errWrong.
func session(o options) (err error) {
	d, err := open(0, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	var all []accel.Buffer
	for _, use := range []accel.Use{accel.Local, accel.Download, accel.Upload} {
		b, err := d.Allocate("a buffer", 4096, use)
		if err != nil {
			return err
		}
		all = append(all, b)
	}
	p, err := d.Program("fill", []uint32{128})
	if err != nil {
		return err
	}
	local, down, grid := all[0], all[1], all[2]
	put(grid.Host(), 8, 1, 1)
	r, err := d.Record([]accel.Dispatch{
		{Label: "one", Program: p, Buffers: [4]accel.Buffer{local}, Params: []uint32{0, 512, 5}, Grid: grid},
		{Label: "two", Program: p, Buffers: [4]accel.Buffer{down}, Params: []uint32{0, 1024, 6}, Grid: grid},
	})
	if err != nil {
		return err
	}
	pattern := bytes.Repeat([]byte{9}, 4096)
	if err := local.Write(0, pattern); err != nil {
		return err
	}
	for range 2 {
		f, err := d.Submit([]accel.Recording{r}, []accel.Range{{Buffer: down, To: 4096}})
		if err != nil {
			return err
		}
		if err := f.Wait(); err != nil {
			return err
		}
	}
	got := make([]byte, 4096)
	if err := local.Read(0, got); err != nil {
		return err
	}
	if words(got)[0] != 5 || words(got)[511] != 5 || !bytes.Equal(got[2048:], pattern[2048:]) || words(down.Host())[1023] != 6 {
		return errWrong
	}
	return nil
}

// tolerated are functions whose failure is made up for: what they are for can be
// done without.
var tolerated = []string{"vkGetPipelineCacheData"}

// TestFaults: whichever call fails, in whatever way, is an error or is made up
// for; never a crash, never a wrong result, and nothing is left.
func TestFaults(t *testing.T) {
	f := faulty(t)
	for name, o := range ways {
		f.set("")
		before := dl.Call(f.handles)
		if err := session(o); err != nil {
			t.Fatal(err)
		}
		total := int(dl.Call(f.calls))
		if total < 40 || dl.Call(f.handles) != before {
			t.Fatalf("%s: %d calls, %d handles left", name, total, dl.Call(f.handles)-before)
		}
		for _, how := range []string{"code=-13", "code=-2", "code=-4", "code=5", "null"} {
			silent := 0
			for n := 1; n <= total+1; n++ {
				f.set(fmt.Sprintf("fail=%d %s", n, how))
				err := session(o)
				if errors.Is(err, errWrong) {
					t.Errorf("%s, call %d, %s: a wrong result without an error", name, n, how)
				}
				if how == "code=-4" && err != nil && !errors.Is(err, backend.ErrDeviceLost) {
					t.Errorf("%s, call %d, %s: %v", name, n, how, err)
				}
				if err == nil {
					silent++
				}
				f.set("")
				left := int(dl.Call(f.handles)) - int(before)
				if left != 0 && (err == nil || !strings.Contains(err.Error(), "waiting for the device")) { // then it may still run
					t.Errorf("%s, call %d, %s: %d objects are left (%v)", name, n, how, left, err)
				}
				before = dl.Call(f.handles)
			}
			if how == "code=-13" && silent > 4 {
				t.Errorf("%s: %d of %d failures are silent", name, silent, total)
			}
		}
	}
	for _, only := range tolerated {
		f.set("fail=1 only=" + only)
		if err := session(options{}); err != nil {
			t.Errorf("%s fails: %v", only, err)
		}
	}
}

// TestGarbage: what a driver says of itself is not believed.
func TestGarbage(t *testing.T) {
	f := faulty(t)
	opened := 0
	for n := range 400 {
		f.set(fmt.Sprintf("garbage=%d", n))
		if _, err := probe(t.Context()); err != nil && err.Error() == "" {
			t.Error("an error without a word")
		}
		err := session(ways[[]string{"mapped", "staged"}[n%2]])
		if errors.Is(err, errWrong) {
			t.Errorf("garbage %d: a wrong result without an error", n)
		}
		if err == nil {
			opened++
		}
	}
	t.Logf("%d of 400 worked", opened)
	if opened == 400 {
		t.Error("nothing was garbage")
	}
}

// TestHang: a call that does not come back, and a fence that is never reached, are
// a lost device within the limit.
func TestHang(t *testing.T) {
	f := faulty(t)
	t.Setenv(accel.EnvTimeout, "0.3")
	for _, words := range []string{
		"hang=vkWaitForFences", "hang=vkQueueSubmit", "hang=vkCreateComputePipelines", "hang=vkAllocateMemory", "hang=vkCreateInstance",
		"hang=vkDeviceWaitIdle", "hang=vkEndCommandBuffer", "from=1 code=2 only=vkWaitForFences",
	} {
		f.set(words)
		start := time.Now()
		err := session(options{})
		if took := time.Since(start); !errors.Is(err, backend.ErrDeviceLost) || took > 5*time.Second {
			t.Errorf("%s: after %v %v", words, took, err)
		}
		f.set("") // lets it go
		time.Sleep(20 * time.Millisecond)
	}
	if err := session(options{}); err != nil && !strings.Contains(err.Error(), "did not come back") {
		t.Errorf("afterwards: %v", err)
	}
}

// TestWrong: the test's own check finds kernels that do not run.
func TestWrong(t *testing.T) {
	f := faulty(t)
	f.set("wrong")
	if err := session(options{}); !errors.Is(err, errWrong) {
		t.Errorf("kernels that do not run give %v", err)
	}
}
