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

	Dynamic  int  // the most bytes of shared memory that a launch gives
	MaySpill bool // registers

	most map[string]uint32
}

// shared finds shared memory, and its size, in a kernel of the dialect.
var shared = regexp.MustCompile(`(?m)^SHARED\(\w+, (\w+), (.*)\)$`)

// Units lists what is compiled, in the order of the table.
func Units() []Unit {
	var units []Unit
	for _, k := range kernels {
		for _, v := range k.all() {
			u := Unit{Kernel: k.name, Entry: k.entry(v), File: k.file, Defines: v.defines, Threads: k.threadsOf(v),
				MaySpill: k.maySpill || v.maySpill, most: k.most}
			if k.dynamic != nil && v.worst != nil {
				u.Dynamic = k.dynamic(v.worst)
			}
			units = append(units, u)
		}
	}
	return units
}

// PTX is a unit's code for a target.
func (u Unit) PTX(t Target) ([]byte, error) { return ptx(u.Entry + "." + t.Arch) }

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
	fmt.Fprintf(&b, "FUNCTIONS_END\nKERNEL_OF(ENTRY, THREADS, 1) { kernel_%s(a); }\n", u.Kernel)
	return b.String(), nil
}
