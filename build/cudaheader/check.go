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
	for _, text := range []string{h.assertions(), h.formerly()} {
		if err := compile(text, filepath.Dir(path)); err != nil {
			return fmt.Errorf("differs from ours: %w", err)
		}
	}
	return nil
}

// compile gives the compiler's complaints about a text that includes cuda.h from a
// folder.
func compile(text, dir string) error {
	cc := os.Getenv("CC")
	if cc == "" {
		cc = "cc"
	}
	cmd := exec.Command(cc, "-std=gnu11", "-fsyntax-only", "-w", "-I", dir, "-x", "c", "-")
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// later are declarations that came after the oldest version, with theirs: ledge asks the
// driver whether it has them.
var later = map[string]int{
	"CU_GRAPH_DEPENDENCY_TYPE_DEFAULT":       12030,
	"CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC":  12030,
	"CU_GRAPH_KERNEL_NODE_PORT_DEFAULT":      12030,
	"CU_GRAPH_KERNEL_NODE_PORT_PROGRAMMATIC": 12030,
	"CUgraphEdgeData":                        12030,
	"cuGraphAddDependencies_v2":              12030,
}

// from has what fn writes about a name compiled only with the versions that have it.
func from(b *strings.Builder, name string, fn func()) {
	if version, ok := later[name]; ok {
		fmt.Fprintf(b, "#if CUDA_VERSION >= %d\n", version)
		defer b.WriteString("#endif\n")
	}
	fn()
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
		from(&b, c.name, func() {
			fmt.Fprintf(&b, "_Static_assert((long long)(%s) == (long long)(%s), \"%s is %s here\");\n", c.name, c.value, c.name, c.value)
		})
	}
	for _, s := range h.structs {
		from(&b, s.name, func() {
			fmt.Fprintf(&b, "typedef %s {%s} ledge_%s;\n", s.kind, s.text, s.name)
			fmt.Fprintf(&b, "_Static_assert(sizeof(ledge_%[1]s) == sizeof(%[1]s), \"size of %[1]s\");\n", s.name)
			for _, f := range s.fields {
				fmt.Fprintf(&b, "_Static_assert(offsetof(ledge_%[1]s, %[2]s) == offsetof(%[1]s, %[2]s), \"place of %[1]s.%[2]s\");\n", s.name, f)
				fmt.Fprintf(&b, "_Static_assert(__builtin_types_compatible_p(__typeof__(((ledge_%[1]s *)0)->%[2]s), __typeof__(((%[1]s *)0)->%[2]s)), \"type of %[1]s.%[2]s\");\n", s.name, f)
			}
		})
	}
	for _, f := range h.functions {
		if f.old() {
			continue
		}
		from(&b, f.name, func() {
			fmt.Fprintf(&b, "_Static_assert(__builtin_types_compatible_p(__typeof__(%s), CUresult(%s)), \"signature of %[1]s\");\n", f.name, f.params)
			fmt.Fprintf(&b, "_Static_assert(!__builtin_strcmp(TEXT(%s), \"%s\"), \"symbol of %[1]s\");\n", f.name, f.symbol)
		})
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
