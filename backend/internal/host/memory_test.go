package host_test

import (
	"runtime"
	"testing"

	"github.com/ledge-run/ledge/backend/internal/host"
)

func TestMemory(t *testing.T) {
	total, free := host.Memory()
	if runtime.GOOS == "linux" && (total == 0 || free == 0) || free > total {
		t.Errorf("%d bytes of %d are free", free, total)
	}
}
