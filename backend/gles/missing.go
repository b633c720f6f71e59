//go:build !(gles && cgo && !static && linux)

package gles

import "github.com/ledge-run/ledge/backend"

func init() { backend.Register(backend.Absent(Name)) }
