package main

import (
	"fmt"
	"strings"

	"github.com/ledge-run/ledge/runtime/power"
)

// readBoard is what the board says of its power; nil where there is no board known.
func readBoard() *power.Board {
	if b, ok := power.Read(); ok {
		return &b
	}
	return nil
}

// printBoard shows the power mode and clocks that speeds depend on. They are never
// changed: that is the owner's to do.
func (a *app) printBoard(b power.Board) {
	name := b.Model
	if name == "" {
		name = "a Jetson board"
	}
	if b.Release != "" {
		name += ", Jetson Linux " + b.Release
	}
	fmt.Fprintf(a.out, "  board      %s\n", oneLine(name))
	line := func(format string, args ...any) {
		fmt.Fprintf(a.out, "             %s\n", oneLine(fmt.Sprintf(format, args...)))
	}
	if b.Mode != nil {
		line("power mode %s (%d)", b.Mode.Name, b.Mode.ID)
	}
	line("clocks: GPU %s, CPU %s, memory %s", b.GPU, b.CPU, b.Memory)
	if len(b.Rails) > 0 {
		var rails []string
		for _, r := range b.Rails {
			rails = append(rails, fmt.Sprintf("%s %.2f W", r.Name, r.Watts))
		}
		line("now: %s", strings.Join(rails, ", "))
	}
	for _, n := range b.Notes() {
		line("%s", n)
	}
}
