package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ledge-run/ledge/kernels/cuda"
)

const header = `# What NVIDIA's assembler makes of the CUDA kernels

Written by ` + "`go run ./build/ptxas`" + `, which assembles the PTX of kernels/cuda for GPUs that need not be there, with
the ptxas that build/ptxas.sh fetches. It fails if a GPU refuses a kernel, if a block does not fit one, or if registers
spill (but of kernels for prompts alone that kernels.go lets). Shared memory is bytes of a block, of those that the
launch gives as many as any call asks for on that GPU: kernels of products hold all of x where there is room. Registers
are of a thread. Resident are so many blocks, and the part of a multiprocessor's warps that they are, as registers, shared
memory and threads allow. What is not there wants more shared memory than a block may have: a GPU gets other variants.
`

// Of the GPUs that get a target's code, those that have columns of registers, and
// those whose occupancy is reckoned.
var (
	shown     = []int{72, 75, 80, 87, 90, 110, 120}
	occupancy = []int{72, 87, 90}
)

// hasColumn reports whether the page says what a target's code is on a GPU.
func hasColumn(g gpu, t cuda.Target) bool {
	return slices.Contains(shown, g.capability) && newest(g) == t
}

// markdown is the whole page.
func markdown(programs []program) string {
	var b strings.Builder
	b.WriteString(header)
	for _, t := range cuda.Targets {
		var of []program
		for _, p := range programs {
			if p.target == t {
				of = append(of, p)
			}
		}
		if len(of) > 0 {
			section(&b, t, of)
		}
	}
	return b.String()
}

// section is a target's table.
func section(b *strings.Builder, t cuda.Target, programs []program) {
	all := gpusOf(t)
	fmt.Fprintf(b, "\n## Code for %s\n\nPTX %d.%d, assembled for", t.Arch, t.PTX/10, t.PTX%10)
	for i, g := range all {
		fmt.Fprintf(b, "%s sm_%d (%s, by %s)", strings.Repeat(",", min(i, 1)), g.capability, g.what, g.tool.version)
	}
	b.WriteString(".\n\n| kernel | threads |")
	columns := 2
	each := func(list []int, f func(i int, g gpu)) {
		for i, g := range all {
			if slices.Contains(list, g.capability) && hasColumn(g, t) {
				f(i, g)
			}
		}
	}
	each(shown, func(_ int, g gpu) { fmt.Fprintf(b, " registers sm_%d |", g.capability); columns++ })
	each(occupancy, func(_ int, g gpu) {
		fmt.Fprintf(b, " instructions sm_%d | shared sm_%[1]d | resident sm_%[1]d |", g.capability)
		columns += 3
	})
	b.WriteString("\n|" + strings.Repeat("---|", columns) + "\n")
	for _, p := range programs {
		fmt.Fprintf(b, "| %s | %d |", p.unit.Entry, p.unit.Threads)
		each(shown, func(i int, _ gpu) {
			m := p.made[i]
			fmt.Fprintf(b, " %d", m.registers)
			if m.spills > 0 {
				fmt.Fprintf(b, ", %d bytes spill", m.spills)
			}
			b.WriteString(" |")
		})
		each(occupancy, func(i int, g gpu) {
			m := p.made[i]
			shared, launched := p.sharedOn(m)
			if !launched {
				fmt.Fprintf(b, " %d | | not there |", m.instructions)
				return
			}
			n := g.resident(m.registers, shared, p.unit.Threads)
			warps := n * roundUp(p.unit.Threads, warpThreads) / warpThreads
			fmt.Fprintf(b, " %d | %d | %d, %d %% |", m.instructions, shared, n, 100*warps/g.warps)
		})
		b.WriteString("\n")
	}
}
