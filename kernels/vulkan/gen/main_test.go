package main

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/kernels/shader"
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
		packed, err := os.ReadFile(filepath.Join(dir, b.name()+suffix))
		if err != nil {
			t.Fatal(err)
		}
		want, err := vulkan.Unpack(packed)
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
		text, err := shader.Source(b.kernel)
		if err != nil {
			t.Fatal(err)
		}
		for feature, capability := range map[string]uint32{"half": 9, "subgroup": 65} {
			if has, want := needs(code, capability), slices.Contains(shader.Needs(text), feature); has != want {
				t.Errorf("%s needs %s: %v; its source says %v", kernel, feature, has, want)
			}
		}
		if has := bytes.Contains(code, []byte("SPV_KHR_integer_dot_product")); has != b.intDot {
			t.Errorf("%s needs the products of int8: %v", kernel, has)
		}
	}
}

// needs reports whether SPIR-V names a capability: Float16, GroupNonUniformShuffle.
func needs(code []byte, capability uint32) bool {
	const header, opCapability = 5, 17
	for at := 4 * header; at+8 <= len(code); {
		word := binary.LittleEndian.Uint32(code[at:])
		if word&0xffff == opCapability && binary.LittleEndian.Uint32(code[at+4:]) == capability {
			return true
		}
		at += 4 * max(1, int(word>>16))
	}
	return false
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
