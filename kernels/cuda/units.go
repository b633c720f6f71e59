package cuda

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/ledge-run/ledge/kernels/shader"
)

// Unit is a kernel as compilers see it: for GPUs, or for the host with LEDGE_HOST
// defined.
type Unit struct {
	Kernel  string   // of the shader.Call
	Entry   string   // the function; no other unit has its name
	File    string   // in kernels/cuda; "" for a kernel of package shader
	Defines []string // NAME or NAME=VALUE
	Threads int      // of a block

	MaySpill bool // registers

	only        targets
	dynamic     func(c []uint32) int
	dynamicFrom int
	worst       func(most int) []uint32
	most        map[string]uint32
}

// For reports whether a unit is compiled for a target.
func (u Unit) For(t Target) bool { return u.only.has(t) }

// Dynamic is the most bytes of shared memory that a launch of a target's code gives on a
// GPU whose blocks may have so many. False: it is not launched there, for it wants more.
func (u Unit) Dynamic(t Target, most int) (int, bool) {
	if u.dynamic == nil || t.From < u.dynamicFrom {
		return 0, true
	}
	c := u.worst(most)
	if c == nil {
		return 0, false
	}
	return u.dynamic(c), true
}

// waits finds where a kernel of the dialect waits for its inputs by itself.
var waits = regexp.MustCompile(`(?m)^\s*INPUTS;$`)

// shared finds shared memory, and its size, in a kernel of the dialect.
var shared = regexp.MustCompile(`(?m)^SHARED\(\w+, (\w+), (.*)\)$`)

// Units lists what is compiled for some target, in the order of the table.
func Units() []Unit {
	var units []Unit
	for _, k := range kernels {
		for _, v := range k.all() {
			u := Unit{Kernel: k.name, Entry: k.entry(v), File: k.file, Defines: v.defines, Threads: k.threadsOf(v),
				MaySpill: k.maySpill || v.maySpill, only: v.only, dynamic: k.dynamic, dynamicFrom: k.dynamicFrom, worst: v.worst, most: k.most}
			units = append(units, u)
		}
	}
	return units
}

// PTX is a unit's code for a target.
func (u Unit) PTX(t Target) ([]byte, error) { return ptx(u.Entry + "." + t.Arch) }

// PTXFor is what a GPU of a compute capability gets of that: from OverlapFrom on, the
// newest target's is changed so that kernels overlap.
func (u Unit) PTXFor(t Target, capability int) ([]byte, error) {
	text, err := u.PTX(t)
	if err != nil || u.archFor(t, capability) == t.Arch {
		return text, err
	}
	return overlapping(text, t)
}

// archFor is the target that PTXFor's text names.
func (u Unit) archFor(t Target, capability int) string {
	if capability >= OverlapFrom && t == Targets[0] {
		return overlapArch
	}
	return t.Arch
}

// Text is a unit's source. It includes files of kernels/cuda, which is to be among
// the folders that the compiler looks into, and needs no other definitions.
func (u Unit) Text() (string, error) {
	var b strings.Builder
	for _, d := range u.Defines {
		name, value, _ := strings.Cut(d, "=")
		fmt.Fprintf(&b, "#define %s %s\n", name, value)
	}
	fmt.Fprintf(&b, "#define ENTRY %s\n#define THREADS %d\n", u.Entry, u.Threads)
	if u.File != "" {
		fmt.Fprintf(&b, "#include \"%s\"\n", u.File)
		return b.String(), nil
	}
	text, err := shader.Source(u.Kernel)
	if err != nil {
		return "", fmt.Errorf("cuda: %w", err)
	}
	names, err := constantNames(u.Kernel)
	if err != nil {
		return "", err
	}
	b.WriteString("#include \"prelude.h\"\nFUNCTIONS_BEGIN\nnamespace room { enum : uint { // sizes of shared arrays\n")
	for _, name := range names {
		if name == "WG" {
			b.WriteString("WG = THREADS,\n")
		} else if most, ok := u.most[name]; ok {
			fmt.Fprintf(&b, "%s = %du,\n", name, most)
		}
	}
	for _, m := range shared.FindAllStringSubmatch(text, -1) {
		fmt.Fprintf(&b, "%s = %s,\n", m[1], m[2])
	}
	b.WriteString("}; }\n")
	for i, name := range names {
		if name == "WG" {
			b.WriteString("#define WG ((uint)THREADS)\n")
		} else {
			fmt.Fprintf(&b, "#define %s args.c[%d]\n", name, i)
		}
	}
	fmt.Fprintf(&b, "#line 1 \"common.comp and %s.comp\"\n%s", u.Kernel, text)
	wait := "wait_for_inputs(); "
	if waits.MatchString(text) {
		wait = ""
	}
	fmt.Fprintf(&b, "FUNCTIONS_END\nKERNEL_OF(ENTRY, THREADS, 1) { let_next_start(); %skernel_%s(a); }\n", wait, u.Kernel)
	return b.String(), nil
}
