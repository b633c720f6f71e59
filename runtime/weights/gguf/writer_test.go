package gguf

import (
	"bytes"
	"errors"
	"testing"

	"github.com/ledge-run/ledge/graph/dtype"
)

// TestLayout: writing each tensor's bytes where Layout says gives the file that
// WriteTo gives.
func TestLayout(t *testing.T) {
	for _, align := range []uint32{0, 64} {
		var w Writer
		if align > 0 {
			if err := w.Set("general.alignment", align); err != nil {
				t.Fatal(err)
			}
		}
		data := map[string][]byte{"a": bytes.Repeat([]byte{1}, 4*3), "b": bytes.Repeat([]byte{2}, 18*5), "c": bytes.Repeat([]byte{3}, 4*32)}
		err := errors.Join(
			w.Add("a", dtype.F32, []int{3}, data["a"]),
			w.Add("b", dtype.Q4_0, []int{5, 32}, data["b"]),
			w.Add("c", dtype.F32, []int{32}, data["c"]))
		if err != nil {
			t.Fatal(err)
		}
		var want bytes.Buffer
		if _, err := w.WriteTo(&want); err != nil {
			t.Fatal(err)
		}
		head, offsets, size, err := w.Layout()
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, size)
		copy(got, head)
		for i, name := range []string{"a", "b", "c"} {
			copy(got[offsets[i]:], data[name])
		}
		if !bytes.Equal(got, want.Bytes()) {
			t.Errorf("alignment %d: the file differs from WriteTo's", align)
		}
	}
}
