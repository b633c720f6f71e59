// Package installed finds the files that GPU drivers are made of, without loading
// any of them: what is not loaded cannot crash. The lists say whether a driver is
// there at all, and whether it is the one that was tried.
package installed

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// ErrNone is wrapped by the errors that say that a library is not there.
var ErrNone = errors.New("not installed")

// maxManifest bounds the files that name drivers: they have some hundred bytes.
const maxManifest = 64 << 10

// Vulkan lists the loader, which is the first of the names that is there, and the
// drivers that its manifests name. Names are those that the backend tries to load,
// in its order: one without a slash is looked for where the system's loader looks.
func Vulkan(names ...string) ([]string, error) {
	found, err := need("Vulkan", names)
	if err != nil {
		return nil, err
	}
	if runtime.GOOS == "android" {
		return append(found, glob("/vendor/lib64/hw/vulkan.*.so", "/system/vendor/lib64/hw/vulkan.*.so")...), nil
	}
	manifests := list("VK_DRIVER_FILES", "*.json")
	if manifests == nil {
		manifests = list("VK_ICD_FILENAMES", "*.json")
	}
	if manifests == nil {
		for _, dir := range slices.Concat(configDirs(), dataDirs()) {
			manifests = append(manifests, glob(filepath.Join(dir, "vulkan", "icd.d", "*.json"))...)
		}
		manifests = append(manifests, list("VK_ADD_DRIVER_FILES", "*.json")...)
	}
	return append(found, behind(manifests)...), nil
}

// OpenCL lists the loader or a vendor's library, and the drivers that are
// registered.
func OpenCL(names ...string) ([]string, error) {
	found, err := need("OpenCL", names)
	if err != nil {
		return nil, err
	}
	icds := list("OCL_ICD_FILENAMES", "*.icd")
	vendors := list("OCL_ICD_VENDORS", "*.icd")
	if vendors == nil {
		vendors = list("OPENCL_VENDOR_PATH", "*.icd")
	}
	if vendors == nil {
		vendors = glob("/etc/OpenCL/vendors/*.icd", "/system/vendor/Khronos/OpenCL/vendors/*.icd", "/vendor/etc/OpenCL/vendors/*.icd")
	}
	for _, f := range append(icds, vendors...) {
		found = append(found, f)
		if filepath.Ext(f) != ".icd" {
			continue // the library itself
		}
		if text, err := readSmall(f); err == nil {
			name, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
			found = append(found, Find(strings.TrimSpace(name))...)
		}
	}
	return found, nil
}

// EGL lists the library, the vendors' ones behind it, and the folder of Mesa's
// drivers, which changes when one is replaced.
func EGL(names ...string) ([]string, error) {
	found, err := need("OpenGL ES", names)
	if err != nil {
		return nil, err
	}
	if runtime.GOOS == "android" {
		return append(found, glob("/vendor/lib64/egl/*.so", "/system/vendor/lib64/egl/*.so")...), nil
	}
	manifests := list("__EGL_VENDOR_LIBRARY_FILENAMES", "*.json")
	if manifests == nil {
		manifests = list("__EGL_VENDOR_LIBRARY_DIRS", "*.json")
	}
	if manifests == nil {
		manifests = glob("/etc/glvnd/egl_vendor.d/*.json", "/usr/share/glvnd/egl_vendor.d/*.json")
	}
	found = append(found, behind(manifests)...)
	found = append(found, Find("libGLESv2.so.2")...)
	for _, dir := range searchDirs() {
		if dri := filepath.Join(dir, "dri"); isDir(dri) {
			found = append(found, dri)
		}
	}
	return found, nil
}

// CUDA lists the driver's library and its compiler of PTX, which is loaded by it.
func CUDA(names ...string) ([]string, error) {
	found, err := need("the CUDA driver", names)
	if err != nil {
		return nil, err
	}
	for _, l := range found {
		found = append(found, glob(filepath.Join(filepath.Dir(l), "libnvidia-ptxjitcompiler.so*"))...)
	}
	return found, nil
}

func isDir(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

// need finds the first of the names that is there.
func need(api string, names []string) ([]string, error) {
	for _, n := range names {
		if f := Find(n); len(f) > 0 {
			return f, nil
		}
	}
	what := strings.Join(names, ", ")
	if len(names) > 3 {
		what = fmt.Sprintf("%s or one of %d others", strings.Join(names[:2], ", "), len(names)-2)
	}
	return nil, fmt.Errorf("%s is %w: no library %s", api, ErrNone, what)
}

// list reads a variable that names files, or folders of files.
func list(env, pattern string) []string {
	value := os.Getenv(env)
	if value == "" {
		return nil
	}
	out := []string{}
	for _, p := range filepath.SplitList(value) {
		if st, err := os.Stat(p); err == nil && st.IsDir() {
			out = append(out, glob(filepath.Join(p, pattern))...)
		} else if p != "" {
			out = append(out, p)
		}
	}
	return out
}

// behind lists manifests and the libraries that they name.
func behind(manifests []string) []string {
	var out []string
	for _, m := range manifests {
		out = append(out, m)
		text, err := readSmall(m)
		if err != nil {
			continue
		}
		var d struct {
			ICD struct {
				Library string `json:"library_path"`
			}
		}
		if json.Unmarshal(text, &d) != nil || d.ICD.Library == "" {
			continue
		}
		lib := d.ICD.Library
		if strings.Contains(lib, "/") && !filepath.IsAbs(lib) {
			lib = filepath.Join(filepath.Dir(m), lib)
		}
		out = append(out, Find(lib)...)
	}
	return out
}

func glob(patterns ...string) []string {
	var out []string
	for _, p := range patterns {
		m, _ := filepath.Glob(p) // a bad pattern finds nothing
		out = append(out, m...)
	}
	return out
}

func readSmall(path string) ([]byte, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() || st.Size() > maxManifest {
		return nil, fmt.Errorf("%s: no small file", path)
	}
	return os.ReadFile(path)
}

// configDirs and dataDirs are where the freedesktop rules put what is installed.
func configDirs() []string {
	dirs := append(envDirs("XDG_CONFIG_HOME"), homeDir(".config")...)
	if d := envDirs("XDG_CONFIG_DIRS"); d != nil {
		return append(append(dirs, d...), "/etc")
	}
	return append(dirs, "/etc/xdg", "/etc")
}

func dataDirs() []string {
	dirs := append(envDirs("XDG_DATA_HOME"), homeDir(".local/share")...)
	if d := envDirs("XDG_DATA_DIRS"); d != nil {
		return append(dirs, d...)
	}
	return append(dirs, "/usr/local/share", "/usr/share", "/run/opengl-driver/share", "/opt/homebrew/share")
}

func envDirs(name string) []string {
	if v := os.Getenv(name); v != "" {
		return filepath.SplitList(v)
	}
	return nil
}

func homeDir(below string) []string {
	if h := os.Getenv("HOME"); h != "" {
		return []string{filepath.Join(h, below)}
	}
	return nil
}
