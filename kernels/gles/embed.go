// Package gles holds what OpenGL ES needs of package shader's kernels.
package gles

import _ "embed"

// Prelude says what the dialect's words stand for.
//
//go:embed prelude.glsl
var Prelude string
