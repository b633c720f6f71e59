//go:build !static

package all

import _ "github.com/ledge-run/ledge/backend/vulkan" // registers the driver
