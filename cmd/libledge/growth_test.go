//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// structure finds the structures of a header, with what is between their braces.
var structure = regexp.MustCompile(`(?s)typedef struct \w+ \{\n(.*?)\} (\w+);`)

// layout is a program that says where each field is that the header of version 1 has,
// and which value each of its constants.
func layout(t *testing.T, first string) string {
	t.Helper()
	program := "#include <stdio.h>\n#include \"ledge.h\"\nint main(void) {\n"
	fields := 0
	for _, s := range structure.FindAllStringSubmatch(first, -1) {
		for _, f := range regexp.MustCompile(`(?m)(\w+)(?:\[\w+\])?;`).FindAllStringSubmatch(s[1], -1) {
			program += fmt.Sprintf("printf(\"%[1]s.%[2]s %%zu %%zu\\n\", offsetof(%[1]s, %[2]s), sizeof(((%[1]s *)0)->%[2]s));\n", s[2], f[1])
			fields++
		}
	}
	constants := map[string]bool{}
	for _, m := range regexp.MustCompile(`LEDGE_[A-Z_0-9]+`).FindAllString(first, -1) {
		switch m {
		case "LEDGE_H", "LEDGE_ERROR_INIT", "LEDGE_ABI_VERSION": // no number, or one that grows
		default:
			constants[m] = true
		}
	}
	if fields < 90 || len(constants) < 25 {
		t.Fatalf("version 1 has %d fields and %d constants", fields, len(constants))
	}
	for name := range constants {
		program += fmt.Sprintf("printf(\"%[1]s %%lld\\n\", (long long)%[1]s);\n", name)
	}
	return program + "return 0;\n}\n"
}

// TestFirstVersion: what version 1 has is where it was, with the values that it had.
func TestFirstVersion(t *testing.T) {
	need(t, "gcc")
	first, err := os.ReadFile("testdata/v1/ledge.h")
	if err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(t.TempDir(), "layout.c")
	if err := os.WriteFile(source, []byte(layout(t, string(first))), 0o600); err != nil {
		t.Fatal(err)
	}
	lines := func(include string) []string {
		run(t, "gcc", "-I"+include, "-o", source+".bin", source)
		out, _ := run(t, source+".bin")
		return strings.Split(out, "\n")
	}
	was, is := lines("testdata/v1"), lines(".")
	slices.Sort(was)
	slices.Sort(is)
	for i := range was {
		if was[i] != is[i] {
			t.Errorf("version 1 has %s, ledge.h %s", was[i], is[i])
		}
	}
	for _, f := range declaredIn(t, "testdata/v1/ledge.h") {
		if !slices.Contains(declared(t), f) {
			t.Errorf("%s of version 1 is gone", f)
		}
	}
}

// grown is a folder with the header of a later version: its structures have a field
// more.
func grown(t *testing.T) string {
	t.Helper()
	header, err := os.ReadFile("ledge.h")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	text := structure.ReplaceAllStringFunc(string(header), func(s string) string {
		if !strings.Contains(s, "size_t size;") {
			return s
		}
		n++
		at := strings.LastIndex(s, "}")
		return s[:at] + "    uint64_t added;\n" + s[at:]
	})
	if n != 9 {
		t.Fatalf("%d structures have a size", n)
	}
	text = strings.Replace(text, "0, 0, 0, 0, { 0 } }", "0, 0, 0, 0, { 0 }, 0 }", 1) // LEDGE_ERROR_INIT
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ledge.h"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// growth builds testdata/growth.c with the header of a folder.
func growth(t *testing.T, include string, args ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "growth")
	all := []string{"gcc", "-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-I" + include, "-Itestdata", "-o", out, "testdata/growth.c"}
	run(t, append(all, args...)...)
	return out
}

// TestGrowth: programs that were made with an older or a newer header work with the
// library, as far as it knows what they want.
func TestGrowth(t *testing.T) {
	lib, model, later := library(t)+"/lib", tiny(t), grown(t)
	link := []string{"-L" + lib, "-lledge", "-Wl,-rpath," + lib}
	out, _ := run(t, growth(t, "testdata/v1", link...), model)
	equal(t, "an older program", out, "ledge_version\ndefaults\ndefaults\nledge_info\nledge_usage\nledge_counters\nok\n")

	const unknown = "size (an option is set that this version of the library does not know)\n"
	out, _ = run(t, growth(t, later, append(link, "-DADDED")...), model)
	equal(t, "a newer program", out, "ledge_version: added 0\ndefaults: added 0\ndefaults: added 0\nopen: "+unknown+"generate: "+unknown+
		"ledge_info: added 0\nledge_usage: added 0\nledge_counters: added 0\nok\n")
}

// TestGrownLibrary: the C of a later version of the library, with a program for Go,
// takes programs of version 1 and its own; sanitizers look on.
func TestGrownLibrary(t *testing.T) {
	need(t, "gcc")
	later, dir := grown(t), t.TempDir()
	for name, replace := range map[string][2]string{
		"guard.c": {".gpu_layers = LEDGE_GPU_LAYERS_FIT,", ".gpu_layers = LEDGE_GPU_LAYERS_FIT, .added = 7,"}, // a default
		"calls.c": {}, "guard.h": {}, "calls.h": {},
	} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		changed := string(text)
		if replace[0] != "" {
			if changed = strings.Replace(changed, replace[0], replace[1], 1); changed == string(text) {
				t.Fatalf("%s has no %s", name, replace[0])
			}
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var flags []string
	if why := sanitizers(t); why == "" {
		flags = []string{sanitize, "-fno-sanitize-recover=all"}
	} else {
		t.Logf("without sanitizers: %s", why)
	}
	build := append([]string{"gcc", "-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-I" + later, "-I" + dir, "-Itestdata/growth",
		"-o", dir + "/liblater.so", dir + "/guard.c", dir + "/calls.c"}, flags...)
	run(t, build...)
	link := append(flags, "-L"+dir, "-llater", "-Wl,-rpath,"+dir)

	out, _ := run(t, growth(t, "testdata/v1", link...), "model")
	equal(t, "an older program", out, "ledge_version\ndefaults\ngo: open: sequences 2, gpu_layers -1, added 7\n"+
		"defaults\ngo: generate: max_tokens 2, top_k 40, added 0\nledge_info\nledge_usage\nledge_counters\nok\n")

	const filled = "7161677110969590627" // 0x6363636363636363
	out, _ = run(t, growth(t, later, append(link, "-DADDED")...), "model")
	equal(t, "its own program", out, "ledge_version: added "+filled+"\ndefaults: added 7\ngo: open: sequences 2, gpu_layers -1, added 7\n"+
		"defaults: added 0\ngo: generate: max_tokens 2, top_k 40, added 0\n"+
		"go: open: sequences 2, gpu_layers -1, added 5\nopen: ok ()\ngo: generate: max_tokens 2, top_k 40, added 5\ngenerate: ok ()\n"+
		"ledge_info: added "+filled+"\nledge_usage: added "+filled+"\nledge_counters: added "+filled+"\nok\n")
}

func equal(t *testing.T, who, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s wrote\n%s\nwant\n%s", who, got, want)
	}
}
