package cpu

import (
	"context"
	"reflect"
	"testing"
	"unsafe"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph/dtype"
	kernels "github.com/ledge-run/ledge/kernels/cpu"
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

// TestHeld: all memory of slices counts, at any depth, beyond their lengths, too.
func TestHeld(t *testing.T) {
	l := local{row: make([]float32, 3, 5), top: make([]kernels.Candidate, 2), train: trainLocal{store: make([]byte, 7)}}
	s := shared{top: [][]kernels.Candidate{make([]kernels.Candidate, 3)}, train: trainShared{heads: make([]float32, 11), norms: make([]float64, 2)}}
	s.train.packed[1] = make([]float32, 9)
	candidate, header := int(unsafe.Sizeof(kernels.Candidate{})), int(unsafe.Sizeof([]byte{}))
	if n, want := held(reflect.ValueOf(l)), 4*5+2*candidate+7; n != want {
		t.Errorf("a worker holds %d bytes, want %d", n, want)
	}
	if n, want := held(reflect.ValueOf(s)), header+3*candidate+4*11+8*2+4*9; n != want {
		t.Errorf("all of them share %d bytes, want %d", n, want)
	}
}
