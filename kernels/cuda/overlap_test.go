package cuda

import (
	"regexp"
	"strings"
	"testing"
)

// reads and writes of what other kernels write. What is read by .nc nobody
// writes while kernels run; what is read by .cg the host wrote before (handed1).
var access = regexp.MustCompile(`\b(ld|st|red|atom|cp\.async\.c[ag]\.shared)(\.volatile|\.relaxed)?(\.global)?\.[^;]*;`)

// touches reports whether a line reads or writes memory that is not the block's own.
func touches(line string) bool {
	found := access.FindString(line)
	for _, own := range []string{"ld.param", "ld.shared", "st.shared", "ld.const", "ld.local", "st.local", "ld.global.nc", "ld.global.cg.u32"} {
		if strings.HasPrefix(found, own) {
			return false
		}
	}
	return found != ""
}

// TestWaits: every kernel says first of all that the next may start, and reads and
// writes nothing before it has waited for the one before it, nor ends. What is between
// the entry and a wait is found along all ways through the code.
func TestWaits(t *testing.T) {
	for _, u := range Units() {
		for _, target := range Targets {
			if !u.For(target) {
				continue
			}
			code, err := u.PTX(target)
			if err != nil {
				t.Error(err)
				continue
			}
			text := string(code)
			if strings.HasPrefix(u.Entry, "product_tensor_") { // copies weights alone
				text = strings.ReplaceAll(text, "cp.async.cg.shared.global", "cp.weights")
			}
			if bad := early(text); bad != "" {
				t.Errorf("%s.%s: %s", u.Entry, target.Arch, bad)
			}
		}
	}
	for text, want := range map[string]string{
		"{\n// LEDGE_NEXT\n// LEDGE_WAIT\nld.global.u32 %r1, [%rd1];\nret;\n}":                                              "",
		"{\n// LEDGE_NEXT\nld.global.nc.u32 %r1, [%rd1];\n@%p1 bra $L1;\n// LEDGE_WAIT\nret;\n$L1:\n// LEDGE_WAIT\nret;\n}": "",
		"{\n// LEDGE_NEXT\n@%p1 bra $L1;\n// LEDGE_WAIT\n$L1:\nret;\n}":                                                     "ret;",
		"{\n// LEDGE_NEXT\n@%p1 bra $L1;\n// LEDGE_WAIT\nret;\n$L1:\nst.global.u32 [%rd1], %r1;\n}":                         "st.global.u32 [%rd1], %r1;",
		"{\n// LEDGE_NEXT\n@!%p1 ld.u32 %r1, [%rd1];\n// LEDGE_WAIT\nret;\n}":                                               "ld.u32 %r1, [%rd1];",
		"{\n// LEDGE_NEXT\nbra.uni $L1;\n$L2:\n// LEDGE_WAIT\nret;\n$L1:\nbra.uni $L2;\n}":                                  "",
		"{\nld.param.u64 %rd1, [x];\n// LEDGE_WAIT\nret;\n}":                                                                "LEDGE_NEXT",
	} {
		if bad := early(text); want == "" && bad != "" || want != "" && !strings.Contains(bad, want) {
			t.Errorf("%q: %q, want %q", text, bad, want)
		}
	}
}

var branch = regexp.MustCompile(`^(@!?%p\d+ )?bra(\.uni)? (\$\w+);$`)

// early walks from a kernel's entry along all ways as far as they have not waited, and
// gives the first line there that should not be.
func early(text string) string {
	_, body, _ := strings.Cut(text, "{\n")
	lines := strings.Split(body, "\n")
	labels := map[string]int{}
	next := false
	for i, line := range lines {
		lines[i] = strings.Join(strings.Fields(line), " ")
		if label, ok := strings.CutSuffix(lines[i], ":"); ok {
			labels[label] = i
		}
		next = next || strings.HasSuffix(line, "// LEDGE_NEXT")
	}
	if !next {
		return "there is no LEDGE_NEXT"
	}
	been := make([]bool, len(lines))
	todo := []int{0}
	for len(todo) > 0 {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for ; i < len(lines) && !been[i] && !strings.HasSuffix(lines[i], "// LEDGE_WAIT"); i++ {
			been[i] = true
			line := lines[i]
			if m := branch.FindStringSubmatch(line); m != nil {
				to, ok := labels[m[3]]
				if !ok {
					return line
				}
				todo = append(todo, to)
				if m[1] == "" {
					break
				}
				continue
			}
			if strings.Contains(line, "ret;") || strings.Contains(line, "bra ") || strings.Contains(line, "brx") || touches(line) {
				return line
			}
		}
	}
	return ""
}

// TestReadOnly: what is read by .nc has to be what no kernel writes, for a kernel may begin
// while the one before it still writes. Weights are; the cache is not.
func TestReadOnly(t *testing.T) {
	for _, u := range Units() {
		if strings.HasPrefix(u.Entry, "product_tensor_") || u.Entry == "read" {
			continue
		}
		for _, target := range Targets {
			if !u.For(target) {
				continue
			}
			if code, err := u.PTX(target); err != nil {
				t.Error(err)
			} else if strings.Contains(string(code), "ld.global.nc") {
				t.Errorf("%s.%s reads by ld.global.nc", u.Entry, target.Arch)
			}
		}
	}
}

// TestOverlapping: newer GPUs get the instructions, once for each mark, and nothing else
// is changed.
func TestOverlapping(t *testing.T) {
	u := Units()[0]
	plain, err := u.PTXFor(Targets[0], 89)
	if err != nil {
		t.Fatal(err)
	}
	if own, err := u.PTX(Targets[0]); err != nil || string(own) != string(plain) {
		t.Errorf("capability 8.9 gets something of its own (%v)", err)
	}
	text, err := u.PTXFor(Targets[0], 120)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(string(plain), ".version 7.4\n.target sm_80\n", ".version 7.8\n.target sm_90\n", 1)
	want = strings.ReplaceAll(want, "// LEDGE_WAIT", "griddepcontrol.wait;")
	want = strings.ReplaceAll(want, "// LEDGE_NEXT", "griddepcontrol.launch_dependents;")
	if string(text) != want || !strings.Contains(want, "griddepcontrol.wait;") {
		t.Errorf("%.400s", text)
	}
	if older, err := u.PTXFor(Targets[1], 120); err != nil || strings.Contains(string(older), "griddepcontrol") {
		t.Errorf("an older target's code is changed (%v)", err)
	}
	for _, mark := range []string{"// LEDGE_WAIT", "// LEDGE_NEXT"} {
		without := strings.ReplaceAll(string(plain), mark, "")
		if _, err := overlapping([]byte(without), Targets[0]); err == nil || !strings.Contains(err.Error(), mark) {
			t.Errorf("PTX without %s: %v", mark, err)
		}
	}
	if _, err := overlapping([]byte(".version 8.0\n"), Targets[0]); err == nil || !strings.Contains(err.Error(), "go generate") {
		t.Errorf("PTX with another header: %v", err)
	}
}
