// Package opencl holds what OpenCL needs of package shader's kernels.
package opencl

import _ "embed"

// Prelude says what the dialect's words stand for.
//
//go:embed prelude.cl
var Prelude string
