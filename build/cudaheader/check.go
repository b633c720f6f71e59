package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// check compiles assertions about NVIDIA's header at a path. What ours says and
// theirs does not is an error; that theirs has more is not.
func (h *header) check(path string) error {
	if _, err := os.Stat(path); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "cudaheader")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path, err = filepath.Abs(path)
	if err != nil {
		return err
	}
	for name, text := range map[string]string{"now.c": h.assertions(), "old.c": h.formerly()} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return err
		}
		cc := os.Getenv("CC")
		if cc == "" {
			cc = "cc"
		}
		out, err := exec.Command(cc, "-std=gnu11", "-fsyntax-only", "-w", "-I", filepath.Dir(path), file).CombinedOutput()
		if err != nil {
			return fmt.Errorf("differs from ours: %w\n%s", err, out)
		}
	}
	return nil
}

// assertions are about what every user of NVIDIA's header sees.
func (h *header) assertions() string {
	var b strings.Builder
	b.WriteString("#include <cuda.h>\n#include <stddef.h>\n#define TEXT(x) TEXT_(x)\n#define TEXT_(x) #x\n")
	for _, c := range h.constants {
		if c.name == "CU_CTX_FLAGS_MASK" { // has more bits in later versions
			fmt.Fprintf(&b, "_Static_assert((%[1]s & %[2]s) == %[2]s, \"%[1]s has the bits of %[2]s\");\n", c.name, c.value)
			continue
		}
		fmt.Fprintf(&b, "_Static_assert((long long)(%s) == (long long)(%s), \"%s is %s here\");\n", c.name, c.value, c.name, c.value)
	}
	for _, s := range h.structs {
		fmt.Fprintf(&b, "typedef %s {%s} ledge_%s;\n", s.kind, s.text, s.name)
		fmt.Fprintf(&b, "_Static_assert(sizeof(ledge_%[1]s) == sizeof(%[1]s), \"size of %[1]s\");\n", s.name)
		for _, f := range s.fields {
			fmt.Fprintf(&b, "_Static_assert(offsetof(ledge_%[1]s, %[2]s) == offsetof(%[1]s, %[2]s), \"place of %[1]s.%[2]s\");\n", s.name, f)
			fmt.Fprintf(&b, "_Static_assert(__builtin_types_compatible_p(__typeof__(((ledge_%[1]s *)0)->%[2]s), __typeof__(((%[1]s *)0)->%[2]s)), \"type of %[1]s.%[2]s\");\n", s.name, f)
		}
	}
	for _, f := range h.functions {
		if f.old() {
			continue
		}
		fmt.Fprintf(&b, "_Static_assert(__builtin_types_compatible_p(__typeof__(%s), CUresult(%s)), \"signature of %[1]s\");\n", f.name, f.params)
		fmt.Fprintf(&b, "_Static_assert(!__builtin_strcmp(TEXT(%s), \"%s\"), \"symbol of %[1]s\");\n", f.name, f.symbol)
	}
	return b.String()
}

var version1 = regexp.MustCompile(`\b(cu\w+)_v1\b`)

// formerly are assertions about former functions, whose declarations NVIDIA's header
// keeps for itself.
func (h *header) formerly() string {
	var b strings.Builder
	b.WriteString("#define __CUDA_API_VERSION_INTERNAL\n#include <cuda.h>\n")
	for _, f := range h.functions {
		if f.old() {
			name := version1.ReplaceAllString(f.name, "$1")
			fmt.Fprintf(&b, "_Static_assert(__builtin_types_compatible_p(__typeof__(%s), CUresult(%s)), \"signature of %[1]s, formerly\");\n", name, f.params)
		}
	}
	return b.String()
}
