package cuda

import (
	"bytes"
	"fmt"
)

// OverlapFrom is the least compute capability of GPUs on which a kernel can begin while
// the one before it still runs, and wait for it (wait_for_inputs of device.h). Find
// gives them code that does.
const OverlapFrom = 90

// overlapArch and overlapVersion are the target and the language's version, 7.8, that
// have the instructions.
const (
	overlapArch    = "sm_90"
	overlapVersion = 78
)

// marks are the lines of PTX that stand for these instructions: older GPUs' assemblers
// take them for comments.
var marks = []struct{ mark, instruction string }{
	{"// LEDGE_WAIT", "griddepcontrol.wait;"},
	{"// LEDGE_NEXT", "griddepcontrol.launch_dependents;"},
}

// IsMark reports whether a line of PTX is a comment that stands for an instruction.
func IsMark(line []byte) bool { return instructionOf(line) != "" }

func instructionOf(line []byte) string {
	line = bytes.TrimSpace(line)
	for _, m := range marks {
		if string(line) == m.mark {
			return m.instruction
		}
	}
	return ""
}

// overlapping makes of a target's PTX that for GPUs from OverlapFrom on.
func overlapping(text []byte, t Target) ([]byte, error) {
	old := headerOf(t.Arch, t.PTX)
	rest, ok := bytes.CutPrefix(text, []byte(old))
	if !ok {
		return nil, fmt.Errorf("cuda: PTX for %s begins with %.60q, not with %q: go generate ./kernels/cuda", t.Arch, text, old)
	}
	for _, m := range marks { // without, it would run before its inputs are there
		if !bytes.Contains(rest, []byte(m.mark)) {
			return nil, fmt.Errorf("cuda: PTX for %s has no line %q: go generate ./kernels/cuda", t.Arch, m.mark)
		}
	}
	var b bytes.Buffer
	b.Grow(len(text) + 256)
	b.WriteString(headerOf(overlapArch, max(overlapVersion, t.PTX)))
	for line := range bytes.Lines(rest) {
		if i := instructionOf(line); i != "" {
			b.WriteString("\t" + i + "\n")
		} else {
			b.Write(line)
		}
	}
	return b.Bytes(), nil
}

// headerOf is how PTX begins.
func headerOf(arch string, version int) string {
	return fmt.Sprintf(".version %d.%d\n.target %s\n", version/10, version%10, arch)
}
