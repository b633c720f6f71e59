//go:build !(cuda && cgo && linux && !android && !static)

package cuda

import (
	"context"
	"errors"

	"github.com/ledge-run/ledge/backend"
)

var errMissing = errors.New("not in this build: build/build.sh")

func init() {
	backend.Register(backend.Driver{
		Name:  Name,
		Probe: func(context.Context) ([]backend.Info, error) { return nil, errMissing },
		Open:  func(context.Context, string, backend.Options) (backend.Device, error) { return nil, errMissing },
	})
}
