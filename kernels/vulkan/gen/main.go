// Command gen compiles package shader's kernels to the SPIR-V that is committed
// beside their prelude: go generate ./kernels/vulkan. It needs glslc (Debian:
// package glslc, or libshaderc's).
package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/ledge-run/ledge/kernels/shader"
	"github.com/ledge-run/ledge/kernels/vulkan"
)

const (
	compiler = "glslc"
	target   = "vulkan1.1" // the least that has subgroups; SPIR-V 1.3
	suffix   = ".spv.gz"
)

func main() {
	if err := run("."); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// run writes the SPIR-V of every kernel into a folder, and removes that of
// kernels that are no more.
func run(dir string) error {
	made := map[string]bool{}
	for _, b := range builds() {
		code, err := compile(b)
		if err != nil {
			return err
		}
		name := b.name() + suffix
		made[name] = true
		path := filepath.Join(dir, name)
		if old, err := os.ReadFile(path); err == nil {
			if text, err := vulkan.Unpack(old); err == nil && bytes.Equal(text, code) {
				continue
			}
		}
		if err := os.WriteFile(path, pack(code), 0o644); err != nil {
			return err
		}
	}
	old, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil {
		return err
	}
	for _, path := range old {
		if !made[filepath.Base(path)] {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// pack compresses; the same code makes the same file.
func pack(code []byte) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is one
	_, err := w.Write(code)
	if err = errors.Join(err, w.Close()); err != nil {
		panic(err) // a buffer takes everything
	}
	return b.Bytes()
}

// build is a kernel, as every device takes it or with the instruction for products
// of int8.
type build struct {
	kernel string
	intDot bool
}

func (b build) name() string {
	if b.intDot {
		return b.kernel + vulkan.IntDotSuffix
	}
	return b.kernel
}

// builds are those of all kernels.
func builds() []build {
	var all []build
	for _, kernel := range shader.Kernels() {
		all = append(all, build{kernel, false})
		if shader.HasIntDot(kernel) {
			all = append(all, build{kernel, true})
		}
	}
	return all
}

// compile gives a kernel's SPIR-V, optimised and without names.
func compile(b build) ([]byte, error) {
	text, err := shader.Source(b.kernel)
	if err != nil {
		return nil, err
	}
	args := []string{"-O", "-fshader-stage=compute", "--target-env=" + target, "-Werror"}
	if b.intDot {
		args = append(args, "-DINT_DOT")
	}
	for _, feature := range shader.Needs(text) {
		args = append(args, "-DNEEDS_"+strings.ToUpper(feature))
	}
	cmd := exec.Command(compiler, append(args, "-o", "-", "-")...)
	cmd.Stdin = strings.NewReader(vulkan.Prelude + text)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return nil, fmt.Errorf("%w: install glslc", err)
		}
		return nil, fmt.Errorf("kernel %q: %w (lines 1 to %d are the prelude's, then common.comp follows)\n%s",
			b.name(), err, strings.Count(vulkan.Prelude, "\n"), complaints.String())
	}
	return out.Bytes(), nil
}
