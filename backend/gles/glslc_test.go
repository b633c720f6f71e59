//go:build gles && cgo && !static && linux

package gles

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ledge-run/ledge/kernels/shader"
)

// TestKernelsStrict compiles every kernel with the reference compiler's rules of
// GLSL ES 3.10, which drivers of phones keep to and Mesa does not: no conversion
// goes without saying.
func TestKernelsStrict(t *testing.T) {
	glslc, err := exec.LookPath("glslc")
	if err != nil {
		t.Skip("no glslc (Debian package glslc)")
	}
	dir := t.TempDir()
	for _, k := range shader.Plain() {
		names := must[[]string](t)(shader.Constants(k))
		constants := make([]uint32, len(names))
		for i := range constants {
			constants[i] = 1
		}
		constants[0] = 128
		text := must[string](t)(source(k, constants))
		in := filepath.Join(dir, k+".comp")
		if err := os.WriteFile(in, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(glslc, "--target-env=opengl", "-std=310es", "-fauto-map-locations", "-c", "-o", in+".spv", in).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v: %s", k, err, out)
		}
	}
}
