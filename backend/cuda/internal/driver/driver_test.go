//go:build cuda && cgo && linux && !android && !static

package driver_test

import (
	"testing"

	"gorgonia.org/cu"
)

func TestX(t *testing.T) {
	t.Log(cu.NumDevices())
}
