package vulkan

import (
	"bytes"
	"context"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/internal/accel"
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "ledge-vulkan")
	if err != nil {
		panic(err)
	}
	os.Setenv(accel.EnvCache, dir) // never the user's
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// openTest opens the first device, or skips where there is none.
func openTest(t testing.TB, o options) *device {
	t.Helper()
	if infos, err := probe(context.Background()); len(infos) == 0 {
		t.Skipf("no Vulkan here: %v", err)
	}
	d, err := open(0, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// ways are the ways to memory: mapped where it can be, or through the staging
// buffer, as on a card of its own.
var ways = map[string]options{"mapped": {}, "staged": {staged: true}}

func must[T any](v T, err error) func(t testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func put(b []byte, words ...uint32) {
	for i, w := range words {
		binary.NativeEndian.PutUint32(b[4*i:], w)
	}
}

func words(b []byte) []uint32 {
	out := make([]uint32, len(b)/4)
	for i := range out {
		out[i] = binary.NativeEndian.Uint32(b[4*i:])
	}
	return out
}

// setter is a dispatch of fill: n uints of b from at on become value.
func setter(t testing.TB, d *device, b, grid accel.Buffer, gridAt int, at, n, value uint32) accel.Dispatch {
	return accel.Dispatch{
		Label: "fill", Program: must(d.Program("fill", []uint32{128}))(t), Buffers: [4]accel.Buffer{b},
		Params: []uint32{at, n, value}, Grid: grid, GridAt: gridAt,
	}
}

func run(t testing.TB, d *device, reads []accel.Range, list ...accel.Recording) {
	t.Helper()
	if err := must(d.Submit(list, reads))(t).Wait(); err != nil {
		t.Fatal(err)
	}
}

// TestRun: recorded once, submitted again with other grids; a zero grid runs
// nothing; parts of a recording see each other's writes.
func TestRun(t *testing.T) {
	for name, o := range ways {
		t.Run(name, func(t *testing.T) {
			d := openTest(t, o)
			local := must(d.Allocate("local", 4096, accel.Local))(t)
			down := must(d.Allocate("down", 1024, accel.Download))(t)
			grid := must(d.Allocate("grid", 64, accel.Upload))(t)
			if local.Host() != nil || len(down.Host()) != 1024 || len(grid.Host()) != 64 || local.Size() != 4096 {
				t.Fatal("memory of the wrong sizes")
			}
			r := must(d.Record([]accel.Dispatch{
				setter(t, d, local, grid, 0, 1, 1000, 7),
				setter(t, d, local, grid, 12, 100, 10, 8), // over the first
				setter(t, d, down, grid, 24, 0, 256, 9),
			}))(t)
			all := make([]byte, 4096)
			for round, grids := range [][9]uint32{
				{8, 1, 1, 1, 1, 1, 2, 1, 1},
				{0, 1, 1, 1, 1, 1, 1, 1, 1}, // the first skipped
				{0, 0, 0, 1, 0, 1, 1, 1, 0}, // all skipped
			} {
				if err := local.Write(0, make([]byte, 4096)); err != nil {
					t.Fatal(err)
				}
				clear(down.Host())
				put(grid.Host(), grids[:]...)
				run(t, d, []accel.Range{{Buffer: down, From: 0, To: 1024}}, r)
				if err := local.Read(0, all); err != nil {
					t.Fatal(err)
				}
				for i, have := range words(all) {
					want := uint32(0)
					if round == 0 && i >= 1 && i <= 1000 {
						want = 7
					}
					if round < 2 && i >= 100 && i < 110 {
						want = 8
					}
					if have != want {
						t.Fatalf("round %d: uint %d is %d, want %d", round, i, have, want)
					}
				}
				for i, have := range words(down.Host()) {
					if want := uint32([]int{256, 128, 0}[round]); (have == 9) != (uint32(i) < want) {
						t.Fatalf("round %d: read-back %d is %d", round, i, have)
					}
				}
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
			if _, err := d.Submit([]accel.Recording{r}, nil); err == nil {
				t.Error("a closed recording is submitted")
			}
		})
	}
}

// TestOrder: several recordings of a submission run one after the other; the same
// one twice is refused.
func TestOrder(t *testing.T) {
	d := openTest(t, options{})
	down := must(d.Allocate("down", 64<<10, accel.Download))(t)
	grid := must(d.Allocate("grid", 12, accel.Upload))(t)
	put(grid.Host(), 128, 1, 1)
	var rs []accel.Recording
	for v := range uint32(8) {
		rs = append(rs, must(d.Record([]accel.Dispatch{setter(t, d, down, grid, 0, v*100, 16384-v*100, v+1)}))(t))
	}
	run(t, d, []accel.Range{{Buffer: down, To: 64 << 10}}, rs...)
	if _, err := d.Submit([]accel.Recording{rs[0], rs[1], rs[0]}, nil); err == nil {
		t.Error("a recording runs twice at once")
	}
	for i, have := range words(down.Host()) {
		if want := uint32(min(i/100, 7) + 1); have != want {
			t.Fatalf("uint %d is %d, want %d", i, have, want)
		}
	}
	run(t, d, nil) // nothing
	empty := must(d.Record(nil))(t)
	run(t, d, nil, empty)
}

// TestMoves: bytes go in and come out at any place, over the staging buffer's
// borders too.
func TestMoves(t *testing.T) {
	defer func(n int) { stageBytes = n }(stageBytes)
	stageBytes = 4096
	for name, o := range ways {
		t.Run(name, func(t *testing.T) {
			d := openTest(t, o)
			const size = 100_000
			b := must(d.Allocate("b", size, accel.Local))(t)
			got := make([]byte, size)
			if err := b.Read(0, got); err != nil || !bytes.Equal(got, make([]byte, size)) {
				t.Fatalf("not cleared: %v", err)
			}
			want := make([]byte, size)
			rng := rand.New(rand.NewPCG(1, 2))
			for range 50 {
				at := rng.IntN(size)
				data := make([]byte, rng.IntN(size-at+1))
				for i := range data {
					data[i] = byte(rng.Uint32())
				}
				copy(want[at:], data)
				if err := b.Write(at, data); err != nil {
					t.Fatal(err)
				}
			}
			if err := b.Read(0, got); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("what was written does not come back: %v", err)
			}
			for range 50 {
				at := rng.IntN(size)
				part := got[:rng.IntN(size-at+1)]
				if err := b.Read(at, part); err != nil || !bytes.Equal(part, want[at:at+len(part)]) {
					t.Fatalf("%d bytes at %d: %v", len(part), at, err)
				}
			}
			for _, bad := range [][2]int{{-1, 1}, {size, 1}, {0, size + 1}, {math.MaxInt &^ 3, 1 << 20}} {
				if b.Write(bad[0], make([]byte, bad[1])) == nil || b.Read(bad[0], make([]byte, bad[1])) == nil {
					t.Errorf("%d bytes at %d are accepted", bad[1], bad[0])
				}
			}
		})
	}
}

// TestBig: a buffer of the largest size, used to its end.
func TestBig(t *testing.T) {
	d := openTest(t, options{})
	size := min(d.Limits().Range, accel.MinRange)
	b := must(d.Allocate("big", size, accel.Local))(t)
	grid := must(d.Allocate("grid", 12, accel.Upload))(t)
	n := uint32(size / 4)
	groups := (n + 127) / 128
	put(grid.Host(), 32768, (groups+32767)/32768, 1)
	run(t, d, nil, must(d.Record([]accel.Dispatch{setter(t, d, b, grid, 0, 0, n, 0xdeadbeef)}))(t))
	part := make([]byte, 1<<20)
	for _, at := range []int{0, size/2 + 4, size - len(part)} {
		if err := b.Read(at, part); err != nil {
			t.Fatal(err)
		}
		for i, w := range words(part) {
			if w != 0xdeadbeef {
				t.Fatalf("uint %d is %#x", at/4+i, w)
			}
		}
	}
}

// TestMisuse: what would make a driver crash is an error before it.
func TestMisuse(t *testing.T) {
	d := openTest(t, options{})
	other := openTest(t, options{})
	l := d.Limits()
	for _, size := range []int{0, -4, 3, l.Range + 4} {
		if b, err := d.Allocate("odd", size, accel.Local); err == nil {
			t.Errorf("a buffer of %d bytes: %v", size, b)
		}
	}
	for _, c := range [][]uint32{nil, {0}, {uint32(l.Invocations) + 1}} {
		if _, err := d.Program("fill", c); err == nil {
			t.Errorf("constants %v compile", c)
		}
	}
	if _, err := d.Program("no_such", []uint32{128}); err == nil || !strings.Contains(err.Error(), "no_such") {
		t.Errorf("a kernel that is not there: %v", err)
	}
	b := must(d.Allocate("b", 64, accel.Local))(t)
	foreign := must(other.Allocate("f", 64, accel.Upload))(t)
	closed := must(d.Allocate("c", 64, accel.Local))(t)
	grid := must(d.Allocate("grid", 64, accel.Upload))(t)
	for range 2 { // again is nothing
		if err := closed.Close(); err != nil {
			t.Error(err)
		}
	}
	good := setter(t, d, b, grid, 0, 0, 1, 1)
	for what, spoil := range map[string]func(x *accel.Dispatch){
		"program":     func(x *accel.Dispatch) { x.Program = nil },
		"theirs":      func(x *accel.Dispatch) { x.Program = must(other.Program("fill", []uint32{128}))(t) },
		"foreign":     func(x *accel.Dispatch) { x.Buffers[3] = foreign },
		"closed":      func(x *accel.Dispatch) { x.Buffers[0] = closed },
		"parameters":  func(x *accel.Dispatch) { x.Params = make([]uint32, 33) },
		"no grid":     func(x *accel.Dispatch) { x.Grid = nil },
		"local grid":  func(x *accel.Dispatch) { x.Grid = b },
		"their grid":  func(x *accel.Dispatch) { x.Grid = foreign },
		"grid at 56":  func(x *accel.Dispatch) { x.GridAt = 56 },
		"grid at 2":   func(x *accel.Dispatch) { x.GridAt = 2 },
		"grid before": func(x *accel.Dispatch) { x.GridAt = -4 },
	} {
		x := good
		x.Label = "node 7"
		spoil(&x)
		if _, err := d.Record([]accel.Dispatch{good, x}); err == nil || !strings.Contains(err.Error(), "node 7") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := d.Submit(nil, []accel.Range{{Buffer: b, To: 4}}); err == nil {
		t.Error("a local buffer is read back")
	}
	if _, err := numberOf("vulkan01"); err == nil {
		t.Error("vulkan01 is a name")
	}
	if n, err := numberOf("vulkan12"); err != nil || n != 12 {
		t.Errorf("vulkan12: %d, %v", n, err)
	}
	if _, err := open(99, options{}); err == nil {
		t.Error("device 99 opens")
	}
}

func TestInfo(t *testing.T) {
	d := openTest(t, options{})
	infos := must(probe(context.Background()))(t)
	i := infos[0]
	t.Logf("%+v; limits %+v", i, d.Limits())
	software := d.phys.properties.deviceType == deviceCPU
	if i.Name != "vulkan0" || i.Backend != "vulkan" || i.Description == "" || i.Memory.Total == 0 || i.Numerics.Device == "" ||
		software != (i.Score == 0) || software != (i.Kind == backend.CPU) {
		t.Errorf("info %+v", i)
	}
	if l := d.Limits(); l.Check() != nil || l.Timeout <= 0 || l.CoopMatrix {
		t.Errorf("limits %+v", l)
	}
	min, err := accel.ParseSwitches("min,-subgroup,-half,-intdot")
	if err != nil {
		t.Fatal(err)
	}
	l := openTest(t, options{switches: min}).Limits()
	if l.Invocations != 128 || l.Shared != 16<<10 || l.Range != 128<<20 || l.Buffers != 4 || l.Groups != 65535 || l.Subgroup != 0 || l.Half || l.IntDot {
		t.Errorf("at the minimum: %+v", l)
	}
}
