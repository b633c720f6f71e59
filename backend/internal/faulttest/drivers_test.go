//go:build !static

package faulttest

import (
	_ "github.com/ledge-run/ledge/backend/opencl" // registers the driver
	_ "github.com/ledge-run/ledge/backend/vulkan" // registers the driver
)
