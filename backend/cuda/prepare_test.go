//go:build cuda && cgo && linux && !android && !static

package cuda

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ledge-run/ledge/backend/internal/accel"
)

// several are kernels, some twice and one that there is not.
func several() []accel.Kernel {
	return []accel.Kernel{
		{Name: "fill", Constants: []uint32{128}}, {Name: "copy", Constants: []uint32{128}}, {Name: "no such", Constants: []uint32{128}},
		{Name: "fill", Constants: []uint32{128}}, {Name: "argmax", Constants: []uint32{128, 0}}, {Name: "top", Constants: []uint32{128, 0, 0, 0, 0, 0, 0, 0}},
		{Name: "gather_rows", Constants: []uint32{128}}, {Name: "read", Constants: []uint32{256}},
	}
}

// threads lets so many kernels be compiled at once.
func threads(t *testing.T, n int) {
	was := runtime.GOMAXPROCS(n)
	t.Cleanup(func() { runtime.GOMAXPROCS(was) })
}

// usable are those of several that Find finds, each once.
func usable(d *device) (all []accel.Kernel) {
	for _, s := range d.missing(several()) {
		for _, k := range several() {
			if strings.HasPrefix(s.Name, k.Name+".") || strings.HasPrefix(s.Name, k.Name+"_") {
				all = append(all, k)
				break
			}
		}
	}
	return all
}

// TestPrepare: kernels are compiled at once, and then only loaded; a second device
// finds them all, and compiles none.
func TestPrepare(t *testing.T) {
	threads(t, 4)
	useFake(t)
	blobs := accel.BlobsIn(t.TempDir())
	for start := range 2 {
		d := must[*device](t)(openFirst(blobs, time.Minute))
		list := usable(d)
		if len(list) < 4 {
			t.Fatalf("only %d kernels", len(list))
		}
		made, steps := fake.Calls("cuLinkComplete"), 0
		for range 2 {
			if err := d.Prepare(context.Background(), several(), func() { steps++ }); err != nil {
				t.Fatal(err)
			}
		}
		if made = fake.Calls("cuLinkComplete") - made; made != map[int]int{0: len(list), 1: 0}[start] {
			t.Errorf("start %d: %d kernels of %d are compiled", start, made, len(list))
		}
		if steps != len(list) || len(d.prepared) != len(list) || len(d.modules) != 0 {
			t.Errorf("start %d: %d steps, %d are prepared and %d loaded, of %d", start, steps, len(d.prepared), len(d.modules), len(list))
		}
		for _, k := range list {
			if _, err := d.Program(k.Name, k.Constants); err != nil {
				t.Error(err)
			}
		}
		if n := fake.Calls("cuLinkComplete"); len(d.prepared) != 0 || d.made+d.found != len(list) || start == 0 && d.made != len(list) || start == 1 && d.found != len(list) {
			t.Errorf("start %d: %d compilations, %d still prepared, %d made, %d found", start, n, len(d.prepared), d.made, d.found)
		}
		if err := d.Prepare(context.Background(), several(), nil); err != nil || len(d.prepared) != 0 {
			t.Errorf("once more: %v, %d prepared", err, len(d.prepared))
		}
		if err := errors.Join(work(d), d.Close()); err != nil {
			t.Error(err)
		}
		nothingLeft(t, "after closing")
	}
}

// TestPrepareCancelled: between two kernels the context is asked, and what was compiled
// by then serves.
func TestPrepareCancelled(t *testing.T) {
	threads(t, 1)
	d := opened(t, "")
	list := usable(d)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := d.Prepare(ctx, several(), nil); !errors.Is(err, context.Canceled) || len(d.prepared) != 0 {
		t.Errorf("cancelled before: %v, %d prepared", err, len(d.prepared))
	}
	ctx, cancel = context.WithCancel(context.Background())
	defer cancel()
	fake.Set("hang=cuLinkComplete")
	time.AfterFunc(100*time.Millisecond, func() { cancel(); fake.Set("") })
	if err := d.Prepare(ctx, several(), nil); !errors.Is(err, context.Canceled) || len(d.prepared) == 0 || len(d.prepared) >= len(list) {
		t.Errorf("cancelled at the first: %v, %d of %d prepared", err, len(d.prepared), len(list))
	}
	if err := d.Prepare(context.Background(), several(), nil); err != nil || len(d.prepared) != len(list) {
		t.Errorf("then: %v, %d of %d prepared", err, len(d.prepared), len(list))
	}
	if err := work(d); err != nil {
		t.Error(err)
	}
}

// prepared is a life in which kernels are compiled at once.
func prepared(blobs *accel.Blobs) (err error) {
	d, err := openFirst(blobs, time.Minute)
	if err != nil {
		return err
	}
	defer func() { err = accel.OneLine(errors.Join(err, d.Close())) }()
	list := usable(d)
	if err := d.Prepare(context.Background(), several(), nil); err != nil {
		return err
	}
	for _, k := range list {
		if _, err := d.Program(k.Name, k.Constants); err != nil {
			return err
		}
	}
	return work(d)
}

// TestPrepareFails: whichever call fails, there is an error, or Program compiles again,
// and nothing is left behind.
func TestPrepareFails(t *testing.T) {
	threads(t, 3)
	useFake(t)
	for _, how := range []string{"code=2", "code=221", "code=700 sticky", "null"} {
		failed := 0
		fake.Set("")
		if err := prepared(accel.BlobsIn(t.TempDir())); err != nil {
			t.Fatal(err)
		}
		total := fake.Calls("")
		for n := 1; n <= total; n++ {
			fake.Set(fmt.Sprintf("fail=%d %s", n, how))
			err := prepared(accel.BlobsIn(t.TempDir()))
			what := fmt.Sprintf("call %d of %d, %s", n, total, how)
			nothingLeft(t, what)
			if err == nil {
				continue
			}
			failed++
			if text := err.Error(); errors.Is(err, errWrong) || len(text) < 10 || strings.Contains(text, "\n") {
				t.Errorf("%s: %q", what, text)
			}
		}
		t.Logf("%s: %d of %d failures are errors", how, failed, total)
		if failed < 5 {
			t.Errorf("%s: only %d of %d failures are errors", how, failed, total)
		}
	}
	for _, function := range []string{"cuLinkCreate", "cuLinkAddData", "cuLinkComplete", "cuCtxPushCurrent"} {
		name := counted(t, function)
		t.Run(function, func(t *testing.T) {
			d := opened(t, "")
			fake.Set("only=" + name + " fail=1 code=221")
			if err := d.Prepare(context.Background(), several(), nil); err != nil {
				t.Errorf("it fails once: %v", err)
			}
			if err := work(d); err != nil {
				t.Errorf("it fails once: %v", err)
			}
		})
	}
}

// TestPrepareHangs: a compiler that does not come back is a lost device within the
// limit, and closing it takes no time.
func TestPrepareHangs(t *testing.T) {
	if !inChild(t) {
		return
	}
	threads(t, 3)
	useFake(t)
	const limit = 250 * time.Millisecond
	for _, function := range []string{"cuLinkCreate", "cuLinkComplete", "cuLinkDestroy", "cuCtxPopCurrent"} {
		fake.Set("")
		d := must[*device](t)(openFirst(accel.BlobsIn(t.TempDir()), limit))
		fake.Set("hang=" + counted(t, function))
		start := time.Now()
		err := d.Prepare(context.Background(), several(), nil)
		if !isLost(err) || !strings.Contains(err.Error(), "compile kernels: no answer") {
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

// TestStopped: a process that was stopped for longer than the limit while kernels are
// compiled (Ctrl-Z, a container that is paused) goes on.
func TestStopped(t *testing.T) {
	if !inChild(t) {
		return
	}
	useFake(t)
	fake.Set("")
	const limit = 4 * time.Second
	d := must[*device](t)(openFirst(accel.BlobsIn(t.TempDir()), limit))
	fake.Set("hang=" + counted(t, "cuLinkComplete"))
	stop := exec.Command("sh", "-c", fmt.Sprintf("sleep 0.1; kill -STOP %d; sleep 6; kill -CONT %[1]d", os.Getpid()))
	if err := stop.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { // 300 ms of the time that it is not stopped
		for range 30 {
			time.Sleep(10 * time.Millisecond)
		}
		fake.Set("")
	}()
	start := time.Now()
	err := d.Prepare(context.Background(), several(), nil)
	if took := time.Since(start); err != nil || took < limit {
		t.Errorf("after %v: %v", took, err)
	}
	if err := errors.Join(stop.Wait(), work(d), d.Close()); err != nil {
		t.Error(err)
	}
}
