// Package vulkan holds what Vulkan needs of package shader's kernels.
package vulkan

import _ "embed"

// Prelude says what the dialect's words stand for.
//
//go:embed prelude.glsl
var Prelude string
