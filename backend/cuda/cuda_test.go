//go:build cuda && cgo && linux && !android && !static

package cuda

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/kernels/cuda"
)

func run(t testing.TB, d *device, reads []accel.Range, list ...accel.Recording) {
	t.Helper()
	if err := must[accel.Fence](t)(d.Submit(list, reads)).Wait(); err != nil {
		t.Fatal(err)
	}
}

// filler is buffers and a recording of fills of them.
type filler struct {
	d         *device
	out, grid accel.Buffer
	r         accel.Recording
}

func newFiller(t testing.TB, d *device, uints int, free bool, calls ...[3]uint32) *filler {
	t.Helper()
	f := &filler{d: d}
	f.out = must[accel.Buffer](t)(d.Allocate("out", 4*uints, accel.Download))
	f.grid = must[accel.Buffer](t)(d.Allocate("grid", max(12, 12*len(calls)), accel.Upload))
	f.r = must[accel.Recording](t)(d.Record(must[[]accel.Dispatch](t)(fills(d, f.out, f.grid, free, calls...))))
	return f
}

func (f *filler) all() []accel.Range { return []accel.Range{{Buffer: f.out, To: f.out.Size()}} }

// TestFill: a recording is replayed, the grid is read anew each time, a zero in it
// skips a call, the reads give what is there then, and buffers begin cleared.
func TestFill(t *testing.T) {
	d := opened(t, "")
	f := newFiller(t, d, 1000, false, [3]uint32{0, 600, 7}, [3]uint32{500, 500, 9})
	check := func(what string, want func(i int) uint32) {
		t.Helper()
		for i, v := range uints(f.out.Host()) {
			if v != want(i) {
				t.Fatalf("%s: uint %d is %d, want %d", what, i, v, want(i))
			}
		}
	}
	run(t, d, f.all(), f.r)
	check("all grids zero", func(int) uint32 { return 0 })
	setGrid(f.grid, 0, 5, 1, 1)
	setGrid(f.grid, 1, 5, 0, 1)
	run(t, d, f.all(), f.r)
	check("the second skipped", func(i int) uint32 { return map[bool]uint32{i < 600: 7}[true] })
	setGrid(f.grid, 1, 4, 1, 1)
	for range 3 {
		run(t, d, f.all(), f.r)
		check("both", func(i int) uint32 { return map[bool]uint32{true: 7, false: 9}[i < 500] })
	}
	setGrid(f.grid, 0, 1<<31, 1, 1)
	if _, err := d.Submit([]accel.Recording{f.r}, nil); err == nil || !strings.Contains(err.Error(), "fill 0") {
		t.Errorf("a grid beyond the limits: %v", err)
	}
	setGrid(f.grid, 0, 0, 1, 1)
	run(t, d, f.all(), f.r)
}

// TestPartialRead: only the range that is asked for is read, also when it changes.
func TestPartialRead(t *testing.T) {
	d := opened(t, "")
	f := newFiller(t, d, 100, true, [3]uint32{0, 100, 5})
	setGrid(f.grid, 0, 1, 1, 1)
	for _, at := range []int{10, 30, 31, 60} {
		clear(f.out.Host())
		run(t, d, []accel.Range{{Buffer: f.out, From: 4 * at, To: 4*at + at}, {Buffer: f.out, From: 8, To: 8}}, f.r)
		for i, v := range f.out.Host() {
			if (v == 5) != (i >= 4*at && i < 4*at+at && i%4 == 0) {
				t.Errorf("from %d on: byte %d is %d", at, i, v)
			}
		}
	}
	if d.built != 1 {
		t.Errorf("%d graphs for one list", d.built)
	}
}

// TestGraphs: a list of recordings is a graph, launched again with other grids; other
// calls that are skipped, and other reads, are others; what is closed goes.
func TestGraphs(t *testing.T) {
	d := opened(t, "")
	f := newFiller(t, d, 4000, false, [3]uint32{0, 1000, 7}, [3]uint32{1000, 1000, 8}, [3]uint32{2000, 1000, 9})
	tail := must[accel.Recording](t)(d.Record(must[[]accel.Dispatch](t)(fills(d, f.out, f.grid, false, [3]uint32{3000, 100, 1}))))
	for i := range 3 {
		setGrid(f.grid, i, 1, 1, 1)
	}
	launches := func(what string, graphs, built, set int, reads []accel.Range, list ...accel.Recording) {
		t.Helper()
		l, k, s := fake.Calls("cuGraphLaunch"), fake.Calls("cuLaunchKernel"), fake.Calls("cuGraphExecKernelNodeSetParams")
		before := d.built
		run(t, d, reads, list...)
		if n := fake.Calls("cuGraphLaunch") - l; n != graphs {
			t.Errorf("%s: %d graphs were launched, want %d", what, n, graphs)
		}
		if n := d.built - before; n != built {
			t.Errorf("%s: %d graphs were built, want %d", what, n, built)
		}
		if n := fake.Calls("cuGraphExecKernelNodeSetParams") - s; n != set {
			t.Errorf("%s: %d grids were set, want %d", what, n, set)
		}
		if n := fake.Calls("cuLaunchKernel") - k; n != 0 {
			t.Errorf("%s: %d kernels were launched alone", what, n)
		}
	}
	launches("first", 1, 1, 0, nil, f.r)
	launches("again", 1, 0, 0, nil, f.r)
	setGrid(f.grid, 0, 8, 1, 1)
	setGrid(f.grid, 2, 7, 1, 1)
	launches("two grids", 1, 0, 2, nil, f.r)
	launches("the same", 1, 0, 0, nil, f.r)
	launches("with a read", 1, 1, 0, f.all(), f.r)
	launches("with another recording", 1, 1, 0, f.all(), f.r, tail)
	setGrid(f.grid, 1, 0, 1, 1)
	launches("one skipped", 1, 1, 0, nil, f.r)
	setGrid(f.grid, 1, 2, 1, 1)
	launches("not skipped again", 1, 0, 1, nil, f.r)
	launches("nothing", 0, 0, 0, nil)
	launches("a read alone", 1, 1, 0, f.all())
	if u := uints(f.out.Host()); u[0] != 7 || u[999] != 7 || u[1127] != 8 || u[1000+128*2] != 0 || u[2000+7*128-1] != 9 || u[3099] != 1 {
		t.Error("the results are wrong")
	}
	if n := fake.Live("exec"); n != 5 || n != len(d.graphs) {
		t.Errorf("%d graphs are kept", n)
	}
	if err := tail.Close(); err != nil {
		t.Fatal(err)
	}
	if n := fake.Live("exec"); n != 4 {
		t.Errorf("%d graphs are kept without the recording", n)
	}
	if err := f.out.Close(); err != nil {
		t.Fatal(err)
	}
	if n := fake.Live("exec") + fake.Live("graph"); n != 0 {
		t.Errorf("%d graphs are kept without the buffer", n)
	}
}

// TestMostGraphs: the graphs that were not used for longest go.
func TestMostGraphs(t *testing.T) {
	d := opened(t, "")
	const calls = 7
	var list [][3]uint32
	for i := range calls {
		list = append(list, [3]uint32{uint32(10 * i), 10, uint32(i + 1)})
	}
	f := newFiller(t, d, 100, true, list...)
	for n := 1; n < 1<<calls; n++ {
		for _, bits := range []int{n, 1} { // 1 is used all the time
			for i := range calls {
				setGrid(f.grid, i, uint32(bits>>i&1), 1, 1)
			}
			run(t, d, f.all(), f.r)
		}
		if len(d.graphs) > mostGraphs {
			t.Fatalf("%d graphs", len(d.graphs))
		}
	}
	if d.built != 1<<calls-1 || fake.Live("exec") != mostGraphs {
		t.Errorf("%d graphs were built of %d, %d are there", d.built, 1<<calls-1, fake.Live("exec"))
	}
}

// TestUploads: what the host wrote is copied with every submission, by one node for
// each buffer that a kernel sees.
func TestUploads(t *testing.T) {
	d := opened(t, "")
	in := must[accel.Buffer](t)(d.Allocate("in", 400, accel.Upload))
	out := must[accel.Buffer](t)(d.Allocate("out", 400, accel.Download))
	grid := must[accel.Buffer](t)(d.Allocate("grid", 24, accel.Upload))
	p := must[accel.Program](t)(d.Program("copy", []uint32{128}))
	var list []accel.Dispatch
	for i := range 2 {
		setGrid(grid, i, 1, 1, 1)
		list = append(list, accel.Dispatch{Label: "copy", Program: p, Buffers: [4]accel.Buffer{in, out, in}, Params: []uint32{50 * uint32(i), 50 * uint32(i), 50, 0}, Grid: grid, GridAt: 12 * i})
	}
	r := must[accel.Recording](t)(d.Record(list))
	for n := range 3 {
		for i := range in.Host() {
			in.Host()[i] = byte(i + n)
		}
		up, down := fake.Moved("copy to device"), fake.Moved("copy to host")
		run(t, d, []accel.Range{{Buffer: out, To: 400}}, r)
		if !bytes.Equal(in.Host(), out.Host()) {
			t.Errorf("run %d: the device saw something else", n)
		}
		if u, d := fake.Moved("copy to device")-up, fake.Moved("copy to host")-down; u != 400 || d != 400 {
			t.Errorf("run %d: %d bytes were copied to the device and %d back, want 400", n, u, d)
		}
	}
}

// TestWriteRead: what Write writes and what a kernel writes over it is what Read gives,
// also where that takes several moves.
func TestWriteRead(t *testing.T) {
	d := opened(t, "")
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

// TestSubmitAllocates nothing once it is warm, with grids and ranges that change.
func TestSubmitAllocates(t *testing.T) {
	for _, eager := range []bool{false, true} {
		t.Run(fmt.Sprint("eager=", eager), func(t *testing.T) { submitAllocates(t, eager) })
	}
}

// asking has a device's threads ask before they sleep, or not, whatever processors there
// are.
func asking(d *device, eager bool) { d.worker.eager.Store(eager) }

func submitAllocates(t *testing.T, eager bool) {
	d := opened(t, "")
	asking(d, eager)
	f := newFiller(t, d, 400, true, [3]uint32{0, 100, 5}, [3]uint32{100, 100, 5}, [3]uint32{200, 100, 5})
	list, reads := []accel.Recording{f.r}, f.all()
	n := uint32(0)
	step := func() {
		n++
		for i := range 3 {
			setGrid(f.grid, i, 1+n%2, 1, 1)
		}
		fence, err := d.Submit(list, reads)
		if err == nil {
			err = fence.Wait()
		}
		if err != nil {
			t.Error(err)
		}
	}
	for range 4 {
		step()
	}
	if n := testing.AllocsPerRun(20, step); n > 0 {
		t.Errorf("a submission and its wait allocate %v times", n)
	}
}

// TestSeveral: submissions one after the other without a wait between them.
func TestSeveral(t *testing.T) {
	d := opened(t, "")
	var all []*filler
	var fences []accel.Fence
	for i := range 10 {
		f := newFiller(t, d, 100, false, [3]uint32{0, 100, uint32(i + 1)})
		setGrid(f.grid, 0, 1, 1, 1)
		fences = append(fences, must[accel.Fence](t)(d.Submit([]accel.Recording{f.r}, f.all())))
		all = append(all, f)
	}
	for i := len(fences) - 1; i >= 0; i-- {
		if err := fences[i].Wait(); err != nil {
			t.Fatal(err)
		}
		if u := uints(all[i].out.Host()); u[0] != uint32(i+1) || u[99] != uint32(i+1) {
			t.Errorf("submission %d gives %d", i, u[0])
		}
	}
	if err := fences[9].Wait(); err != nil {
		t.Errorf("the last, waited for again: %v", err)
	}
	// Closed while it runs.
	last := must[accel.Fence](t)(d.Submit([]accel.Recording{all[0].r}, all[0].all()))
	if err := all[0].r.Close(); err != nil {
		t.Error(err)
	}
	if err := last.Wait(); err != nil {
		t.Error(err)
	}
	if _, err := d.Submit([]accel.Recording{all[0].r}, nil); err == nil {
		t.Error("a closed recording runs")
	}
}

// TestRest: a submission is asked for without a break as long as most tokens take, and
// around the time that the same took before.
func TestRest(t *testing.T) {
	for _, c := range []struct{ expected, took, least, most time.Duration }{
		{0, time.Millisecond, 0, 0}, {0, 3 * time.Millisecond, nap, nap}, {0, time.Second, longNap, longNap}, {0, 20 * time.Millisecond, 2 * nap, 5 * nap},
		{time.Millisecond, 2500 * time.Microsecond, 0, 0}, {time.Millisecond, 4 * time.Millisecond, nap, nap},
		{30 * time.Millisecond, 0, longNap, longNap}, {30 * time.Millisecond, 27500 * time.Microsecond, 1, 600 * time.Microsecond},
		{30 * time.Millisecond, 29 * time.Millisecond, 0, 0}, {30 * time.Millisecond, 31 * time.Millisecond, 0, 0}, {30 * time.Millisecond, 40 * time.Millisecond, 5 * nap, 8 * nap},
	} {
		f := &fence{since: time.Now().Add(-c.took), usual: c.expected}
		if rest := f.rest(); rest < c.least || rest > c.most {
			t.Errorf("%v of %v: a rest of %v", c.took, c.expected, rest)
		}
	}
}

// parts are n recordings, each a graph of its own as the device has a watchdog, and one that
// writes what is read back, with the last of them.
func parts(t *testing.T, d *device, n int) (*filler, []accel.Recording) {
	t.Helper()
	d.prop.watchdog = true
	local := must[accel.Buffer](t)(d.Allocate("local", 400, accel.Local))
	f := newFiller(t, d, 100, false, [3]uint32{0, 100, 3})
	setGrid(f.grid, 0, 1, 1, 1)
	var list []accel.Recording
	for range n {
		list = append(list, must[accel.Recording](t)(d.Record(must[[]accel.Dispatch](t)(fills(d, local, f.grid, false, [3]uint32{0, 100, 3})))))
	}
	return f, append(list, f.r)
}

// TestWatchdog: where the system stops kernels that run for long, a recording is
// launched with those after it that write what is read back.
func TestWatchdog(t *testing.T) {
	d := opened(t, "")
	f, list := parts(t, d, 3)
	for _, launches := range []int{3, 1} {
		d.prop.watchdog = launches > 1
		clear(f.out.Host())
		before := fake.Calls("cuGraphLaunch")
		fence := must[accel.Fence](t)(d.Submit(list, f.all()))
		if err := fence.Wait(); err != nil {
			t.Fatal(err)
		}
		if n := fake.Calls("cuGraphLaunch") - before; n != launches || fence.Submissions() != launches {
			t.Errorf("%d launches, %d submissions, want %d", n, fence.Submissions(), launches)
		}
		if u := uints(f.out.Host()); u[0] != 3 || u[99] != 3 {
			t.Error("the results are wrong")
		}
	}
}

// TestMisuse: what is not of the device, or closed, is an error.
func TestMisuse(t *testing.T) {
	d := opened(t, "")
	other := must[*device](t)(openFirst(accel.BlobsIn(t.TempDir()), time.Minute))
	defer func() {
		if err := other.Close(); err != nil {
			t.Error(err)
		}
	}()
	foreign := must[accel.Buffer](t)(other.Allocate("foreign", 400, accel.Local))
	local := must[accel.Buffer](t)(d.Allocate("local", 400, accel.Local))
	f := newFiller(t, d, 100, false, [3]uint32{0, 100, 5})
	good := must[[]accel.Dispatch](t)(fills(d, f.out, f.grid, false, [3]uint32{0, 100, 5}))[0]
	for what, spoil := range map[string]func(s *accel.Dispatch){
		"no program":           func(s *accel.Dispatch) { s.Program = nil },
		"another's program":    func(s *accel.Dispatch) { s.Program = must[accel.Program](t)(other.Program("fill", []uint32{128})) },
		"another's buffer":     func(s *accel.Dispatch) { s.Buffers[1] = foreign },
		"no grid":              func(s *accel.Dispatch) { s.Grid = nil },
		"a local grid":         func(s *accel.Dispatch) { s.Grid = local },
		"a grid at an odd one": func(s *accel.Dispatch) { s.GridAt = 2 },
		"a grid outside":       func(s *accel.Dispatch) { s.GridAt = 4 },
		"33 parameters":        func(s *accel.Dispatch) { s.Params = make([]uint32, 33) },
	} {
		s := good
		spoil(&s)
		if _, err := d.Record([]accel.Dispatch{s}); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	if _, err := other.Submit([]accel.Recording{f.r}, nil); err == nil {
		t.Error("another's recording: no error")
	}
	for _, rng := range []accel.Range{{Buffer: f.grid, To: 4}, {Buffer: f.out, From: 8, To: 4}, {Buffer: f.out, To: 404}} {
		if _, err := d.Submit([]accel.Recording{f.r}, []accel.Range{rng}); err == nil {
			t.Errorf("reading %d to %d: no error", rng.From, rng.To)
		}
	}
	for _, size := range []int{0, 3, -4, d.limits.Range + 4} {
		if _, err := d.Allocate("odd", size, accel.Local); err == nil {
			t.Errorf("a buffer of %d bytes: no error", size)
		}
	}
	for kernel, constants := range map[string][]uint32{"fill": nil, "none": {1}, "copy": {1 << 20}} {
		if _, err := d.Program(kernel, constants); err == nil {
			t.Errorf("kernel %s%v: no error", kernel, constants)
		}
	}
	setGrid(f.grid, 0, 1, 1, 1)
	if err := f.out.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Submit([]accel.Recording{f.r}, nil); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("a recording with a closed buffer: %v", err)
	}
}

// TestProgramCache: a second start takes the driver's binary; a damaged or cut one, and
// one that the driver refuses, is compiled again.
func TestProgramCache(t *testing.T) {
	useFake(t)
	dir := t.TempDir()
	first := openedIn(t, accel.BlobsIn(dir), time.Minute)
	p := must[accel.Program](t)(first.Program("fill", []uint32{128}))
	if q := must[accel.Program](t)(first.Program("fill", []uint32{128})); p != q || p.Name() != "fill" {
		t.Error("the same program is compiled twice")
	}
	files := must[[]os.DirEntry](t)(os.ReadDir(dir))
	if len(files) != 1 || first.made != 1 {
		t.Fatalf("%d files in the cache, %d compiled", len(files), first.made)
	}
	path := filepath.Join(dir, files[0].Name())
	whole := must[[]byte](t)(os.ReadFile(path))
	for _, c := range []struct {
		what     string
		data     []byte
		compiled int
	}{
		{"whole", whole, 0}, {"damaged", append(bytes.Clone(whole[:len(whole)-50]), make([]byte, 50)...), 1},
		{"cut", whole[:len(whole)/2], 1}, {"empty", nil, 1}, {"whole again", whole, 0},
	} {
		if err := os.WriteFile(path, c.data, 0o600); err != nil {
			t.Fatal(err)
		}
		d := must[*device](t)(openFirst(accel.BlobsIn(dir), time.Minute))
		if err := work(d); err != nil {
			t.Errorf("%s: %v", c.what, err)
		}
		if d.made != c.compiled || d.found != 1-c.compiled {
			t.Errorf("%s: %d were compiled and %d kept", c.what, d.made, d.found)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
	// Bytes that are whole for Ledge, and no program for the driver.
	d := must[*device](t)(openFirst(accel.BlobsIn(dir), time.Minute))
	sum := must[cuda.Binary](t)(cuda.Find("fill", []uint32{128}, d.prop.capability)).Sum
	if err := d.blobs.Put(d.cacheKey(sum), []byte("no binary, but for the cache it is one")); err != nil {
		t.Fatal(err)
	}
	if err := work(d); err != nil || d.made != 1 || d.found != 0 {
		t.Errorf("a binary that is none: %v, %d compiled, %d kept", err, d.made, d.found)
	}
	if got := d.blobs.Get(d.cacheKey(sum)); bytes.HasPrefix(got, []byte("no binary")) || len(got) == 0 {
		t.Error("the cache was not mended")
	}
	for _, change := range []func(){func() { d.prop.version++ }, func() { d.prop.capability++ }, func() { d.prop.name += "X" }, func() { sum[0]++ }} {
		key := d.cacheKey(sum)
		if change(); d.cacheKey(sum) == key {
			t.Errorf("two things have the key %s", key)
		}
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// TestCompileError: what the compiler says is in the error.
func TestCompileError(t *testing.T) {
	d := opened(t, "")
	err := d.do("compile", func() error {
		_, err := compile([]byte("this is no PTX"))
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "CUDA_ERROR_INVALID_PTX") || !strings.Contains(err.Error(), ": ") || strings.Contains(err.Error(), "no reason") {
		t.Error(err)
	}
	if err := work(d); err != nil {
		t.Error(err)
	}
}

// TestProfile: kernels run one by one, and their cost is added up.
func TestProfile(t *testing.T) {
	t.Setenv(EnvProfile, "1")
	d := opened(t, "")
	f := newFiller(t, d, 1000, true, [3]uint32{0, 500, 7}, [3]uint32{500, 500, 9})
	setGrid(f.grid, 0, 4, 1, 1)
	setGrid(f.grid, 1, 4, 1, 1)
	moved := int64(4000)
	f.r.(*recording).calls[0].traffic, f.r.(*recording).calls[1].traffic = &moved, &moved
	before := fake.Calls("cuGraphLaunch")
	for range 3 {
		run(t, d, f.all(), f.r)
	}
	if u := uints(f.out.Host()); u[0] != 7 || u[999] != 9 {
		t.Error("the results are wrong")
	}
	if n := fake.Calls("cuGraphLaunch") - before; n != 0 {
		t.Errorf("%d graphs were launched", n)
	}
	if len(d.profile.kinds) != 1 {
		t.Fatalf("%d kinds of kernels", len(d.profile.kinds))
	}
	for k, c := range d.profile.kinds {
		if c.calls != 6 || c.bytes != 24000 || c.seconds <= 0 || c.label != "fill 0" || !strings.HasPrefix(k.variant, "fill") || k.grid != [3]uint32{4, 1, 1} {
			t.Errorf("%+v: %+v", k, c)
		}
	}
	var b bytes.Buffer
	d.profile.print(&b, "GPU")
	if text := b.String(); !strings.Contains(text, "GPU: 6 kernels in ") || !strings.Contains(text, "[4 1 1]") || strings.Count(text, "\n") != 3 {
		t.Errorf("%s", text)
	}
	d.profile, _ = newProfile()
	t.Setenv(EnvProfile, "0")
	if p, err := newProfile(); p != nil || err != nil {
		t.Error("0 measures")
	}
}

// BenchmarkSubmit is what a submission costs besides what runs: here, a kernel of one
// thread.
func BenchmarkSubmit(b *testing.B) {
	eagerly(b, func(b *testing.B, d *device) {
		f := newFiller(b, d, 100, false, [3]uint32{0, 1, 5})
		for b.Loop() {
			fence, err := d.Submit([]accel.Recording{f.r}, nil)
			if err == nil {
				err = fence.Wait()
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkJob is what it costs to have the worker do something.
func BenchmarkJob(b *testing.B) {
	eagerly(b, func(b *testing.B, d *device) {
		job := func() error {
			d.worker.over = time.Now() // as after a submission
			return nil
		}
		for b.Loop() {
			if err := d.do("nothing", job); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// eagerly measures a device whose threads sleep, and one whose threads ask, whatever
// processors there are.
func eagerly(b *testing.B, f func(*testing.B, *device)) {
	for name, eager := range map[string]bool{"sleeps": false, "asks": true} {
		b.Run(name, func(b *testing.B) {
			d := opened(b, "")
			asking(d, eager)
			f(b, d)
		})
	}
}
