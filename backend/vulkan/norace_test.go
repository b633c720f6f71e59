//go:build !race

package vulkan

import (
	"testing"

	"github.com/ledge-run/ledge/backend/internal/accel"
)

func TestSubmitAllocatesNothing(t *testing.T) {
	d := openTest(t, options{})
	b := must(d.Allocate("b", 4096, accel.Download))(t)
	grid := must(d.Allocate("grid", 12, accel.Upload))(t)
	put(grid.Host(), 1, 1, 1)
	list := []accel.Recording{must(d.Record([]accel.Dispatch{setter(t, d, b, grid, 0, 0, 128, 1)}))(t)}
	reads := []accel.Range{{Buffer: b, To: 4096}}
	if n := testing.AllocsPerRun(200, func() {
		f, err := d.Submit(list, reads)
		if err == nil {
			err = f.Wait()
		}
		if err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("a submission allocates %v times", n)
	}
}
