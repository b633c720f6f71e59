//go:build !(cuda && cgo && linux && !android && !static)

package cuda

import "github.com/ledge-run/ledge/backend"

func init() { backend.Register(backend.Absent(Name)) }
