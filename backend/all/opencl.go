//go:build !static

package all

import _ "github.com/ledge-run/ledge/backend/opencl" // registers the driver
