package opencl

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/ledge-run/ledge/backend/internal/accel"
)

// TestCache: a program is compiled once, and again if what was kept is damaged or
// is nothing that the driver takes.
func TestCache(t *testing.T) {
	first := opened(t)
	dir := t.TempDir()
	text, err := source("fill", []uint32{128}, first.prop.fused)
	if err != nil {
		t.Fatal(err)
	}
	again := func(what string, compiled, kept int) {
		t.Helper()
		d := openedWith(t, first.lib, first.prop, accel.BlobsIn(dir))
		f := newFiller(t, d, 1, 100)
		if d.compiled != compiled || d.kept != kept {
			t.Errorf("%s: %d programs compiled, %d found; want %d and %d", what, d.compiled, d.kept, compiled, kept)
		}
		f.submit(t, f.all())
		if f.at(99) != 1 || f.at(100) != 0 {
			t.Errorf("%s: wrong result", what)
		}
	}
	again("empty folder", 1, 0)
	again("filled folder", 0, 1)
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(files) != 1 {
		t.Fatalf("%d files", len(files))
	}
	whole, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	damaged := append([]byte{}, whole...)
	damaged[len(damaged)/2] ^= 1
	for what, content := range map[string][]byte{"damaged": damaged, "cut off": whole[:len(whole)-1], "empty": {}} {
		if err := os.WriteFile(files[0], content, 0o600); err != nil {
			t.Fatal(err)
		}
		again(what, 1, 0)
		again("after "+what, 0, 1)
	}
	for what, blob := range map[string][]byte{"not a program": []byte("not a program"), "zeros": make([]byte, 4096), "nothing": {}} {
		if err := accel.BlobsIn(dir).Put(first.cacheKey(text), blob); err != nil {
			t.Fatal(err)
		}
		again(what, 1, 0)
		again("after "+what, 0, 1)
	}
}
