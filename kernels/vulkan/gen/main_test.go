package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/kernels/vulkan"
)

func need(t *testing.T, tool string) {
	t.Helper()
	if _, err := exec.LookPath(tool); err != nil {
		t.Skipf("%s is not installed", tool)
	}
}

// TestCommitted: what is committed is what the sources give.
func TestCommitted(t *testing.T) {
	need(t, compiler)
	dir := t.TempDir()
	stale := filepath.Join(dir, "gone"+suffix)
	if err := os.WriteFile(stale, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := run(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(stale); err == nil {
		t.Error("the code of a kernel that is no more is left")
	}
	for _, b := range builds() {
		want, err := os.ReadFile(filepath.Join(dir, b.name()+suffix))
		if err != nil {
			t.Fatal(err)
		}
		if have, err := vulkan.Code(b.kernel, b.intDot); err != nil || !bytes.Equal(have, want) {
			t.Errorf("%s%s is not what its source gives: go generate ./kernels/vulkan (%v)", b.name(), suffix, err)
		}
	}
	committed, err := filepath.Glob("../*" + suffix)
	if err != nil || len(committed) != len(builds()) {
		t.Errorf("%d files for %d builds of kernels: %v", len(committed), len(builds()), err)
	}
}

// TestValid: the validator of SPIR-V accepts what is committed, and no names or
// sources are in it.
func TestValid(t *testing.T) {
	need(t, "spirv-val")
	for _, b := range builds() {
		kernel := b.name()
		code, err := vulkan.Code(b.kernel, b.intDot)
		if err != nil {
			t.Error(err)
			continue
		}
		cmd := exec.Command("spirv-val", "--target-env", target, "-")
		cmd.Stdin = bytes.NewReader(code)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", kernel, err, out)
		}
		if bytes.Contains(code, []byte("parameters")) || bytes.Contains(code, []byte("#define")) {
			t.Errorf("%s is not stripped", kernel)
		}
		if has := bytes.Contains(code, []byte("SPV_KHR_integer_dot_product")); has != b.intDot {
			t.Errorf("%s needs the products of int8: %v", kernel, has)
		}
	}
}

func TestNoKernel(t *testing.T) {
	if _, err := vulkan.Code("no_such", true); err == nil || !strings.Contains(err.Error(), "no_such") {
		t.Errorf("a kernel that is not there: %v", err)
	}
	if _, err := compile(build{"no_such", false}); err == nil {
		t.Error("a kernel without source compiles")
	}
	if len(vulkan.Version()) != 12 {
		t.Errorf("version %q", vulkan.Version())
	}
}
