package run

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/train/recipe"
)

// TestLlama: llama.cpp loads what a run writes, of every architecture and in half
// precision, and says the same as Ledge.
func TestLlama(t *testing.T) {
	simple := filepath.Join(os.Getenv("LEDGE_TEST_LLAMA"), "bin", "llama-simple")
	if _, err := os.Stat(simple); err != nil || os.Getenv("LEDGE_TEST_LLAMA") == "" {
		t.Skip("LEDGE_TEST_LLAMA names no folder with bin/llama-simple")
	}
	for i, arch := range recipe.Architectures() {
		r := numbers(t)
		r.Model.Architecture, r.Model.Tied, r.Train.Steps = arch, i > 0, 60
		r.Export.Type = []dtype.DType{dtype.F32, dtype.F16, dtype.BF16}[i]
		res := train(t, r, Options{})
		for _, prompt := range []string{"three\n", "eight\n"} {
			out, err := exec.Command(simple, "-m", res.Model, "-n", "8", "-ngl", "0", prompt).Output()
			if err != nil {
				t.Fatalf("%s: %v", arch, err)
			}
			_, said, _ := strings.Cut(string(out), prompt)
			if want := continued(t, res.Model, prompt); want == "" || strings.TrimSpace(said) != want {
				t.Errorf("%s: after %q llama.cpp says %q, Ledge %q", arch, prompt, said, want)
			}
		}
	}
}
