//go:build cuda && cgo && linux && !android && !static

package all_test

import (
	"os"
	"testing"

	"github.com/ledge-run/ledge/backend/internal/fakedriver"
)

// emulateCUDA puts an emulated GPU in place of a real one, unless LEDGE_TEST_CUDA asks
// for that.
func emulateCUDA(t *testing.T) {
	t.Helper()
	if os.Getenv("LEDGE_TEST_CUDA") != "" || os.Getenv(fakedriver.EnvLibrary) != "" {
		return
	}
	kernels, err := fakedriver.Kernels()
	if err != nil {
		t.Fatal(err)
	}
	os.Setenv(fakedriver.EnvLibrary, fakedriver.Library(t, kernels)) // for the process: a driver is opened once
}
