package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const include = "../../third_party/cuda/include"

func ours(t *testing.T) *header {
	t.Helper()
	h, err := read(include)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestShim: the committed functions are those of the header.
func TestShim(t *testing.T) {
	var b bytes.Buffer
	ours(t).shim(&b)
	have, err := os.ReadFile("../../backend/cuda/internal/driver/shim.c")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, b.Bytes()) {
		t.Error("backend/cuda/internal/driver/shim.c is not what the header gives: run go generate there")
	}
}

// TestCheck: a header agrees with itself, and each kind of difference is found.
func TestCheck(t *testing.T) {
	if _, err := exec.LookPath("cc"); err != nil {
		t.Skip("a C compiler is needed")
	}
	h := ours(t)
	for _, c := range []struct{ name, old, new, want string }{
		{"itself", "", "", ""},
		{"a value", "CUDA_ERROR_OUT_OF_MEMORY = 2,", "CUDA_ERROR_OUT_OF_MEMORY = 4,", `"CUDA_ERROR_OUT_OF_MEMORY is 2 here"`},
		{"a constant", "  CU_LIMIT_STACK_SIZE = 0,\n", "", "CU_LIMIT_STACK_SIZE"},
		{"a field", "size_t width, height;", "size_t height, width;", `"place of CUDA_MEMSET_NODE_PARAMS.width"`},
		{"a field's type", "unsigned int value, elementSize;", "int value, elementSize;", `"type of CUDA_MEMSET_NODE_PARAMS.value"`},
		{"a size", "char bytes[16];", "char bytes[24];", `"size of CUuuid"`},
		{"a signature", "CUresult cuMemFree(CUdeviceptr p);", "CUresult cuMemFree(void *p);", `"signature of cuMemFree"`},
		{"a symbol", " cuMemAlloc_v2\n", " cuMemAlloc_v3\n", `"symbol of cuMemAlloc"`},
		{"what came later", "#define CU_GRAPH_KERNEL_NODE_PORT_DEFAULT 0", "#define CU_GRAPH_KERNEL_NODE_PORT_DEFAULT 3\n#define CUDA_VERSION 12030", `"CU_GRAPH_KERNEL_NODE_PORT_DEFAULT is 0 here"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			changed := false
			for _, name := range []string{"cuda.h", "cuda_enums.h"} {
				b, err := os.ReadFile(filepath.Join(include, name))
				if err != nil {
					t.Fatal(err)
				}
				text := string(b)
				if c.old != "" {
					text = strings.Replace(text, c.old, c.new, 1)
				}
				changed = changed || text != string(b)
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if changed != (c.want != "") {
				t.Fatalf("%q was found: %v", c.old, changed)
			}
			err := compile(h.assertions(), dir)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}
