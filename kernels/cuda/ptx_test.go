package cuda

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// forbidden is what PTX must not have, and why.
var forbidden = []struct {
	what *regexp.Regexp
	why  string
}{
	{regexp.MustCompile(`\bcall\b|\.func\b`), "a function that is not inlined, or one of a library"},
	{regexp.MustCompile(`\.extern \.(func|global)`), "something that is not there"},
	{regexp.MustCompile(`(add|sub|mul)\.f32`), "the assembler may fuse it: without .rn sums depend on the GPU"},
	{regexp.MustCompile(`(div|sqrt)\.(approx|full)`), "division and square roots are rounded right"},
	{regexp.MustCompile(`\.ftz\b`), "small numbers are not zero"},
	{regexp.MustCompile(`\.f64\b`), "float64 is slow on these GPUs"},
	{regexp.MustCompile(`//.*|/\w+/|\.file\b|\.loc\b`), "comments and paths"},
}

// marked are the comments that stand for instructions.
var marked = regexp.MustCompile(`(?m)^\t// LEDGE_(WAIT|NEXT)$`)

// mostCode is bytes of compressed code in every build with the GPU, whose program is to
// be below 20 MB: tensor cores have a kernel for each of 16 types of matrices, in three
// shapes for few rows and in three for many, and that is most of it.
const mostCode = 600_000

// TestPTX: every unit has code for its targets, of the version that was promised,
// with one entry that takes Args, and with nothing in it that must not be.
func TestPTX(t *testing.T) {
	seen := map[string]bool{}
	for _, u := range Units() {
		for _, target := range Targets {
			if !u.For(target) {
				continue
			}
			name := u.Entry + "." + target.Arch
			if seen[name] {
				t.Errorf("%s is twice in the table", name)
			}
			seen[name] = true
			code, err := u.PTX(target)
			if err != nil {
				t.Error(err)
				continue
			}
			text := string(code)
			header := fmt.Sprintf(".version %d.%d\n.target %s\n.address_size 64\n", target.PTX/10, target.PTX%10, target.Arch)
			if !strings.HasPrefix(text, header) {
				t.Errorf("%s begins with %.60q, want %q", name, text, header)
			}
			args := fmt.Sprintf(".visible .entry %s(\n\t.param .align 8 .b8 %[1]s_param_0[%d]\n)\n.maxntid %d, 1, 1\n",
				u.Entry, 4*8+4*MaxParams+4*MaxConstants, u.Threads)
			if strings.Count(text, ".entry") != 1 || !strings.Contains(text, args) {
				t.Errorf("%s is not one entry that begins with %q", name, args)
			}
			for _, f := range forbidden {
				if found := f.what.FindString(marked.ReplaceAllString(text, "")); found != "" {
					t.Errorf("%s has %q: %s", name, found, f.why)
				}
			}
			if strings.Contains(text, ".local") && !u.MaySpill {
				t.Errorf("%s has local memory", name)
			}
		}
	}
	all, err := index()
	if err != nil || len(all) != len(seen) {
		t.Errorf("%d pieces of code in the index for %d: go generate ./kernels/cuda (%v)", len(all), len(seen), err)
	}
	for name, l := range all {
		if text, err := ptx(name); err != nil || len(text) != l.size || sha256.Sum256(text) != l.sum {
			t.Errorf("%s is not what the index says: %d bytes, %v", name, len(text), err)
		}
	}
	entries, err := files.ReadDir("ptx")
	if err != nil {
		t.Fatal(err)
	}
	size := int64(0)
	for _, e := range entries {
		if info, err := e.Info(); err != nil {
			t.Error(err)
		} else {
			size += info.Size()
		}
	}
	if size == 0 || size > mostCode {
		t.Errorf("%d bytes of code are in every build, want at most %d", size, mostCode)
	}
	if len(Version()) != 12 {
		t.Errorf("version %q", Version())
	}
}

// TestText: what compilers get is whole.
func TestText(t *testing.T) {
	for _, u := range Units() {
		text, err := u.Text()
		if err != nil {
			t.Error(err)
			continue
		}
		if !strings.Contains(text, "#define ENTRY "+u.Entry+"\n") {
			t.Errorf("%s: no definition of ENTRY:\n%.300s", u.Entry, text)
		}
		if u.File != "" && !strings.HasSuffix(text, "#include \""+u.File+"\"\n") {
			t.Errorf("%s does not end with its file", u.Entry)
		}
		wait := "wait_for_inputs(); "
		if u.Kernel == "rope_cache" { // which waits by itself
			wait = ""
		}
		if u.File == "" && !strings.HasSuffix(text, "KERNEL_OF(ENTRY, THREADS, 1) { let_next_start(); "+wait+"kernel_"+u.Kernel+"(a); }\n") {
			t.Errorf("%s does not end with its entry", u.Entry)
		}
	}
	text, err := Unit{Kernel: "k", Entry: "k_v", File: "k.cu", Defines: []string{"FAST", "TYPE=4"}, Threads: 64}.Text()
	if want := "#define FAST \n#define TYPE 4\n#define ENTRY k_v\n#define THREADS 64\n#include \"k.cu\"\n"; err != nil || text != want {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := (Unit{Kernel: "no_such"}).Text(); err == nil || !strings.Contains(err.Error(), "no_such") {
		t.Errorf("a kernel that is not there: %v", err)
	}
}

// TestForget: what was unpacked can be unpacked again.
func TestForget(t *testing.T) {
	before, err := ptx("fill.sm_80")
	if err != nil {
		t.Fatal(err)
	}
	Forget()
	after, err := ptx("fill.sm_80")
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("%d bytes, then %d, %v", len(before), len(after), err)
	}
	before[0]++
	if again, err := ptx("fill.sm_80"); err != nil || !bytes.Equal(again, after) {
		t.Errorf("who got code can change it for others (%v)", err)
	}
}

func TestIndex(t *testing.T) {
	sum := strings.Repeat("0a", 32)
	all, err := parseIndex("a.sm_80 5 " + sum + "\nb_c.sm_72 7 " + sum + "\n")
	if err != nil || len(all) != 2 || all["b_c.sm_72"].size != 7 || all["a.sm_80"].sum[31] != 10 {
		t.Errorf("%v, %v", all, err)
	}
	for _, bad := range []string{"a\n", "a 5\n", "a x " + sum + "\n", "a 5 " + sum[2:] + "\n", "a 5 " + sum + "00\n", "a 5 zz" + sum[2:] + "\n"} {
		if all, err := parseIndex(bad); err == nil {
			t.Errorf("%q gave %v", bad, all)
		}
	}
}
