package cpu

import (
	"context"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph/dtype"
)

// TestWeightBytes: what a weight is said to take is what Load takes for it.
func TestWeightBytes(t *testing.T) {
	d, err := open(backend.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, uses := range []backend.Uses{backend.UseProduct, backend.UseGather, backend.UseProduct | backend.UseGather, backend.UseVector} {
		for _, dt := range []dtype.DType{dtype.F32, dtype.F16, dtype.Q4_0} {
			shape := []int{37, 64}
			size, err := dtype.ByteSize(dt, shape)
			if err != nil {
				t.Fatal(err)
			}
			s := backend.WeightSpec{Name: "w", DType: dt, Shape: shape, Uses: uses,
				Open: func() ([]byte, func(), error) { return make([]byte, size), func() {}, nil }}
			want, err := d.WeightBytes(s)
			if err != nil {
				t.Fatal(err)
			}
			w, err := d.Load(context.Background(), backend.LoadSpec{Weights: []backend.WeightSpec{s}})
			if err != nil {
				t.Fatal(err)
			}
			if have := w.Bytes(); have != want || (uses == backend.UseGather) != (want == 0) {
				t.Errorf("%s for %v: %d bytes, said to be %d", dt, uses, have, want)
			}
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
