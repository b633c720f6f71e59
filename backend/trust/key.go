package trust

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/selftest"
)

// environment is what changes the devices that drivers show, or how they compute.
// What names files is in the files.
var environment = []string{
	"LEDGE_GPU", "LEDGE_GPU_TIMEOUT", "LEDGE_VULKAN_VALIDATE", "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "CUDA_DISABLE_PTX_JIT", "LEDGE_CUDA_OVERLAP", "LEDGE_CUDA_PROFILE",
	"MESA_LOADER_DRIVER_OVERRIDE", "GALLIUM_DRIVER", "LIBGL_ALWAYS_SOFTWARE", "MESA_VK_DEVICE_SELECT", "RADV_DEBUG", "RADV_PERFTEST", "RADV_FORCE_FAMILY",
	"ANV_DEBUG", "INTEL_DEBUG", "TU_DEBUG", "LP_NUM_THREADS", "POCL_DEVICES", "RUSTICL_ENABLE", "RUSTICL_FEATURES",
	"VK_INSTANCE_LAYERS", "VK_LOADER_LAYERS_ENABLE", "VK_LOADER_DRIVERS_SELECT", "VK_LOADER_DRIVERS_DISABLE",
}

// nodes are the files through which drivers reach the hardware: a device that was
// plugged in, or that the user may use now, is another case.
var nodes = []string{"/dev/dri/renderD*", "/dev/nvidia[0-9]*", "/dev/nvidiactl", "/dev/nvhost-gpu", "/dev/nvhost-ctrl-gpu", "/dev/nvgpu/*/*", "/dev/nvmap", "/dev/kgsl-3d0", "/dev/mali*", "/dev/pvr*", "/dev/dxg"}

// keyOf names all that a verdict depends on as far as it can be told without
// loading anything. Which devices there are and the driver's version are in the
// verdict, and looked at again when a device is opened.
func keyOf(d backend.Driver, files []string, t backend.Trial) string {
	h := sha256.New()
	fmt.Fprintf(h, "driver %q\nself-test %q\nlevel %q\n", d.Name, selftest.Version, t.Options.Level)
	if d.Foreign.Kernels != nil {
		fmt.Fprintf(h, "kernels %q\n", d.Foreign.Kernels())
	}
	for _, e := range environment {
		if v := os.Getenv(e); v != "" {
			fmt.Fprintf(h, "%s=%q\n", e, v)
		}
	}
	seen := map[string]bool{}
	for _, f := range files {
		if seen[f] {
			continue
		}
		seen[f] = true
		if st, err := os.Stat(f); err != nil {
			fmt.Fprintf(h, "%q is missing\n", f)
		} else {
			fmt.Fprintf(h, "%q %d %d %v\n", f, st.Size(), st.ModTime().UnixNano(), st.IsDir())
		}
	}
	for _, p := range nodes {
		found, _ := filepath.Glob(p)
		for _, n := range found {
			fmt.Fprintf(h, "%q %v\n", n, usable(n))
		}
	}
	if kernel, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		fmt.Fprintf(h, "kernel %q\n", strings.TrimSpace(string(kernel)))
	}
	return hex.EncodeToString(h.Sum(nil))
}
