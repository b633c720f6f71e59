package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ledge-run/ledge/kernels/shader"
)

// title names a program: its kernel, and its constants but the workgroup's size,
// that of subgroups, and those that are zero.
func title(p program) string {
	names, err := shader.Constants(p.Kernel)
	if err != nil || len(names) != len(p.Constants) {
		return fmt.Sprint(p.Kernel, p.Constants)
	}
	words := []string{p.Kernel}
	for i := 1; i < len(names); i++ {
		if p.Constants[i] != 0 && names[i] != "SUBGROUP" {
			words = append(words, fmt.Sprintf("%s=%d", names[i], p.Constants[i]))
		}
	}
	return strings.Join(words, " ")
}

func header(reports []report) string {
	var b strings.Builder
	b.WriteString(`# What a GPU's compiler makes of the kernels

Written by ` + "`go run ./build/radv`" + `, which compiles every kernel of kernels/vulkan for AMD GPUs that need not be
there. A cell has the vector registers, the bytes of shared memory and the instructions of a program; no program
spills registers or needs scratch memory (a test). A constant that is not named is 0; a workgroup has 128 invocations,
a subgroup as few as the GPU can have. Kernels with dot products of int8 (*_dot) use the instruction where the GPU has
it (navi21), and shifts elsewhere.

`)
	fmt.Fprintf(&b, "Driver: %s.\n\n", strings.TrimSpace(reports[0].Driver))
	return b.String()
}

// markdown is the whole page.
func markdown(reports []report) string {
	var b strings.Builder
	b.WriteString(header(reports))
	b.WriteString("| program |")
	for _, f := range families {
		fmt.Fprintf(&b, " %s (%s) |", f.name, f.what)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(families)) + "\n")
	for i, p := range reports[0].Programs {
		fmt.Fprintf(&b, "| %s |", title(p))
		for _, r := range reports {
			q := r.Programs[i]
			fmt.Fprintf(&b, " %g / %g / %g |", q.of("VGPRs"), q.of("LDS size"), q.of("Instructions"))
		}
		b.WriteString("\n")
	}
	b.WriteString(perWeight(reports))
	return b.String()
}

// unit is the columns that the products take from a row of weights at once.
const unit = 32

// perWeight says what a weight costs in the products of one row of activations.
func perWeight(reports []report) string {
	var b strings.Builder
	for i, p := range reports[0].Programs {
		n := weights(p)
		if n == 0 {
			continue
		}
		if b.Len() == 0 {
			b.WriteString("\n## Instructions per weight\n\nOf the products of one row of activations: those of the innermost loop, by the weights that go into it.\n\n| program |")
			for _, f := range families {
				fmt.Fprintf(&b, " %s |", f.name)
			}
			b.WriteString("\n|---|" + strings.Repeat("---|", len(families)) + "\n")
		}
		fmt.Fprintf(&b, "| %s |", title(p))
		for _, r := range reports {
			fmt.Fprintf(&b, " %.2f |", float64(r.Programs[i].Loop)/float64(n))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// weights is the number of weights in a pass of a product's innermost loop, which
// takes a unit of ROWS rows; 0 for other programs.
func weights(p program) int {
	names, err := shader.Constants(p.Kernel)
	rows, tokens := slices.Index(names, "ROWS"), slices.Index(names, "NT")
	first, second := slices.Index(names, "TYPE0"), slices.Index(names, "TYPE1")
	if err != nil || !strings.HasPrefix(p.Kernel, "product") || min(rows, tokens, first, second) < 0 || p.Constants[tokens] != 1 ||
		p.Constants[first] != p.Constants[second] { // mixed types have a loop for each
		return 0
	}
	return int(p.Constants[rows]) * unit
}
