package installed

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func wants(t *testing.T, what string, got []string, err error, want ...string) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
	for _, w := range want {
		if !slices.Contains(got, w) {
			t.Errorf("%s: %v, want %s among them", what, got, w)
		}
	}
}

func TestNone(t *testing.T) {
	none := filepath.Join(t.TempDir(), "libnone.so")
	for api, f := range map[string]func(...string) ([]string, error){"Vulkan": Vulkan, "OpenCL": OpenCL, "OpenGL ES": EGL, "the CUDA driver": CUDA} {
		files, err := f(none, "libthere-is-none.so.7")
		if want := api + " is not installed: no library " + none + ", libthere-is-none.so.7"; !errors.Is(err, ErrNone) || err.Error() != want {
			t.Errorf("%v, %v, want %s", files, err, want)
		}
		if _, err := f(none, none, none, none, none); err == nil || !strings.HasSuffix(err.Error(), "or one of 3 others") {
			t.Error(err)
		}
	}
}

// TestBehind: the drivers that the loaders' files name are listed, too.
func TestBehind(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("manifests lie elsewhere on ", runtime.GOOS)
	}
	dir := t.TempDir()
	lib := write(t, filepath.Join(dir, "libloader.so"), "x")
	driver := write(t, filepath.Join(dir, "lib", "libdriver.so"), "x")
	beside := write(t, filepath.Join(dir, "icd.d", "libbeside.so"), "x")
	t.Setenv("LD_LIBRARY_PATH", filepath.Join(dir, "lib"))
	for _, e := range []string{"VK_DRIVER_FILES", "VK_ICD_FILENAMES", "OCL_ICD_FILENAMES", "OCL_ICD_VENDORS", "__EGL_VENDOR_LIBRARY_FILENAMES"} {
		t.Setenv(e, "")
	}
	a := write(t, filepath.Join(dir, "icd.d", "a.json"), `{"ICD":{"library_path":"libdriver.so","api_version":"1.3"}}`)
	b := write(t, filepath.Join(dir, "icd.d", "b.json"), `{"ICD":{"library_path":"./libbeside.so"}}`)
	c := write(t, filepath.Join(dir, "icd.d", "c.json"), `{"ICD":`)
	for _, env := range []string{"VK_ICD_FILENAMES", "VK_DRIVER_FILES"} {
		t.Setenv(env, filepath.Join(dir, "icd.d")+":"+a)
		got, err := Vulkan("libnone.so.7", lib)
		wants(t, env, got, err, lib, a, b, c, driver, beside)
		t.Setenv(env, "")
	}
	t.Setenv("XDG_DATA_HOME", dir)
	write(t, filepath.Join(dir, "vulkan", "icd.d", "d.json"), `{"ICD":{"library_path":"libdriver.so"}}`)
	got, err := Vulkan(lib)
	wants(t, "XDG_DATA_HOME", got, err, driver)
	t.Setenv("__EGL_VENDOR_LIBRARY_FILENAMES", a)
	got, err = EGL(lib)
	wants(t, "EGL", got, err, lib, a, driver)
	icd := write(t, filepath.Join(dir, "vendors", "x.icd"), "libdriver.so\n")
	t.Setenv("OCL_ICD_VENDORS", filepath.Dir(icd))
	got, err = OpenCL(lib)
	wants(t, "OpenCL", got, err, lib, icd, driver)
}

func TestLookup(t *testing.T) {
	var b bytes.Buffer
	b.WriteString("ld.so-1.7.0 and what else there was before")
	b.WriteString("glibc-ld.so.cache1.1")
	names := []string{"libone.so.1", "/opt/one/libone.so.1", "libtwo.so", "/opt/two/libtwo.so", "/opt/older/libone.so.1"}
	text, at := []byte{}, map[string]uint32{}
	const entries = 3
	for _, n := range names {
		at[n] = uint32(48 + entries*24 + len(text))
		text = append(append(text, n...), 0)
	}
	u := func(v uint32) { _ = binary.Write(&b, binary.NativeEndian, v) }
	u(entries)
	u(uint32(len(text)))
	b.Write(make([]byte, 20))
	for _, e := range [][2]string{{names[0], names[1]}, {names[2], names[3]}, {names[0], names[4]}} {
		u(3)
		u(at[e[0]])
		u(at[e[1]])
		b.Write(make([]byte, 12))
	}
	b.Write(text)
	if got := lookup(b.Bytes(), "libone.so.1"); !slices.Equal(got, []string{names[1], names[4]}) {
		t.Errorf("%q", got)
	}
	if got := lookup(b.Bytes(), "libthree.so"); got != nil {
		t.Errorf("%q", got)
	}
	for cut := range b.Len() { // damaged: anything but a panic
		lookup(b.Bytes()[:cut], "libone.so.1")
		d := bytes.Clone(b.Bytes())
		d[cut] ^= 0xff
		lookup(d, "libtwo.so")
	}
	if runtime.GOOS == "linux" {
		if data, err := os.ReadFile("/etc/ld.so.cache"); err == nil && bytes.Contains(data, []byte("libc.so.6\x00")) && len(lookup(data, "libc.so.6")) == 0 {
			t.Error("this system's cache: no libc.so.6")
		}
	}
}

func BenchmarkAll(b *testing.B) {
	for b.Loop() {
		_, _ = Vulkan("libvulkan.so.1")
		_, _ = OpenCL("libOpenCL.so.1")
		_, _ = EGL("libEGL.so.1")
	}
}
