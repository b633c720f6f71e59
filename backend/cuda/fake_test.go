//go:build cuda && cgo && linux && !android && !static

package cuda

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/backend/internal/fakedriver"
)

// fake is the driver of the tests of this process.
var fake *fakedriver.Fake

// useFake has a test use it; it is told nothing.
func useFake(t testing.TB) {
	t.Helper()
	if fake == nil {
		kernels, err := fakedriver.Kernels()
		if err != nil {
			t.Fatal(err)
		}
		fake = fakedriver.Open(t, fakedriver.Library(t, kernels))
		return
	}
	fake = fakedriver.Open(t, fake.Path)
}

// opened opens the first device of a fake driver that is told so; what is left when
// the test ends is an error.
func opened(t testing.TB, words string) *device {
	t.Helper()
	useFake(t)
	fake.Set(words)
	return openedIn(t, accel.BlobsIn(t.TempDir()), time.Minute)
}

func openedIn(t testing.TB, blobs *accel.Blobs, limit time.Duration) *device {
	t.Helper()
	d, err := openFirst(blobs, limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		fake.Set("")
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if !d.stuck.Load() {
			nothingLeft(t, "after closing")
		}
	})
	return d
}

func openFirst(blobs *accel.Blobs, limit time.Duration) (*device, error) {
	all, err := find()
	if err != nil {
		return nil, err
	}
	if len(all.devices) == 0 {
		return nil, fmt.Errorf("no device: %w", accel.OneLine(errors.Join(all.why...)))
	}
	limits, err := limitsOf(all.devices[0], accel.Switches{})
	if err != nil {
		return nil, err
	}
	limits.Timeout = limit
	return open(all.devices[0], limits, blobs)
}

// nothingLeft: all is given back, and nothing was done that a real driver would not
// forgive.
func nothingLeft(t testing.TB, what string) {
	t.Helper()
	if n := fake.Live(""); n != 0 {
		var kinds []string
		for _, k := range []string{"context", "module", "link", "memory", "host", "stream", "event", "graph", "exec"} {
			if n := fake.Live(k); n != 0 {
				kinds = append(kinds, fmt.Sprintf("%d of kind %s", n, k))
			}
		}
		t.Errorf("%s: %d objects are left: %s", what, n, strings.Join(kinds, ", "))
	}
	if n := fake.Pushed(); n != 0 {
		t.Errorf("%s: %d contexts are pushed and not popped", what, n)
	}
	if v := fake.Violations(); len(v) > 0 {
		t.Errorf("%s: violations: %s", what, strings.Join(v, "; "))
	}
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

// fills are dispatches of the kernel fill: uints from, n, value.
func fills(d *device, target, grid accel.Buffer, free bool, calls ...[3]uint32) ([]accel.Dispatch, error) {
	p, err := d.Program("fill", []uint32{128})
	if err != nil {
		return nil, err
	}
	var list []accel.Dispatch
	for i, c := range calls {
		list = append(list, accel.Dispatch{Label: fmt.Sprint("fill ", i), Program: p, Buffers: [4]accel.Buffer{target},
			Params: c[:], Grid: grid, GridAt: 12 * i, Free: free})
	}
	return list, nil
}

func setGrid(b accel.Buffer, at int, x, y, z uint32) {
	for i, n := range []uint32{x, y, z} {
		binary.LittleEndian.PutUint32(b.Host()[12*at+4*i:], n)
	}
}

func uints(b []byte) []uint32 {
	u := make([]uint32, len(b)/4)
	for i := range u {
		u[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	return u
}

// errWrong is a life whose results are wrong.
var errWrong = errors.New("wrong results")

// life opens a device, moves data, runs kernels twice and closes it. An error is what
// a user would get.
func life(blobs *accel.Blobs, limit time.Duration) (err error) {
	if _, err := probe(context.Background()); err != nil {
		return err
	}
	d, err := openFirst(blobs, limit)
	if err != nil {
		return err
	}
	defer func() { err = accel.OneLine(errors.Join(err, d.Close())) }()
	return work(d)
}

// work is what life does with a device.
func work(d *device) error {
	bank, err := d.Allocate("bank", 1<<16, accel.Local)
	if err != nil {
		return err
	}
	want := randomBytes(1 << 16)
	if err := bank.Write(0, want); err != nil {
		return err
	}
	grid, err := d.Allocate("grid", 24, accel.Upload)
	if err != nil {
		return err
	}
	out, err := d.Allocate("out", 8000, accel.Download)
	if err != nil {
		return err
	}
	list, err := fills(d, out, grid, false, [3]uint32{0, 300, 1}, [3]uint32{1000, 300, 2})
	if err != nil {
		return err
	}
	list[0].Buffers[3] = grid // to be copied
	r, err := d.Record(list)
	if err != nil {
		return err
	}
	for run := range 2 {
		setGrid(grid, 0, 3, 1, 1)
		setGrid(grid, 1, uint32(3+run), 1, 1)
		clear(out.Host())
		fence, err := d.Submit([]accel.Recording{r}, []accel.Range{{Buffer: out, To: 8000 - 4*run}})
		if err != nil {
			return err
		}
		if err := fence.Wait(); err != nil {
			return err
		}
		for i, v := range uints(out.Host()) {
			if w := map[bool]uint32{i%1000 < 300: uint32(1 + i/1000)}[true]; v != w {
				return errWrong
			}
		}
	}
	got := make([]byte, len(want))
	if err := bank.Read(0, got); err != nil {
		return err
	}
	if string(got) != string(want) {
		return errWrong
	}
	return errors.Join(r.Close(), out.Close(), grid.Close(), bank.Close())
}

// well is a life of a device that is told to do nothing wrong.
func well(t *testing.T, what string) {
	t.Helper()
	fake.Set("")
	if err := life(accel.BlobsIn(t.TempDir()), time.Minute); err != nil {
		t.Fatalf("%s, a device without faults: %v", what, err)
	}
}

// counted is the name by which the fake knows a function: that of the driver's symbol,
// if need be.
func counted(t *testing.T, function string) string {
	t.Helper()
	fake.Set("")
	if err := life(accel.BlobsIn(t.TempDir()), time.Minute); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{function, function + "_v2"} {
		if fake.Calls(name) > 0 {
			return name
		}
	}
	t.Fatalf("no device calls %s", function)
	return ""
}

// inChild runs the test in a process of its own, as devices that hang are left as they
// are.
func inChild(t *testing.T) bool {
	t.Helper()
	if os.Getenv("LEDGE_TEST_CHILD") != "" {
		return true
	}
	c := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=2m")
	c.Env = append(os.Environ(), "LEDGE_TEST_CHILD=1")
	if out, err := c.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS") {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

func isLost(err error) bool { return errors.Is(err, backend.ErrDeviceLost) }
