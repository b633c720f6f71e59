package vulkan

import (
	"testing"

	"github.com/ledge-run/ledge/backend/internal/accel"
)

// TestSubmissions: recordings are submissions of their own, but for those that
// write what is read back; each sees what those before it wrote, and the fence
// waits for all.
func TestSubmissions(t *testing.T) {
	d := openTest(t, options{})
	local := must(d.Allocate("local", 4096, accel.Local))(t)
	down := must(d.Allocate("down", 4096, accel.Download))(t)
	grid := must(d.Allocate("grid", 64, accel.Upload))(t)
	put(grid.Host(), 8, 1, 1, 2, 1, 1)
	record := func(list ...accel.Dispatch) accel.Recording { return must(d.Record(list))(t) }
	copied := accel.Dispatch{
		Label: "copy", Program: must(d.Program("copy", []uint32{128}))(t), Buffers: [4]accel.Buffer{local, down, grid},
		Params: []uint32{0, 0, 1024, 0}, Grid: grid, GridAt: 12,
	}
	list := []accel.Recording{
		record(setter(t, d, local, grid, 0, 0, 1024, 7)),
		record(setter(t, d, local, grid, 0, 512, 512, 8)),
		record(copied),
	}
	for round := range 3 {
		clear(down.Host())
		f := must(d.Submit(list, []accel.Range{{Buffer: down, To: 4096}}))(t)
		if n := f.Submissions(); n != 2 {
			t.Errorf("round %d: %d submissions, want 2", round, n)
		}
		if err := f.Wait(); err != nil {
			t.Fatal(err)
		}
		for i, have := range words(down.Host()) {
			if want := uint32(7 + i/512); have != want {
				t.Fatalf("round %d: uint %d is %d, want %d", round, i, have, want)
			}
		}
	}
}
