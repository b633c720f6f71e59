package installed

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// Find lists the files that the system's loader may take for a library's name. A
// name with a slash is a path.
func Find(name string) []string {
	if name == "" {
		return nil
	}
	if filepath.Base(name) != name {
		// macOS has its own libraries in one large file, and folders in their places.
		if isFile(name) || runtime.GOOS == "darwin" && strings.HasPrefix(name, "/System/Library/") && isDir(filepath.Dir(name)) {
			return []string{name}
		}
		return nil
	}
	var out []string
	add := func(path string) {
		if isFile(path) && !slices.Contains(out, path) {
			out = append(out, path)
		}
	}
	for _, dir := range loaderDirs() {
		add(filepath.Join(dir, name))
	}
	for _, path := range loaderCache()(name) {
		add(path)
	}
	for _, dir := range searchDirs() {
		add(filepath.Join(dir, name))
	}
	return out
}

func isFile(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular()
}

// loaderDirs are the folders that the environment puts first.
func loaderDirs() []string {
	if runtime.GOOS == "darwin" {
		return envDirs("DYLD_LIBRARY_PATH")
	}
	return envDirs("LD_LIBRARY_PATH")
}

// searchDirs are the folders of libraries on this kind of system.
func searchDirs() []string {
	switch runtime.GOOS {
	case "darwin":
		return []string{"/usr/local/lib", "/opt/homebrew/lib", "/usr/lib"}
	case "android":
		return []string{"/vendor/lib64", "/vendor/lib64/egl", "/system/vendor/lib64", "/system/lib64", "/odm/lib64", "/data/data/com.termux/files/usr/lib"}
	}
	dirs := []string{"/lib64", "/usr/lib64", "/usr/local/lib64", "/lib", "/usr/lib", "/usr/local/lib", "/run/opengl-driver/lib"}
	if t := map[string]string{"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu", "riscv64": "riscv64-linux-gnu"}[runtime.GOARCH]; t != "" {
		dirs = append([]string{"/usr/lib/" + t, "/lib/" + t}, dirs...)
	}
	return dirs
}

// loaderCache looks names up in glibc's cache of libraries, which knows the
// folders that ld.so.conf adds.
var loaderCache = sync.OnceValue(func() func(string) []string {
	data, err := os.ReadFile("/etc/ld.so.cache")
	if err != nil || runtime.GOOS != "linux" {
		return func(string) []string { return nil }
	}
	return func(name string) []string { return lookup(data, name) }
})

// lookup reads the format glibc-ld.so.cache1.1: after the magic come two counts
// (entries, bytes of strings) and 20 more bytes; entries of 24 bytes with the
// places of a name and a path, counted from the magic.
func lookup(cache []byte, name string) []string {
	const magic, head, entry = "glibc-ld.so.cache1.1", 48, 24
	at := bytes.Index(cache, []byte(magic))
	if at < 0 || len(cache)-at < head {
		return nil
	}
	cache = cache[at:]
	text := func(at uint32) string {
		if int64(at) >= int64(len(cache)) {
			return ""
		}
		s, _, ok := bytes.Cut(cache[at:], []byte{0})
		if !ok {
			return ""
		}
		return string(s)
	}
	key := append([]byte(name), 0)
	var out []string
	n := min(int64(binary.NativeEndian.Uint32(cache[len(magic):])), int64(len(cache)-head)/entry)
	for ; n > 0; n-- {
		e := head + (n-1)*entry
		if k := int64(binary.NativeEndian.Uint32(cache[e+4:])); k < int64(len(cache)) && bytes.HasPrefix(cache[k:], key) {
			out = append(out, text(binary.NativeEndian.Uint32(cache[e+8:])))
		}
	}
	slices.Reverse(out) // as they stand in the file
	return out
}
