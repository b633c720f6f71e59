package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ledge-run/ledge/kernels/shader"
)

// title names a program: its kernel, and its constants but the workgroup's size
// and those that are zero.
func title(p program) string {
	names, err := shader.Constants(p.Kernel)
	if err != nil || len(names) != len(p.Constants) {
		return fmt.Sprint(p.Kernel, p.Constants)
	}
	words := []string{p.Kernel}
	for i := 1; i < len(names); i++ {
		if p.Constants[i] != 0 {
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
spills registers or needs scratch memory (a test). A constant that is not named is 0; a workgroup has 128 invocations.

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

// perWeight says what a weight costs in the product of one row of activations: the
// instructions that two more rows of weights (ROWS 4 instead of 2) add, by the
// weights in them. What all rows share is not counted.
func perWeight(reports []report) string {
	var b strings.Builder
	for i, p := range reports[0].Programs {
		j := partner(reports[0].Programs, p)
		if j < 0 {
			continue
		}
		if b.Len() == 0 {
			b.WriteString("\n## Instructions per weight\n\nOf the products of one row: those that two more rows of weights in an invocation add, by their weights.\n\n| program |")
			for _, f := range families {
				fmt.Fprintf(&b, " %s |", f.name)
			}
			b.WriteString("\n|---|" + strings.Repeat("---|", len(families)) + "\n")
		}
		fmt.Fprintf(&b, "| %s |", title(p))
		for _, r := range reports {
			more := r.Programs[i].of("Instructions") - r.Programs[j].of("Instructions")
			fmt.Fprintf(&b, " %.2f |", more/(2*unit))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// partner finds the program that differs in ROWS alone, 2 instead of 4.
func partner(all []program, p program) int {
	names, err := shader.Constants(p.Kernel)
	at, tokens := slices.Index(names, "ROWS"), slices.Index(names, "NT")
	if err != nil || at < 0 || tokens < 0 || p.Constants[at] != 4 || p.Constants[tokens] != 1 {
		return -1
	}
	want := slices.Clone(p.Constants)
	want[at] = 2
	return slices.IndexFunc(all, func(q program) bool { return q.Kernel == p.Kernel && slices.Equal(q.Constants, want) })
}
