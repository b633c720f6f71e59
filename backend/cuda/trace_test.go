//go:build cuda && cgo && linux && !android && !static

package cuda

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
)

// TestTrace: what kernels with timers leave is written down when a recording is closed,
// and its memory given back; kernels without leave nothing.
func TestTrace(t *testing.T) {
	file := filepath.Join(t.TempDir(), "times")
	t.Setenv(EnvTrace, file)
	d := opened(t, "")
	for _, times := range []map[int][4]uint64{nil, {0: {10, 20, 30, 1}, 7: {11, 21, 1 << 40, 132}}} {
		f := newFiller(t, d, 100, false, [3]uint32{0, 100, 1})
		r := f.r.(*recording)
		if r.times == nil {
			t.Fatal("no memory for times")
		}
		setGrid(f.grid, 0, 1, 1, 1)
		run(t, d, f.all(), f.r)
		for block, words := range times {
			var raw []byte
			for _, w := range words {
				raw = binary.LittleEndian.AppendUint64(raw, w)
			}
			if err := r.times.Write(block*traceBytes, raw); err != nil {
				t.Fatal(err)
			}
		}
		variant, label := r.calls[0].program.variant, r.calls[0].label
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		want := ""
		if times != nil {
			want = "call 0 " + variant + " " + label + "\n0 10 20 30 0\n7 11 21 1099511627776 131\n"
		}
		if have, err := os.ReadFile(file); err != nil || string(have) != want {
			t.Errorf("%q, %v, want %q", have, err, want)
		}
	}
	t.Setenv(EnvTrace, filepath.Join(file, "under a file"))
	f := newFiller(t, d, 100, false, [3]uint32{0, 100, 1})
	if err := f.r.Close(); err == nil {
		t.Error("times went to a file that cannot be")
	}
}
